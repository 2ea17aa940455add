"""Verify At Edge: after CloudFront has reported completion, do viewers get what the bucket holds?

Input: ``{"execution", "batchId", "bucket", "distributionId"}``. Output: ``{"looked": [{"path", "verdict", "stored",
"served"}]}``. Raises ``EdgeStillStale`` when one path is. It looks at a few of the changed keys, at one edge location.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import Any

import boto3
from botocore.config import Config

from invalidation.batches.dynamodb import DYNAMODB_CONFIG, DynamoBatchTable
from invalidation.batches.model import Batch, Kind, read_batch
from invalidation.batches.snapshot import frozen_changes
from invalidation.batches.targets import read_target, record_looks
from invalidation.cloudfront.edge import Looked, Verdict, look
from invalidation.cloudfront.routing import Distribution, PathRules, served
from invalidation.cloudfront.routing import Verdict as Routing
from invalidation.config import Settings
from invalidation.errors import EdgeStillStale
from invalidation.observability import Event, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = DynamoBatchTable(boto3.client("dynamodb", config=Config(**DYNAMODB_CONFIG)), SETTINGS.batch_table_name)
S3 = boto3.client("s3", config=Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2}))
RULES = PathRules(directory_index=SETTINGS.directory_index)
MAX_LOOKS = 3
MAX_KEYS = 100
"""Keys of a batch among which a few are sought that viewers reach under a path of their own."""


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    batch = read_batch(TABLE, event["batchId"])
    distribution = Distribution.from_document(read_target(TABLE, batch.batch_id, event["distributionId"]).document)
    host = SETTINGS.verify_host or distribution.domain_name
    looks = [look(S3, batch.bucket, key, host, path) for key, path in islice(_paths(batch, distribution), MAX_LOOKS)]
    record_looks(TABLE, batch.batch_id, distribution.id, [each.to_document() for each in looks])
    stale = [each for each in looks if each.verdict is Verdict.STALE]
    if stale:
        raise EdgeStillStale(_told(stale[0], host))
    return {"looked": [each.to_document() for each in looks]}


def _paths(batch: Batch, distribution: Distribution) -> Iterator[tuple[str, str]]:
    """Changed keys, each with the path under which viewers reach just it; not where a function may rewrite requests."""
    if batch.kind is Kind.PATHS:
        return
    for change in islice(frozen_changes(TABLE, batch), MAX_KEYS):
        found = served(distribution, change.key, RULES)
        exact = [path for path in found.paths if not path.endswith("*") and path != "/"]
        if found.verdict is Routing.SERVED and exact:
            yield change.key, exact[0]


def _told(stale: Looked, host: str) -> str:
    return (
        f"CloudFront reported the invalidation as completed, but https://{host}{stale.path} still gave {stale.served}, "
        f"and the bucket holds {stale.stored}. One edge location was asked; `invalidations explain` says who serves it"
    )
