"""The dead-letter queue: its messages, and which of them an execution may be started with.

Two kinds of events end up there: those that EventBridge could not deliver, with attributes that say why (EventBridge
User Guide, "Using dead-letter queues"), and messages of the intake queue that no execution could be started with,
without any. Whoever may send to the queue may put anything there: only what the stack's own rule lets through is
started.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from invalidation.batches.table import slices
from invalidation.errors import InvalidRequest
from invalidation.event_pattern import lets_through, without_keys
from invalidation.events import Changes, parse
from invalidations_cli.follow import subject_of

AT_ONCE = 10
"""Messages in one request (SQS API Reference, ReceiveMessage, DeleteMessageBatch)."""
HELD_SECONDS = 300
DELETE = "delete it in the SQS console if nobody needs it"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message. `problem` says why it is no event of S3; then `document` may be None."""

    message_id: str
    receipt: str
    body: str
    attributes: dict[str, str] = field(default_factory=dict)
    sent: datetime | None = None
    source: str = ""
    document: Any = None
    problem: str = ""

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> DeadLetter:
        system, body = message.get("Attributes", {}), message["Body"]
        document, problem = _document(body)
        sent = system.get("SentTimestamp")
        return cls(
            message_id=message["MessageId"],
            receipt=message["ReceiptHandle"],
            body=body,
            attributes={k: v.get("StringValue", "") for k, v in message.get("MessageAttributes", {}).items()},
            sent=datetime.fromtimestamp(int(sent) / 1000, UTC) if sent else None,
            source=system.get("DeadLetterQueueSourceArn", ""),
            document=document,
            problem=problem,
        )

    @property
    def about(self) -> str:
        return f"{self.body[:60]} ({self.problem[:120]})" if self.problem else subject_of(self.body)

    @property
    def bucket(self) -> str:
        match self.document:
            case {"detail": {"bucket": {"name": str(name)}}}:
                return name
            case _:
                return ""

    @property
    def came_from(self) -> str:
        """The queue that gave it up, or the rule that could not deliver it."""
        arn = self.source or self.attributes.get("RULE_ARN", "")
        return arn.rpartition(":")[2].removeprefix("rule/")

    @property
    def why(self) -> str:
        """In EventBridge's words, or those of the queue that gave it up."""
        given = self.attributes
        if not given.get("ERROR_CODE"):
            return "no execution could be started with it" if self.source else ""
        tries = f" (after {given['RETRY_ATTEMPTS']} retries)" if given.get("RETRY_ATTEMPTS") else ""
        return f"{given['ERROR_CODE']}: {given.get('ERROR_MESSAGE', '')}{tries}"

    def to_document(self) -> dict[str, Any]:
        return {
            "messageId": self.message_id,
            "sent": self.sent.isoformat() if self.sent else None,
            "from": self.came_from or None,
            "errorCode": self.attributes.get("ERROR_CODE"),
            "errorMessage": self.attributes.get("ERROR_MESSAGE"),
            "retryAttempts": self.attributes.get("RETRY_ATTEMPTS"),
            "attributes": self.attributes,
            "problem": self.problem or None,
            "event": self.document if self.document is not None else self.body,
        }


def _document(body: str) -> tuple[Any, str]:
    """What an execution would be started with, and why it is no rule's event."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None, "it is not JSON"
    try:
        parsed = parse(document)
    except InvalidRequest as error:
        return document, str(error)
    if isinstance(parsed, Changes) and isinstance(document, dict) and "body" not in document:
        return document, ""
    return document, "it is no event of S3, and no rule of this stack sends such: somebody else put it there"


@dataclass(frozen=True, slots=True)
class Left:
    """Why a message is not replayed, and what to do with it."""

    why: str
    remedy: str = DELETE


@dataclass(frozen=True, slots=True)
class ReplayGuard:
    """Lets through what the stack's rules let through.

    Attributes:
        patterns: Of those of the stack's rules that changes come through, as they are now; none: they are gone.
        bucket_names: The buckets that the stack watches.
    """

    patterns: Sequence[Mapping[str, Any]]
    bucket_names: Sequence[str] = ()

    def left(self, letter: DeadLetter) -> Left | None:
        """Why it is left where it is. None for what an execution may be started with."""
        if letter.problem:
            return Left(letter.problem)
        if not self.patterns:
            return Left("the stack's rule is gone", "deploy the stack again, then replay it")
        if self.bucket_names and letter.bucket not in self.bucket_names:
            remedy = f"add the bucket to BucketNames and replay it, or {DELETE}"
            return Left(f"the stack does not watch {letter.bucket}", remedy)
        answers = [lets_through(each, letter.document) for each in self.patterns]
        return None if True in answers else self._kept_out(letter, known=None not in answers)

    def _kept_out(self, letter: DeadLetter, *, known: bool) -> Left:
        """Which part of the rules' patterns keeps an event out."""
        if not known:
            return Left("somebody changed the rule: what it lets through is not known", "deploy the stack again")
        if any(lets_through(without_keys(each), letter.document) for each in self.patterns):
            return Left("the rule leaves this key out (ExcludeKeys)")
        return Left("the stack's rule does not let it through: its account, source or type is another")


class DeadLetterQueue:
    """Reads a queue. What was received stays hidden from others until it is deleted, released, or five minutes old.

    Args:
        client: a boto3 client for SQS.
        url: the queue's.
    """

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url
        self.held: dict[str, DeadLetter] = {}

    def __enter__(self) -> Self:
        """What is received within is released at the end, whatever happens, unless it was deleted."""
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()

    def count(self) -> int:
        """About how many messages there are to receive."""
        name = "ApproximateNumberOfMessages"
        answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def receive(self, most: int | None = None) -> Iterator[DeadLetter]:
        """Each message once, until there are no more, or so many."""
        seen: set[str] = set()
        while most is None or len(seen) < most:
            messages = self._receive(AT_ONCE if most is None else min(AT_ONCE, most - len(seen)))
            letters = [DeadLetter.from_message(message) for message in messages]
            self.held |= {letter.message_id: letter for letter in letters}
            new = [letter for letter in letters if letter.message_id not in seen]
            if not new:
                return  # none is left, or what was received at first appears again: this has taken too long
            seen |= {letter.message_id for letter in new}
            yield from new

    def _receive(self, number: int) -> list[dict[str, Any]]:
        """Long polling asks all of SQS's servers: an empty answer means an empty queue."""
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=number,
            VisibilityTimeout=HELD_SECONDS,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))

    def release(self) -> None:
        """Let others see again what was received and not deleted."""
        for some in slices(self.held.values(), AT_ONCE):
            entries = [_entry(number, each, VisibilityTimeout=0) for number, each in enumerate(some)]
            self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
        self.held.clear()

    def delete(self, letters: Iterable[DeadLetter]) -> list[DeadLetter]:
        """Those that could not be deleted."""
        left: list[DeadLetter] = []
        for some in slices(letters, AT_ONCE):
            entries = [_entry(number, each) for number, each in enumerate(some)]
            answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            for deleted in answer.get("Successful", []):
                del self.held[some[int(deleted["Id"])].message_id]
            left += [some[int(failed["Id"])] for failed in answer.get("Failed", [])]
        return left


def _entry(number: int, letter: DeadLetter, **more: Any) -> dict[str, Any]:
    return {"Id": str(number), "ReceiptHandle": letter.receipt, **more}
