"""Notify: people and machines are told of the outcome.

Input: ``{"execution", "startedAt", "state"}``, the last being what Finish Batch returned, or, where that failed, the
state before it with its failure. Output: ``{"completed", "error", "cause", "outcome"}``.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from invalidation.batches.head import Execution
from invalidation.config import Settings
from invalidation.errors import NotificationFailed
from invalidation.messages import messages
from invalidation.observability import Event, observed
from invalidation.outcome import report_of_run

SETTINGS = Settings.from_environment(os.environ)
SNS = boto3.client("sns", config=Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2}))


@observed
def handler(event: Event, _context: Any) -> dict[str, Any]:
    execution = Execution(event["execution"], datetime.fromisoformat(event["startedAt"]))
    report = report_of_run(event["state"], execution, datetime.now(UTC))
    for message in messages(report, SETTINGS):
        _publish(message)
    return {name: report[name] for name in ("completed", "error", "cause", "outcome")}


def _publish(message: dict[str, Any]) -> None:
    try:
        SNS.publish(**message)
    except (ClientError, BotoCoreError) as error:
        raise NotificationFailed(
            f"SNS did not take the notification ({error}). The outcome is in the execution's history and in the batch "
            "record; see that the function may publish to the topic and use its key"
        ) from None
