"""Get Invalidation: is the edge fresh?

Input: ``{"execution", "batchId", "bucket", "distributionId", "invalidation"}``, the last as Create Invalidation or this
function returned it. Output: the same shape, with what has changed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config

from invalidation.cloudfront import CLOUDFRONT_CONFIG, CloudFront
from invalidation.progress import Progress
from observed import Event, observed, seconds

CLOUDFRONT = CloudFront(boto3.client("cloudfront", config=Config(**CLOUDFRONT_CONFIG)))


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    progress = Progress.from_document(event["invalidation"])
    for pending in progress.pending:
        if CLOUDFRONT.get_invalidation(pending.target, pending.invalidation_id).completed:
            progress = progress.with_completed(pending)
    progress = progress.polled(datetime.now(UTC), event["distributionId"])
    if not progress.pending:
        seconds("SecondsToComplete", progress.seconds)
    return progress.to_document()
