"""Create Invalidation: the frozen changes become the cheapest set of paths, and CloudFront is told.

Input: ``{"execution", "batchId", "bucket", "distributionId", "roomUntil"}``. Output: a ``Progress`` document.
Running twice sends the very same requests, which CloudFront knows by their caller references.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from invalidation.batches.dynamodb import batch_table
from invalidation.batches.send import Sender
from invalidation.cloudfront.client import CloudFront, cloudfront_client
from invalidation.cloudfront.listing import BucketLister
from invalidation.config import Settings, budget_of, rules_of
from invalidation.errors import CloudFrontThrottled, NoRoomInTime, TooManyInvalidationsInProgress
from invalidation.observability import Event, emit_metric, logger, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = batch_table(SETTINGS.batch_table_name)
CLOUDFRONT = CloudFront(
    cloudfront_client(SETTINGS.distribution_role_arn, SETTINGS.distribution_role_external_id),
    max_tenants=SETTINGS.max_tenants,
)
RULES = rules_of(SETTINGS)
BUDGET = budget_of(SETTINGS)
s3 = cache(lambda: boto3.client("s3", config=Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard"})))
"""Made when tags are to be read or a bucket is to be listed: few batches need either."""
LISTER = BucketLister(s3, logger.warning)


def now() -> datetime:
    return datetime.now(UTC)


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    sender = Sender(TABLE, CLOUDFRONT, s3, LISTER, now, RULES, BUDGET, SETTINGS.dry_run, SETTINGS.completion_timeout)
    try:
        progress, created = sender.send(event["batchId"], event["distributionId"])
    except (TooManyInvalidationsInProgress, CloudFrontThrottled) as error:
        emit_metric("CloudFrontThrottles", dashboard_only=True)
        if now() >= datetime.fromisoformat(event["roomUntil"]):
            raise NoRoomInTime(
                f"CloudFront had no room for the invalidation until {event['roomUntil']}, which RoomTimeoutMinutes "
                f"allows. The sweep tries again. CloudFront's last word: {error}"
            ) from None
        raise
    for each in created:
        emit_metric("PathsInvalidated", each.paths, dashboard_only=True)
        emit_metric("WildcardsInvalidated", each.wildcards, dashboard_only=True)
    return progress.to_document()
