"""Get Invalidation: is the edge fresh?

Input: ``{"execution", "batchId", "bucket", "distributionId", "invalidation"}``, the last as Create Invalidation or this
function returned it. Output: the same shape, with what has changed.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from invalidation.cloudfront.client import CloudFront, cloudfront_client
from invalidation.cloudfront.progress import Progress
from invalidation.config import Settings
from invalidation.observability import Event, emit_metric, observed

SETTINGS = Settings.from_environment(os.environ)
CLOUDFRONT = CloudFront(cloudfront_client(SETTINGS.distribution_role_arn, SETTINGS.distribution_role_external_id))


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    progress = Progress.from_document(event["invalidation"])
    progress = progress.polled_by(CLOUDFRONT, datetime.now(UTC), event["distributionId"])
    if not progress.pending:
        emit_metric("SecondsToComplete", progress.seconds, "Seconds", dashboard_only=True)
    return progress.to_document()
