"""Resolve Distributions: freeze which distributions the batch owes, and how each routes the bucket.

Input: ``{"execution", "batchId", "bucket"}``. Output: ``{"count", "targets": [{"distributionId"}], "roomUntil",
"verifyAtEdge"}``.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from invalidation.batches.dynamodb import batch_table
from invalidation.batches.model import Batch, Kind
from invalidation.batches.targets import StoredConfigurations, freeze_targets, owed_targets, targets_of
from invalidation.cloudfront.bucket import BucketReader
from invalidation.cloudfront.client import CloudFront, cloudfront_client
from invalidation.cloudfront.distribution import Distribution
from invalidation.cloudfront.limits import MAX_TARGETS_AT_ONCE
from invalidation.config import Settings, check_is_named, verifies_at_edge
from invalidation.observability import Event, logger, observed

SETTINGS = Settings.from_environment(os.environ)
VERIFY_AT_EDGE = verifies_at_edge(SETTINGS.verify_at_edge)
TABLE = batch_table(SETTINGS.batch_table_name)
BUCKETS = BucketReader()
CLOUDFRONT = CloudFront(
    cloudfront_client(SETTINGS.distribution_role_arn, SETTINGS.distribution_role_external_id),
    buckets=BUCKETS,
    configurations=StoredConfigurations(TABLE, lambda: datetime.now(UTC)),
)


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    BUCKETS.account = event["execution"].split(":")[4]
    batch = Batch.read(TABLE, event["batchId"])
    if batch.resolved is None:
        targets = freeze_targets(TABLE, batch, {each.id: each.to_document() for each in _distributions(batch)})
    else:
        targets = targets_of(TABLE, batch)  # a retry of the batch owes what it owed
    owed = owed_targets(targets)
    if len(owed) > MAX_TARGETS_AT_ONCE:
        logger.warning("The sweep goes on with the distributions beyond the first", owed=len(owed))
    room_until = datetime.now(UTC) + SETTINGS.room_timeout
    return {
        "count": min(len(owed), MAX_TARGETS_AT_ONCE),
        "targets": [{"distributionId": each.distribution_id} for each in owed[:MAX_TARGETS_AT_ONCE]],
        "roomUntil": room_until.isoformat(timespec="seconds"),
        "verifyAtEdge": VERIFY_AT_EDGE,
    }


def _distributions(batch: Batch) -> list[Distribution]:
    if batch.kind is Kind.PATHS:
        check_is_named(batch.distribution_id, SETTINGS.distribution_ids)
        return [CLOUDFRONT.distribution(batch.distribution_id)]
    return CLOUDFRONT.distributions_serving(batch.bucket, named=SETTINGS.distribution_ids)
