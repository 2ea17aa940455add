"""Executions are started, listed and stopped as Step Functions' API documents it.

ministack refuses a second StartExecution with the name and input of an execution that still runs, where AWS answers
with that execution; runs a Standard state machine for StartSyncExecution, which AWS refuses; and lists executions by
when they ended (Step Functions API Reference, "StartExecution", "StartSyncExecution", "ListExecutions").
"""

from __future__ import annotations

import contextvars
import itertools
from typing import Any

import ministack.services.stepfunctions as states
from ministack.core.responses import error_response_json, json_response

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

ORDER: dict[str, str] = {}
"""The ARN of each execution → its place among all that were started, in digits that sort as text."""
COUNT = itertools.count(1)
NESTED: contextvars.ContextVar[bool] = contextvars.ContextVar("nested", default=False)
"""Whether a state machine starts another with `startExecution.sync`, as it may start a Standard one."""


def apply(_settings: LocalSettings) -> None:
    start = seam(states, "_start_execution", "9923282fc76c")
    start_sync = seam(states, "_start_sync_execution", "8600470a0208")
    nested = seam(states, "_invoke_nested_start_execution_sync", "d9f13c4aabed")
    seam(states, "_execution_sort_key", "43a9d55f6931")

    def start_once(data: dict[str, Any]) -> Any:
        running = same_execution(data)
        if running is not None:
            return json_response({"executionArn": running["executionArn"], "startDate": running["startDate"]})
        return start(data)

    def start_sync_unless_standard(data: dict[str, Any]) -> Any:
        machine = states._state_machines.get(data.get("stateMachineArn", "").partition("#")[0])
        if not NESTED.get() and machine is not None and machine.get("type", "STANDARD") != "EXPRESS":
            text = "This operation is not supported by this type of state machine"
            return error_response_json("StateMachineTypeNotSupported", text, 400)
        return start_sync(data)

    def start_nested(*arguments: Any) -> Any:
        token = NESTED.set(True)
        try:
            return nested(*arguments)
        finally:
            NESTED.reset(token)

    states._start_execution = start_once
    states._start_sync_execution = start_sync_unless_standard
    states._invoke_nested_start_execution_sync = start_nested
    states._execution_sort_key = most_recently_started


def same_execution(data: dict[str, Any]) -> Any:
    """The running execution of this name and input; None: there is none."""
    machine_arn = states._resolve_state_machine_arn(data.get("stateMachineArn", "").partition("#")[0])
    machine = states._state_machines.get(machine_arn)
    if machine is None or not data.get("name"):
        return None
    arn = f"{machine_arn.replace(':stateMachine:', ':execution:')}:{data['name']}"
    execution = states._executions.get(arn)
    same = execution is not None and [execution["status"], execution["input"]] == ["RUNNING", data.get("input", "{}")]
    return execution if same else None


def most_recently_started(execution: dict[str, Any]) -> tuple[str, str]:
    arn = execution["executionArn"]
    return execution["startDate"], ORDER.setdefault(arn, f"{next(COUNT):012}")
