"""What waits, is owed, runs, or needs a person, of a bucket or a stack.

A change goes from the intake queue into an execution's input, from there into the batch table as pending, then into a
batch record. It is looked for in that order, so that a change which moves on meanwhile is seen twice, never missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from invalidation.batches.head import Head, Window
from invalidation.batches.join import paths_of_day
from invalidation.batches.model import Batch, BatchState, PendingChange
from invalidation.batches.queries import batches_of_bucket, parked_batches, unfinished_batches
from invalidation.batches.replay import MAX_REPLAYS, Ended
from invalidation.batches.table import BUCKETS, BatchTable, items
from invalidation.errors import BatchNotFound, InvalidRequest
from invalidation.events import Changes, KeysRequest, Lead, RetryBatch, parse
from invalidation.outcome import BatchReport
from invalidations_cli.aws import NOT_NEEDED, Stack, window_of
from invalidations_cli.output import count, escape

MAX_PENDING_OF_SHARD = 100
"""Pending changes that are counted in each of the table's shards in a look at one bucket."""
MAX_WAITING = 1_000
"""Waiting changes of one bucket that are counted in a look at the stack; more are "1,000 or more"."""
NO_BUCKET = ""
"""Under this name the audit keeps requests of paths, which are of a distribution and of no bucket."""
LISTED = 50
"""Batches, and lost executions, that are listed of each kind."""
FORGOTTEN = timedelta(days=1)
"""When a paused bucket in which changes wait may have been forgotten."""
OVERDUE = timedelta(minutes=15)
"""When the sweep, which comes every five minutes, should long have found somebody to work on what waits."""
FIX = "fix the cause and try again"
SWEEP = "look at the logs of the stack's SweepFunction"
DESCRIBED = 25
"""Executions whose input is read at one look; until it has been, an execution counts as one of the bucket."""
LOOK_BACK = timedelta(days=1)
"""How far back executions are looked at that ended before their changes were accepted: as far as the sweep looks."""
MESSAGES = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True, slots=True)
class BucketBacklog:
    """One look at everything in which a change of the bucket can be.

    Attributes:
        paused: Somebody paused the bucket.
        head: The id of the batch that gathers, or gathered last.
        pending: Accepted changes that no batch owns yet.
        unfinished: Batches that owe something, and are worked on or tried again.
        parked: Batches that owe something, and wait for somebody to fix the cause.
        running: ARNs of executions that are about the bucket, or may be.
        lost: Names of executions that failed before their changes were accepted, and have not been replayed.
        queued: Messages in the intake queue, of any bucket.
        dead_letters: Messages in the dead-letter queue, of any bucket.
    """

    paused: bool = False
    head: str = ""
    pending: int = 0
    unfinished: tuple[Batch, ...] = ()
    parked: tuple[Batch, ...] = ()
    running: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    queued: int = 0
    dead_letters: int = 0

    @property
    def clear(self) -> bool:
        """Whether nothing is on its way or worked on, in one look; parked batches aside."""
        return not (self.pending or self.unfinished or self.running or self.lost or self.queued)


class BacklogReader:
    """Takes looks at one bucket of a stack.

    Args:
        stack: which.
        bucket: the bucket.
        began: when the command began.
    """

    def __init__(self, stack: Stack, bucket: str, began: datetime) -> None:
        self._stack = stack
        self.bucket = bucket
        self._began = began
        self._table: BatchTable = stack.table()
        self._executions = stack.executions()
        self._concerned: dict[str, bool] = {}

    def look(self) -> BucketBacklog:
        """All facts, upstream first."""
        dead_letters = messages_in(self._stack, self._stack.dead_letter_queue_url)
        queued = messages_in(self._stack, self._stack.intake_queue_url)
        running = sorted(self._executions.running())
        pending = self._pending()
        head = Head.read(self._table, self.bucket)
        unfinished, parked = self._batches(head)
        in_table = bool(pending or unfinished)
        return BucketBacklog(
            paused=head.paused,
            head=head.batch_id,
            pending=pending,
            unfinished=unfinished,
            parked=parked,
            # Whose execution it is costs a request each, and matters only where the table owes nothing.
            running=() if in_table else tuple(self._concerning(running)),
            lost=() if in_table or queued else tuple(self._lost()),
            queued=queued,
            dead_letters=dead_letters,
        )

    def opened(self, seconds_before: float) -> dict[str, Batch]:
        """Batches opened since so many seconds before the command, also those ended between looks."""
        since = self._began - timedelta(seconds=seconds_before)
        page = batches_of_bucket(self._table, self.bucket, since=since, limit=MAX_PENDING_OF_SHARD)
        return {each.batch_id: each for each in page.batches if not each.dry_run}

    def _pending(self) -> int:
        shards = (PendingChange.pk_of(self.bucket, shard) for shard in range(self._table.shards))
        return sum(len(self._table.page(shard, limit=MAX_PENDING_OF_SHARD, keys=True).items) for shard in shards)

    def _batches(self, head: Head) -> tuple[tuple[Batch, ...], tuple[Batch, ...]]:
        """Unfinished and parked ones. The index lags behind a little; the head's own batch is read for certain."""
        found = {each.batch_id: each for each in self._of_bucket(unfinished_batches)}
        if head.batch_id and head.batch_id not in found:
            found |= {each.batch_id: each for each in self._batch(head.batch_id) if each.state is BatchState.FROZEN}
        parked = {each.batch_id: each for each in self._of_bucket(parked_batches)}
        return tuple(found.values()), tuple(parked.values())

    def _of_bucket(self, batches: Callable[[BatchTable], Iterator[Batch]]) -> Iterator[Batch]:
        return (each for each in batches(self._table) if each.bucket == self.bucket and not each.dry_run)

    def _batch(self, batch_id: str) -> Iterator[Batch]:
        """The record, where there is one: a batch that still gathers has none."""
        try:
            yield Batch.read(self._table, batch_id)
        except BatchNotFound:
            return

    def _concerning(self, arns: list[str]) -> Iterator[str]:
        unknown = [arn for arn in arns if arn not in self._concerned]
        for arn in unknown[:DESCRIBED]:
            self._concerned[arn] = self._is_about_the_bucket(self._executions.input_of(arn))
        return (arn for arn in arns if self._concerned.get(arn, True))

    def _is_about_the_bucket(self, document: Any) -> bool:
        try:
            wanted = parse(document)
        except InvalidRequest:
            return False
        match wanted:
            case Changes(changes):
                return any(change.bucket == self.bucket for change in changes)
            case KeysRequest(bucket) | Lead(bucket):
                return bucket == self.bucket
            case RetryBatch(batch_id):
                return any(batch.bucket == self.bucket for batch in self._batch(batch_id))
            case _:
                return False

    def _lost(self) -> Iterator[str]:
        for each in lost_executions(self._stack, self._began - LOOK_BACK):
            if self._is_about_the_bucket(self._executions.input_of(each.arn)):
                yield each.name


@dataclass(frozen=True, slots=True)
class BucketStatus:
    """One bucket in a look at the stack.

    Attributes:
        waiting: Changes that no batch owns yet.
        oldest: When the oldest of them was made, of those that were counted.
        gathering: Whether an execution leads a batch that they will be in.
        leaderless: Whether nobody has led one for longer than the sweep should have let be.
    """

    name: str
    watched: bool = True
    paused: bool = False
    gathering: bool = False
    waiting: int = 0
    oldest: datetime | None = None
    leaderless: bool = False


@dataclass(frozen=True, slots=True)
class ActionItem:
    """Something that a person should see to. What it is, what helps, and the commands for it, in their order."""

    what: str
    do: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StackStatus:
    """One look at everything. Counts of queues are SQS's own, and approximate; `command` is the stack's."""

    at: datetime
    buckets: tuple[BucketStatus, ...]
    unfinished: tuple[Batch, ...]
    parked: tuple[Batch, ...]
    unrecorded: tuple[Ended, ...]
    running: int
    dead_letters: int
    intake: int
    paths_today: int
    max_paths_a_day: int
    command: Callable[..., str]

    def needs(self) -> Iterator[ActionItem]:
        """What no sweep and no retry fixes."""
        for batch in self.parked:
            abandon = self.command("abandon", batch.batch_id, "--reason", NOT_NEEDED)
            what = f"batch {batch.batch_id} is parked: {escape(batch.error)}"
            yield self._retry(what, batch.batch_id, f"{FIX}, or give it up permanently", abandon)
        if self.dead_letters:
            what = f"{count(self.dead_letters, 'event')} never started an execution"
            yield ActionItem(what, FIX, (self.command("dead-letters"), self.command("dead-letters", "--replay")))
        for lost in self.unrecorded:
            if lost.replays >= MAX_REPLAYS:
                what = f"the change of execution {escape(lost.name)} was not accepted, and the sweep has given up"
                yield self._retry(what, lost.name, FIX)
        if self.held_back:
            what = f"the day's {self.max_paths_a_day:,} paths are used up: one batch an hour until midnight UTC"
            yield ActionItem(what, "see who changes so much", (self.command("audit", "--since", "24h"),))
        yield from self._left_alone()

    @property
    def held_back(self) -> bool:
        """Whether the day has had its paths. Each bucket then has one batch an hour."""
        return 0 < self.max_paths_a_day <= self.paths_today

    def _retry(self, what: str, name: str, do: str, *more: str) -> ActionItem:
        return ActionItem(what, do, (self.command("show", name), self.command("retry", name), *more))

    def _left_alone(self) -> Iterator[ActionItem]:
        for bucket in self.buckets:
            name, waited = escape(bucket.name), self.at - bucket.oldest if bucket.oldest else timedelta()
            since = f"{bucket.oldest:%Y-%m-%d %H:%M} UTC" if bucket.oldest else ""
            if bucket.paused and waited > FORGOTTEN:
                what = f"{name} is paused, and changes of it wait since {since}"
                yield ActionItem(what, "let it go on", (self.command("resume", bucket.name),))
            elif bucket.leaderless and not bucket.paused and waited > OVERDUE:
                yield ActionItem(f"changes of {name} wait since {since}: does the sweep run?", SWEEP)
        for batch in self.unfinished:
            if batch.next_try_at and self.at - batch.next_try_at > OVERDUE and not self._is_paused(batch.bucket):
                what = f"batch {batch.batch_id} was due at {batch.next_try_at:%Y-%m-%d %H:%M} UTC: does the sweep run?"
                yield ActionItem(what, SWEEP)

    def _is_paused(self, bucket: str) -> bool:
        return any(each.paused for each in self.buckets if each.name == bucket)

    def to_document(self, table: BatchTable) -> dict[str, Any]:
        """For machines; batches are told of as `audit --json` does."""
        needs = list(self.needs())
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "ok": not needs,
            "needs": [asdict(need) for need in needs],
            "buckets": [
                {
                    "bucket": each.name,
                    "watched": each.watched,
                    "paused": each.paused,
                    "gathering": each.gathering,
                    "waiting": each.waiting,
                    "oldest": each.oldest.isoformat() if each.oldest else None,
                }
                for each in self.buckets
            ],
            "unfinished": [BatchReport.read(table, each).to_document() for each in self.unfinished],
            "parked": [BatchReport.read(table, each).to_document() for each in self.parked],
            "unrecorded": [{"execution": each.arn, "replays": each.replays} for each in self.unrecorded],
            "pathsToday": self.paths_today,
            "maxPathsADay": self.max_paths_a_day,
            "running": self.running,
            "deadLetters": self.dead_letters,
            "intakeQueue": self.intake,
        }


def stack_status(stack: Stack, at: datetime) -> StackStatus:
    """Ask the table, Step Functions and SQS."""
    table = stack.table()
    watched, window = stack.bucket_names, window_of(stack)
    names = known_buckets(table, watched)
    return StackStatus(
        at=at,
        buckets=tuple(_bucket(table, name, window, at, watched=name in watched) for name in names),
        unfinished=tuple(islice(unfinished_batches(table), LISTED)),
        parked=tuple(islice(parked_batches(table), LISTED)),
        unrecorded=tuple(islice(lost_executions(stack, at - LOOK_BACK), LISTED)),
        running=len(stack.executions().running()),
        dead_letters=messages_in(stack, stack.dead_letter_queue_url),
        intake=messages_in(stack, stack.intake_queue_url),
        paths_today=paths_of_day(table, at),
        max_paths_a_day=stack.settings.max_paths_a_day,
        command=stack.command,
    )


def _bucket(table: BatchTable, name: str, window: Window, at: datetime, *, watched: bool) -> BucketStatus:
    head = Head.read(table, name)
    waiting = list(islice(_waiting(table, name), MAX_WAITING))
    led = head.gathers(window, at)
    return BucketStatus(
        name=name,
        watched=watched,
        paused=head.paused,
        gathering=led,
        waiting=len(waiting),
        oldest=min((moment for moment in waiting if moment), default=None),
        leaderless=not led and abs(at - head.closed_at) > OVERDUE,
    )


def _waiting(table: BatchTable, bucket: str) -> Iterator[datetime | None]:
    """When each change that waits was made, where its event said so."""
    for shard in range(table.shards):
        for item in items(table, PendingChange.pk_of(bucket, shard)):
            try:
                moment = datetime.fromisoformat(PendingChange.from_item(item).change.time)
            except ValueError:
                yield None
            else:
                yield moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def lost_executions(stack: Stack, since: datetime) -> Iterator[Ended]:
    """Executions that ended before their changes were accepted, and that no replay has followed yet."""
    client = stack.client("stepfunctions")
    for lost in stack.executions().unrecorded(since):
        try:
            client.describe_execution(executionArn=stack.execution_arn(lost.replay_name))
        except client.exceptions.ExecutionDoesNotExist:
            yield lost


def messages_in(stack: Stack, url: str) -> int:
    """About how many messages a queue holds, those included that somebody has just received."""
    answer = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=list(MESSAGES))
    return sum(int(answer["Attributes"].get(name, 0)) for name in MESSAGES)


def known_buckets(table: BatchTable, watched: Iterable[str]) -> tuple[str, ...]:
    """The buckets that the stack watches, and those that it has had a change of."""
    return tuple(sorted({*watched, *(item["sk"] for item in items(table, BUCKETS, keys=True))}))
