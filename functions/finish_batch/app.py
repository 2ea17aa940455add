"""Finish Batch: the outcome goes into the batch record, and what is still owed stays owed.

Input: ``{"execution", "startedAt", "state"}``, the last being the state machine's whole state: the batch with what its
Map returned, a failure of a state outside the Map, or what Join Batch rejected or failed with.
Output: ``{"completed", "error", "cause", "detailType", "outcome"}``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config

from invalidation import outcome as reports
from invalidation.batches.dynamodb import DYNAMODB_CONFIG, DynamoBatchTable
from invalidation.batches.finish import Failure, RetryPolicy, TargetResult, finish
from invalidation.batches.head import Execution
from invalidation.cloudfront.progress import Status
from invalidation.config import Settings
from invalidation.observability import Event, chart, observed
from invalidation.outcome import Finished, finished

SETTINGS = Settings.from_environment(os.environ)
TABLE = DynamoBatchTable(boto3.client("dynamodb", config=Config(**DYNAMODB_CONFIG)), SETTINGS.batch_table_name)

_SKIPPED = (Status.NOTHING_TO_INVALIDATE, Status.DRY_RUN)


def now() -> datetime:
    return datetime.now(UTC)


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    state = event["state"]
    started = datetime.fromisoformat(event["startedAt"])
    failure = reports.failure_of(state)
    if "batchId" in state:
        told = _finish(state, Execution(event["execution"], started), failure)
        report = reports.of_batch(told, reports.Run(event["execution"], started, now()))
    else:
        nameless = failure or reports.Caught("Unknown", "the run ended without a batch and without a reason")
        report = reports.without_batch(nameless, reports.Run(event["execution"], started, now()))
    chart("BatchesCompleted" if report["completed"] else "BatchesFailed")
    return report


def _finish(state: Mapping[str, Any], execution: Execution, failure: reports.Caught | None) -> Finished:
    why = Failure(failure.error, failure.message) if failure else None
    settled = finish(
        TABLE,
        state["batchId"],
        execution,
        [_result(each) for each in state.get("results", [])],
        why,
        now,
        RetryPolicy(SETTINGS.max_tries),
        SETTINGS.audit_retention,
    )
    return finished(TABLE, settled, state["batchId"], why)


def _result(result: Mapping[str, Any]) -> TargetResult:
    """What the Map returned for one distribution, with the failure in plain words."""
    if result["outcome"] in _SKIPPED:
        return TargetResult(result["distributionId"], skipped=True, only_planned=result["outcome"] == Status.DRY_RUN)
    if result["outcome"] != "Failed":
        return TargetResult.from_document(dict(result))
    failure = reports.caught(result)
    return TargetResult.from_document({**result, "error": failure.error, "message": failure.message})
