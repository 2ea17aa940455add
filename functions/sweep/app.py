"""Sweep: nothing that was accepted waits for the next change to be noticed. Runs on a schedule.

It starts a leader where changes wait and none will read them, a retry for batches that are due, and a replay of
executions that ended before their change was in the batch table. It starts nothing when there is nothing to do.
Input: the schedule's event. Output: ``{"started": [{"name", "why"}], "unfinished", "parked", "complete"}``.
Raises SweepIncomplete when all is seen to and a call has failed: Lambda counts it, and tries again after a minute.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config

from invalidation.batches.dynamodb import batch_table
from invalidation.batches.finish import RetryPolicy
from invalidation.batches.head import Window
from invalidation.batches.sweep import SCHEDULE, Swept, sweep
from invalidation.batches.targets import paths_of_month
from invalidation.config import Settings
from invalidation.executions import STEP_FUNCTIONS_CONFIG, Executions
from invalidation.observability import HAS_DASHBOARD, Event, emit_metric, logger, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = batch_table(SETTINGS.batch_table_name)
STEP_FUNCTIONS = boto3.client("stepfunctions", config=Config(**STEP_FUNCTIONS_CONFIG))
EXECUTIONS = Executions(STEP_FUNCTIONS, SETTINGS.state_machine_arn)
WINDOW = Window(SETTINGS.batch_window_seconds, max(SETTINGS.max_batch_window_seconds, SETTINGS.batch_window_seconds))
RETRY = RetryPolicy(SETTINGS.max_tries)


def now() -> datetime:
    return datetime.now(UTC)


@observed
def handler(event: Event, context: Any) -> dict[str, Any]:
    tick = datetime.fromisoformat(event["time"]) if "time" in event else now()
    swept = sweep(TABLE, EXECUTIONS, WINDOW, now, tick, RETRY, lambda: context.get_remaining_time_in_millis() / 1_000)
    paths = paths_of_month(TABLE, now()) if timedelta(minutes=tick.minute) < SCHEDULE else 0
    if paths > SETTINGS.monthly_path_budget or (paths and HAS_DASHBOARD):
        emit_metric("PathsThisMonth", paths)
    _tell(swept)
    return swept.to_document()


def _tell(swept: Swept) -> None:
    """Raises SweepIncomplete."""
    if swept.started or not swept.complete:
        logger.info("The sweep started executions", **swept.to_log())
    for what, reason in swept.troubles():
        logger.error(what, reason=reason)
    if swept.needing_somebody:
        emit_metric("BatchesParked", swept.needing_somebody)
    if swept.oldest > timedelta(seconds=SETTINGS.no_completion_seconds):
        emit_metric("OldestChange", swept.oldest.total_seconds(), "Seconds")
    swept.check()
