"""Close: the leader freezes what is pending as its batch, and deletes the pending items.

It stops gathering, takes ownership, and only then deletes.

Each step makes sure of something that the next one relies on:

1. The head becomes CLOSED. No change that is accepted from now on relies on this batch.
2. All pending changes are read. Every follower wrote its change before it saw GATHERING, so they are all among them.
3. The list is frozen: the batch record owns the changes as well.
4. The pending items on that list are deleted: the batch record owns them alone.

An attempt that dies leaves the changes pending, or owned twice for a while; never unowned.

A batch that waits for nobody is closed by the very Join that opened it, by the same steps (docs/adr/0011).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from invalidation.batches.head import Closed, ClosedStatus, Execution, Head, Joined, Role
from invalidation.batches.model import Batch, Clock, PendingChange, compact
from invalidation.batches.snapshot import draft, freeze_changes, pending_keys
from invalidation.batches.table import BatchTable, Key
from invalidation.errors import BatchContended, BatchTableUnavailable, RecordsOfLaterRelease

DELETED_WITHIN: Final = timedelta(hours=1)
"""For how long after its opening a batch may still be deleting pending items: longer than all tries of a Close take."""

MOST_AT_ONCE: Final = 100
"""Pending changes that Join freezes itself: a quiet bucket has a few, and more is what somebody has left behind."""


class _TooMuch(Exception):
    """More is pending than this attempt takes upon itself."""


def close_at_once(table: BatchTable, joined: Joined, execution: Execution, attempt: str, now: Clock) -> Joined:
    """Close a batch that waits for nobody in the very Join that leads it. ``closed`` says that it owns its changes.

    Whatever keeps this attempt from it (another leader, a pause, too much, a table that fails) is left to Close Batch,
    which finds it again, and tries again where that helps.
    """
    if joined.role is not Role.LEADER or joined.waits:
        return joined
    with suppress(BatchContended, BatchTableUnavailable, RecordsOfLaterRelease, _TooMuch):
        batch = joined.bucket, joined.batch_id
        closed = close(table, *batch, execution, attempt, now, most=MOST_AT_ONCE, opened=joined.opened)
        return replace(joined, closed=closed if closed.status is ClosedStatus.FROZEN else None)
    return joined


def close(  # noqa: PLR0917 -- collaborators are arguments
    table: BatchTable,
    bucket: str,
    batch_id: str,
    execution: Execution,
    attempt: str,
    now: Clock,
    *,
    most: int | None = None,
    opened: Head | None = None,
) -> Closed:
    """Close a batch, or find it closed; every attempt may die and be repeated anywhere.

    ``attempt`` must be new for each invocation: it names the list, and two that shared a name would overwrite each
    other's chunks after one of them has been frozen. ``most`` and ``opened`` are ``close_at_once``'s.

    Raises:
        BatchContended: the head could not be closed.
        RecordsOfLaterRelease: nothing is pending but what a later release wrote. Where there is more, that stays.
    """
    batch = None if opened else Batch.find(table, batch_id)
    if batch is not None:
        if most is not None and len(batch.chunks_pending) > 1:
            raise _TooMuch
        _delete_pending(table, batch)
        return Closed(ClosedStatus.FROZEN, batch.changes)
    head = opened or Head.close(table, bucket, batch_id, now())
    if head.batch_id != batch_id:
        return Closed(ClosedStatus.SUPERSEDED)
    if head.paused:
        return Closed(ClosedStatus.PAUSED)
    drafted = draft(execution, batch_id, attempt, now(), bucket=bucket, gathered=True)
    return _freeze(table, drafted, _with_pending(table, head, now()), most)


def _freeze(table: BatchTable, drafted: Batch, earlier: list[Batch], most: int | None) -> Closed:
    unreadable: list[RecordsOfLaterRelease] = []
    pending = _unowned(table, drafted.bucket, earlier, unreadable)
    few = None if most is None else _few(pending, most)
    batch = freeze_changes(table, drafted, pending if few is None else few)
    if batch is None and unreadable:
        raise unreadable[0]
    if batch is None:
        # Whoever was to delete what is pending may have died; there is nothing else to do here.
        for each in earlier:
            _delete_pending(table, each)
        return Closed(ClosedStatus.EMPTY)
    if few is not None and batch.attempt == drafted.attempt:
        table.delete_all(each.key for each in few)  # the list that counts, without reading it again
    else:
        _delete_pending(table, batch)
    return Closed(ClosedStatus.FROZEN, batch.changes)


def _delete_pending(table: BatchTable, batch: Batch) -> None:
    """Delete the pending items of the changes on the batch's frozen list, and no others.

    How far this came is kept on the record, so that another attempt goes on from there. A pending item that is written
    again after this (S3 delivers events at least once) is the same change, told twice: it is covered by this batch, or
    makes a batch that invalidates once too often.
    """
    for number in batch.chunks_pending:
        table.delete_all(pending_keys(table, batch, number))
        if number < batch.chunks:
            table.update(Batch.key_of(batch.batch_id), {"pendingDeleted": number}, {"batchId": batch.batch_id})


def _with_pending(table: BatchTable, head: Head, now: datetime) -> list[Batch]:
    """Unfinished batches before this one that may still have to delete what was pending."""
    recent = [Batch.key_of(each) for each in head.earlier if each >= compact(now - DELETED_WITHIN)]
    found: list[Batch] = []
    for item in table.get_all(recent):
        with suppress(RecordsOfLaterRelease):
            batch = Batch.from_item(item)
            if batch.chunks_pending:
                found.append(batch)
    return found


def _unowned(
    table: BatchTable, bucket: str, earlier: Sequence[Batch], unreadable: list[RecordsOfLaterRelease]
) -> Iterator[PendingChange]:
    """What is pending, without what these batches own and may not have deleted. To freeze it again would cost again."""
    owned = {
        _fingerprint(key)
        for batch in earlier
        for number in batch.chunks_pending
        for key in pending_keys(table, batch, number)
    }
    pending = PendingChange.of_bucket(table, bucket, unreadable.append)
    return (each for each in pending if _fingerprint(each.key) not in owned) if owned else pending


def _few(pending: Iterable[PendingChange], most: int) -> list[PendingChange]:
    """All of them. Raises _TooMuch: nothing has been frozen."""
    few = list(islice(pending, most + 1))
    if len(few) > most:
        raise _TooMuch
    return few


def _fingerprint(key: Key) -> bytes:
    """A million of these are in memory at once."""
    return hashlib.blake2b(key.sk.encode("ascii"), digest_size=16).digest()
