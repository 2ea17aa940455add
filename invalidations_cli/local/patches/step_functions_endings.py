"""An execution ends once: TIMED_OUT when its time is up, and ABORTED stays ABORTED.

ministack knows no TimeoutSeconds of a state machine, and an execution that was stopped becomes FAILED when a task that
still ran fails.
"""

from __future__ import annotations

import contextvars
import json
import threading
from typing import Any

import ministack.services.stepfunctions as states

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings


def apply(_settings: LocalSettings) -> None:
    fail = seam(states, "_fail_execution", "e6da895fa0b7")
    run = seam(states, "_run_execution", "996dff84e0e0")

    def fail_what_runs(execution: dict[str, Any], error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":
            fail(execution, error, cause)

    def run_within_its_time(arn: str) -> None:
        seconds = time_limit(arn)
        if seconds is None:
            run(arn)
            return
        alarm = threading.Timer(seconds, contextvars.copy_context().run, (time_out, arn))
        alarm.daemon = True
        alarm.start()
        try:
            run(arn)
        finally:
            alarm.cancel()

    states._fail_execution = fail_what_runs
    states._run_execution = run_within_its_time


def time_limit(arn: str) -> float | None:
    """The TimeoutSeconds of an execution's state machine, scaled as its waits are."""
    execution = states._executions.get(arn)
    machine = execution and states._state_machines.get(execution["stateMachineArn"])
    seconds = json.loads(machine["definition"]).get("TimeoutSeconds") if machine else None
    return None if seconds is None else float(seconds) * states._SFN_WAIT_SCALE


def time_out(arn: str) -> None:
    execution = states._executions.get(arn)
    if execution is None or execution["status"] != "RUNNING":
        return
    execution.update(status="TIMED_OUT", stopDate=states.now_iso(), error="States.Timeout", cause="")
    details = {"executionTimedOutEventDetails": {"error": "States.Timeout", "cause": ""}}
    states._add_event(execution, "ExecutionTimedOut", details)
    states._emit_execution_status_event(execution)
