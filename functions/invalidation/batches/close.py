"""Close: the leader freezes what is pending as its batch, and deletes the pending items.

It stops gathering, takes ownership, and only then deletes.

Each step makes sure of something that the next one relies on:

1. The head becomes CLOSED. No change that is accepted from now on relies on this batch.
2. All pending changes are read. Every follower wrote its change before it saw GATHERING, so they are all among them.
3. The list is frozen: the batch record owns the changes as well.
4. The pending items on that list are deleted: the batch record owns them alone.

An attempt that dies leaves the changes pending, or owned twice for a while; never unowned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from invalidation.batches.head import Execution, Head
from invalidation.batches.model import Batch, Clock, PendingChange, compact
from invalidation.batches.snapshot import draft, freeze_changes, pending_keys
from invalidation.batches.table import BatchTable, Key
from invalidation.errors import RecordsOfLaterRelease

DELETED_WITHIN: Final = timedelta(hours=1)
"""For how long after its opening a batch may still be deleting pending items: longer than all tries of a Close take."""


class ClosedStatus(StrEnum):
    """What a leader finds when it closes its batch. The values are those of the state machine's Choice."""

    FROZEN = "FROZEN"
    SUPERSEDED = "SUPERSEDED"
    """Somebody took this leader for dead and leads now; they read the same pending changes."""
    EMPTY = "EMPTY"
    """Nothing is pending: an earlier batch, which closed late, owns what this one was opened for."""
    PAUSED = "PAUSED"
    """Everything stays pending until the bucket is resumed."""


@dataclass(frozen=True, slots=True)
class Closed:
    status: ClosedStatus
    changes: int = 0

    def to_document(self) -> dict[str, Any]:
        return {"status": self.status.value, "changes": self.changes}


def close(  # noqa: PLR0917 -- collaborators are arguments
    table: BatchTable, bucket: str, batch_id: str, execution: Execution, attempt: str, now: Clock
) -> Closed:
    """Close a batch, or find it closed; every attempt may die and be repeated anywhere.

    ``attempt`` must be new for each invocation: it names the list, and two attempts that shared a name would overwrite
    each other's chunks after one of them has been frozen.

    Raises:
        BatchContended: the head could not be closed.
        RecordsOfLaterRelease: nothing is pending but what a later release wrote. Where there is more, that stays.
    """
    batch = Batch.find(table, batch_id)
    if batch is None:
        head = Head.close(table, bucket, batch_id, now())
        if head.batch_id != batch_id:
            return Closed(ClosedStatus.SUPERSEDED)
        if head.paused:
            return Closed(ClosedStatus.PAUSED)
        earlier = _with_pending(table, head, now())
        owned = _owned(table, earlier)
        unreadable: list[RecordsOfLaterRelease] = []
        pending = PendingChange.of_bucket(table, bucket, unreadable.append)
        drafted = draft(execution, batch_id, attempt, now(), bucket=bucket, gathered=True)
        batch = freeze_changes(table, drafted, _without(pending, owned) if owned else pending)
        if batch is None and unreadable:
            raise unreadable[0]
        if batch is None:
            # Whoever was to delete what is pending may have died; there is nothing else to do here.
            for each in earlier:
                _delete_pending(table, each)
            return Closed(ClosedStatus.EMPTY)
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
    found: list[Batch] = []
    for batch_id in head.earlier:
        if batch_id >= compact(now - DELETED_WITHIN):
            with suppress(RecordsOfLaterRelease):
                batch = Batch.find(table, batch_id)
                if batch is not None and batch.chunks_pending:
                    found.append(batch)
    return found


def _owned(table: BatchTable, batches: Sequence[Batch]) -> set[bytes]:
    """What these batches own and may not have deleted. Freezing it again would be paid for again."""
    return {
        _fingerprint(key)
        for batch in batches
        for number in batch.chunks_pending
        for key in pending_keys(table, batch, number)
    }


def _without(pending: Iterable[PendingChange], owned: Container[bytes]) -> Iterator[PendingChange]:
    return (each for each in pending if _fingerprint(each.key) not in owned)


def _fingerprint(key: Key) -> bytes:
    """A million of these are in memory at once."""
    return hashlib.blake2b(key.sk.encode("ascii"), digest_size=16).digest()
