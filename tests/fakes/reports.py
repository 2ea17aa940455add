"""Batches as reports tell of them, without a table."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from invalidation.batches.finish import Failure
from invalidation.batches.head import Execution
from invalidation.batches.model import Batch, BatchState, Outcome
from invalidation.batches.targets import InvalidationRecord, PlanSummary, Target, TargetState
from invalidation.outcome import BatchReport, report_of_run, report_on

ARN = "arn:aws:states:eu-central-1:123456789012:execution:site-invalidation:by-hand"
STARTED = datetime(2026, 11, 12, 9, 14, 1, tzinfo=UTC)
NOW = STARTED + timedelta(seconds=9.44)
RUN = Execution(ARN, STARTED)
BATCH_ID = "20261112T091401Z-5f2b8c41d0"

BATCH = Batch(
    batch_id=BATCH_ID,
    owner=ARN,
    attempt="attempt",
    chunks=1,
    changes=2,
    opened=STARTED,
    closed=STARTED,
    bucket="my-site",
    state=BatchState.ENDED,
    executions=(ARN,),
    sample=("a", "b"),
    resolved=("E2QWRUHAPOMQZL",),
    outcome=Outcome.COMPLETED,
    finished=STARTED + timedelta(seconds=9),
)
DONE = Target(
    BATCH_ID, "E2QWRUHAPOMQZL", state=TargetState.COMPLETED, seconds=5, plan=PlanSummary(3, 0, 1, (), ("/a", "/b"))
)
OWED = Target(
    BATCH_ID, "EDFDVBD632BHDS5", tries=1, error="CloudFrontThrottled", message="told", plan=PlanSummary(1, 0, 1)
)
PARKED = replace(OWED, state=TargetState.PARKED, error="AccessDenied", message="Grant it")
CREATED = (("E2QWRUHAPOMQZL", InvalidationRecord(0, "I1", f"{BATCH_ID}.0", 3, 0, STARTED)),)

COMPLETED = BatchReport(BATCH, (DONE,), CREATED)
FAILURE: dict[str, Any] = {
    "state": BatchState.FROZEN,
    "outcome": Outcome.FAILED,
    "finished": None,
    "error": "CloudFrontThrottled",
    "message": "told",
    "tries": 1,
    "next_try_at": STARTED + timedelta(minutes=5),
}
FAILED = BatchReport(replace(BATCH, **FAILURE), (OWED,), ())
OF_PATHS = BatchReport(replace(BATCH, bucket="", distribution_id="E2QWRUHAPOMQZL", changes=1), (DONE,), CREATED)


def with_batch(report: BatchReport, **changed: Any) -> BatchReport:
    return replace(report, batch=replace(report.batch, **changed))


def ended(report: BatchReport) -> dict[str, Any]:
    """What Finish Batch returns of a batch, after a round through JSON."""
    told: dict[str, Any] = json.loads(json.dumps(report_on(report.to_report(), RUN, NOW)))
    return told


def outcome(report: BatchReport) -> dict[str, Any]:
    told: dict[str, Any] = ended(report)["outcome"]
    return told


def ended_without_batch(failure: Failure) -> dict[str, Any]:
    """What is told of a run whose Join Batch failed."""
    return report_of_run({"failure": {"Error": failure.error, "Cause": failure.message}}, RUN, NOW)
