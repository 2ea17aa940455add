"""Close: the leader stops gathering, takes ownership of what is pending, and only then deletes the pending items.

Each step makes sure of something that the next one relies on:

1. The head becomes CLOSED. No change that is accepted from now on relies on this batch.
2. All pending changes are read. Every follower wrote its change before it saw GATHERING, so they are all among them.
3. The list is frozen: the batch record owns the changes as well.
4. The pending items on that list are deleted: the batch record owns them alone.

An attempt that dies leaves the changes pending, or owned twice for a while; never unowned.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from invalidation.batches.head import Execution, Head
from invalidation.batches.model import Batch, Clock, PendingChange
from invalidation.batches.snapshot import draft, freeze_changes, frozen_changes
from invalidation.batches.table import BatchTable
from invalidation.errors import RecordsOfLaterRelease


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
        drafted = draft(execution, batch_id, attempt, now(), bucket=bucket, gathered=True)
        unreadable: list[RecordsOfLaterRelease] = []
        batch = freeze_changes(table, drafted, PendingChange.of_bucket(table, bucket, unreadable.append))
        if batch is None and unreadable:
            raise unreadable[0]
        if batch is None:
            return Closed(ClosedStatus.EMPTY)
    if batch.gathered and not batch.ended:
        _delete_pending(table, batch)
    return Closed(ClosedStatus.FROZEN, batch.changes)


def _delete_pending(table: BatchTable, batch: Batch) -> None:
    """Delete the pending items of the changes that the batch owns: those on its frozen list, and no others.

    A pending item that is written again after this (S3 delivers events at least once) is the same change, told twice:
    it is covered by this batch, or makes a batch that invalidates once too often.
    """
    table.delete_all(PendingChange.of(change, table.shards).key for change in frozen_changes(table, batch))
