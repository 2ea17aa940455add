"""Finish: what an execution came to ends its batch, schedules another try, or parks it.

That a distribution was invalidated is a fact whoever reports it, however late: the list that was invalidated was
frozen before. So successes are final and anybody's to write. Failures are the owner's alone, and count once for each
execution: an old execution that comes back late must not use up the tries of the one that took over.

A parked batch can be abandoned, by name: the one way in which a change leaves the promise, and the record keeps who
did it and why. Every other batch is worked on, or will be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from invalidation.batches.head import Execution
from invalidation.batches.model import (
    PARKED,
    UNFINISHED,
    Batch,
    BatchState,
    Clock,
    Outcome,
    epoch_seconds,
    readable,
    to_text,
)
from invalidation.batches.table import ATTEMPTS, BATCH, BatchTable, Key, items
from invalidation.batches.targets import Target, TargetState, targets_of
from invalidation.errors import MAX_MESSAGE, BatchContended, EdgeStillStale, is_transient


@dataclass(frozen=True, slots=True)
class Settled:
    """A batch and its targets as Finish left them. No ``batch``: there is no record of it."""

    batch: Batch | None
    targets: tuple[Target, ...]


def finish(  # noqa: PLR0917 -- collaborators are arguments
    table: BatchTable,
    batch_id: str,
    execution: Execution,
    results: Sequence[TargetResult],
    failure: Failure | None,
    now: Clock,
    retry: RetryPolicy,
    retention: timedelta,
) -> Settled:
    """Record the results, and end the batch, schedule its next try, or park it. Can be repeated.

    ``failure`` is an error of a state outside the Map; it counts for every target that has no result.

    Raises:
        BatchContended: the record changed under every attempt.
    """
    for _ in range(ATTEMPTS):
        batch = Batch.find(table, batch_id) if batch_id else None
        if batch is None:
            return Settled(None, ())
        if batch.ended:
            return Settled(batch, targets_of(table, batch))
        targets = settle(table, batch, ExecutionResult(results, failure), execution, retry)
        if _owes_nothing(batch, targets):
            settled = _end(table, batch, _ending(batch, targets, failure, now()), now() + retention)
        elif batch.owner == execution.arn and batch.tried_by != execution.arn:
            settled = batch.update(table, _keeping(batch, targets, failure, now(), retry=retry))
        else:
            # Another execution has taken over, or an earlier attempt of this Finish has written it down already.
            settled = batch
        if settled is not None:
            return Settled(settled, targets)
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
    """The items below the record are made to expire first. A record that has ended is never looked at again."""
    expiry = {"expiresAt": epoch_seconds(expires)}
    expire_what_is_below(table, batch.batch_id, expiry)
    return batch.update(table, {**ending, **expiry})


def expire_what_is_below(table: BatchTable, batch_id: str, expiry: Mapping[str, Any]) -> None:
    """Mark every item of a batch but its record.

    Marking an item costs as much as writing it, so that a repeated attempt leaves out what an earlier one has marked.
    """
    for item in items(table, f"{BATCH}{batch_id}", keys=True):
        key = Key(item["pk"], item["sk"])
        if key != Batch.key_of(batch_id) and "expiresAt" not in readable(item):
            table.update(key, expiry, {})


def _keeping(
    batch: Batch, targets: Sequence[Target], failure: Failure | None, now: datetime, *, retry: RetryPolicy
) -> dict[str, Any]:
    """The attributes of a batch that still owes something.

    It is tried again, or parked until the cause is fixed when no target is left that would be tried.

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


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When the sweep tries a batch again. After 5, 15, 45 … minutes, ``max_tries`` in all."""

    max_tries: int = 5
    first_minutes: int = 5
    factor: int = 3
    max_minutes: int = 1_440

    def wait_after(self, tries: int) -> timedelta:
        return timedelta(minutes=min(self.max_minutes, self.first_minutes * self.factor ** max(0, tries - 1)))

    def gives_up(self, tries: int, error: str) -> bool:
        """Permanent errors at once: the same request would be refused again and again."""
        return tries >= self.max_tries or not is_transient(error)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a state's Catch reports it."""

    error: str
    message: str = ""


NOT_TRIED = Failure("NotTried", "the execution ended without a result for any distribution")
NOT_RESOLVED = Failure("NotResolved", "the execution ended before it knew which distributions serve the bucket")


@dataclass(frozen=True, slots=True)
class TargetResult:
    """What one iteration of the Map came to. ``failure`` is None when nothing is owed any more.

    ``only_planned``: skipped because it was a dry run, and not because there was nothing to send.
    """

    distribution_id: str
    skipped: bool = False
    only_planned: bool = False
    failure: Failure | None = None
    seconds: int | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> TargetResult:
        """From ``{distributionId, outcome: Invalidated | Skipped | Failed, error?, message?, seconds?}``."""
        outcome, seconds = document["outcome"], document.get("seconds")
        if outcome not in ("Invalidated", "Skipped", "Failed"):
            raise ValueError(f"outcome is {outcome!r}, not Invalidated, Skipped or Failed")
        failure = None
        if outcome == "Failed":
            failure = Failure(str(document.get("error", "Unknown")), str(document.get("message", ""))[:MAX_MESSAGE])
        return cls(
            distribution_id=document["distributionId"],
            skipped=outcome == "Skipped",
            failure=failure,
            seconds=None if seconds is None else round(seconds),
        )


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """The results of an execution's Map, and what failed outside it, if anything."""

    results: Sequence[TargetResult]
    failure: Failure | None

    def on(self, distribution_id: str) -> TargetResult | None:
        """The distribution's result. None: the execution did not get to it.

        That is no failure of the distribution's, and it is owed as before; unless there are no results at all, which
        would otherwise go on for ever unnoticed.
        """
        for result in self.results:
            if result.distribution_id == distribution_id:
                return result
        failure = self.failure or (None if self.results else NOT_TRIED)
        return None if failure is None else TargetResult(distribution_id, failure=failure)


def settle(
    table: BatchTable, batch: Batch, result_of_execution: ExecutionResult, execution: Execution, retry: RetryPolicy
) -> tuple[Target, ...]:
    """Write the results; the batch's targets as they are afterwards. Can be repeated."""
    for found in targets_of(table, batch):
        result = result_of_execution.on(found.distribution_id)
        if result is None:
            continue
        if result.failure is None:
            _succeed(table, found, result)
        elif batch.owner == execution.arn and found.owed and found.tried_by != execution.arn:
            _fail(table, found, execution, result.failure, retry)
    return targets_of(table, batch)


def _succeed(table: BatchTable, found: Target, result: TargetResult) -> None:
    """Record a success, which is final. A state that changes meanwhile between owed and parked is no obstacle."""
    state = TargetState.SKIPPED if result.skipped else TargetState.COMPLETED
    assign = {
        "state": state.value,
        "seconds": result.seconds,
        "onlyPlanned": result.only_planned or None,
        "error": None,
        "message": None,
    }
    for _ in range(ATTEMPTS):
        if found.state.final:
            return
        if found.update(table, assign, {"state": found.state.value}):
            return
        found = Target.read(table, found.batch_id, found.distribution_id)
    raise BatchContended(f"{ATTEMPTS} attempts to record {found.distribution_id} in {found.batch_id} were overtaken")


def _fail(table: BatchTable, found: Target, execution: Execution, failure: Failure, retry: RetryPolicy) -> None:
    """Counts once for an execution. Overtaken, it is not repeated: whatever came in between is the later news."""
    tries = found.tries + 1
    state = TargetState.PARKED if retry.gives_up(tries, failure.error) else TargetState.OWED
    assign = {
        "state": state.value,
        "tries": tries,
        "triedBy": execution.arn,
        "error": failure.error,
        "message": failure.message or None,
    }
    if failure.error == EdgeStillStale.__name__:
        # The same caller reference would find the invalidation that did not help.
        assign["resends"] = found.resends + 1
    found.update(table, assign, {"state": TargetState.OWED.value, "tries": found.tries})


def abandon(table: BatchTable, batch_id: str, reason: str, now: Clock, retention: timedelta) -> Batch:
    """End a parked batch as Abandoned; the record as it is now, by whomever. Can be repeated.

    A batch that is not parked is left as it is, and so is one that a retry has claimed meanwhile: the caller sees it in
    the state of what is returned. What the batch owed stays in its targets as it was, with their errors.

    Raises:
        BatchNotFound: there is no such record.
        BatchContended: the record changed under every attempt.
    """
    for _ in range(ATTEMPTS):
        batch = Batch.read(table, batch_id)
        if batch.state is BatchState.PARKED:
            ending = {
                "state": BatchState.ENDED.value,
                "outcome": Outcome.ABANDONED.value,
                "finished": to_text(now()),
                "message": _with_what_failed(reason, batch),
                "nextTryAt": None,
                "unfinished": None,
            }
            ended = batch.update(table, ending)
            if ended is None:
                continue
            batch = ended
        if batch.outcome is Outcome.ABANDONED:
            _expire(table, batch, now, retention)
        return batch
    raise BatchContended(f"{ATTEMPTS} attempts to abandon batch {batch_id} were overtaken; try again")


def _with_what_failed(reason: str, batch: Batch) -> str:
    """The reason, and what had failed. A batch that was not resolved has that nowhere else."""
    return f"{reason} (it had failed: {batch.message})"[:MAX_MESSAGE] if batch.message else reason[:MAX_MESSAGE]


def _expire(table: BatchTable, batch: Batch, now: Clock, retention: timedelta) -> None:
    """Make the items of an abandoned batch expire. A retry that came first would lose its list to the time to live.

    The record comes last, so that whoever repeats what died in between marks what is left.
    """
    expires = {"expiresAt": epoch_seconds(now() + retention)}
    expire_what_is_below(table, batch.batch_id, expires)
    table.update(Batch.key_of(batch.batch_id), expires, {"outcome": Outcome.ABANDONED.value, "expiresAt": None})


def outcome_of(batch: Batch, targets: Sequence[Target]) -> Outcome:
    """The outcome of the batch as a whole, over all its tries."""
    states = {target.state for target in targets}
    completed = TargetState.COMPLETED in states
    if batch.resolved is None:
        return Outcome.FAILED
    if not targets:
        return Outcome.NO_DISTRIBUTION
    if not all(state.final for state in states):
        if {target.error for target in targets if not target.state.final} == {EdgeStillStale.__name__}:
            return Outcome.STALE_AT_EDGE
        return Outcome.PARTLY_FAILED if completed else Outcome.FAILED
    if batch.dry_run or any(target.only_planned for target in targets):
        return Outcome.DRY_RUN
    return Outcome.COMPLETED if completed else Outcome.NOTHING_TO_INVALIDATE
