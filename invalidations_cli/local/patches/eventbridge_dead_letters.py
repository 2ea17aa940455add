"""Events that cannot reach a state machine go to the target's dead-letter queue.

ministack drops it. Here it is kept with the attributes that EventBridge gives it (EventBridge User Guide, "Using
dead-letter queues"). A local state machine refuses an event for good or not at all, so nothing is tried twice.
"""

from __future__ import annotations

import contextvars
from functools import wraps
from typing import Any

import ministack.services.eventbridge as events
import ministack.services.sqs as queues
import ministack.services.stepfunctions as states
from ministack.core.arn import parse_arn

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

Refusal = tuple[str, str, str]
REFUSAL: contextvars.ContextVar[Refusal | None] = contextvars.ContextVar("refusal", default=None)


def apply(_settings: LocalSettings) -> None:
    seam(events, "_dispatch_to_stepfunctions", "d36195e1c480")
    invoke = seam(events, "_invoke_target", "550e304af080")

    @wraps(invoke)
    def invoke_or_keep(target: dict[str, Any], event: Any, rule: dict[str, Any], view: Any = None) -> None:
        REFUSAL.set(None)
        invoke(target, event, rule, view)
        refusal = REFUSAL.get()
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if refusal is not None and queue:
            keep(queue, refusal, rule.get("Arn", ""), target["Arn"])

    events._dispatch_to_stepfunctions = start_execution
    events._invoke_target = invoke_or_keep


def start_execution(arn: str, payload: str) -> None:
    if states._resolve_state_machine_arn(arn) is None:
        REFUSAL.set((payload, "RESOURCE_NOT_FOUND", f"State Machine Does Not Exist: '{arn}'"))
        return
    status, _headers, body = states._start_execution({"stateMachineArn": arn, "input": payload})
    if status >= 400:
        REFUSAL.set((payload, "SDK_CLIENT_ERROR", str(body)[:200]))


def keep(queue_arn: str, refusal: Refusal, rule_arn: str, target_arn: str) -> None:
    payload, code, message = refusal
    events._dispatch_to_sqs(parse_arn(queue_arn), payload)
    queue = queues._queue_by_arn(queue_arn)
    if queue is None:
        return
    attributes = {
        "RULE_ARN": rule_arn,
        "TARGET_ARN": target_arn,
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
        "RETRY_ATTEMPTS": "0",
    }
    queue["messages"][-1]["message_attributes"] = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
    }
