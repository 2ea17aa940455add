"""How things stand in a stack: what waits, what is owed, what runs, and what needs a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from invalidation.executions import MAX_REPLAYS, Unaccepted
from invalidation.lifecycle.auditing import parked_batches, unfinished_batches
from invalidation.lifecycle.joining import Window, gathers, read_head
from invalidation.lifecycle.keys import pending_shard
from invalidation.lifecycle.records import Batch
from invalidation.lifecycle.rows import pending_from_item
from invalidation.lifecycle.table import BatchTable, items
from ops.entries import known_buckets
from ops.letters import Queue
from ops.shown import count, shown
from ops.stack import Stack
from ops.windows import window_of

COUNTED = 1_000
"""Waiting changes of one bucket that are counted; more are "1,000 or more"."""
LISTED = 50
"""Batches, and lost executions, that are listed of each kind."""
LOOK_BACK = timedelta(days=1)
"""How far back executions are looked at that ended before their changes were accepted: as far as the sweep looks."""
SWEEP = "look at the logs of the stack's SweepFunction"
FORGOTTEN = timedelta(days=1)
"""When a paused bucket in which changes wait may have been forgotten."""
OVERDUE = timedelta(minutes=15)
"""When the sweep, which comes every five minutes, should long have found somebody to work on what waits."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket.

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
class Need:
    """Something that a person should see to: what it is, and the command that helps."""

    what: str
    do: str


@dataclass(frozen=True, slots=True)
class Standing:
    """One look at everything. Counts of queues are SQS's own, and approximate."""

    at: datetime
    buckets: tuple[Bucket, ...]
    unfinished: tuple[Batch, ...]
    parked: tuple[Batch, ...]
    unaccepted: tuple[Unaccepted, ...]
    running: int
    dead_letters: int
    intake: int

    def needs(self) -> Iterator[Need]:
        """What no sweep and no retry mends."""
        for batch in self.parked:
            need = _retry(f"batch {batch.batch_id} is parked: {shown(batch.error)}", batch.batch_id)
            yield replace(need, do=f"{need.do}; or give it up: invalidations abandon {batch.batch_id}")
        if self.dead_letters:
            what = f"{count(self.dead_letters, 'event')} never started an execution"
            yield Need(what, "invalidations dead-letters; mend the cause; invalidations dead-letters --replay")
        for lost in self.unaccepted:
            if lost.replays >= MAX_REPLAYS:
                what = f"the change of execution {shown(lost.name)} was not accepted, and the sweep has given up"
                yield _retry(what, shown(lost.name))
        yield from self._left_alone()

    def _left_alone(self) -> Iterator[Need]:
        for bucket in self.buckets:
            name, waited = shown(bucket.name), self.at - bucket.oldest if bucket.oldest else timedelta()
            since = f"{bucket.oldest:%Y-%m-%d %H:%M} UTC" if bucket.oldest else ""
            if bucket.paused and waited > FORGOTTEN:
                yield Need(f"{name} is paused, and changes of it wait since {since}", f"invalidations resume {name}")
            elif bucket.leaderless and not bucket.paused and waited > OVERDUE:
                yield Need(f"changes of {name} wait since {since}: does the sweep run?", SWEEP)
        for batch in self.unfinished:
            if batch.next_try_at and self.at - batch.next_try_at > OVERDUE and not self._is_paused(batch.bucket):
                what = f"batch {batch.batch_id} was due at {batch.next_try_at:%Y-%m-%d %H:%M} UTC: does the sweep run?"
                yield Need(what, SWEEP)

    def _is_paused(self, bucket: str) -> bool:
        return any(each.paused for each in self.buckets if each.name == bucket)

    def to_document(self) -> dict[str, Any]:
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
            "unfinished": [_batch(each) for each in self.unfinished],
            "parked": [_batch(each) for each in self.parked],
            "unaccepted": [{"execution": each.arn, "replays": each.replays} for each in self.unaccepted],
            "running": self.running,
            "deadLetters": self.dead_letters,
            "intakeQueue": self.intake,
        }


def _retry(what: str, name: str) -> Need:
    return Need(what, f"invalidations show {name}; mend the cause; invalidations retry {name}")


def _batch(batch: Batch) -> dict[str, Any]:
    return {
        "batchId": batch.batch_id,
        "bucket": batch.bucket or None,
        "distributionId": batch.distribution_id or None,
        "changes": batch.changes,
        "tries": batch.tries,
        "nextTryAt": batch.next_try_at.isoformat() if batch.next_try_at else None,
        "error": batch.error or None,
        "message": batch.message or None,
        "execution": batch.owner,
    }


def look(stack: Stack, at: datetime) -> Standing:
    """Ask the table, Step Functions and SQS."""
    table, sqs = stack.table(), stack.client("sqs")
    watched, window = stack.bucket_names, window_of(stack)
    names = known_buckets(table, watched)
    return Standing(
        at=at,
        buckets=tuple(_bucket(table, name, window, at, watched=name in watched) for name in names),
        unfinished=tuple(islice(unfinished_batches(table), LISTED)),
        parked=tuple(islice(parked_batches(table), LISTED)),
        unaccepted=tuple(islice(_unaccepted(stack, at - LOOK_BACK), LISTED)),
        running=_running(stack),
        dead_letters=Queue(sqs, stack.dead_letter_queue_url).count(),
        intake=Queue(sqs, stack.intake_queue_url).count(),
    )


def _bucket(table: BatchTable, name: str, window: Window, at: datetime, *, watched: bool) -> Bucket:
    head = read_head(table, name)
    waiting = list(islice(_waiting(table, name), COUNTED))
    led = gathers(head, window, at)
    return Bucket(
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
        for item in items(table, pending_shard(bucket, shard)):
            try:
                moment = datetime.fromisoformat(pending_from_item(item).time)
            except ValueError:
                yield None
            else:
                yield moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _running(stack: Stack) -> int:
    pages = stack.client("stepfunctions").get_paginator("list_executions")
    found = pages.paginate(stateMachineArn=stack.state_machine_arn, statusFilter="RUNNING")
    return sum(len(page["executions"]) for page in found)


def _unaccepted(stack: Stack, since: datetime) -> Iterator[Unaccepted]:
    """Executions that ended before their changes were accepted, and that no replay has followed yet."""
    for lost in stack.executions().unaccepted(since):
        if not _exists(stack, lost.replay_name):
            yield lost


def _exists(stack: Stack, name: str) -> bool:
    client = stack.client("stepfunctions")
    try:
        client.describe_execution(executionArn=stack.execution_arn(name))
    except client.exceptions.ExecutionDoesNotExist:
        return False
    return True
