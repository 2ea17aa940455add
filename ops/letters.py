"""The dead-letter queue: what is in it and why, without taking anything out before it is taken care of.

Two kinds end up there: events that EventBridge could not deliver, with attributes that say why (EventBridge User Guide,
"Using dead-letter queues"), and messages of the intake queue that no execution could be started with, without any.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Self

from invalidation.changes import Changes, parse
from invalidation.errors import InvalidRequest
from ops.watching import subject_of

AT_ONCE = 10
"""Messages in one request (SQS API Reference, ReceiveMessage, DeleteMessageBatch)."""
MAX_LIST = 100
"""Events that one execution takes, as with buffered intake."""
MAX_INPUT = 240_000
"""Characters of JSON; an execution's input goes to 262,144 bytes (SFD, "Quotas"), and JSON here is ASCII."""
HELD_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Letter:
    """One message. `problem` says why no execution can be started with it; then `document` may be None."""

    message_id: str
    receipt: str
    body: str
    attributes: dict[str, str] = field(default_factory=dict)
    sent: datetime | None = None
    source: str = ""
    document: Any = None
    problem: str = ""

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Letter:
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
    """What an execution would be started with, and what is wrong with it."""
    try:
        document = json.loads(body)
    except ValueError:
        return None, "it is not JSON"
    try:
        parse(document)
    except InvalidRequest as error:
        return document, str(error)
    return document, ""


class Queue:
    """Reads a queue. What was received stays hidden from others until it is deleted, released, or five minutes old.

    Args:
        client: a boto3 client for SQS.
        url: the queue's.
    """

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url
        self.held: dict[str, Letter] = {}

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

    def receive(self, most: int | None = None) -> Iterator[Letter]:
        """Each message once, until there are no more, or so many."""
        seen: set[str] = set()
        while most is None or len(seen) < most:
            messages = self._receive(AT_ONCE if most is None else min(AT_ONCE, most - len(seen)))
            letters = [Letter.from_message(message) for message in messages]
            self.held |= {letter.message_id: letter for letter in letters}
            new = [letter for letter in letters if letter.message_id not in seen]
            if not new:
                return  # none is left, or what was received at first appears again: this has taken too long
            seen |= {letter.message_id for letter in new}
            yield from new

    def _receive(self, number: int) -> list[dict[str, Any]]:
        """Long polling asks all of SQS's servers, so that no message means that there is none."""
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
        for some in _tens(self.held.values()):
            entries = [_entry(number, each, VisibilityTimeout=0) for number, each in enumerate(some)]
            self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
        self.held.clear()

    def delete(self, letters: Iterable[Letter]) -> list[Letter]:
        """Those that could not be deleted."""
        left: list[Letter] = []
        for some in _tens(letters):
            entries = [_entry(number, each) for number, each in enumerate(some)]
            answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            for deleted in answer.get("Successful", []):
                del self.held[some[int(deleted["Id"])].message_id]
            left += [some[int(failed["Id"])] for failed in answer.get("Failed", [])]
        return left


def _entry(number: int, letter: Letter, **more: Any) -> dict[str, Any]:
    return {"Id": str(number), "ReceiptHandle": letter.receipt, **more}


def _tens(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    remaining = iter(letters)
    while some := list(islice(remaining, AT_ONCE)):
        yield some


def groups(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    """What one execution is started with: up to 100 events that fit into its input. Anything else goes alone."""
    group: list[Letter] = []
    room = MAX_INPUT
    for letter in letters:
        if not isinstance(letter.document, dict) or not isinstance(parse(letter.document), Changes):
            yield [letter]
            continue
        length = len(json.dumps(letter.document, separators=(",", ":"))) + 1
        if group and (length > room or len(group) == MAX_LIST):
            yield group
            group, room = [], MAX_INPUT
        group.append(letter)
        room -= length
    if group:
        yield group


def input_of(group: Sequence[Letter]) -> Any:
    return group[0].document if len(group) == 1 else [letter.document for letter in group]


def execution_name(group: Sequence[Letter]) -> str:
    """The same for the same messages: a replay whose deleting failed starts nothing twice."""
    identity = "\n".join(sorted(letter.message_id for letter in group))
    return f"dead-letters-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
