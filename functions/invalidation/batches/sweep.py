"""Sweep: find what nobody is working on, and start an execution for it.

This is what makes the promise independent of the next change: a leader that died, a joiner that died between its
write and its reading, a batch that failed and is due again. It changes nothing itself. Everything that it starts is
safe to start twice, and what it misses it finds the next time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from invalidation.batches.head import (
    Executions,
    Head,
    HeadState,
    Window,
    has_pending,
    sweep_lead_name,
    sweep_retry_name,
)
from invalidation.batches.model import Batch, Clock
from invalidation.batches.queries import parked_batches, unfinished_batches
from invalidation.batches.table import BUCKETS, BatchTable, items
from invalidation.errors import RecordsOfLaterRelease


@dataclass(frozen=True, slots=True)
class Started:
    """An execution that the sweep has started, and the reason."""

    name: str
    document: dict[str, str]
    why: str


@dataclass(frozen=True, slots=True)
class Swept:
    """What was started, and what there is to tell of what was not.

    ``parked`` counts batches that wait for a person. It is to be a metric with an alarm: the execution that parked a
    batch may have died before it could notify anybody. ``left_alone`` says the same of records that a later release
    wrote: what can be read is seen to all the same.
    """

    started: tuple[Started, ...] = ()
    waiting: tuple[str, ...] = ()
    unfinished: int = 0
    parked: int = 0
    paused: tuple[str, ...] = ()
    left_alone: tuple[str, ...] = ()
    oldest: timedelta = timedelta()
    """For how long the longest has been waiting, of what is unfinished, paused or not, or has no leader."""


def sweep(table: BatchTable, executions: Executions, window: Window, now: Clock, tick: datetime) -> Swept:
    """Start what is due.

    ``tick`` is the schedule's own time: a sweep that is delivered twice has the same one, and so starts nothing twice,
    while the next sweep can start again what died once more.
    """
    unreadable: dict[str, None] = {}
    heads = list(_heads(table, unreadable))
    paused = tuple(head.bucket for head in heads if head.paused)
    waiting = []
    for head in heads:
        with _leaving(unreadable):
            if _waits(table, head, executions, window, now()):
                waiting.append(head)
    unfinished = list(unfinished_batches(table, lambda error: unreadable.setdefault(str(error))))
    retries = [
        _retry(batch, tick, why)
        for batch in unfinished
        if batch.bucket not in paused and (why := _reason(batch, executions, now()))
    ]
    buckets = tuple(head.bucket for head in waiting)
    orders = [*(_lead(bucket, tick) for bucket in buckets), *retries]
    return Swept(
        started=tuple(order for order in orders if executions.start(order.name, order.document)),
        waiting=buckets,
        unfinished=len(unfinished),
        parked=sum(1 for _ in parked_batches(table, lambda error: unreadable.setdefault(str(error)))),
        paused=paused,
        left_alone=tuple(unreadable),
        oldest=_longest_wait(waiting, unfinished, now()),
    )


def _longest_wait(waiting: Sequence[Head], unfinished: Sequence[Batch], now: datetime) -> timedelta:
    """Of a bucket whose very first execution died it is not known since when it waits: its head is still to come."""
    since = [head.closes_at for head in waiting if head.batch_id] + [batch.opened for batch in unfinished]
    return max((now - moment for moment in since), default=timedelta())


def _heads(table: BatchTable, unreadable: dict[str, None]) -> Iterator[Head]:
    for item in items(table, BUCKETS, keys=True):
        with _leaving(unreadable):
            yield Head.read(table, item["sk"])


@contextmanager
def _leaving(unreadable: dict[str, None]) -> Iterator[None]:
    """Go on without a record that this release cannot read, and note it."""
    try:
        yield
    except RecordsOfLaterRelease as error:
        unreadable.setdefault(str(error))


def _waits(table: BatchTable, head: Head, executions: Executions, window: Window, now: datetime) -> bool:
    """Whether changes are pending that nobody is going to read."""
    if head.paused or not _leaderless(head, window, now):
        return False
    return has_pending(table, head.bucket) and not _is_late(table, head, executions, now)


def _leaderless(head: Head, window: Window, now: datetime) -> bool:
    """Whether what is pending has been left alone for longer than a living leader would leave it.

    A head that has just become CLOSED has a leader that is reading what is pending. The distance is taken both ways:
    a moment of closing that lies far ahead was written by a wrong clock.
    """
    if head.state is HeadState.CLOSED:
        return abs(now - head.closed_at) > window.grace
    return not head.gathers(window, now)


def _is_late(table: BatchTable, head: Head, executions: Executions, now: datetime) -> bool:
    """Whether the leader lives and has yet to read what is pending: it has very much to read, or was throttled.

    A second leader would read the same, and slow down the first. If this one fails, it does not live any more.
    """
    due = bool(head.batch_id) and head.closes_at <= now
    return due and executions.is_running(head.leader) and Batch.find(table, head.batch_id) is None


def _lead(bucket: str, tick: datetime) -> Started:
    return Started(sweep_lead_name(bucket, tick), {"lead": bucket}, "changes wait without a leader")


def _retry(batch: Batch, tick: datetime, why: str) -> Started:
    return Started(sweep_retry_name(batch.batch_id, tick), {"retryBatch": batch.batch_id}, why)


def _reason(batch: Batch, executions: Executions, now: datetime) -> str:
    if batch.next_try_at is not None:
        return f"try {batch.tries + 1} is due" if batch.next_try_at <= now else ""
    return "" if executions.is_running(batch.owner) else "its execution ended without finishing it"
