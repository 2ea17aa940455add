"""`invalidations dead-letters`: events that never started an execution, why, and how to replay them.

Nothing is taken out of the dead-letter queue before it is taken care of.

Two kinds end up there: events that EventBridge could not deliver, with attributes that say why (EventBridge User Guide,
"Using dead-letter queues"), and messages of the intake queue that no execution could be started with, without any.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Self

import click
from rich.text import Text

from invalidation.errors import InvalidRequest
from invalidation.events import Changes, parse
from invalidations_cli import output
from invalidations_cli.aws import ExitCode, Stack, with_stack
from invalidations_cli.follow import subject_of
from invalidations_cli.output import Form, count, stamp, with_forms

LISTED = 100
EXAMPLES = """\b
Examples:
  invalidations dead-letters
  invalidations dead-letters --replay

\b
Exit codes:
  0    the queue is empty, or all of it was replayed
  1    there are dead letters
  4    AWS could not be asked
"""


@click.command(epilog=EXAMPLES)
@click.option("--replay", is_flag=True, help="Start executions with them; each is deleted once its execution runs.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    metavar="NUMBER",
    help="Most messages that are looked at.  [default: 100; with --replay: all]",
)
@with_forms(csv_too=False)
@with_stack
def dead_letters(stack: Stack, *, form: Form, replay: bool, limit: int | None) -> None:
    """List the events that could not start an execution, and why; they stay where they are.

    EventBridge puts an event there after 24 hours of trying, or at once if it may not start the state machine. With
    buffered intake, messages that the pipe gave up on come there as well. SQS keeps them for 14 days.
    """
    queue = DeadLetterQueue(stack.client("sqs"), stack.dead_letter_queue_url)
    with queue:
        left = replay_all(stack, queue, limit, form) if replay else list_all(stack, queue, limit or LISTED, form)
    if left:
        sys.exit(ExitCode.FAILED)


def list_all(stack: Stack, queue: DeadLetterQueue, limit: int, form: Form) -> int:
    """How many there are."""
    with output.console(stderr=True).status("Reading the queue …"):
        there = queue.count()
        letters = list(queue.receive(limit))
    show(letters, form)
    if form is Form.PEOPLE and letters:
        out = output.console()
        if there > len(letters) >= limit:
            out.print(f"Of about {there:,}; --limit shows more.", style="dim")
        out.print(
            f"When the cause is mended:\n  {stack.command('dead-letters', '--replay')}", style="dim", soft_wrap=True
        )
    elif form is Form.PEOPLE:
        click.echo("There are no dead letters.")
    return len(letters)


def show(letters: Sequence[DeadLetter], form: Form) -> None:
    if form is Form.JSON:
        for letter in letters:
            output.json_line(letter.to_document())
        return
    out = output.console()
    for (why, came_from), some in grouped(letters).items():
        out.print(output.text(why or "Nothing says why", "bold"), soft_wrap=True)
        if came_from:
            out.print(output.text(f"  from {came_from}", "dim"), soft_wrap=True)
        made = output.table("put there (UTC)", "bucket", "what")
        for letter in some:
            made.add_row(Text(stamp(letter.sent)), output.text(letter.bucket), output.text(letter.about))
        out.print(made)


def grouped(letters: Sequence[DeadLetter]) -> dict[tuple[str, str], list[DeadLetter]]:
    """Those with the same cause together: there is usually one."""
    found: dict[tuple[str, str], list[DeadLetter]] = {}
    for letter in letters:
        found.setdefault((letter.why, letter.came_from), []).append(letter)
    return found


def replay_all(stack: Stack, queue: DeadLetterQueue, limit: int | None, form: Form) -> int:
    """Start executions, deleting each letter only after its own has started; how many letters are left."""
    executions = stack.executions()
    replayed = started = 0
    received = queue.receive(limit)
    while some := list(islice(received, MAX_LIST)):
        for group in groups(letter for letter in some if not letter.problem):
            name = execution_name(group)
            executions.start(name, input_of(group))
            undeleted = queue.delete(group)
            started, replayed = started + 1, replayed + len(group)
            tell(stack, name, group, undeleted, form)
        show([letter for letter in some if letter.problem], form)
    if form is Form.PEOPLE and (started or queue.held):
        click.echo(f"{count(replayed, 'event')} replayed in {count(started, 'execution')}, {len(queue.held)} left.")
        if queue.held:
            click.echo("What no execution can be started with stays; delete it in the SQS console if nobody needs it.")
    elif form is Form.PEOPLE:
        click.echo("There are no dead letters.")
    return len(queue.held)


def tell(stack: Stack, name: str, group: Sequence[DeadLetter], undeleted: Sequence[DeadLetter], form: Form) -> None:
    if form is Form.JSON:
        for letter in group:
            extra = {"execution": stack.execution_arn(name), "deleted": letter not in undeleted}
            output.json_line(letter.to_document() | extra)
        return
    click.echo(f"Started {name} with {count(len(group), 'event')}.")
    if undeleted:
        click.echo(f"{count(len(undeleted), 'message')} could not be deleted: the next replay deletes them.", err=True)


AT_ONCE = 10
"""Messages in one request (SQS API Reference, ReceiveMessage, DeleteMessageBatch)."""
MAX_LIST = 100
"""Events that one execution takes, as with buffered intake."""
MAX_INPUT = 240_000
"""Characters of JSON; an execution's input goes to 262,144 bytes (SFD, "Quotas"), and JSON here is ASCII."""
HELD_SECONDS = 300


@dataclass(frozen=True, slots=True)
class DeadLetter:
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
        for some in _tens(self.held.values()):
            entries = [_entry(number, each, VisibilityTimeout=0) for number, each in enumerate(some)]
            self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
        self.held.clear()

    def delete(self, letters: Iterable[DeadLetter]) -> list[DeadLetter]:
        """Those that could not be deleted."""
        left: list[DeadLetter] = []
        for some in _tens(letters):
            entries = [_entry(number, each) for number, each in enumerate(some)]
            answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            for deleted in answer.get("Successful", []):
                del self.held[some[int(deleted["Id"])].message_id]
            left += [some[int(failed["Id"])] for failed in answer.get("Failed", [])]
        return left


def _entry(number: int, letter: DeadLetter, **more: Any) -> dict[str, Any]:
    return {"Id": str(number), "ReceiptHandle": letter.receipt, **more}


def _tens(letters: Iterable[DeadLetter]) -> Iterator[list[DeadLetter]]:
    remaining = iter(letters)
    while some := list(islice(remaining, AT_ONCE)):
        yield some


def groups(letters: Iterable[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """What one execution is started with: up to 100 events that fit into its input. Anything else goes alone."""
    group: list[DeadLetter] = []
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


def input_of(group: Sequence[DeadLetter]) -> Any:
    return group[0].document if len(group) == 1 else [letter.document for letter in group]


def execution_name(group: Sequence[DeadLetter]) -> str:
    """The same for the same messages: a replay whose deleting failed starts nothing twice."""
    identity = "\n".join(sorted(letter.message_id for letter in group))
    return f"dead-letters-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
