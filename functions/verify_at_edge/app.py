"""Verify At Edge: after CloudFront has reported completion, do viewers get what the bucket holds?

Input: ``{"execution", "batchId", "bucket", "distributionId"}``. Output: ``{"looked": [{"path", "verdict", "stored",
"served"}]}``. Raises ``EdgeStillStale`` when one path is. It looks at a few of the changed keys, at one edge location.
"""

from __future__ import annotations

import os
from typing import Any

import boto3
from botocore.config import Config

from invalidation.batches.dynamodb import batch_table
from invalidation.batches.model import Batch, Kind
from invalidation.batches.snapshot import frozen_changes
from invalidation.batches.targets import Target, record_looks
from invalidation.cloudfront.distribution import Distribution
from invalidation.cloudfront.edge import look, paths_to_look_at, require_fresh
from invalidation.cloudfront.rules import PathRules
from invalidation.config import Settings, host_to_verify
from invalidation.observability import Event, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = batch_table(SETTINGS.batch_table_name)
S3 = boto3.client("s3", config=Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2}))
RULES = PathRules(directory_index=SETTINGS.directory_index)


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    batch = Batch.read(TABLE, event["batchId"])
    distribution = Distribution.from_document(Target.read(TABLE, batch.batch_id, event["distributionId"]).document)
    host = host_to_verify(SETTINGS.verify_at_edge, distribution.domain_name)
    keys = () if batch.kind is Kind.PATHS else (change.key for change in frozen_changes(TABLE, batch))
    looks = [look(S3, batch.bucket, key, host, path) for key, path in paths_to_look_at(distribution, keys, RULES)]
    documents = [each.to_document() for each in looks]
    record_looks(TABLE, batch.batch_id, distribution.id, documents)
    require_fresh(looks, host)
    return {"looked": documents}
