"""What else people run: one Lambda function on the bucket's notifications, by themselves or from a queue.

``handler`` is the one of countless tutorials: for each notification it lists all distributions, takes those with the
bucket as an origin, and creates an invalidation with the object's path and the time as its caller reference.
``handler_of_everything`` is the other one: the same with ``/*``, whatever has changed.

Neither batches, waits, or remembers what failed; Lambda runs a failed one twice more, and drops it.

``handler_of_batches`` is what a careful team writes: an SQS queue with a batching window in front of one function,
which sends all paths of a batch in one invalidation, up to 1,000, and ``/*`` where there are more. A batch that
CloudFront refuses is tried again until the queue gives it up. Keys are encoded by ``urllib.parse.quote``, as is usual.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

import boto3

MEMORY = 128
"""MB: Lambda's own default."""

MOST_PATHS = 1_000
"""In one invalidation of a batch: a month's free ones."""


def handler(event: Any, _context: Any) -> None:
    for record in event["Records"]:
        invalidate(record["s3"]["bucket"]["name"], "/" + unquote_plus(record["s3"]["object"]["key"]))


def handler_of_everything(event: Any, _context: Any) -> None:
    for record in event["Records"]:
        invalidate(record["s3"]["bucket"]["name"], "/*")


def handler_of_batches(event: Any, _context: Any) -> None:
    paths: dict[str, set[str]] = {}
    for message in event["Records"]:
        for record in json.loads(message["body"])["Records"]:
            key = unquote_plus(record["s3"]["object"]["key"])
            paths.setdefault(record["s3"]["bucket"]["name"], set()).add("/" + quote(key))
    for bucket, found in paths.items():
        invalidate(bucket, *(sorted(found) if len(found) <= MOST_PATHS else ["/*"]))


def invalidate(bucket: str, *paths: str) -> None:
    for distribution_id in distributions_of(bucket):
        client().create_invalidation(
            DistributionId=distribution_id,
            InvalidationBatch={
                "Paths": {"Quantity": len(paths), "Items": list(paths)},
                "CallerReference": str(time.time_ns()),
            },
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
    """The S3 notification, as far as it is read. Its key is encoded, other than in an EventBridge event."""
    return {"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/")}}}]}


def message(bucket: str, key: str) -> dict[str, str]:
    """The same as a message of a queue."""
    return {"body": json.dumps(notification(bucket, key))}
