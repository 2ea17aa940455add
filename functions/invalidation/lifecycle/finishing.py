"""Finish: write down what an execution came to, and let the batch go when it owes nothing.

Otherwise the record says what comes next: when the sweep tries again, or that somebody has to mend something first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from invalidation.errors import BatchContended
from invalidation.lifecycle import keys
from invalidation.lifecycle.executions import Execution
from invalidation.lifecycle.items import readable
from invalidation.lifecycle.records import PARKED, UNFINISHED, Batch, BatchState, find_batch
from invalidation.lifecycle.resolving import targets_of
from invalidation.lifecycle.settling import NOT_RESOLVED, NOT_TRIED, Failure, RetryPolicy, TargetResult, Verdict, settle
from invalidation.lifecycle.summaries import Finished, outcome_of, summary_of, unrecorded
from invalidation.lifecycle.table import ATTEMPTS, BatchTable, Key, items
from invalidation.lifecycle.targets import Target
from invalidation.lifecycle.times import Clock, epoch_seconds, to_text
from invalidation.outcomes import Outcome


def finish(  # noqa: PLR0917 -- collaborators are arguments
    table: BatchTable,
    batch_id: str,
    execution: Execution,
    results: Sequence[TargetResult],
    failure: Failure | None,
    now: Clock,
    retry: RetryPolicy,
    retention: timedelta,
) -> Finished:
    """Record the results, and end the batch, schedule its next try, or park what is in vain. Can be repeated.

    ``failure`` is an error of a state outside the Map; it counts for every target that has no result.

    Raises:
        BatchContended: the record changed under every attempt.
    """
    for _ in range(ATTEMPTS):
        batch = find_batch(table, batch_id) if batch_id else None
        if batch is None:
            return unrecorded(batch_id, failure.error if failure else "", failure.message if failure else "")
        if batch.ended:
            return summary_of(table, batch, targets_of(table, batch))
        targets = settle(table, batch, Verdict(results, failure), execution, retry)
        if _owes_nothing(batch, targets):
            settled = _end(table, batch, _ending(batch, targets, failure, now()), now() + retention)
        elif batch.owner == execution.arn and batch.tried_by != execution.arn:
            settled = _written(table, batch, _keeping(batch, targets, failure, now(), retry=retry))
        else:
            # Another execution has taken over, or an earlier attempt of this Finish has written it down already.
            settled = batch
        if settled is not None:
            return summary_of(table, settled, targets)
    raise BatchContended(f"{ATTEMPTS} attempts to finish batch {batch_id} were overtaken; the sweep finishes it")


def _owes_nothing(batch: Batch, targets: Sequence[Target]) -> bool:
    """Final states never change back, so that this stays true however old the reading is. A dry run owes nothing."""
    return batch.dry_run or (batch.resolved is not None and all(target.state.final for target in targets))


def _ending(batch: Batch, targets: Sequence[Target], failure: Failure | None, now: datetime) -> dict[str, Any]:
    outcome = outcome_of(batch, targets)
    why = Failure("") if outcome.succeeded else _why(batch, targets, failure)
    return {
        "state": BatchState.ENDED.value,
        "outcome": outcome.value,
        "dryRun": batch.dry_run or outcome is Outcome.DRY_RUN or None,
        "finished": to_text(now),
        "error": why.error or None,
        "message": why.message or None,
        "nextTryAt": None,
        "unfinished": None,
    }


def _end(table: BatchTable, batch: Batch, ending: Mapping[str, Any], expires: datetime) -> Batch | None:
    """The items below the record are made to expire first: a record that has ended is never looked at again."""
    expiry = {"expiresAt": epoch_seconds(expires)}
    expire_what_is_below(table, batch.batch_id, expiry)
    return _written(table, batch, {**ending, **expiry})


def expire_what_is_below(table: BatchTable, batch_id: str, expiry: Mapping[str, Any]) -> None:
    """Mark every item of a batch but its record.

    Marking an item costs as much as writing it, so that a repeated attempt leaves out what an earlier one has marked.
    """
    for item in items(table, keys.batch(batch_id), keys=True):
        key = Key(item["pk"], item["sk"])
        if key != keys.meta(batch_id) and "expiresAt" not in readable(item):
            table.update(key, expiry, {})


def _keeping(
    batch: Batch, targets: Sequence[Target], failure: Failure | None, now: datetime, *, retry: RetryPolicy
) -> dict[str, Any]:
    """What comes next: another try, or nobody's until the cause is mended, when no target is left that would be tried.

    Targets that the execution did not get to are due at once.
    """
    tries = batch.tries + 1
    why = _why(batch, targets, failure)
    owed = [target for target in targets if target.owed]
    parked = retry.gives_up(tries, why.error) if batch.resolved is None else not owed
    all_tried = all(target.tried_by == batch.owner for target in owed)
    next_try = now + retry.wait_after(tries) if all_tried else now
    return {
        "state": BatchState.PARKED.value if parked else BatchState.FROZEN.value,
        "unfinished": PARKED if parked else UNFINISHED,
        "nextTryAt": None if parked else to_text(next_try),
        "tries": tries,
        "triedBy": batch.owner,
        "outcome": outcome_of(batch, targets).value,
        "error": why.error,
        "message": why.message or None,
    }


def _why(batch: Batch, targets: Sequence[Target], failure: Failure | None) -> Failure:
    """The one error that a record shows for its batch; each target has its own."""
    if failure is not None:
        return failure
    if batch.resolved is None:
        return NOT_RESOLVED
    failed = [target for target in targets if target.error and not target.state.final]
    return Failure(failed[0].error, failed[0].message) if failed else NOT_TRIED


def _written(table: BatchTable, batch: Batch, assign: Mapping[str, Any]) -> Batch | None:
    expect = {"state": batch.state.value, "owner": batch.owner, "tries": batch.tries}
    item = table.update(keys.meta(batch.batch_id), assign, expect)
    return None if item is None else Batch.from_item(item)
