"""The message for a chat channel: Amazon Q Developer in chat applications shows only those in its own schema.

Source: Amazon Q Developer in chat applications Administrator Guide, "Custom notifications". Others are dropped without
a word, which is why chat has a topic of its own. Slack and Teams read different mark-up: only what both read the same
is used, so the link is bare. No object keys are shown: a channel would read some as mark-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invalidation.outcomes import Outcome
from invalidation.reports import subject

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
