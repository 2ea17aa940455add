"""The messages that people get of a batch: a subject for all, and the body for a chat channel.

Chat is shown by Amazon Q Developer in chat applications, which drops without a word what is not in its own schema
(its Administrator Guide, "Custom notifications"). That is why chat has a topic of its own. Slack and Teams read
different mark-up: only what both read the same is used, so the link is bare. No object keys are shown: a channel would
read some as mark-up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from invalidation.batches.model import Outcome
from invalidation.cloudfront.cover import Widening
from invalidation.config import Settings

MAX_SUBJECT = 99
"""SNS takes subjects of fewer than 100 printable ASCII characters (SNS API Reference, Publish)."""


def messages(report: Mapping[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:
    """What Notify publishes, as parameters of SNS's Publish, by what Notify returns."""
    if report["completed"] and settings.notify_on == "Failures":
        return
    outcome = report["outcome"]
    yield {
        "TopicArn": settings.notification_topic_arn,
        "Subject": subject(outcome),
        "Message": json.dumps(outcome, indent=2),
        "MessageAttributes": {
            "outcome": {"DataType": "String", "StringValue": outcome["outcome"]},
            "bucket": {"DataType": "String", "StringValue": outcome.get("bucket") or "-"},
        },
    }
    if settings.chat_topic_arn:
        yield {"TopicArn": settings.chat_topic_arn, "Message": json.dumps(chat_message(outcome))}


def subject(outcome: Mapping[str, Any]) -> str:
    """One line that tells a person what happened: printable ASCII, fewer than 100 characters."""
    kind = Outcome(outcome["outcome"])
    text = f"{_HEADLINES[kind]}: {_what(outcome)}"
    if kind in (Outcome.FAILED, Outcome.PARTLY_FAILED, Outcome.ABANDONED, Outcome.REJECTED):
        text += f" ({outcome['error']})" if outcome.get("error") else ""
    printable = "".join(character if " " <= character <= "~" else "?" for character in text)
    return printable if len(printable) <= MAX_SUBJECT else printable[: MAX_SUBJECT - 3] + "..."


_HEADLINES = {
    Outcome.COMPLETED: "CloudFront is fresh",
    Outcome.NOTHING_TO_INVALIDATE: "Nothing to invalidate",
    Outcome.NO_DISTRIBUTION: "No distribution serves this",
    Outcome.DRY_RUN: "Dry run, nothing was sent",
    Outcome.PARTLY_FAILED: "CloudFront invalidation PARTLY FAILED",
    Outcome.STALE_AT_EDGE: "Still STALE AT THE EDGE",
    Outcome.FAILED: "CloudFront invalidation FAILED",
    Outcome.ABANDONED: "Abandoned, the edge may be stale",
    Outcome.REJECTED: "Request rejected",
}


def _what(outcome: Mapping[str, Any]) -> str:
    """Where and how much; the execution's name, where no batch was recorded."""
    bucket = outcome.get("bucket")
    where = bucket or outcome.get("distributionId")
    if not where:
        return str(outcome["execution"]).rsplit(":", 1)[-1]
    changes = outcome["changes"]
    noun = "change" if bucket else "path"
    return f"{where}, {changes} {noun}{'' if changes == 1 else 's'}"


MAX_TARGETS = 10
"""Distributions that a message lists; those that are owed something come first."""


def chat_message(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome document as a custom notification; those of one bucket, or distribution, share a thread."""
    thread = outcome.get("bucket") or outcome.get("distributionId") or "requests"
    return {
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": subject(outcome),
            "description": _description(outcome),
            "nextSteps": _next_steps(outcome),
            "keywords": ["CloudFront", outcome["outcome"], thread],
        },
        "metadata": {
            "threadId": f"cloudfront-auto-invalidation/{thread}",
            "summary": subject(outcome),
            "eventType": outcome["outcome"],
            "relatedResources": [outcome["execution"]],
            **({"additionalContext": {"batchId": outcome["batchId"]}} if outcome.get("batchId") else {}),
        },
    }


def _description(outcome: Mapping[str, Any]) -> str:
    targets = outcome.get("targets", [])
    lines = [f"`{each['distributionId']}`: {each['state']}, paths: {each['paths']}" for each in targets[:MAX_TARGETS]]
    more = len(targets) + outcome.get("targetsOmitted", 0) - len(lines)
    if more:
        lines.append(f"… and {more} more")
    widened = [Widening.from_document(each) for target in targets for each in target.get("widened", ())]
    if widened:  # their paths are parts of keys, which strangers may have chosen: numbers only
        unchanged = [each.unchanged for each in widened if each.unchanged is not None]
        counted = f"{sum(unchanged):,}" if len(unchanged) == len(widened) else "not counted"
        lines.append(f"Wildcards that stand for more: {len(widened)}; unchanged objects with them: {counted}")
    if outcome.get("price"):
        lines.append(f"At most ${outcome['price']}, as if the month's free paths were used up.")
    if outcome.get("error"):
        lines.append(f"Error: `{outcome['error']}`")
    return "\n".join(lines) or "No distribution was invalidated."


def _next_steps(outcome: Mapping[str, Any]) -> list[str]:
    steps = [f"See the execution: {outcome['console']}"]
    if not Outcome(outcome["outcome"]).succeeded:
        steps.append("Find the error in docs/runbook.md")
    if outcome.get("parked"):
        steps.append(f"When it is mended: `invalidations retry {outcome['batchId']}`")
    elif outcome.get("nextTryAt"):
        at = outcome["nextTryAt"][:16].replace("T", " ")
        steps.append(f"Nothing to do yet: it is tried again at {at} UTC")
    return steps
