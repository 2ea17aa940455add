"""Create Invalidation: the frozen changes become the cheapest set of paths, and CloudFront is told.

Input: ``{"execution", "batchId", "bucket", "distributionId", "roomUntil"}``. Output: a ``Progress`` document.
Running twice sends the very same requests, which CloudFront knows by their caller references.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config

from invalidation.batches import DYNAMODB_CONFIG, DynamoBatchTable
from invalidation.cloudfront import CLOUDFRONT_CONFIG, CloudFront
from invalidation.errors import CloudFrontThrottled, NoRoomInTime, TooManyInvalidationsInProgress
from invalidation.lifecycle import (
    Batch,
    InvalidationRecord,
    Kind,
    PlanSummary,
    frozen_changes,
    frozen_paths,
    invalidations,
    read_batch,
    record_invalidation,
    record_plan,
    target,
)
from invalidation.plan import Budget, Plan, plan
from invalidation.progress import Pending, Progress, Status
from invalidation.references import caller_reference
from invalidation.routing import Distribution, PathRules, paths_for
from invalidation.settings import Settings
from observed import Event, count, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = DynamoBatchTable(boto3.client("dynamodb", config=Config(**DYNAMODB_CONFIG)), SETTINGS.batch_table_name)
CLOUDFRONT = CloudFront(boto3.client("cloudfront", config=Config(**CLOUDFRONT_CONFIG)))
BUDGET = Budget(SETTINGS.max_exact_paths, SETTINGS.max_cover_paths, SETTINGS.max_wildcards, SETTINGS.widest_path)
RULES = PathRules(directory_index=SETTINGS.directory_index)


def now() -> datetime:
    return datetime.now(UTC)


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    batch = read_batch(TABLE, event["batchId"])
    distribution = Distribution.from_document(target(TABLE, batch.batch_id, event["distributionId"]).document)
    planned = plan(_wanted(batch, distribution), BUDGET)
    status = _nothing_to_send(batch, planned)
    record_plan(TABLE, batch.batch_id, distribution.id, PlanSummary.of(planned))
    if status is None:
        try:
            sent = tuple(_send(batch, distribution, planned))
        except (TooManyInvalidationsInProgress, CloudFrontThrottled) as error:
            _raise_when_too_late(error, event)
            raise
        status = Status.COMPLETED if all(each.completed for each in sent) else Status.IN_PROGRESS
    else:
        sent = ()
    return Progress(status, now(), now() + SETTINGS.completion_timeout, sent).to_document()


def _wanted(batch: Batch, distribution: Distribution) -> Iterator[str]:
    """The paths that the frozen batch is about: given by hand, or those under which viewers reach the changed keys."""
    if batch.kind is Kind.PATHS:
        return frozen_paths(TABLE, batch)
    return paths_for(distribution, (change.key for change in frozen_changes(TABLE, batch)), RULES)


def _nothing_to_send(batch: Batch, planned: Plan) -> Status | None:
    if not planned.paths:
        return Status.NOTHING_TO_INVALIDATE
    if batch.dry_run or SETTINGS.dry_run:
        return Status.DRY_RUN
    return None


def _send(batch: Batch, distribution: Distribution, planned: Plan) -> Iterator[Pending]:
    """Create each invalidation that an earlier attempt has not recorded already."""
    known = {each.caller_reference: each for each in invalidations(TABLE, batch.batch_id, distribution.id)}
    requests = [(each, paths) for each in CLOUDFRONT.targets(distribution) for paths in planned.requests()]
    for number, (to, paths) in enumerate(requests):
        reference = caller_reference(batch.batch_id, str(to), number, paths)
        if reference in known:
            yield Pending(str(to), known[reference].invalidation_id)
        else:
            created = CLOUDFRONT.create_invalidation(to, paths, reference)
            wildcards = sum(path.endswith("*") for path in paths)
            record = InvalidationRecord(number, created.id, reference, len(paths), wildcards, created.create_time)
            record_invalidation(TABLE, batch.batch_id, distribution.id, record)
            count("PathsInvalidated", len(paths))
            count("WildcardsInvalidated", wildcards)
            yield Pending(str(to), created.id, created.completed)


def _raise_when_too_late(error: Exception, event: Event) -> None:
    if now() >= datetime.fromisoformat(event["roomUntil"]):
        raise NoRoomInTime(
            f"CloudFront had no room for the invalidation until {event['roomUntil']}, which RoomTimeoutMinutes allows. "
            f"The sweep tries again. CloudFront's last word: {error}"
        ) from None
