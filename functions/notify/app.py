"""Notify: people and machines are told of the outcome.

Input: ``{"execution", "startedAt", "state"}``, the last being what Finish Batch returned, or, where that failed, the
state before it with its failure. Output: ``{"completed", "error", "cause", "outcome"}``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from invalidation import outcome as reports
from invalidation.config import Settings
from invalidation.errors import NotificationFailed
from invalidation.observability import Event, observed
from invalidation.outcome import chat_message

SETTINGS = Settings.from_environment(os.environ)
SNS = boto3.client("sns", config=Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2}))


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    report = _report(event)
    if not (report["completed"] and SETTINGS.notify_on == "Failures"):
        _publish(report["outcome"])
        if SETTINGS.chat_topic_arn:
            _send(TopicArn=SETTINGS.chat_topic_arn, Message=json.dumps(chat_message(report["outcome"])))
    return {name: report[name] for name in ("completed", "error", "cause", "outcome")}


def _report(event: Event) -> dict[str, Any]:
    state = event["state"]
    if "outcome" not in state:
        return _report_without_finish(state, event)
    if "announceFailure" not in state:
        return dict(state)
    failure = reports.caught(state["announceFailure"])
    told = f"the batch ended as {state['outcome']['outcome']}, but its event was not taken: {failure.message}"
    error = state["error"] or reports.error_of_fail_state(failure.error)
    outcome = {**state["outcome"], "announceError": failure.error, "announceMessage": failure.message}
    return {"completed": False, "error": error, "cause": told, "outcome": outcome}


def _report_without_finish(state: Mapping[str, Any], event: Event) -> dict[str, Any]:
    run = reports.Run(event["execution"], datetime.fromisoformat(event["startedAt"]), datetime.now(UTC))
    failure = reports.failure_of(state) or reports.Caught("Unknown", "Finish Batch ended without a reason")
    return reports.without_batch(failure, run)


def _publish(outcome: Mapping[str, Any]) -> None:
    _send(
        TopicArn=SETTINGS.notification_topic_arn,
        Subject=reports.subject(outcome),
        Message=json.dumps(outcome, indent=2),
        MessageAttributes={
            "outcome": {"DataType": "String", "StringValue": outcome["outcome"]},
            "bucket": {"DataType": "String", "StringValue": outcome.get("bucket") or "-"},
        },
    )


def _send(**message: Any) -> None:
    try:
        SNS.publish(**message)
    except (ClientError, BotoCoreError) as error:
        raise NotificationFailed(
            f"SNS did not take the notification ({error}). The outcome is in the execution's history and in the batch "
            "record; see that the function may publish to the topic and use its key"
        ) from None
