"""Whether the edge is fresh, told from outside: what S3 holds, what CloudFront was asked to invalidate, and when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from invalidations_cli.local.aws import LocalAws
from tests.cloudfront_model import Reading, purged


@dataclass(frozen=True, slots=True)
class Created:
    """An invalidation as CloudFront tells of it."""

    invalidation_id: str
    created: datetime
    paths: tuple[str, ...]
    caller_reference: str

    def reaches(self, key: str) -> bool:
        """Whether the edge drops what it holds of this key, by a model of CloudFront that knows nothing of ours."""
        return any(purged(path, f"/{quote(key)}", Reading.ONE_SPELLING) for path in self.paths)


def invalidations(aws: LocalAws, distribution_id: str) -> list[Created]:
    """All of a distribution, oldest first."""
    cloudfront = aws.client("cloudfront")
    pages = cloudfront.get_paginator("list_invalidations").paginate(DistributionId=distribution_id)
    ids = [item["Id"] for page in pages for item in page["InvalidationList"].get("Items", [])]
    found = [cloudfront.get_invalidation(DistributionId=distribution_id, Id=each)["Invalidation"] for each in ids]
    return sorted((created(each) for each in found), key=lambda each: each.created)


def created(invalidation: Mapping[str, Any]) -> Created:
    batch = invalidation["InvalidationBatch"]
    paths = tuple(batch["Paths"]["Items"])
    return Created(invalidation["Id"], invalidation["CreateTime"], paths, batch["CallerReference"])


def last_written(aws: LocalAws, bucket: str) -> dict[str, datetime]:
    """Each key that is in the bucket, and when it was last put there."""
    pages = aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {item["Key"]: item["LastModified"] for page in pages for item in page.get("Contents", [])}


def stale(changes: Mapping[str, datetime], done: Iterable[Created]) -> list[str]:
    """The keys that no invalidation reaches which was created after their last change."""
    made = list(done)
    return [key for key, at in changes.items() if not any(each.created >= at and each.reaches(key) for each in made)]
