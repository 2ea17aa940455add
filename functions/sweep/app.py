"""Sweep: nothing that was accepted waits for the next change to be noticed. Runs on a schedule.

It starts a leader where changes wait and none will read them, a retry for batches that are due, and a replay of
executions that ended before their change was in the batch table. It starts nothing when there is nothing to do.
Input: the schedule's event. Output: ``{"started": [{"name", "why"}], "unfinished", "parked"}``.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from invalidation.batches.dynamodb import batch_table
from invalidation.batches.head import Window
from invalidation.batches.sweep import sweep
from invalidation.batches.targets import paths_of_month
from invalidation.config import Settings
from invalidation.executions import Executions
from invalidation.observability import HAS_DASHBOARD, Event, emit_metric, logger, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = batch_table(SETTINGS.batch_table_name)
EXECUTIONS = Executions(boto3.client("stepfunctions"), SETTINGS.state_machine_arn)
WINDOW = Window(SETTINGS.batch_window_seconds, max(SETTINGS.max_batch_window_seconds, SETTINGS.batch_window_seconds))
SCHEDULE_MINUTES = 5
LOOK_BACK = timedelta(days=1)
"""How far back executions are looked at: longer than all replays of one take together."""


def now() -> datetime:
    return datetime.now(UTC)


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    tick = datetime.fromisoformat(event["time"]) if "time" in event else now()
    replayed = _replay()
    swept = sweep(TABLE, EXECUTIONS, WINDOW, now, tick)
    for reason in swept.left_alone:
        logger.error("A record of a later release is left alone", reason=reason)
    if needing_somebody := swept.parked + len(swept.left_alone):
        emit_metric("BatchesParked", needing_somebody)
    if swept.oldest > timedelta(seconds=SETTINGS.no_completion_seconds):
        emit_metric("OldestChange", swept.oldest.total_seconds(), "Seconds")
    if tick.minute < SCHEDULE_MINUTES:
        _count_paths()
    started = [*replayed, *({"name": each.name, "why": each.why} for each in swept.started)]
    if started:
        logger.info("The sweep started executions", started=started)
    return {"started": started, "unfinished": swept.unfinished, "parked": swept.parked}


def _count_paths() -> None:
    """Once an hour: what the month has cost so far, for the budget's alarm."""
    paths = paths_of_month(TABLE, now())
    if paths > SETTINGS.monthly_path_budget or (paths and HAS_DASHBOARD):
        emit_metric("PathsThisMonth", paths)


def _replay() -> list[dict[str, str]]:
    """Start executions again whose changes never came into the batch table."""
    replayed = []
    for lost in EXECUTIONS.unaccepted(since=now() - LOOK_BACK):
        if not lost.is_due(now()):
            continue
        document = EXECUTIONS.input_of(lost.arn)
        if not _is_an_order(document) and EXECUTIONS.start(lost.replay_name, document):
            replayed.append({"name": lost.replay_name, "why": f"the changes of {lost.name} were not accepted"})
    return replayed


def _is_an_order(document: Any) -> bool:
    """Orders to lead or to retry carry no change; where they are still due, the sweep gives them anew."""
    return isinstance(document, dict) and bool({"lead", "retryBatch"} & set(document))
