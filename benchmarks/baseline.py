"""What most people run: one Lambda function on the bucket's notifications, one invalidation for each object.

``handler`` is the one of countless tutorials: for each notification it lists all distributions, takes those with the
bucket as an origin, and creates an invalidation with the object's path and the time as its caller reference.
``handler_of_everything`` is the other one: the same with ``/*``, whatever has changed.

Neither batches, waits, or remembers what failed; Lambda runs a failed one twice more, and drops it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

import boto3

MEMORY = 128
"""MB: Lambda's own default."""


def handler(event: Any, _context: Any) -> None:
    for record in event["Records"]:
        invalidate(record["s3"]["bucket"]["name"], "/" + unquote_plus(record["s3"]["object"]["key"]))


def handler_of_everything(event: Any, _context: Any) -> None:
    for record in event["Records"]:
        invalidate(record["s3"]["bucket"]["name"], "/*")


def invalidate(bucket: str, path: str) -> None:
    for distribution_id in distributions_of(bucket):
        client().create_invalidation(
            DistributionId=distribution_id,
            InvalidationBatch={"Paths": {"Quantity": 1, "Items": [path]}, "CallerReference": str(time.time_ns())},
        )


def distributions_of(bucket: str) -> Iterator[str]:
    for page in client().get_paginator("list_distributions").paginate():
        for distribution in page["DistributionList"].get("Items", []):
            if any(origin["DomainName"].startswith(f"{bucket}.s3") for origin in distribution["Origins"]["Items"]):
                yield distribution["Id"]


@cache
def client() -> Any:
    return boto3.client("cloudfront")


def notification(bucket: str, key: str) -> dict[str, Any]:
    """The S3 notification, as far as it is read."""
    return {"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]}
