"""Join: accept a change, and see that an execution leads the batch that it will be in.

The order is the protocol. A change is written **before** the head is read. Whoever then reads GATHERING may leave:
the leader has yet to make the head CLOSED, and reads the pending changes only after that. Whoever reads CLOSED must
open the next batch, because the last leader may have read before the change was there. No clock and no lease takes
part in this; clocks decide only when a leader is given up for dead, and two leaders at once cost money, not changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from invalidation.changes import Change
from invalidation.errors import BatchContended, BatchTableUnavailable, ChangesNotAccepted
from invalidation.lifecycle import keys
from invalidation.lifecycle.executions import Execution, batch_id
from invalidation.lifecycle.heads import Head, HeadState
from invalidation.lifecycle.requesting import open_own_batch
from invalidation.lifecycle.roles import Joined, Role
from invalidation.lifecycle.rows import pending_to_item
from invalidation.lifecycle.table import ATTEMPTS, BatchTable
from invalidation.lifecycle.times import Clock


@dataclass(frozen=True, slots=True)
class Window:
    """How long changes gather, in seconds. ``seconds`` 0 turns batching off.

    ``grace_seconds`` after it should have closed, a batch's leader is taken for dead. Too short costs an invalidation
    too many, too long delays what a dead leader left; neither loses anything.
    """

    seconds: int = 10
    max_seconds: int = 60
    grace_seconds: int = 120

    @property
    def longest(self) -> int:
        return max(self.seconds, self.max_seconds) if self.seconds else 0

    @property
    def grace(self) -> timedelta:
        return timedelta(seconds=self.grace_seconds)


@dataclass(frozen=True, slots=True)
class JoinedEach:
    """``joined`` is the batch that this execution leads, if it leads any; ``leaderless`` buckets need one started."""

    joined: Joined
    leaderless: tuple[str, ...]


def join(  # noqa: PLR0917 -- collaborators are arguments
    table: BatchTable,
    bucket: str,
    changes: Sequence[Change],
    execution: Execution,
    window: Window,
    now: Clock,
    attempt: str,
) -> Joined:
    """Accept changes of one bucket and see that they have a leader. No changes: lead what waits already.

    With batching off every execution has a batch of its own, unless the bucket is paused: what is paused gathers.

    Raises:
        ChangesNotAccepted: some of the changes may not be in the table; the execution's input still holds them.
        BatchContended, BatchTableUnavailable: all of them are in the table; the sweep finds them a leader.
    """
    if changes and not window.seconds and not read_head(table, bucket).paused:
        return open_own_batch(table, bucket, changes, execution, now, attempt, by_hand=False)
    if changes:
        accept(table, bucket, changes, execution)
    return lead_or_follow(table, bucket, execution, window, now)


def join_each(  # noqa: PLR0917 -- collaborators are arguments
    table: BatchTable,
    changes: Mapping[str, Sequence[Change]],
    execution: Execution,
    window: Window,
    now: Clock,
    attempt: str,
) -> JoinedEach:
    """``join`` for a list of events, by bucket: accepts them all, then leads one bucket at most."""
    if len(changes) == 1:
        (bucket,) = changes
        return JoinedEach(join(table, bucket, changes[bucket], execution, window, now, attempt), ())
    return _lead_one_of(table, changes, execution, window, now)


def accept(table: BatchTable, bucket: str, changes: Iterable[Change], execution: Execution) -> None:
    """Write the changes as pending. From here on they are the table's to keep.

    The bucket is registered first, so that the sweep knows where to look even if this is the last thing that happens.

    Raises:
        ChangesNotAccepted: some may not have been written; writing them again does no harm.
    """
    try:
        table.ensure(keys.registry(bucket))
        table.put_all(pending_to_item(_identified(change, execution), table.shards) for change in changes)
    except BatchTableUnavailable as error:
        raise ChangesNotAccepted(f"the change could not be written: {error}") from None


def lead_or_follow(table: BatchTable, bucket: str, execution: Execution, window: Window, now: Clock) -> Joined:
    """Find the bucket's leader, or become it.

    Raises:
        BatchContended: the head changed under every attempt. What was accepted is safe; the sweep finds a leader.
    """
    for _ in range(ATTEMPTS):
        head = read_head(table, bucket)
        if head.leader == execution.arn:
            # An earlier attempt of this Join opened it, and its answer was lost. Even a paused bucket's leader goes
            # on: only its Close makes the head CLOSED, which is what a resumed bucket's next leader needs.
            return _joined(Role.LEADER, head)
        if head.paused:
            return _joined(Role.PAUSED, head)
        if gathers(head, window, now()):
            return _joined(Role.FOLLOWER, head)
        opened = successor(head, execution, window, now())
        if table.update(keys.head(bucket), opened.opening(), head.expectation()) is not None:
            return _joined(Role.LEADER, opened)
    raise BatchContended(f"{ATTEMPTS} attempts to find a leader for {bucket} were overtaken; the sweep starts one")


def needs_leader(table: BatchTable, bucket: str, window: Window, now: Clock) -> bool:
    """Whether a change that has just been accepted would wait for a leader that nobody has started."""
    head = read_head(table, bucket)
    return not head.paused and not gathers(head, window, now())


def read_head(table: BatchTable, bucket: str) -> Head:
    return Head.from_item(bucket, table.get(keys.head(bucket)))


def gathers(head: Head, window: Window, now: datetime) -> bool:
    """Whether the head's leader can be relied on to close it.

    A head that claims to gather for longer than any window lasts was written by a clock that ran ahead, and is treated
    like one that is overdue: nobody should wait for a day because of it.
    """
    if head.state is not HeadState.GATHERING:
        return False
    overdue = now > head.closes_at + window.grace
    absurd = head.closes_at > now + timedelta(seconds=window.longest) + window.grace
    return not overdue and not absurd


def successor(head: Head, execution: Execution, window: Window, now: datetime) -> Head:
    """The batch that follows on this head: at most one in a window, and a quiet bucket's first change at once.

    The window is doubled when a batch that has waited is followed by another without a pause: the load is sustained.
    It falls back as soon as the bucket has been quiet for one window. A clock that ran ahead costs one window at most.
    """
    gap = min(head.window, window.longest)
    earliest = head.closes_at + timedelta(seconds=gap)
    busy = now < earliest
    length = gap * 2 if busy and head.waited else gap if busy else 0
    return replace(
        head,
        batch_id=batch_id(execution, head.batch_id),
        leader=execution.arn,
        state=HeadState.GATHERING,
        closes_at=min(max(now, earliest), now + timedelta(seconds=window.longest)),
        window=min(max(length, window.seconds), window.longest),
        waited=busy,
    )


def _lead_one_of(
    table: BatchTable, changes: Mapping[str, Sequence[Change]], execution: Execution, window: Window, now: Clock
) -> JoinedEach:
    """Accept changes of several buckets, and lead one of them at most: a state machine has one story to tell.

    A retry must not lead a second bucket beside the one that an earlier attempt has won, or nobody would close the
    first: that one is looked for before any other is tried.
    """
    for bucket in sorted(changes):
        accept(table, bucket, changes[bucket], execution)
    led = [bucket for bucket in sorted(changes) if read_head(table, bucket).leader == execution.arn]
    joined: Joined | None = None
    leaderless: list[str] = []
    for bucket in [*led, *sorted(changes.keys() - set(led))]:
        if joined is not None and joined.role is Role.LEADER:
            if needs_leader(table, bucket, window, now):
                leaderless.append(bucket)
        else:
            joined = lead_or_follow(table, bucket, execution, window, now)
    if joined is None:
        raise ValueError("there are no changes to join")
    return JoinedEach(joined, tuple(leaderless))


def _identified(change: Change, execution: Execution) -> Change:
    """A change without an event id must not share its item with another execution's change of the same key."""
    return change if change.event_id else replace(change, event_id=keys.digest(execution.arn))


def _joined(role: Role, head: Head) -> Joined:
    return Joined(role, head.bucket, head.batch_id, head.leader, head.closes_at, waits=head.waited)
