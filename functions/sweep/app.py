"""Sweep: nothing that was accepted waits for the next change to be noticed. Runs on a schedule.

It starts leaders where changes wait, retries of what is due, and replays of what was never accepted; hourly it tells
whether they get through. Output: ``{"started": [{"name", "why"}], "unfinished", "parked", "complete"}``.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from invalidation.batches.dynamodb import batch_table
from invalidation.batches.finish import RetryPolicy
from invalidation.batches.head import Window
from invalidation.batches.join import paths_of_day
from invalidation.batches.sweep import SCHEDULE, note_visit, sweep
from invalidation.batches.targets import paths_of_month
from invalidation.config import Settings
from invalidation.executions import executions_of
from invalidation.observability import HAS_DASHBOARD, Event, emit_metric, logger, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = batch_table(SETTINGS.batch_table_name)
EXECUTIONS = executions_of(SETTINGS.state_machine_arn)
WINDOW = Window(SETTINGS.batch_window_seconds, SETTINGS.max_batch_window_seconds)


def now() -> datetime:
    return datetime.now(UTC)


@observed
def handler(event: Event, context: Any) -> dict[str, Any]:
    tick = datetime.fromisoformat(event["time"]) if "time" in event else now()
    retry, left = RetryPolicy(SETTINGS.max_tries), lambda: context.get_remaining_time_in_millis() / 1_000
    swept = sweep(TABLE, EXECUTIONS, WINDOW, now, tick, retry, left, SETTINGS.bucket_names)
    note_visit(TABLE, now())
    if timedelta(minutes=tick.minute) < SCHEDULE:
        paths = paths_of_month(TABLE, now())
        if paths > SETTINGS.monthly_path_budget or (paths and HAS_DASHBOARD):
            emit_metric("PathsThisMonth", paths)
        from invalidation.health_changes import health_of, notify_of_changes  # noqa: PLC0415 -- much, and once an hour

        if broken := notify_of_changes(health_of(SETTINGS, boto3.client, TABLE, now), SETTINGS):
            emit_metric("ChainCut", broken)
    if (today := paths_of_day(TABLE, now())) >= SETTINGS.max_paths_a_day > 0:
        emit_metric("PathsToday", today)
    if swept.started or not swept.complete:
        logger.info("The sweep started executions", **swept.to_log())
    for what, reason in swept.troubles():
        logger.error(what, reason=reason)
    if swept.needing_somebody:
        emit_metric("BatchesParked", swept.needing_somebody)
    if swept.oldest > timedelta(seconds=SETTINGS.no_completion_seconds):
        emit_metric("OldestChange", swept.oldest.total_seconds(), "Seconds")
    swept.check()
    return swept.to_document()
