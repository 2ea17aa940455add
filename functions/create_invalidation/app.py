"""Create Invalidation: changes become a frozen plan, which is sent as CloudFront has room.

Input: ``{"execution", "batchId", "bucket", "distributionId", "roomUntil"}``. Output: a ``Progress`` document.
"""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import boto3
from botocore.config import Config

from invalidation.batches.dynamodb import batch_table
from invalidation.batches.send import Sender
from invalidation.cloudfront.client import CloudFront, cloudfront_client
from invalidation.cloudfront.listing import BucketLister
from invalidation.config import Settings, rules_of, sending_limits_of
from invalidation.errors import CloudFrontThrottled, NoRoomInTime, TooManyInvalidationsInProgress
from invalidation.observability import Event, emit_metric, logger, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = batch_table(SETTINGS.batch_table_name)
CLOUDFRONT = CloudFront(cloudfront_client(SETTINGS.distribution_role_arn, SETTINGS.distribution_role_external_id))
RULES = rules_of(SETTINGS)
LIMITS = sending_limits_of(SETTINGS)
s3 = cache(lambda: boto3.client("s3", config=Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard"})))
"""Made when tags are to be read or a bucket is to be listed: few batches need either."""
LISTER = BucketLister(s3, logger.warning)


def now() -> datetime:
    return datetime.now(UTC)


def seconds_left(context: Any) -> float:
    """Of the function's time; without end where nobody says."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return math.inf if remaining is None else remaining() / 1_000


@observed
def handler(event: Event, context: Any) -> dict[str, Any]:
    sender = Sender(TABLE, CLOUDFRONT, s3, LISTER, now, RULES, LIMITS)
    room = datetime.fromisoformat(event["roomUntil"]), partial(seconds_left, context)
    try:
        progress, created = sender.send(event["batchId"], event["distributionId"], *room)
    except (TooManyInvalidationsInProgress, CloudFrontThrottled, NoRoomInTime):
        emit_metric("CloudFrontThrottles", dashboard_only=True)
        raise
    for each in created:
        emit_metric("PathsInvalidated", each.paths, dashboard_only=True)
        emit_metric("WildcardsInvalidated", each.wildcards, dashboard_only=True)
    return progress.to_document()
