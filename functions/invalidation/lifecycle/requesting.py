"""Batches of one's own: requests, and every change while batching is off.

They gather nothing and so need no head: the list and the record are written at once, and the record is the acceptance.
"""

from __future__ import annotations

from collections.abc import Sequence

from invalidation.changes import Change
from invalidation.errors import BatchContended, BatchTableUnavailable, ChangesNotAccepted
from invalidation.lifecycle import keys
from invalidation.lifecycle.executions import Execution, batch_id
from invalidation.lifecycle.freezing import draft, freeze_changes, freeze_paths
from invalidation.lifecycle.records import Batch, Kind, find_batch
from invalidation.lifecycle.roles import Joined, Role
from invalidation.lifecycle.table import BatchTable
from invalidation.lifecycle.times import Clock


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
        table.ensure(keys.registry(bucket))
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
