"""Changes of health that the sweep notifies of, once an hour. What is cut now, and what is whole again.

What was told is remembered in the batch table, so that each is told once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from invalidation.batches.model import to_text
from invalidation.batches.table import Key
from invalidation.cloudfront.client import CloudFront, cloudfront_client
from invalidation.config import Settings
from invalidation.health import Chain, ChainHealth, Check, cut, unknown
from invalidation.messages import custom_notification, without_mark_up

if TYPE_CHECKING:
    from invalidation.batches.table import BatchTable


def change_of_health(table: BatchTable, bucket: str, broken: Sequence[Check], now: datetime) -> dict[str, Any] | None:
    """What is cut now and was not, or that the bucket's chain is whole again. None: nothing new. It is remembered."""
    key = Key("HEALTH", bucket)
    before = table.get(key) or {}
    names = sorted({each.name for each in broken})
    if names == before.get("cut", []):
        return None
    since = before.get("since") if names and before.get("cut") else to_text(now)
    table.update(key, {"cut": names or None, "since": since if names else None}, {})
    return {
        "kind": "ChainHealth",
        "bucket": bucket,
        "whole": not names,
        "since": since,
        "checks": [each.to_document() for each in broken],
    }


def notify_of_changes(health: ChainHealth, settings: Settings) -> int:
    """Look at every watched bucket, and notify of what is cut or whole again.

    Returns:
        How many buckets are cut.

    Raises:
        botocore.exceptions.ClientError: SNS took no notification. It is told again at the next look.
    """
    broken = 0
    for bucket in health.chain.bucket_names:
        before = health.table.get(Key("HEALTH", bucket)) or {}
        cuts = _cut_still(health.checks(bucket, cuts_only=True), before.get("cut", []))
        broken += bool(cuts)
        if change := change_of_health(health.table, bucket, cuts, health.now()):
            try:
                for message in _notices(change, settings):
                    health.clients("sns").publish(**message)
            except (ClientError, BotoCoreError):
                health.table.update(Key("HEALTH", bucket), {each: before.get(each) for each in ("cut", "since")}, {})
                raise
    return broken


def _cut_still(checks: Sequence[Check], before: Sequence[str]) -> list[Check]:
    """What is cut, and what was and cannot be asked now. Nobody knows that it is whole again."""
    return [*cut(checks), *(each for each in unknown(checks) if each.name in before)]


def _notices(change: dict[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:
    """What is published: JSON for machines, plain text for people, and the same for chat."""
    bucket, whole = change["bucket"], change["whole"]
    subject = f"CloudFront is {'kept fresh again' if whole else 'NOT kept fresh'}: {bucket}"
    yield {
        "TopicArn": settings.notification_topic_arn,
        "Subject": subject,
        "Message": json.dumps(change, indent=2),
        "MessageAttributes": {
            "outcome": {"DataType": "String", "StringValue": "ChainWhole" if whole else "ChainCut"},
            "bucket": {"DataType": "String", "StringValue": bucket},
        },
    }
    what = (
        "New changes are invalidated again. What changed meanwhile and was not told of is not known here: request it."
        if whole
        else f"New changes of {bucket} are not invalidated since {change['since'][:16]} UTC at the latest."
    )
    doctor = f"See for yourself: invalidations doctor --bucket {bucket}"
    if settings.email_topic_arn:
        lines = ["\n  ".join([f"- {each['evidence']}", *_next_steps(each, settings)]) for each in change["checks"]]
        request = [f"  invalidations request --bucket {bucket} KEY"] if whole else []
        text = "\n".join([what, *request, "", *lines, "", doctor])
        yield {"TopicArn": settings.email_topic_arn, "Subject": subject, "Message": text}
    if settings.chat_topic_arn:
        evidence = [without_mark_up(each["evidence"]) for each in change["checks"]]
        told = custom_notification(
            subject,
            "\n".join([what, *evidence]),
            [*(step for each in change["checks"] for step in _next_steps(each, settings)), doctor],
            kind="ChainWhole" if whole else "ChainCut",
            thread=bucket,
            resource=settings.state_machine_arn,
        )
        yield {"TopicArn": settings.chat_topic_arn, "Message": json.dumps(told)}


def _next_steps(check: dict[str, Any], settings: Settings) -> Iterator[str]:
    """What fixes it, and the address of its entry in the runbook."""
    if check.get("remedy"):
        yield f"To fix it: {check['remedy']}"
    yield f"More: {settings.runbook_url}#{check['runbook'].partition('#')[2]}"


def health_of(
    settings: Settings, clients: Callable[..., Any], table: BatchTable, now: Callable[[], datetime]
) -> ChainHealth:
    """What looks at the chain of the stack whose function this is."""
    chain = Chain(
        region=settings.state_machine_arn.split(":")[3],
        state_machine_arn=settings.state_machine_arn,
        rules=settings.change_rules,
        bucket_names=settings.bucket_names,
        distribution_ids=settings.distribution_ids,
        intake_queue_url=settings.intake_queue_url,
        pipe=settings.intake_pipe,
        enables_events=settings.enable_bucket_events,
    )
    role = cloudfront_client(settings.distribution_role_arn, settings.distribution_role_external_id)
    return ChainHealth(chain, cache(clients), table, CloudFront(role), now)
