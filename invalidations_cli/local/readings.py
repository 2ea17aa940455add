"""What a person would look up to see whether CloudFront followed. Invalidations, notifications, and the site itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from invalidations_cli.canaries import EdgeView, EdgeViewer
from invalidations_cli.local.environment import LocalEnvironment


@dataclass(frozen=True, slots=True)
class ListedInvalidation:
    invalidation_id: str
    status: str
    paths: tuple[str, ...]

    def covers(self, key: str) -> bool:
        """Whether one of the paths names this key."""
        path = f"/{key}"
        return any(
            path.startswith(unquote(asked[:-1])) if asked.endswith("*") else path == unquote(asked)
            for asked in self.paths
        )


@dataclass(frozen=True, slots=True)
class ReceivedNotification:
    subject: str
    message: str

    def pretty(self) -> str:
        """The message, indented where it is JSON."""
        try:
            return json.dumps(json.loads(self.message), indent=2, ensure_ascii=False)
        except ValueError:
            return self.message


def invalidations(there: LocalEnvironment) -> list[ListedInvalidation]:
    """All of the site's distribution, newest first, as GetInvalidation tells of them."""
    cloudfront = there.aws.client("cloudfront")
    pages = cloudfront.get_paginator("list_invalidations").paginate(DistributionId=there.distribution_id)
    ids = [item["Id"] for page in pages for item in page["InvalidationList"].get("Items", [])]
    return [invalidation(cloudfront, there.distribution_id, one) for one in ids]


def invalidation(cloudfront: Any, distribution_id: str, invalidation_id: str) -> ListedInvalidation:
    found = cloudfront.get_invalidation(DistributionId=distribution_id, Id=invalidation_id)["Invalidation"]
    return ListedInvalidation(found["Id"], found["Status"], tuple(found["InvalidationBatch"]["Paths"]["Items"]))


def notifications(there: LocalEnvironment, wait_seconds: int = 0) -> list[ReceivedNotification]:
    """Those that came since the last call."""
    sqs = there.aws.client("sqs")
    received: list[ReceivedNotification] = []
    while messages := sqs.receive_message(
        QueueUrl=there.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0 if received else wait_seconds
    ).get("Messages", []):
        for message in messages:
            envelope = json.loads(message["Body"])
            received.append(ReceivedNotification(envelope.get("Subject", ""), envelope["Message"]))
            sqs.delete_message(QueueUrl=there.queue_url, ReceiptHandle=message["ReceiptHandle"])
    return received


def view(there: LocalEnvironment, key: str) -> EdgeView:
    """The site as a viewer sees it, through the distribution."""
    return EdgeViewer(there.distribution_domain, there.endpoint).get(f"/{quote(key)}")
