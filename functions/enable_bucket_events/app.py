"""Enable Bucket Events: a CloudFormation custom resource that lets the watched buckets send to EventBridge.

SAM cannot put events on a bucket that exists already. Properties: ``{"BucketNames": […], "DisableEventsOnDelete"}``,
the second "true" or "false". What else is configured on a bucket stays as it is. A bucket that leaves the list, or a
stack that is deleted, leaves events on, unless the second property is "true"; then what this stack switched on, and
only that, is undone. A creation or an update that fails undoes what it has switched on.
"""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

import boto3
from botocore.config import Config

from invalidation.batches.dynamodb import batch_table
from invalidation.bucket_events import BucketEvents, WatchedBuckets
from invalidation.config import Settings
from invalidation.observability import Event, logger, observed

SETTINGS = Settings.from_environment(os.environ)
S3 = boto3.client("s3", config=Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard"}))
EVENTS = BucketEvents(S3, os.environ.get("AWS_REGION", ""))
BUCKETS = WatchedBuckets(EVENTS, batch_table(SETTINGS.batch_table_name), timeout=SETTINGS.role_wait_seconds)
MAX_TOLD = 1_000
"""Characters of a reason, or of bucket names: an answer has 4,096 bytes (CFN User Guide, "Custom resources")."""


@observed
def handler(event: Event, _context: Any) -> None:
    """Do what CloudFormation asks and answer it, whatever happens. A missing answer costs the stack an hour."""
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")} | {"Status": "SUCCESS"}
    answer["PhysicalResourceId"] = event.get("PhysicalResourceId", f"{event['LogicalResourceId']}-bucket-events")
    try:
        answer["Data"] = {"SwitchedOn": ", ".join(_carry_out(event))[:MAX_TOLD]}
    except Exception as error:  # noqa: BLE001 # CloudFormation must be told of whatever it was
        logger.exception("The buckets' events could not be switched")
        told = " ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
        answer |= {"Status": "FAILED", "Reason": told[:MAX_TOLD]}
    request = urllib.request.Request(  # noqa: S310 # CloudFormation's own pre-signed address
        event["ResponseURL"], json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT"
    )
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 # the same


def _carry_out(event: Event) -> list[str]:
    """The buckets whose events were switched on."""
    wanted, before = (
        event.get(each, {}).get("BucketNames", []) for each in ("ResourceProperties", "OldResourceProperties")
    )
    deleted = event["RequestType"] == "Delete"
    switched = [] if deleted else BUCKETS.watch(wanted)
    if event["ResourceProperties"].get("DisableEventsOnDelete") == "true":
        for bucket, reason in BUCKETS.leave(wanted if deleted else set(before) - set(wanted)).items():
            logger.warning("The bucket's events were left as they are", bucket_name=bucket, reason=reason)
    return switched
