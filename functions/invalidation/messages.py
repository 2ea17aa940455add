"""The messages that people get of a batch. E-mail and chat say the same, each in its own form.

Machines get the document as it is, on a topic of their own.

Chat is shown by Amazon Q Developer in chat applications, which drops without a word what is not in its own schema
(its Administrator Guide, "Custom notifications"). Slack and Teams read different mark-up: only what both read the same
is used, so links are bare. Keys and paths are named by whoever writes to the bucket: in an e-mail they stand one a
line and cannot begin another, and a channel is not shown them at all.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from invalidation.batches.model import Outcome
from invalidation.batches.targets import TargetState
from invalidation.cloudfront.rules import PlanRule, Widening
from invalidation.config import Settings
from invalidation.errors import ERRORS

MAX_SUBJECT = 99
"""SNS takes subjects of fewer than 100 printable ASCII characters (SNS API Reference, Publish)."""

MAX_TARGETS = 10
"""Distributions that a message lists; those that are owed something come first."""
MAX_TEXT = 300
"""Characters of a key, or of an error's message, that a message shows."""

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

_MEANINGS = {
    Outcome.COMPLETED: "Viewers get what the bucket holds.",
    Outcome.NOTHING_TO_INVALIDATE: "Distributions serve the bucket, and none of them serves what changed.",
    Outcome.NO_DISTRIBUTION: "No CloudFront distribution serves the bucket: nothing at the edge can be old.",
    Outcome.DRY_RUN: "This is what would have been invalidated.",
    Outcome.PARTLY_FAILED: "Some distributions are fresh. Viewers of the others may see old content.",
    Outcome.STALE_AT_EDGE: "CloudFront reports completion, and an edge location still gave old content.",
    Outcome.FAILED: "Nothing was invalidated. Viewers may see old content.",
    Outcome.ABANDONED: "Somebody gave this up. Viewers may see old content until it expires.",
    Outcome.REJECTED: "The request is none that is accepted. Nothing was invalidated.",
}

_STEP_FUNCTIONS_ERRORS = {"States.Timeout", "States.Runtime", "Lambda.Unknown"}
"""Error names that are not this application's own and have an entry in the runbook."""


def messages(report: Mapping[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:
    """What Notify publishes, as parameters of SNS's Publish, by what Notify returns.

    Machines get every outcome. People get those that ``NotifyOn`` names.
    """
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
    if report["completed"] and settings.notify_on == "Failures":
        return
    if settings.email_topic_arn:
        text = email_text(outcome, settings.runbook_url)
        yield {"TopicArn": settings.email_topic_arn, "Subject": subject(outcome), "Message": text}
    if settings.chat_topic_arn:
        told = chat_message(outcome, settings.runbook_url)
        yield {"TopicArn": settings.chat_topic_arn, "Message": json.dumps(told)}


def subject(outcome: Mapping[str, Any]) -> str:
    """One line that tells a person what happened: printable ASCII, fewer than 100 characters."""
    kind = Outcome(outcome["outcome"])
    text = f"{_HEADLINES[kind]}: {_where(outcome)}"
    if not kind.succeeded and kind is not Outcome.STALE_AT_EDGE and outcome.get("error"):
        text += f" ({outcome['error']})"
    printable = "".join(character if " " <= character <= "~" else "?" for character in text)
    return printable if len(printable) <= MAX_SUBJECT else printable[: MAX_SUBJECT - 3] + "..."


def _where(outcome: Mapping[str, Any]) -> str:
    """Where and how much; the execution's name, where no batch was recorded."""
    where = outcome.get("bucket") or outcome.get("distributionId")
    if not where:
        return str(outcome["execution"]).rsplit(":", 1)[-1]
    return f"{where}, {_count(outcome['changes'], 'change' if outcome.get('bucket') else 'path')}"


# ---------------------------------------------------------------- the words that e-mail and chat share


def _targets(outcome: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each distribution with what became of it, failures first. A last one counts those that are not listed."""
    targets = outcome.get("targets", [])
    for each in targets[:MAX_TARGETS]:
        yield each["distributionId"], _became(each, dry_run=outcome.get("dryRun", False))
    more = len(targets) + outcome.get("targetsOmitted", 0) - min(len(targets), MAX_TARGETS)
    if more:
        yield "", f"and {_count(more, 'more distribution')}"


def _became(target: Mapping[str, Any], *, dry_run: bool) -> str:
    state, paths = TargetState(target["state"]), _count(target["paths"], "path")
    if state is TargetState.COMPLETED:
        seconds = f" in {target['seconds']} s" if "seconds" in target else ""
        return f"fresh, {paths}{seconds}"
    if state is TargetState.SKIPPED:
        return f"{paths} would have been sent" if dry_run else "serves none of it"
    error = f": {target['error']}" if target.get("error") else ""
    return f"NOT fresh{error}"


def _next_steps(outcome: Mapping[str, Any], runbook: str) -> Iterator[str]:
    if not Outcome(outcome["outcome"]).succeeded:
        yield f"What it means, and what fixes it: {runbook_entry(runbook, outcome.get('error', ''))}"
    if outcome.get("parked"):
        yield f"It waits for you. When the cause is fixed: invalidations retry {outcome['batchId']}"
    elif outcome.get("nextTryAt"):
        at = outcome["nextTryAt"][:16].replace("T", " ")
        yield f"Nothing to do yet: it is tried again at {at} UTC"
    if outcome.get("announceError"):
        yield "Downstream steps have not been told: the event on the bus was not taken"


def runbook_entry(runbook: str, error: str) -> str:
    """The address of an error's entry: headings have anchors in small letters, without dots."""
    known = error in ERRORS or error in _STEP_FUNCTIONS_ERRORS
    return f"{runbook}#{error.lower().replace('.', '') if known else 'errors'}"


def _widened(outcome: Mapping[str, Any]) -> str:
    """Numbers only: the paths of wildcards are parts of keys, which strangers may have chosen."""
    targets = outcome.get("targets", [])
    widened = [Widening.from_document(each) for target in targets for each in target.get("widened", ())]
    if not widened:
        return ""
    unchanged = [each.unchanged for each in widened if each.unchanged is not None]
    counted = f"{sum(unchanged):,}" if len(unchanged) == len(widened) else "not counted"
    rules = {PlanRule(target["rule"]) for target in targets if "rule" in target and target.get("widened")}
    why = "".join(f". {rule.description.capitalize()}" for rule in sorted(rules))
    return f"Wildcards that stand for more: {len(widened)}; unchanged objects with them: {counted}{why}"


def _price(outcome: Mapping[str, Any]) -> str:
    would = "would have cost" if outcome.get("dryRun") else "cost"
    if not outcome.get("price"):
        return ""
    return f"It {would} at most ${outcome['price']:.3f}, as if the month's free paths were used up."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# ---------------------------------------------------------------- e-mail


def email_text(outcome: Mapping[str, Any], runbook: str) -> str:
    """Plain text of what happened, what changed, what failed, and what to do next."""
    kind = Outcome(outcome["outcome"])
    error = f"{outcome.get('error') or ''}: {outcome.get('message') or ''}".strip(": ")
    parts = [
        (subject(outcome), [_MEANINGS[kind]]),
        ("What failed", [] if kind.succeeded else textwrap.wrap(_in_one_line(error, 2 * MAX_TEXT), 96)),
        ("What to do next", [f"{n}. {step}" for n, step in enumerate(_next_steps(outcome, runbook), 1)]),
        ("Distributions", [f"{name}: {became}" if name else became for name, became in _targets(outcome)]),
        ("What changed" if outcome.get("bucket") else "Paths", list(_what_changed(outcome))),
        ("The execution in the Step Functions console", [outcome["console"]]),
    ]
    text = "\n\n".join(_paragraph(title, lines) for title, lines in parts if lines)
    notes = "\n".join(line for line in (_widened(outcome), _price(outcome)) if line)
    return f"{text}\n\n{notes}".rstrip() + "\n"


def _paragraph(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines)])


def _what_changed(outcome: Mapping[str, Any]) -> Iterator[str]:
    sample = outcome.get("sample", [])
    yield from (_in_one_line(each, MAX_TEXT) for each in sample)
    more = outcome.get("changes", 0) - len(sample)
    if more > 0:
        yield f"and {more:,} more"
    for each in outcome.get("requesters", [])[:3]:
        who, where = each.get("requester") or "an unknown account", each.get("sourceIp") or "an unknown address"
        yield f"({_count(each['changes'], 'change')} by {_in_one_line(who, 60)} from {_in_one_line(where, 60)})"


def _in_one_line(text: str, longest: int) -> str:
    """The text with everything escaped that could end a line, turn its direction, or hide."""
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


# ---------------------------------------------------------------- chat


def chat_message(outcome: Mapping[str, Any], runbook: str) -> dict[str, Any]:
    """The outcome as a custom notification; those of one bucket, or distribution, share a thread."""
    return custom_notification(
        subject(outcome),
        _description(outcome),
        [f"See the execution: {outcome['console']}", *_next_steps(outcome, runbook)],
        kind=outcome["outcome"],
        thread=outcome.get("bucket") or outcome.get("distributionId") or "requests",
        resource=outcome["execution"],
        context={"batchId": outcome["batchId"]} if outcome.get("batchId") else {},
    )


def custom_notification(
    title: str,
    description: str,
    next_steps: Sequence[str],
    *,
    kind: str,
    thread: str,
    resource: str,
    context: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """What Amazon Q Developer shows in a channel (its Administrator Guide, "Custom notifications")."""
    return {
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": title,
            "description": description,
            "nextSteps": list(next_steps),
            "keywords": ["CloudFront", kind, thread],
        },
        "metadata": {
            "threadId": f"cloudfront-auto-invalidation/{thread}",
            "summary": title,
            "eventType": kind,
            "relatedResources": [resource],
            **({"additionalContext": dict(context)} if context else {}),
        },
    }


def _description(outcome: Mapping[str, Any]) -> str:
    kind = Outcome(outcome["outcome"])
    lines = [_MEANINGS[kind]]
    if not kind.succeeded and outcome.get("error"):
        message = without_mark_up(outcome.get("message") or "")
        lines.append(f"`{without_mark_up(outcome['error'])}`: {message}".rstrip(": "))
    lines += [f"`{name}`: {became}" if name else became for name, became in _targets(outcome)]
    return "\n".join(line for line in (*lines, _widened(outcome), _price(outcome)) if line)


_MARK_UP = str.maketrans(dict.fromkeys("<>[]{}*_~`|&@#!\\", " "))


def without_mark_up(text: str) -> str:
    """The text without mark-up. A key in an error's message may notify a whole channel, or link elsewhere."""
    plain = "".join(each if each.isprintable() else " " for each in text).translate(_MARK_UP).replace("://", " ")
    return _in_one_line(" ".join(plain.split()), MAX_TEXT)
