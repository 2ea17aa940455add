"""What a notification, an event and a person are told of a batch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from invalidation.errors import EdgeStillStale, InvalidRequest
from invalidation.lifecycle.items import known
from invalidation.lifecycle.records import Batch, BatchState, read_batch
from invalidation.lifecycle.resolving import invalidations_of_each, targets_of
from invalidation.lifecycle.table import BatchTable
from invalidation.lifecycle.targets import InvalidationRecord, PlanSummary, Target, TargetState
from invalidation.lifecycle.times import to_text
from invalidation.limits import price
from invalidation.outcomes import Outcome

LONGEST_TARGETS = 60_000
"""Characters of JSON that a summary spends on its targets: a state's input and output go to 262,144 bytes (SFD,
"Quotas"), and so does an SNS message."""


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """What became of one distribution."""

    distribution_id: str
    state: TargetState
    paths: int
    wildcards: int
    widened: tuple[tuple[str, int], ...]
    invalidation_ids: tuple[str, ...]
    tries: int
    error: str
    message: str
    seconds: int | None
    path_sample: tuple[str, ...] = ()
    price: Decimal = Decimal(0)
    """The most that its paths cost, in US dollars; in a dry run, would have cost."""
    edge: tuple[Mapping[str, str], ...] = ()
    """What a look at the edge has shown, path by path (``VerifyAtEdge``)."""

    def to_document(self) -> dict[str, Any]:
        return {
            "distributionId": self.distribution_id,
            "state": self.state.value,
            "paths": self.paths,
            "wildcards": self.wildcards,
            **known(
                {
                    "pathSample": list(self.path_sample),
                    "widened": [{"path": path, "asked": asked} for path, asked in self.widened],
                    "price": float(self.price),
                    "invalidationIds": list(self.invalidation_ids),
                    "tries": self.tries,
                    "error": self.error,
                    "message": self.message,
                    "seconds": self.seconds,
                    "edge": [dict(each) for each in self.edge],
                }
            ),
        }


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch as it stands. ``recorded`` False: there is no record, and what was accepted is still pending."""

    outcome: Outcome
    recorded: bool
    batch_id: str
    error: str = ""
    message: str = ""
    bucket: str = ""
    distribution_id: str = ""
    by_hand: bool = False
    dry_run: bool = False
    changes: int = 0
    deleted: int = 0
    sample: tuple[str, ...] = ()
    requesters: tuple[dict[str, Any], ...] = ()
    opened: datetime | None = None
    closed: datetime | None = None
    finished: datetime | None = None
    tries: int = 0
    parked: bool = False
    """Whether somebody has to mend something: the batch, or one of its targets, is not tried again by itself."""
    next_try_at: datetime | None = None
    targets: tuple[TargetSummary, ...] = ()

    @property
    def succeeded(self) -> bool:
        return self.outcome.succeeded

    @property
    def price(self) -> Decimal:
        """The most that all of it cost, in US dollars; in a dry run, would have cost."""
        return sum((target.price for target in self.targets), Decimal(0))

    @property
    def seconds(self) -> int | None:
        """From the batch's opening to its end."""
        return (
            None
            if self.finished is None or self.opened is None
            else round((self.finished - self.opened).total_seconds())
        )

    def to_document(self) -> dict[str, Any]:
        """For the state: the failed targets first, and as many of the others as there is room for."""
        listed, omitted = _as_many_as_fit(self.targets)
        return {
            "outcome": self.outcome.value,
            "succeeded": self.succeeded,
            "recorded": self.recorded,
            "batchId": self.batch_id,
            "changes": self.changes,
            "parked": self.parked,
            "targets": listed,
            "error": self.error,
            "message": self.message,
            **known(
                {
                    "targetsOmitted": omitted,
                    "bucket": self.bucket,
                    "distributionId": self.distribution_id,
                    "byHand": self.by_hand,
                    "dryRun": self.dry_run,
                    "deleted": self.deleted,
                    "sample": list(self.sample),
                    "requesters": list(self.requesters),
                    "price": float(self.price),
                    "opened": to_text(self.opened) if self.opened else None,
                    "closed": to_text(self.closed) if self.closed else None,
                    "finished": to_text(self.finished) if self.finished else None,
                    "seconds": self.seconds,
                    "tries": self.tries,
                    "nextTryAt": to_text(self.next_try_at) if self.next_try_at else None,
                }
            ),
        }


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


def summarise(table: BatchTable, batch_id: str) -> Finished:
    """Raises BatchNotFound."""
    batch = read_batch(table, batch_id)
    return summary_of(table, batch, targets_of(table, batch))


def summary_of(table: BatchTable, batch: Batch, targets: Sequence[Target]) -> Finished:
    created = invalidations_of_each(table, batch.batch_id) if targets else []
    return Finished(
        outcome=batch.outcome or outcome_of(batch, targets),
        recorded=True,
        batch_id=batch.batch_id,
        error=batch.error,
        message=batch.message,
        bucket=batch.bucket,
        distribution_id=batch.distribution_id,
        by_hand=batch.by_hand,
        dry_run=batch.dry_run or any(target.only_planned for target in targets),
        changes=batch.changes,
        deleted=batch.deleted,
        sample=batch.sample,
        requesters=batch.requesters,
        opened=batch.opened,
        closed=batch.closed,
        finished=batch.finished,
        tries=batch.tries,
        parked=_needs_somebody(batch, targets),
        next_try_at=batch.next_try_at,
        targets=tuple(_target_summary(target, created) for target in targets),
    )


def _needs_somebody(batch: Batch, targets: Sequence[Target]) -> bool:
    if batch.outcome is Outcome.ABANDONED:
        return False
    return batch.state is BatchState.PARKED or any(target.state is TargetState.PARKED for target in targets)


def unrecorded(batch_id: str, error: str, message: str) -> Finished:
    """For an execution that failed before there was a record: what it had accepted is pending, and the sweep's."""
    outcome = Outcome.REJECTED if error == InvalidRequest.__name__ else Outcome.FAILED
    return Finished(outcome, recorded=False, batch_id=batch_id, error=error, message=message)


def _target_summary(target: Target, created: Sequence[tuple[str, InvalidationRecord]]) -> TargetSummary:
    ours = [record for distribution_id, record in created if distribution_id == target.distribution_id]
    sent = sum(each.paths for each in ours)
    plan = target.plan or PlanSummary(sent, sum(each.wildcards for each in ours), len(ours))
    return TargetSummary(
        distribution_id=target.distribution_id,
        state=target.state,
        paths=plan.paths,
        wildcards=plan.wildcards,
        widened=plan.widened,
        invalidation_ids=tuple(each.invalidation_id for each in ours),
        tries=target.tries,
        error=target.error,
        message=target.message,
        seconds=target.seconds,
        path_sample=plan.sample,
        edge=target.edge,
        price=price(plan.paid if target.only_planned else sent),
    )


def _as_many_as_fit(targets: Sequence[TargetSummary]) -> tuple[list[dict[str, Any]], int]:
    """Their documents; what was sent is told of as many as there is room for once all that fit are named."""
    room = LONGEST_TARGETS
    listed = []
    for target in sorted(targets, key=lambda each: each.state.final):
        document = target.to_document()
        sample = document.pop("pathSample", [])
        room -= len(json.dumps(document))
        if room < 0:
            break
        listed.append((document, sample))
    for document, sample in listed:
        if sample and len(json.dumps(sample)) < room:
            document["pathSample"] = sample
            room -= len(json.dumps(sample))
    return [document for document, _ in listed], len(targets) - len(listed)
