"""Join: accept a change, and find or become the leader of its batch.

The order is the protocol. A change is written **before** the head is read. Whoever then reads GATHERING may leave:
the leader has yet to make the head CLOSED, and reads the pending changes only after that. Whoever reads CLOSED must
open the next batch, because the last leader may have read before the change was there. No clock and no lease takes
part in this; clocks decide only when a leader is given up for dead, and two leaders at once cost money, not changes.

A request has a batch of its own. While batching is off, so has every execution with changes of one bucket. Such a
batch gathers nothing and so needs no head: the list and the record are written at once, and the record is the
acceptance. An execution with changes of several buckets makes them pending in any case, as it leads one bucket only.

With ``SkipUnchanged`` an overwrite that changed no content, which has the same ETag again, is left out. What is
remembered of a key is the ETag of the newest event that has come, written **before** the change is accepted: whoever
then dies leaves a change that its execution's replay accepts, because only a *newer* event with the same ETag is left
out, never the one that is remembered. Events out of order are safe for the same reason: each event with another ETag
than the remembered one is accepted, however late it comes. An ETag says nothing of metadata: an overwrite that changes
only ``Cache-Control`` or ``Content-Type`` is left out too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from invalidation.batches.close import close_at_once
from invalidation.batches.head import (
    HELD_BACK_SECONDS,
    Execution,
    Head,
    Joined,
    Role,
    Window,
    batch_id,
    has_pending,
    needs_leader,
)
from invalidation.batches.model import Batch, Clock, Kind, PendingChange, digest, epoch_seconds
from invalidation.batches.snapshot import draft, freeze_changes, freeze_paths
from invalidation.batches.table import ATTEMPTS, BUCKETS, USAGE, USAGE_OF_DAY, VERSION, BatchTable, Item, Key
from invalidation.batches.targets import claim
from invalidation.errors import BatchContended, BatchTableUnavailable, ChangesNotAccepted
from invalidation.events import Change, Changes, KeysRequest, Lead, PathsRequest, RetryBatch

REMEMBERED: Final = timedelta(days=90)
"""For how long an object's ETag is remembered after its last change."""
TRIES: Final = 3
"""Lost writes of one object's ETag before giving up."""


@dataclass(frozen=True, slots=True)
class JoinedEach:
    """``joined`` is the batch that this execution leads, if it leads any. ``leaderless`` buckets need one started."""

    joined: Joined
    leaderless: tuple[str, ...]


def select(
    table: BatchTable, wanted: Changes, included: Callable[[str], object], now: datetime, *, skip_unchanged: bool
) -> tuple[dict[str, list[Change]], str]:
    """The changes that matter, by bucket; where there are none, why.

    Raises:
        BatchContended, BatchTableUnavailable: nothing has been accepted yet; the input still holds the changes.
    """
    changes = [change for change in wanted.changes if included(change.key)]
    if wanted.changes and not changes:
        return {}, "IncludeKeys leaves the key out"
    if skip_unchanged:
        changes = without_unchanged(table, changes, now)
    by_bucket: dict[str, list[Change]] = {}
    for change in changes:
        by_bucket.setdefault(change.bucket, []).append(change)
    return by_bucket, "" if by_bucket else "nothing changed that viewers could see"


def join_request(  # noqa: PLR0917 -- collaborators are arguments
    table: BatchTable,
    request: KeysRequest | PathsRequest | Lead | RetryBatch,
    execution: Execution,
    window: Window,
    now: Clock,
    attempt: str,
    watched: Collection[str] = (),
) -> Joined:
    """See to what a person, or the sweep, asks for. ``watched`` are the stack's buckets; none: any.

    What waits is finished, also in a bucket that has left the list; of one that is made up nothing is written.

    Raises:
        BatchNotFound: there is no such batch to try again.
        ChangesNotAccepted: no record names what is wanted; the execution's input still does.
        BatchContended, BatchTableUnavailable: trying again may help.
    """
    match request:
        case KeysRequest(bucket, keys, dry_run):
            changes = [Change(bucket, key, event_id="") for key in keys]
            if not dry_run and window_today(table, window, now()).holds_back:
                joined = join(table, bucket, changes, execution, window, now, attempt, at_once=True)
            else:
                joined = open_own_batch(table, bucket, changes, execution, now, attempt, dry_run=dry_run)
        case PathsRequest(distribution_id, paths, dry_run):
            joined = open_paths_batch(table, distribution_id, paths, execution, now, attempt, dry_run=dry_run)
        case Lead(bucket) if watched and bucket not in watched and not has_pending(table, bucket):
            joined = Joined(Role.ENDED, bucket, "", execution.arn, now())
        case Lead(bucket):
            joined = join(table, bucket, (), execution, window, now, attempt, at_once=True)
        case RetryBatch(batch_id):
            joined = claim(table, batch_id, execution, now)
    return close_at_once(table, joined, execution, attempt, now)


def join(  # noqa: PLR0917 -- collaborators are arguments
    table: BatchTable,
    bucket: str,
    changes: Sequence[Change],
    execution: Execution,
    window: Window,
    now: Clock,
    attempt: str,
    *,
    at_once: bool = False,
) -> Joined:
    """Accept changes of one bucket and see that they have a leader. No changes: lead what waits already.

    With batching off every execution has a batch of its own, unless the bucket is paused: what is paused gathers.

    Raises:
        ChangesNotAccepted: some of the changes may not be in the table; the execution's input still holds them.
        BatchContended, BatchTableUnavailable: all of them are in the table; the sweep finds them a leader.
    """
    if not window.seconds:
        window = window_today(table, window, now())
    if changes and not window.seconds and not Head.read(table, bucket).paused:
        return open_own_batch(table, bucket, changes, execution, now, attempt, by_hand=False)
    if changes:
        accept(table, bucket, changes, execution)
    return lead_or_follow(table, bucket, execution, window, now, at_once=at_once)


def window_today(table: BatchTable, window: Window, now: datetime) -> Window:
    """The window, or, once changes have cost the day's paths, one batch an hour."""
    return _held_back(window, paths_of_day(table, now)) if window.max_paths_a_day else window


def _held_back(window: Window, paths: int) -> Window:
    if not window.max_paths_a_day or paths < window.max_paths_a_day:
        return window
    return replace(window, seconds=HELD_BACK_SECONDS, max_seconds=HELD_BACK_SECONDS)


def paths_of_day(table: BatchTable, now: datetime) -> int:
    """The day's paths so far, for changes and for keys. Those that a request names do not count."""
    return _paths(table.get(_day_of(now)))


def _day_of(now: datetime) -> Key:
    return Key(USAGE, now.astimezone(UTC).strftime(USAGE_OF_DAY))


def _paths(usage: Item | None) -> int:
    return 0 if usage is None else int(usage.get("paths", 0))


def _head_and_window(table: BatchTable, bucket: str, window: Window, now: datetime) -> tuple[Head, Window]:
    """The bucket's head, and ``window_today``, in one request."""
    if not window.max_paths_a_day:
        return Head.read(table, bucket), window
    head, day = Head.key_of(bucket), _day_of(now)
    found = {Key(item["pk"], item["sk"]): item for item in table.get_all([head, day])}
    today = _held_back(window, _paths(found.get(day)))
    return Head.from_item(bucket, found.get(head)), today


def join_each(  # noqa: PLR0917 -- collaborators are arguments
    table: BatchTable,
    changes: Mapping[str, Sequence[Change]],
    execution: Execution,
    window: Window,
    now: Clock,
    attempt: str,
) -> JoinedEach:
    """``join`` for changes by bucket. Accepts them all, then leads one bucket at most, as an execution works on one.

    A lone change that nobody is to wait for it closes as well. A list tells of a burst, of which more may come while
    Close Batch is on its way.

    A retry must not lead a second bucket beside the one that an earlier attempt has won, or nobody would close the
    first: that one is looked for before any other is tried.

    Raises:
        ValueError: there are no changes.
    """
    if not changes:
        raise ValueError("there are no changes to join")
    if len(changes) == 1:
        (bucket,) = changes
        lone = len(changes[bucket]) <= 1
        joined = join(table, bucket, changes[bucket], execution, window, now, attempt, at_once=lone)
        return JoinedEach(close_at_once(table, joined, execution, attempt, now) if lone else joined, ())
    for bucket in sorted(changes):
        accept(table, bucket, changes[bucket], execution)
    led = [bucket for bucket in sorted(changes) if _leads(Head.read(table, bucket), execution)]
    first, *others = [*led, *sorted(changes.keys() - set(led))]
    joined = lead_or_follow(table, first, execution, window, now)
    leaderless: list[str] = []
    for bucket in others:
        if joined.role is not Role.LEADER:
            joined = lead_or_follow(table, bucket, execution, window, now)
        elif needs_leader(table, bucket, window, now):
            leaderless.append(bucket)
    return JoinedEach(joined, tuple(leaderless))


def accept(table: BatchTable, bucket: str, changes: Iterable[Change], execution: Execution) -> None:
    """Write the changes as pending. From here on they are the table's to keep.

    The bucket is registered first, so that the sweep knows where to look even if this is the last thing that happens.
    A change without an event id gets the execution's: it must not share its item with another execution's change.

    Raises:
        ChangesNotAccepted: some may not have been written; writing them again does no harm.
    """
    identified = [each if each.event_id else replace(each, event_id=digest(execution.arn)) for each in changes]
    try:
        table.ensure(Key(BUCKETS, bucket))
        table.put_all([PendingChange.of(each, table.shards).to_item() for each in identified])
    except BatchTableUnavailable as error:
        raise ChangesNotAccepted(f"the change could not be written: {error}") from None


def lead_or_follow(
    table: BatchTable, bucket: str, execution: Execution, window: Window, now: Clock, *, at_once: bool = False
) -> Joined:
    """Find the bucket's leader, or become it. ``at_once``: a batch that waits for nobody is opened closed already.

    Raises:
        BatchContended: the head changed under every attempt. What was accepted is safe; the sweep finds a leader.
    """
    for _ in range(ATTEMPTS):
        head, today = _head_and_window(table, bucket, window, now())
        if head.leader == execution.arn:
            # An earlier attempt of this Join opened it, and its answer was lost. Even a paused bucket's leader goes
            # on: only its Close makes the head CLOSED, which is what a resumed bucket's next leader needs.
            return head.joined(Role.LEADER)
        if led := head.led_by(execution):
            # An earlier attempt has closed that batch, whoever gathers now: nobody else would send it. Or the execution
            # has gone on, and this is an old attempt of Join: it would not close another batch.
            return Joined(Role.LEADER, bucket, led, execution.arn, now())
        if head.paused:
            return head.joined(Role.PAUSED)
        if head.gathers(today, now()):
            return head.joined(Role.FOLLOWER)
        successor = head.successor(execution, today, now())
        closed = at_once and not successor.waited
        if opened := (successor.closing(now()) if closed else successor).open(table, before=head):
            return replace(opened.joined(Role.LEADER), opened=opened if closed else None)
    raise BatchContended(f"{ATTEMPTS} attempts to find a leader for {bucket} were overtaken; the sweep starts one")


def _leads(head: Head, execution: Execution) -> bool:
    return head.leader == execution.arn or bool(head.led_by(execution))


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
    """A batch of these changes and no others, frozen already. Its bucket is one that the audit of all asks for.

    Raises:
        ChangesNotAccepted: no record names the changes; the execution's input still holds them.
        ValueError: there are no changes.
    """
    drafted = draft(execution, batch_id(execution), attempt, now(), bucket=bucket, by_hand=by_hand, dry_run=dry_run)
    rows = (PendingChange(change) for change in changes)
    try:
        table.ensure(Key(BUCKETS, bucket))
        batch = Batch.find(table, drafted.batch_id) or freeze_changes(table, drafted, rows)
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
        batch = Batch.find(table, drafted.batch_id) or freeze_paths(table, drafted, tuple(paths))
    except BatchTableUnavailable as error:
        raise ChangesNotAccepted(f"the batch could not be written: {error}") from None
    return _led(batch, execution)


def _led(batch: Batch, execution: Execution) -> Joined:
    """Lead the batch of this record. Another's record means that an id has been given twice: 40 bits of hash."""
    if batch.executions[0] != execution.arn:
        raise BatchContended(f"batch id {batch.batch_id} is already taken by {batch.executions[0]}; start again")
    return Joined(Role.LEADER, batch.bucket, batch.batch_id, execution.arn, batch.closed)


def without_unchanged(table: BatchTable, changes: Sequence[Change], now: datetime) -> list[Change]:
    """The changes that may have changed content; remembers each of them.

    Raises:
        BatchContended, BatchTableUnavailable: nothing has been accepted yet; the input still holds the changes.
    """
    return [change for change in changes if not _is_unchanged(table, change, now)]


def _is_unchanged(table: BatchTable, change: Change, now: datetime) -> bool:
    """One partition for each key, since any key may be hot."""
    key = Key(f"CONTENT#{change.bucket}#{digest(change.key)}", "ETAG")
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
    # Forgetting would lose the order: a late older event would be taken for the newest, and a change be left out.
    raise BatchContended(f"what is remembered of {change.key!r} was overtaken {TRIES} times; try again")


def _order(sequencer: str) -> str:
    """A sequencer in a form that sorts: padded right (S3 User Guide, "Event message structure")."""
    return sequencer.ljust(64, "0")
