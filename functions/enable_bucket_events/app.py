"""Enable Bucket Events: a CloudFormation custom resource that lets the watched buckets send to EventBridge.

SAM cannot put events on a bucket that exists already. Properties: ``{"BucketNames": […], "DisableEventsOnDelete"}``,
the second "true" or "false". What else is configured on a bucket stays as it is. A bucket that leaves the list, or a
stack that is deleted, leaves events on, unless the second property is "true"; then what this stack switched on, and
only that, is undone.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterable
from typing import Any

import boto3
from botocore.config import Config

from invalidation.batches.dynamodb import batch_table
from invalidation.bucket_events import (
    BucketEvents,
    events_switched_on_here,
    forget_events_switched_on,
    remember_events_switched_on,
)
from invalidation.config import Settings
from invalidation.errors import BucketNotReady, InvalidationError
from invalidation.observability import Event, logger, observed

SETTINGS = Settings.from_environment(os.environ)
TABLE = batch_table(SETTINGS.batch_table_name)
S3 = boto3.client("s3", config=Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard"}))
EVENTS = BucketEvents(S3, os.environ.get("AWS_REGION", ""))
ANSWER_SECONDS = 10
MAX_TOLD = 1_000
"""Characters of a reason, or of bucket names: an answer has 4,096 bytes (CFN User Guide, "Custom resources")."""


@observed
def handler(event: Event, _context: Any) -> None:
    """Do what CloudFormation asks and answer it, whatever happens: a missing answer costs the stack an hour."""
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": event.get("PhysicalResourceId", f"{event['LogicalResourceId']}-bucket-events"),
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    try:
        answer["Data"] = {"SwitchedOn": ", ".join(_carry_out(event))[:MAX_TOLD]}
    except InvalidationError as error:
        answer |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"}
    except Exception as error:  # noqa: BLE001 # CloudFormation must be told of whatever it was
        logger.exception("Unexpected")
        answer |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"[:MAX_TOLD]}
    _answer(event["ResponseURL"], answer)


def _carry_out(event: Event) -> list[str]:
    """The buckets whose events were switched on."""
    wanted = _buckets(event.get("ResourceProperties", {}))
    before = _buckets(event.get("OldResourceProperties", {}))
    undo = event.get("ResourceProperties", {}).get("DisableEventsOnDelete") == "true"
    if event["RequestType"] == "Delete":
        if undo:
            _switch_off(wanted)
        return []
    switched = [bucket for bucket in wanted if _switch_on(bucket)]
    if undo:
        _switch_off(set(before) - set(wanted))
    return switched


def _switch_on(bucket: str) -> bool:
    changed = EVENTS.enable(bucket).changed
    if changed:
        remember_events_switched_on(TABLE, bucket)
    return changed


def _switch_off(buckets: Iterable[str]) -> None:
    for bucket in sorted(buckets):
        if not events_switched_on_here(TABLE, bucket):
            continue
        try:
            EVENTS.disable(bucket)
            forget_events_switched_on(TABLE, bucket)
        except BucketNotReady as error:
            # Gone, or taken away from us: a stack must still be deletable.
            logger.warning("The bucket's events were left as they are", bucket_name=bucket, reason=str(error))


def _buckets(properties: dict[str, Any]) -> list[str]:
    names = properties.get("BucketNames", [])
    return [name.strip() for name in names if name.strip()]


def _answer(url: str, answer: dict[str, Any]) -> None:
    request = urllib.request.Request(  # noqa: S310 # CloudFormation's own pre-signed address
        url, json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT"
    )
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):  # noqa: S310 # the same
        pass
