"""Create Invalidation: the frozen changes become the cheapest set of paths, and CloudFront is told.

Input: ``{"execution", "batchId", "bucket", "distributionId", "roomUntil"}``. Output: a ``Progress`` document.
Running twice sends the very same requests, which CloudFront knows by their caller references.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import product
from typing import Any

import boto3
from botocore.config import Config

from invalidation.batches.dynamodb import DYNAMODB_CONFIG, DynamoBatchTable
from invalidation.batches.model import Batch, InvalidationRecord, Kind, PlanSummary, read_batch
from invalidation.batches.snapshot import frozen_changes, frozen_paths
from invalidation.batches.targets import count_paths, invalidations, read_target, record_invalidation, record_plan
from invalidation.cloudfront.client import CloudFront, Target, caller_reference, cloudfront_client
from invalidation.cloudfront.limits import MAX_PATHS_A_REQUEST, MAX_WILDCARDS_BY_HAND
from invalidation.cloudfront.plan import Budget, Plan
from invalidation.cloudfront.progress import Pending, Progress, Status
from invalidation.cloudfront.routing import Distribution
from invalidation.cloudfront.tags import TagReader, with_tags
from invalidation.cloudfront.tags import planned as planned_for
from invalidation.config import Settings, budget_of, rules_of
from invalidation.errors import CloudFrontThrottled, NoRoomInTime, TooManyInvalidationsInProgress
from invalidation.observability import Event, chart, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = DynamoBatchTable(boto3.client("dynamodb", config=Config(**DYNAMODB_CONFIG)), SETTINGS.batch_table_name)
CLOUDFRONT = CloudFront(
    cloudfront_client(SETTINGS.distribution_role_arn, SETTINGS.distribution_role_external_id),
    max_tenants=SETTINGS.max_tenants,
)
BUDGET = budget_of(SETTINGS)
BY_HAND = Budget(MAX_PATHS_A_REQUEST, MAX_PATHS_A_REQUEST, MAX_WILDCARDS_BY_HAND, SETTINGS.widest_path)
"""Who names paths wants just those: with more than 15 wildcards they are sent as CloudFront has room. What is beyond
this is merged, and told as widened."""
RULES = rules_of(SETTINGS)
S3 = boto3.client("s3", config=Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard"}))
MAX_TAG_LOOKUPS = 100
"""Objects whose tags are read for one batch; a storm is covered by paths, which takes one request instead."""


def now() -> datetime:
    return datetime.now(UTC)


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    batch = read_batch(TABLE, event["batchId"])
    distribution = Distribution.from_document(read_target(TABLE, batch.batch_id, event["distributionId"]).document)
    planned = _planned(batch, distribution)
    status = _nothing_to_send(batch, planned)
    try:
        targets = CLOUDFRONT.targets(distribution) if planned.paths else ()
        record_plan(TABLE, batch.batch_id, distribution.id, PlanSummary.of(planned, copies=len(targets)))
        sent = () if status else tuple(_send(batch, distribution.id, planned, targets))
    except (TooManyInvalidationsInProgress, CloudFrontThrottled) as error:
        chart("CloudFrontThrottles")
        _raise_when_too_late(error, event)
        raise
    if status is None:
        status = Status.COMPLETED if all(each.completed for each in sent) else Status.IN_PROGRESS
    return Progress(status, now(), now() + SETTINGS.completion_timeout, sent).to_document()


def _planned(batch: Batch, distribution: Distribution) -> Plan:
    """What to send for the frozen batch: paths given by hand, or those under which viewers reach the changed keys."""
    if batch.kind is Kind.PATHS:
        return with_tags(frozen_paths(TABLE, batch), BY_HAND)
    few = batch.changes <= MAX_TAG_LOOKUPS
    tags_of = TagReader(S3, batch.bucket, distribution.tag_metadata_key) if few else None
    return planned_for(distribution, partial(_keys, batch), RULES, BUDGET, tags_of)


def _keys(batch: Batch) -> Iterator[str]:
    return (change.key for change in frozen_changes(TABLE, batch))


def _nothing_to_send(batch: Batch, planned: Plan) -> Status | None:
    if not planned.paths:
        return Status.NOTHING_TO_INVALIDATE
    if batch.dry_run or SETTINGS.dry_run:
        return Status.DRY_RUN
    return None


def _send(batch: Batch, distribution_id: str, planned: Plan, targets: Sequence[Target]) -> Iterator[Pending]:
    """Create each invalidation that an earlier attempt has not recorded already."""
    known = {each.caller_reference: each for each in invalidations(TABLE, batch.batch_id, distribution_id)}
    # Numbered for each target: a tenant that is new since an earlier attempt must not change the others' references.
    for to, (number, paths) in product(targets, enumerate(planned.requests())):
        reference = caller_reference(batch.batch_id, str(to), number, paths)
        if reference in known:
            yield Pending(str(to), known[reference].invalidation_id)
        else:
            created = CLOUDFRONT.create_invalidation(to, paths, reference)
            wildcards = sum(path.endswith("*") for path in paths)
            record = InvalidationRecord(number, created.id, reference, len(paths), wildcards, created.create_time)
            record_invalidation(TABLE, batch.batch_id, distribution_id, record)
            count_paths(TABLE, len(paths), now())
            chart("PathsInvalidated", len(paths))
            chart("WildcardsInvalidated", wildcards)
            yield Pending(str(to), created.id, created.completed)


def _raise_when_too_late(error: Exception, event: Event) -> None:
    if now() >= datetime.fromisoformat(event["roomUntil"]):
        raise NoRoomInTime(
            f"CloudFront had no room for the invalidation until {event['roomUntil']}, which RoomTimeoutMinutes allows. "
            f"The sweep tries again. CloudFront's last word: {error}"
        ) from None
