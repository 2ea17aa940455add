"""Join: accept a change, and see that an execution leads the batch that it will be in.

The order is the protocol. A change is written **before** the head is read. Whoever then reads GATHERING may leave:
the leader has yet to make the head CLOSED, and reads the pending changes only after that. Whoever reads CLOSED must
open the next batch, because the last leader may have read before the change was there. No clock and no lease takes
part in this; clocks decide only when a leader is given up for dead, and two leaders at once cost money, not changes.

Batches of one's own: requests, and every change while batching is off.

They gather nothing and so need no head: the list and the record are written at once, and the record is the acceptance.

Leaving out overwrites that changed no content: the same ETag again (parameter ``SkipUnchanged``).

What is remembered of a key is the ETag of the newest event that has come. It is written **before** the change is
accepted: whoever then dies leaves a change that its execution's replay accepts, because only a *newer* event with the
same ETag is left out, never the one that is remembered. Events out of order are safe for the same reason: each event
with another ETag than the remembered one is accepted, however late it comes.

An ETag says nothing of metadata: an overwrite that changes only ``Cache-Control`` or ``Content-Type`` is left out too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from invalidation.batches.head import (
    Execution,
    Head,
    HeadState,
    Joined,
    Role,
    Window,
    batch_id,
    gathers,
    needs_leader,
    read_head,
)
from invalidation.batches.model import Batch, Clock, Kind, epoch_seconds, find_batch, pending_to_item
from invalidation.batches.snapshot import draft, freeze_changes, freeze_paths
from invalidation.batches.table import ATTEMPTS, VERSION, BatchTable, content_key, digest, head_key, registry_key
from invalidation.errors import BatchContended, BatchTableUnavailable, ChangesNotAccepted
from invalidation.events import Change


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
        table.ensure(registry_key(bucket))
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
        if table.update(head_key(bucket), opened.opening(), head.expectation()) is not None:
            return _joined(Role.LEADER, opened)
    raise BatchContended(f"{ATTEMPTS} attempts to find a leader for {bucket} were overtaken; the sweep starts one")


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
    return change if change.event_id else replace(change, event_id=digest(execution.arn))


def _joined(role: Role, head: Head) -> Joined:
    return Joined(role, head.bucket, head.batch_id, head.leader, head.closes_at, waits=head.waited)


def open_own_batch(  # noqa: PLR0917 -- collaborators are arguments
    table: BatchTable,
    bucket: str,
    changes: Sequence[Change],
    execution: Execution,
    now: Clock,
    attempt: str,
    *,
    by_hand: bool = True,
    dry_run: bool = False,
) -> Joined:
    """A batch of these changes and no others, frozen already; its bucket is one that the audit of all asks for.

    Raises:
        ChangesNotAccepted: no record names the changes; the execution's input still holds them.
    """
    drafted = draft(execution, batch_id(execution), attempt, now(), bucket=bucket, by_hand=by_hand, dry_run=dry_run)
    try:
        table.ensure(registry_key(bucket))
        batch = find_batch(table, drafted.batch_id) or freeze_changes(table, drafted, changes)
    except BatchTableUnavailable as error:
        raise ChangesNotAccepted(f"the batch could not be written: {error}") from None
    if batch is None:
        raise ValueError("a batch of one's own has at least one change")
    return _led(batch, execution)


def open_paths_batch(  # noqa: PLR0917 -- collaborators are arguments
    table: BatchTable,
    distribution_id: str,
    paths: Sequence[str],
    execution: Execution,
    now: Clock,
    attempt: str,
    *,
    dry_run: bool = False,
) -> Joined:
    """A batch of viewer paths of one distribution, frozen already.

    Raises:
        ChangesNotAccepted: no record names the paths; the execution's input still holds them.
    """
    kind = {"kind": Kind.PATHS, "distribution_id": distribution_id, "by_hand": True, "dry_run": dry_run}
    drafted = draft(execution, batch_id(execution), attempt, now(), **kind)
    try:
        batch = find_batch(table, drafted.batch_id) or freeze_paths(table, drafted, tuple(paths))
    except BatchTableUnavailable as error:
        raise ChangesNotAccepted(f"the batch could not be written: {error}") from None
    return _led(batch, execution)


def _led(batch: Batch, execution: Execution) -> Joined:
    """The record is this execution's, or an id has been given twice: 40 bits of hash within one second."""
    if batch.executions[0] != execution.arn:
        raise BatchContended(f"batch id {batch.batch_id} is already taken by {batch.executions[0]}; start again")
    return Joined(Role.LEADER, batch.bucket, batch.batch_id, execution.arn, batch.closed)


REMEMBERED = timedelta(days=90)
TRIES = 3


def without_unchanged(table: BatchTable, changes: Sequence[Change], now: datetime) -> list[Change]:
    """The changes that may have changed content; remembers each of them.

    Raises:
        BatchTableUnavailable: nothing has been accepted yet; the input still holds the changes.
    """
    return [change for change in changes if not _is_unchanged(table, change, now)]


def _is_unchanged(table: BatchTable, change: Change, now: datetime) -> bool:
    key = content_key(change.bucket, change.key)
    for _ in range(TRIES):
        found = table.get(key) or {}
        if found.get("v", VERSION) > VERSION:
            return False  # a later release's; it says nothing to this one, and stays as it is
        newer = _order(change.sequencer) > _order(found.get("sequencer", ""))
        if not newer:
            return False  # what is remembered stays: it tells of a later state than this event
        same = not change.deleted and bool(change.etag) and change.etag == found.get("etag")
        remembered = {
            "v": VERSION,
            "etag": None if change.deleted else change.etag or None,
            "sequencer": change.sequencer or None,
            "expiresAt": epoch_seconds(now + REMEMBERED),
        }
        # Also where nothing changed: else an older event with other content, that comes late, would be taken for the
        # state after this one, and the next change back to its content be left out.
        if table.update(key, remembered, {"sequencer": found.get("sequencer")}) is not None:
            return same
    table.delete_all([key])  # contended: nothing remembered means that nothing is left out
    return False


def _order(sequencer: str) -> str:
    """Sequencers of one key in their order (S3 User Guide, "Event message structure"): padded right, as text."""
    return sequencer.ljust(64, "0")
