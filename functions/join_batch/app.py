"""Join Batch: write what was asked for to the batch table, and find a leader.

Input: ``{"execution", "startedAt", "stateMachine", "input"}``; the last is what the execution was started with.
Output: ``{"role", "bucket", "batchId", "leader", "closesAt"}``: a leader, follower, paused or ended, with ``closed`` as
of Close Batch if nothing is left to that; or an ignored one's ``reason``; or a rejected one's ``failure``.
"""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Any

from invalidation.batches.dynamodb import batch_table
from invalidation.batches.head import Execution, Window, lead_name
from invalidation.batches.join import join_each, join_request, select
from invalidation.cloudfront.patterns import key_filter
from invalidation.config import Settings
from invalidation.errors import BatchNotFound, InvalidRequest
from invalidation.events import Changes, parse
from invalidation.observability import Event, emit_metric, logger, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = batch_table(SETTINGS.batch_table_name)
SECONDS = SETTINGS.batch_window_seconds, SETTINGS.max_batch_window_seconds
WINDOW = Window(*SECONDS, max_paths_a_day=SETTINGS.max_paths_a_day)
INCLUDED = key_filter(SETTINGS.include_keys)


def start(state_machine_arn: str, name: str, document: object) -> None:
    from invalidation.executions import executions_of  # noqa: PLC0415 -- few changes need it, or its client

    executions_of(state_machine_arn).start(name, document)


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    execution = Execution(event["execution"], datetime.fromisoformat(event["startedAt"]))
    attempt, now = uuid.uuid4().hex, partial(datetime.now, UTC)
    try:
        wanted = parse(event["input"], SETTINGS.bucket_names)
        if not isinstance(wanted, Changes):
            return join_request(TABLE, wanted, execution, WINDOW, now, attempt, SETTINGS.bucket_names).to_document()
        if wanted.rejected:
            name = execution.accepted_name
            logger.warning("Events were left out of a list", rejected=[each.message for each in wanted.rejected])
            start(event["stateMachine"], name, wanted.accepted(event["input"]))
            raise wanted.rejection(name)
    except (InvalidRequest, BatchNotFound) as error:
        # Not raised: what fails here is replayed, and this would be wrong every time.
        return {"role": "rejected", "failure": {"error": type(error).__name__, "message": str(error)}}
    changes, reason = select(TABLE, wanted, INCLUDED, now(), skip_unchanged=SETTINGS.skip_unchanged)
    if reason:
        return {"role": "ignored", "reason": reason}
    emit_metric("Changes", sum(map(len, changes.values())), dashboard_only=True)
    for bucket in (each := join_each(TABLE, changes, execution, WINDOW, now, attempt)).leaderless:
        start(event["stateMachine"], lead_name(bucket, execution), {"lead": bucket})
    return each.joined.to_document()
