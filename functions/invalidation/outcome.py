"""The document of a batch, and what a run came to.

The document is the same in the execution's output, the event on the bus, the notification, and wherever the command
line prints JSON. Its schema is ``events/schemas/outcome.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from invalidation.batches.finish import Failure, Settled, TargetResult, outcome_of
from invalidation.batches.head import Execution
from invalidation.batches.model import Batch, BatchState, Outcome, known, to_text
from invalidation.batches.table import BatchTable
from invalidation.batches.targets import (
    InvalidationRecord,
    PlanSummary,
    Target,
    TargetState,
    invalidations_of_each,
    targets_of,
)
from invalidation.cloudfront.limits import price
from invalidation.cloudfront.rules import Status
from invalidation.errors import MAX_MESSAGE, BatchNotFound, InvalidRequest

VERSION = 1
LONGEST_TARGETS = 60_000
"""Characters of JSON that a report spends on its targets: a state's input and output go to 262,144 bytes (SFD,
"Quotas"), and so does an SNS message."""

IN_PROGRESS = "InProgress"
"""Stands for the outcome of a batch that no execution has finished yet. No report has it: a report ends something."""

COMPLETED_EVENT = "CloudFront Invalidation Completed"
FAILED_EVENT = "CloudFront Invalidation Failed"


@dataclass(frozen=True, slots=True)
class BatchReport:
    """A batch with what it owes, and the invalidations that were created for it."""

    batch: Batch
    targets: tuple[Target, ...]
    created: tuple[tuple[str, InvalidationRecord], ...]
    """Each invalidation with its distribution."""

    @classmethod
    def read(cls, table: BatchTable, batch: Batch, targets: tuple[Target, ...] | None = None) -> BatchReport:
        """The report on a batch. Its targets are read unless they are given."""
        targets = targets_of(table, batch) if targets is None else targets
        return cls(batch, targets, tuple(invalidations_of_each(table, batch.batch_id)) if targets else ())

    @property
    def outcome(self) -> str:
        return self.batch.outcome.value if self.batch.outcome else IN_PROGRESS

    @property
    def succeeded(self) -> bool:
        return self.batch.outcome is not None and self.batch.outcome.succeeded

    @property
    def dry_run(self) -> bool:
        return self.batch.dry_run or any(target.only_planned for target in self.targets)

    @property
    def parked(self) -> bool:
        """Whether somebody has to fix something. The batch, or a target, is not tried again by itself."""
        if self.batch.outcome is Outcome.ABANDONED:
            return False
        parked = any(target.state is TargetState.PARKED for target in self.targets)
        return parked or self.batch.state is BatchState.PARKED

    @property
    def paths(self) -> int:
        """Paths of all requests that CloudFront has taken: what it charges for."""
        return sum(record.paths for _, record in self.created)

    @property
    def wildcards(self) -> int:
        return sum(record.wildcards for _, record in self.created)

    @property
    def price(self) -> Decimal:
        """The most that all of it cost, in US dollars. In a dry run: what it would have cost."""
        return sum((self._price_of(target) for target in self.targets), Decimal(0))

    @property
    def seconds(self) -> int | None:
        """From the batch's opening to its end; None while it has not ended."""
        finished = self.batch.finished
        return None if finished is None else round((finished - self.batch.opened).total_seconds())

    def gave_up(self, target: Target) -> bool:
        """Whether the distribution was still owed its invalidation when somebody abandoned the batch."""
        return self.batch.outcome is Outcome.ABANDONED and not target.state.final

    def created_for(self, distribution_id: str) -> tuple[InvalidationRecord, ...]:
        return tuple(record for owner, record in self.created if owner == distribution_id)

    def completed_for(self, distribution_id: str) -> datetime | None:
        """When a poll has found the distribution's invalidations completed; None where none has.

        The last of them was created within the seconds that the target counts from the first one on.
        """
        seconds = next((each.seconds for each in self.targets if each.distribution_id == distribution_id), None)
        created = [record.created for record in self.created_for(distribution_id)]
        if seconds is None or not created:
            return None
        return min(max(created) + timedelta(seconds=seconds), self.batch.finished or datetime.max.replace(tzinfo=UTC))

    def to_document(self) -> dict[str, Any]:
        """All that the record has, for ``audit``, ``show`` and ``status``."""
        targets = [self._target(each) | self._invalidations(each) for each in self.targets]
        batch = self.batch
        told = self._document(self.outcome, targets, 0) | known(
            {"state": batch.state.value, "executions": list(batch.executions)}
        )
        return {"version": VERSION, **told, "execution": batch.owner, "console": console_page(batch.owner)}

    def to_report(self) -> dict[str, Any]:
        """For the state and for messages. The failed targets first, and as many of the others as there is room for."""
        documents = [self._target(each) for each in sorted(self.targets, key=lambda each: each.state.final)]
        listed = as_many_as_fit(documents)
        outcome = self.batch.outcome or outcome_of(self.batch, self.targets)
        return self._document(outcome.value, listed, len(documents) - len(listed))

    def _document(self, outcome: str, targets: list[dict[str, Any]], omitted: int) -> dict[str, Any]:
        batch = self.batch
        return {
            "outcome": outcome,
            "succeeded": outcome != IN_PROGRESS and Outcome(outcome).succeeded,
            "recorded": True,
            "batchId": batch.batch_id,
            "changes": batch.changes,
            "parked": self.parked,
            "targets": targets,
            "error": batch.error,
            "message": batch.message,
            **known(
                {
                    "targetsOmitted": omitted,
                    "bucket": batch.bucket,
                    "distributionId": batch.distribution_id,
                    "byHand": batch.by_hand,
                    "dryRun": self.dry_run,
                    "deleted": batch.deleted,
                    "sample": list(batch.sample),
                    "requesters": list(batch.requesters),
                    "price": float(self.price),
                    "opened": to_text(batch.opened),
                    "closed": to_text(batch.closed),
                    "finished": to_text(batch.finished) if batch.finished else None,
                    "seconds": self.seconds,
                    "tries": batch.tries,
                    "nextTryAt": to_text(batch.next_try_at) if batch.next_try_at else None,
                }
            ),
        }

    def _target(self, target: Target) -> dict[str, Any]:
        plan = self._plan_of(target)
        ids = [record.invalidation_id for record in self.created_for(target.distribution_id)]
        return {
            "distributionId": target.distribution_id,
            "state": target.state.value,
            "paths": plan.paths,
            "wildcards": plan.wildcards,
            **known(
                {
                    "pathSample": list(plan.sample),
                    "rule": plan.rule.value if plan.rule else "",
                    "widened": [each.to_document() for each in plan.widened],
                    "price": float(self._price_of(target)),
                    "invalidationIds": ids,
                    "tries": target.tries,
                    "error": target.error,
                    "message": target.message,
                    "seconds": target.seconds,
                    "edge": [dict(each) for each in target.edge],
                }
            ),
        }

    def _invalidations(self, target: Target) -> dict[str, Any]:
        created = [
            {
                "invalidationId": record.invalidation_id,
                "callerReference": record.caller_reference,
                "created": to_text(record.created),
                "paths": record.paths,
                "wildcards": record.wildcards,
            }
            for record in self.created_for(target.distribution_id)
        ]
        return known({"invalidations": created})

    def _plan_of(self, target: Target) -> PlanSummary:
        """What was planned; of a record without a plan, what was sent."""
        ours = self.created_for(target.distribution_id)
        wildcards = sum(each.wildcards for each in ours)
        return target.plan or PlanSummary(sum(each.paths for each in ours), wildcards, len(ours))

    def _price_of(self, target: Target) -> Decimal:
        sent = sum(each.paths for each in self.created_for(target.distribution_id))
        return price(self._plan_of(target).paid if target.only_planned else sent)


def as_many_as_fit(targets: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Documents of targets. Paths are told of as many as there is room for once all that fit are named."""
    room = LONGEST_TARGETS
    listed = []
    for document in targets:
        without = {name: value for name, value in document.items() if name != "pathSample"}
        room -= len(json.dumps(without))
        if room < 0:
            break
        listed.append(without)
    for document, whole in zip(listed, targets, strict=False):
        sample = whole.get("pathSample")
        if sample and len(json.dumps(sample)) < room:
            document["pathSample"] = sample
            room -= len(json.dumps(sample))
    return listed


def console_page(execution: str) -> str:
    """The page of the Step Functions console that shows the execution of this ARN."""
    partition, region = execution.split(":")[1:4:2]
    host = f"{region}.console.amazonaws.cn" if partition == "aws-cn" else f"{region}.console.aws.amazon.com"
    return f"https://{host}/states/home?region={region}#/v2/executions/details/{execution}"


# ---------------------------------------------------------------- what a run came to


def failure_in(document: Mapping[str, Any]) -> Failure:
    """A failure as a Catch puts it into state. ``{"Error", "Cause"}``, where a function's cause is JSON with a trace.

    The Map's results and Join Batch write the same with small letters, and with a ``message`` that is plain already.
    """
    error = str(document.get("Error") or document.get("error") or "Unknown")
    cause = str(document.get("Cause") or document.get("cause") or document.get("message") or "")
    try:
        told = json.loads(cause)
    except ValueError:
        told = None
    message = str(told["errorMessage"]) if isinstance(told, dict) and "errorMessage" in told else cause
    return Failure(error, message[:MAX_MESSAGE] or _WITHOUT_CAUSE.get(error, "no cause was given"))


_WITHOUT_CAUSE = {
    "States.Timeout": "the step did not end within its time limit, nor did its retries",
    "Lambda.Unknown": "the function ended without an answer: out of memory, out of time, or failed while starting",
}


def failure_of(state: Mapping[str, Any]) -> Failure | None:
    """What failed outside the Map, if anything did. Join Batch's own failure is the whole state."""
    if "failure" in state:
        return failure_in(state["failure"])
    return failure_in(state) if "Error" in state else None


def results_of(state: Mapping[str, Any]) -> list[TargetResult]:
    """What the Map returned for each distribution."""
    return [_result(each) for each in state.get("results", [])]


def _result(result: Mapping[str, Any]) -> TargetResult:
    if result["outcome"] in (Status.NOTHING_TO_INVALIDATE, Status.DRY_RUN):
        return TargetResult(result["distributionId"], skipped=True, only_planned=result["outcome"] == Status.DRY_RUN)
    failure = failure_in(result) if result["outcome"] == "Failed" else None
    told = {"error": failure.error, "message": failure.message} if failure else {}
    return TargetResult.from_document({**result, **told})


def report_of_finish(
    table: BatchTable, state: Mapping[str, Any], settled: Settled | None, execution: Execution, now: datetime
) -> dict[str, Any]:
    """What Finish Batch returns: ``{"completed", "error", "cause", "detailType", "outcome"}``.

    ``settled`` is None for a run without a batch: its request cannot be met, or its change could not be accepted.
    """
    failure = failure_of(state)
    if settled is None:
        failure = failure or Failure("Unknown", "the run ended without a batch and without a reason")
        return report_on(_failed(failure), execution, now)
    if settled.batch is None:
        nothing = {"succeeded": False, "recorded": False, "changes": 0, "parked": False, "targets": []}
        failure = failure or Failure("Unknown", "there is no record of the batch")
        return report_on(_failed(failure) | {"batchId": state["batchId"], **nothing}, execution, now)
    return report_on(BatchReport.read(table, settled.batch, settled.targets).to_report(), execution, now)


def report_of_run(state: Mapping[str, Any], execution: Execution, now: datetime) -> dict[str, Any]:
    """What Notify tells: what Finish Batch returned, or, where that failed, the failure itself."""
    if "outcome" not in state:
        failure = failure_of(state) or Failure("Unknown", "Finish Batch ended without a reason")
        return report_on(_failed(failure), execution, now)
    if "announceFailure" not in state:
        return dict(state)
    failure = failure_in(state["announceFailure"])
    cause = f"the batch ended as {state['outcome']['outcome']}, but its event was not taken: {failure.message}"
    error = state["error"] or error_of_fail_state(failure.error)
    outcome = {**state["outcome"], "announceError": failure.error, "announceMessage": failure.message}
    return {"completed": False, "error": error, "cause": cause, "outcome": outcome}


_OF_THE_REQUEST = {InvalidRequest.__name__, BatchNotFound.__name__}


def _failed(failure: Failure) -> dict[str, Any]:
    outcome = Outcome.REJECTED if failure.error in _OF_THE_REQUEST else Outcome.FAILED
    return {"outcome": outcome.value, "error": failure.error, "message": failure.message}


def report_on(document: dict[str, Any], execution: Execution, now: datetime) -> dict[str, Any]:
    """The outcome that a document tells of, as an execution ends with it."""
    completed = Outcome(document["outcome"]).succeeded
    outcome = {
        "version": VERSION,
        **document,
        "execution": execution.arn,
        "console": console_page(execution.arn),
        "runSeconds": round((now - execution.started).total_seconds(), 1),
    }
    return {
        "completed": completed,
        "error": "" if completed else error_of_fail_state(document["error"] or document["outcome"]),
        "cause": "" if completed else document["message"],
        "detailType": COMPLETED_EVENT if completed else FAILED_EVENT,
        "outcome": outcome,
    }


def error_of_fail_state(error: str) -> str:
    """``States.Timeout`` becomes ``Timeout``.

    Names that begin with ``States.`` are Step Functions' own (SFD, "Error names"), and interpreters refuse them in a
    Fail state. The outcome document keeps the name as it was.
    """
    return error.removeprefix("States.")
