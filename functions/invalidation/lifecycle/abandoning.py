"""Abandon: somebody decides that what a parked batch owes is not to be invalidated any more.

The one way in which a change leaves the promise: not by mistake, but by name, and the record keeps who did it and why.
Only a parked batch can be given up: every other one is worked on, or will be.
"""

from __future__ import annotations

from datetime import timedelta

from invalidation.errors import MAX_MESSAGE, BatchContended
from invalidation.lifecycle import keys
from invalidation.lifecycle.finishing import expire_what_is_below
from invalidation.lifecycle.records import Batch, BatchState, read_batch
from invalidation.lifecycle.table import ATTEMPTS, BatchTable
from invalidation.lifecycle.times import Clock, epoch_seconds, to_text
from invalidation.outcomes import Outcome


def abandon(table: BatchTable, batch_id: str, reason: str, now: Clock, retention: timedelta) -> Batch:
    """End a parked batch as Abandoned; the record as it is now, by whomever. Can be repeated.

    A batch that is not parked is left as it is, and so is one that a retry has claimed meanwhile: the caller sees it in
    the state of what is returned. What the batch owed stays in its targets as it was, with their errors.

    Raises:
        BatchNotFound: there is no such record.
        BatchContended: the record changed under every attempt.
    """
    for _ in range(ATTEMPTS):
        batch = read_batch(table, batch_id)
        if batch.state is BatchState.PARKED:
            ending = {
                "state": BatchState.ENDED.value,
                "outcome": Outcome.ABANDONED.value,
                "finished": to_text(now()),
                "message": _with_what_failed(reason, batch),
                "nextTryAt": None,
                "unfinished": None,
            }
            expect = {"state": batch.state.value, "owner": batch.owner, "tries": batch.tries}
            if table.update(keys.meta(batch_id), ending, expect) is None:
                continue
            batch = read_batch(table, batch_id)
        if batch.outcome is Outcome.ABANDONED:
            _expire(table, batch, now, retention)
        return batch
    raise BatchContended(f"{ATTEMPTS} attempts to abandon batch {batch_id} were overtaken; try again")


def _with_what_failed(reason: str, batch: Batch) -> str:
    """The reason, and what had failed as far as there is room: a batch that was not resolved has it nowhere else."""
    return f"{reason} (it had failed: {batch.message})"[:MAX_MESSAGE] if batch.message else reason[:MAX_MESSAGE]


def _expire(table: BatchTable, batch: Batch, now: Clock, retention: timedelta) -> None:
    """Only once the batch has ended: a retry that came first would lose its list to the time to live.

    The record comes last, so that whoever repeats what died in between marks what is left.
    """
    expires = {"expiresAt": epoch_seconds(now() + retention)}
    expire_what_is_below(table, batch.batch_id, expires)
    table.update(keys.meta(batch.batch_id), expires, {"outcome": Outcome.ABANDONED.value, "expiresAt": None})
