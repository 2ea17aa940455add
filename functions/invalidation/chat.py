"""The message for a chat channel: Amazon Q Developer in chat applications shows only those in its own schema.

Source: Amazon Q Developer in chat applications Administrator Guide, "Custom notifications". Others are dropped without
a word, which is why chat has a topic of its own. No object keys are shown: a channel would read some as mark-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invalidation.outcomes import Outcome
from invalidation.reports import subject


def chat_message(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome document as a custom notification; those of one bucket share a thread."""
    thread = outcome.get("bucket") or "requests"
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
            "additionalContext": {"batchId": outcome.get("batchId", "")},
        },
    }


def _description(outcome: Mapping[str, Any]) -> str:
    targets = outcome.get("targets", [])
    lines = [f"`{each['distributionId']}`: {each['state']}, {each.get('paths', 0)} paths" for each in targets[:10]]
    if outcome.get("error"):
        lines.append(f"Error: `{outcome['error']}`")
    return "\n".join(lines) or "No distribution was invalidated."


def _next_steps(outcome: Mapping[str, Any]) -> list[str]:
    steps = [f"[See the execution]({outcome['console']})"]
    if not Outcome(outcome["outcome"]).succeeded:
        steps.append("Find the error in docs/runbook.md")
    if outcome.get("parked"):
        steps.append(f"When it is mended: `invalidations retry {outcome['batchId']}`")
    elif outcome.get("nextTryAt"):
        steps.append(f"Nothing to do yet: it is tried again at {outcome['nextTryAt']}")
    return steps
