"""Close: the leader stops gathering, takes ownership of what has gathered, and only then lets go of the pending items.

Each step makes sure of something that the next one relies on:

1. The head becomes CLOSED. No change that is accepted from now on relies on this batch.
2. All pending changes are read. Every follower wrote its change before it saw GATHERING, so they are all among them.
3. The list is frozen: the batch record owns the changes as well.
4. The pending items on that list are deleted: the batch record owns them alone.

An attempt that dies leaves the changes pending, or owned twice for a while; never unowned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from invalidation.batches.head import Execution, Head, HeadState, read_head
from invalidation.batches.model import Batch, Clock, find_batch, pending_from_item, to_text
from invalidation.batches.snapshot import draft, freeze_changes, frozen_changes
from invalidation.batches.table import VERSION, BatchTable, head_key, items, pending_key, pending_shard
from invalidation.errors import BatchContended, RecordsOfLaterRelease
from invalidation.events import Change


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
        RecordsOfLaterRelease: nothing is pending but what a later release wrote. Where there is more, that stays.
    """
    batch = find_batch(table, batch_id)
    if batch is None:
        head = _close_head(table, bucket, batch_id, now)
        if head.batch_id != batch_id:
            # Moved on; unless an old attempt of this very Close froze the batch between the two reads.
            batch = find_batch(table, batch_id)
            if batch is None:
                return Closed(ClosedStatus.SUPERSEDED)
        elif head.paused:
            return Closed(ClosedStatus.PAUSED)
        else:
            drafted = draft(execution, batch_id, attempt, now(), bucket=bucket, gathered=True)
            left_alone: list[RecordsOfLaterRelease] = []
            batch = freeze_changes(table, drafted, pending_changes(table, bucket, left_alone.append))
            if batch is None and left_alone:
                raise left_alone[0]
            if batch is None:
                return Closed(ClosedStatus.EMPTY)
    if batch.gathered and not batch.ended:
        _let_go(table, batch)
    return Closed(ClosedStatus.FROZEN, batch.changes)


def pending_changes(
    table: BatchTable, bucket: str, leave: Callable[[RecordsOfLaterRelease], object] | None = None
) -> Iterator[Change]:
    """All changes of a bucket that no batch owns for certain yet; read lazily, page by page.

    ``leave`` is told of those that cannot be read, which stay pending; without it they raise RecordsOfLaterRelease.
    """
    for shard in range(table.shards):
        for item in items(table, pending_shard(bucket, shard)):
            try:
                change = pending_from_item(item)
            except RecordsOfLaterRelease as error:
                if leave is None:
                    raise
                leave(error)
            else:
                yield change


def _close_head(table: BatchTable, bucket: str, batch_id: str, now: Clock) -> Head:
    """The head as it is afterwards; it is ours and CLOSED, or another batch's.

    Raises:
        BatchContended: it is ours and gathers still. What followers rely on does not hold then, so nothing is read.
    """
    assign = {"state": HeadState.CLOSED.value, "closedAt": to_text(now())}
    expect = {"batchId": batch_id, "state": HeadState.GATHERING.value, "v": VERSION}
    closed = table.update(head_key(bucket), assign, expect)
    head = read_head(table, bucket) if closed is None else Head.from_item(bucket, closed)
    if head.batch_id == batch_id and head.state is not HeadState.CLOSED:
        raise BatchContended(f"the head of {bucket} could not be closed for {batch_id}; try again")
    return head


def _let_go(table: BatchTable, batch: Batch) -> None:
    """Delete the pending items of the changes that the batch owns: those on its frozen list, and no others.

    A pending item that is written again after this (S3 delivers events at least once) is the same change, told twice:
    it is covered by this batch, or makes a batch that invalidates once too often.
    """
    table.delete_all(pending_key(change, table.shards) for change in frozen_changes(table, batch))
