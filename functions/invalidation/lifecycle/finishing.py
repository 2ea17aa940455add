"""Finish: write down what became of each distribution, and let the batch go when it owes nothing.

That a distribution was invalidated is a fact whoever reports it, however late: the list that was invalidated was
frozen before. So successes are final and anybody's to write. Failures are the owner's alone, and count once for each
execution: an old execution that comes back late must not use up the tries of the one that took over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from invalidation.errors import MAX_MESSAGE, BatchContended, is_transient
from invalidation.lifecycle import keys
from invalidation.lifecycle.executions import Execution
from invalidation.lifecycle.freezing import find_batch, read_batch
from invalidation.lifecycle.joining import ATTEMPTS
from invalidation.lifecycle.records import PARKED, UNFINISHED, Batch, BatchState
from invalidation.lifecycle.resolving import targets_of
from invalidation.lifecycle.summaries import Finished, outcome_of, summary_of, unrecorded
from invalidation.lifecycle.table import BatchTable, items
from invalidation.lifecycle.targets import Target, TargetState
from invalidation.lifecycle.times import Clock, epoch_seconds, to_text


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

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Failure:
        return cls(document["error"], str(document.get("message", ""))[:MAX_MESSAGE])


NOT_TRIED = Failure("NotTried", "the execution ended without a result for this distribution")
NOT_RESOLVED = Failure("NotResolved", "the execution ended before it knew which distributions serve the bucket")


@dataclass(frozen=True, slots=True)
class TargetResult:
    """What one iteration of the Map came to; ``failure`` is None when nothing is owed any more."""

    distribution_id: str
    skipped: bool = False
    failure: Failure | None = None
    seconds: int | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> TargetResult:
        """From ``{distributionId, outcome: Invalidated | Skipped | Failed, error?, message?, seconds?}``."""
        outcome = document["outcome"]
        if outcome not in ("Invalidated", "Skipped", "Failed"):
            raise ValueError(f"outcome is {outcome!r}, not Invalidated, Skipped or Failed")
        seconds = document.get("seconds")
        return cls(
            distribution_id=document["distributionId"],
            skipped=outcome == "Skipped",
            failure=Failure.from_document({"error": "Unknown", **document}) if outcome == "Failed" else None,
            seconds=None if seconds is None else round(seconds),
        )


def finish(
    table: BatchTable,
    batch_id: str,
    execution: Execution,
    results: Sequence[TargetResult],
    failure: Failure | None,
    now: Clock,
    retry: RetryPolicy,
    retention: timedelta,
) -> Finished:
    """Record the results, and end the batch, schedule its next try, or park what is in vain.

    ``failure`` is an error of a state outside the Map; it counts for every target that has no result. Can be repeated.

    Raises:
        BatchContended: the record changed under every attempt.
    """
    batch = find_batch(table, batch_id) if batch_id else None
    if batch is None:
        return unrecorded(batch_id, failure.error if failure else "", failure.message if failure else "")
    for _ in range(ATTEMPTS):
        if batch.ended:
            return summary_of(table, batch)
        _settle_targets(table, batch, execution, {each.distribution_id: each for each in results}, failure, retry)
        targets = targets_of(table, batch)
        if _owes_nothing(batch, targets):
            settled = _end(table, batch, targets, now(), retention)
        elif batch.owner != execution.arn or batch.tried_by == execution.arn:
            return summary_of(table, batch)
        else:
            settled = _keep(table, batch, targets, execution, failure, now(), retry)
        batch = settled or read_batch(table, batch_id)
        if settled:
            return summary_of(table, batch)
    raise BatchContended(f"{ATTEMPTS} attempts to finish batch {batch_id} were overtaken; the sweep finishes it")
