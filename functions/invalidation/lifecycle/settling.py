"""Settle: what one execution came to for each distribution, written where it belongs.

That a distribution was invalidated is a fact whoever reports it, however late: the list that was invalidated was
frozen before. So successes are final and anybody's to write. Failures are the owner's alone, and count once for each
execution: an old execution that comes back late must not use up the tries of the one that took over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from invalidation.errors import MAX_MESSAGE, BatchContended, is_transient
from invalidation.lifecycle import keys
from invalidation.lifecycle.executions import Execution
from invalidation.lifecycle.records import Batch
from invalidation.lifecycle.resolving import target as read_target
from invalidation.lifecycle.resolving import targets_of
from invalidation.lifecycle.table import ATTEMPTS, BatchTable
from invalidation.lifecycle.targets import Target, TargetState


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When the sweep tries again what failed for a passing reason: after 5, 15, 45 … minutes, ``max_tries`` in all."""

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
    """What one iteration of the Map came to; ``failure`` is None when nothing is owed any more.

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
class Verdict:
    """What an execution came to: the results of its Map, and the failure of a state outside the Map, if one failed."""

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
    table: BatchTable, batch: Batch, verdict: Verdict, execution: Execution, retry: RetryPolicy
) -> tuple[Target, ...]:
    """Write the results; the batch's targets as they are afterwards. Can be repeated."""
    for found in targets_of(table, batch):
        result = verdict.on(found.distribution_id)
        if result is None:
            continue
        if result.failure is None:
            _succeed(table, found, result)
        elif batch.owner == execution.arn and found.owed and found.tried_by != execution.arn:
            _fail(table, found, execution, result.failure, retry)
    return targets_of(table, batch)


def _succeed(table: BatchTable, found: Target, result: TargetResult) -> None:
    """Final, and so first come, first served; a state that changes meanwhile between owed and parked is no obstacle."""
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
        key = keys.target(found.batch_id, found.distribution_id)
        if table.update(key, assign, {"state": found.state.value}) is not None:
            return
        found = read_target(table, found.batch_id, found.distribution_id)
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
    expect = {"state": TargetState.OWED.value, "tries": found.tries}
    table.update(keys.target(found.batch_id, found.distribution_id), assign, expect)
