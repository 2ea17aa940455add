"""Join Batch: what was asked for is in the batch table before anything else can fail, and it is known who leads.

Input: ``{"execution", "startedAt", "stateMachine", "input"}``; the last is what the execution was started with.
Output: ``{"role", "bucket", "batchId", "leader", "closesAt"}``, where role is leader, follower, paused or ended; or
``{"role": "ignored", "reason"}``; or ``{"role": "rejected", "failure": {"error", "message"}}``.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import boto3

from invalidation.batches import join as joining
from invalidation.batches import join as requesting
from invalidation.batches import join as unchanged
from invalidation.batches import targets as claiming
from invalidation.batches.dynamodb import batch_table
from invalidation.batches.head import Execution, Joined, Window, batch_id, lead_name
from invalidation.cloudfront.patterns import key_filter
from invalidation.config import Settings
from invalidation.errors import BatchNotFound, InvalidRequest
from invalidation.events import Change, Changes, KeysRequest, Lead, PathsRequest, RetryBatch, parse
from invalidation.executions import Executions
from invalidation.observability import Event, emit_metric, logger, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = batch_table(SETTINGS.batch_table_name)
STEP_FUNCTIONS = boto3.client("stepfunctions")
WINDOW = Window(SETTINGS.batch_window_seconds, max(SETTINGS.max_batch_window_seconds, SETTINGS.batch_window_seconds))
INCLUDED = key_filter(SETTINGS.include_keys)


def now() -> datetime:
    return datetime.now(UTC)


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    execution = Execution(event["execution"], datetime.fromisoformat(event["startedAt"]))
    executions = Executions(STEP_FUNCTIONS, event["stateMachine"])
    try:
        wanted = parse(event["input"])
        if not isinstance(wanted, Changes):
            return _join_request(wanted, execution).to_document()
    except (InvalidRequest, BatchNotFound) as error:
        # Not raised: what fails here is replayed, and this would be wrong every time.
        return _rejected(type(error), str(error))
    if wanted.rejected:
        return _part_company(event["input"], wanted, execution, executions)
    changes = [change for change in wanted.changes if INCLUDED(change.key)]
    if wanted.changes and not changes:
        return _ignored("IncludeKeys leaves the key out")
    if SETTINGS.skip_unchanged:
        changes = unchanged.without_unchanged(TABLE, changes, now())
    if not changes:
        return _ignored("nothing changed that viewers could see")
    emit_metric("Changes", len(changes), dashboard_only=True)
    return _join_changes(changes, execution, executions).to_document()


def _join_request(wanted: KeysRequest | PathsRequest | Lead | RetryBatch, execution: Execution) -> Joined:
    attempt = uuid.uuid4().hex
    match wanted:
        case KeysRequest(bucket, keys, dry_run):
            changes = [Change(bucket, key, event_id="") for key in keys]
            return requesting.open_own_batch(TABLE, bucket, changes, execution, now, attempt, dry_run=dry_run)
        case PathsRequest(distribution_id, paths, dry_run):
            return requesting.open_paths_batch(TABLE, distribution_id, paths, execution, now, attempt, dry_run=dry_run)
        case Lead(bucket):
            return joining.join(TABLE, bucket, (), execution, WINDOW, now, attempt)
        case RetryBatch(batch_id):
            return claiming.claim(TABLE, batch_id, execution, now)


def _join_changes(changes: Sequence[Change], execution: Execution, executions: Executions) -> Joined:
    by_bucket: dict[str, list[Change]] = {}
    for change in changes:
        by_bucket.setdefault(change.bucket, []).append(change)
    joined = joining.join_each(TABLE, by_bucket, execution, WINDOW, now, uuid.uuid4().hex)
    for bucket in joined.leaderless:
        executions.start(lead_name(bucket, execution), {"lead": bucket})
    return joined.joined


def _part_company(events: list[Any], wanted: Changes, execution: Execution, executions: Executions) -> dict[str, Any]:
    """One wrong event must not cost the others of its list: they go on in another execution, and this one fails."""
    wrong = {each.position for each in wanted.rejected}
    name = f"accepted-{batch_id(execution)}"
    executions.start(name, [each for position, each in enumerate(events) if position not in wrong])
    logger.warning("Events were left out of a list", rejected=[each.message for each in wanted.rejected])
    return _rejected(
        InvalidRequest, f"{wanted.rejected[0].message} (the other events of the list go on in execution {name})"
    )


def _ignored(reason: str) -> dict[str, Any]:
    return {"role": "ignored", "reason": reason}


def _rejected(error: type[InvalidRequest | BatchNotFound], message: str) -> dict[str, Any]:
    return {"role": "rejected", "failure": {"error": error.__name__, "message": message}}
