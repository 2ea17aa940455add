"""Finish Batch writes the outcome into the batch record. What is still owed stays owed.

Input: ``{"execution", "startedAt", "state"}``, the last being the state machine's whole state: the batch with what its
Map returned, a failure of a state outside the Map, or what Join Batch rejected or failed with.
Output: ``{"completed", "error", "cause", "detailType", "outcome"}``.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from invalidation.batches.dynamodb import batch_table
from invalidation.batches.finish import RetryPolicy, Settled, finish
from invalidation.batches.head import Execution
from invalidation.config import Settings
from invalidation.observability import Event, emit_metric, observed
from invalidation.outcome import failure_of, report_of_finish, results_of

SETTINGS = Settings.from_environment(os.environ)
TABLE = batch_table(SETTINGS.batch_table_name)


def now() -> datetime:
    return datetime.now(UTC)


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    state, execution = event["state"], Execution(event["execution"], datetime.fromisoformat(event["startedAt"]))
    settled = _finish(state, execution) if "batchId" in state else None
    report = report_of_finish(TABLE, state, settled, execution, now())
    emit_metric("BatchesCompleted" if report["completed"] else "BatchesFailed", dashboard_only=True)
    return report


def _finish(state: Event, execution: Execution) -> Settled:
    retry, retention = RetryPolicy(SETTINGS.max_tries), SETTINGS.audit_retention
    return finish(TABLE, state["batchId"], execution, results_of(state), failure_of(state), now, retry, retention)
