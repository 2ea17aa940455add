"""A state machine's events are in its log group, as its logging configuration says.

ministack writes none (Step Functions Developer Guide, "Using CloudWatch Logs to log execution history").
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import datetime
from functools import wraps
from typing import Any

import ministack.services.stepfunctions as states
from ministack.services import cloudwatch_logs

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

Event = dict[str, Any]

FATAL = frozenset({"ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"})
ERRORS = re.compile(r"(Aborted|Failed|TimedOut)$|^FailStateEntered$")
DATA = frozenset({"input", "output", "cause", "error", "parameters"})


def apply(_settings: LocalSettings) -> None:
    add_event = seam(states, "_add_event", "b1db143ccd21")
    start = seam(states, "_start_execution", "9923282fc76c")

    @wraps(add_event)
    def add_event_and_log(execution: dict[str, Any], kind: str, details: Any = None) -> Any:
        event = add_event(execution, kind, details)
        if event is not None:
            log(execution, event)
        return event

    @wraps(start)
    def start_and_log(data: dict[str, Any]) -> Any:
        answer = start(data)
        if answer[0] == 200:
            execution = states._executions[json.loads(answer[2])["executionArn"]]
            log(execution, execution["events"][0])
        return answer

    states._add_event = add_event_and_log
    states._start_execution = start_and_log


def log(execution: dict[str, Any], event: Event) -> None:
    """Write an event of an execution to the log groups of its state machine."""
    machine = states._state_machines.get(execution["stateMachineArn"])
    if machine is None:
        return
    configuration = {key[:1].lower() + key[1:]: value for key, value in machine["loggingConfiguration"].items()}
    if not is_logged(event["type"], str(configuration.get("level", "OFF"))):
        return
    line = line_of(execution, event, with_data=bool(configuration.get("includeExecutionData")))
    for group in groups_in(configuration.get("destinations", [])):
        found = cloudwatch_logs._log_groups.get(group)
        if found is not None:
            write(group, found, machine["name"], execution, line)


def is_logged(kind: str, level: str) -> bool:
    match level:
        case "ALL":
            return True
        case "ERROR":
            return ERRORS.search(kind) is not None
        case "FATAL":
            return kind in FATAL
        case _:
            return False


def line_of(execution: dict[str, Any], event: Event, *, with_data: bool) -> str:
    details: dict[str, Any] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    kept = details if with_data else {key: value for key, value in details.items() if key not in DATA}
    at = datetime.fromisoformat(event["timestamp"]).timestamp()
    document = {
        "id": str(event["id"]),
        "type": event["type"],
        "details": kept,
        "previous_event_id": str(event.get("previousEventId", 0)),
        "event_timestamp": str(int(at * 1000)),
        "execution_arn": execution["executionArn"],
        "redrive_count": "0",
    }
    return json.dumps(document)


def groups_in(destinations: list[dict[str, Any]]) -> Iterator[str]:
    """The names of log groups, from ARNs that end in `:*`."""
    for destination in destinations:
        for arn in re.findall(r"log-group:([^:\"]+)", json.dumps(destination)):
            yield str(arn)


def write(group: str, found: dict[str, Any], machine: str, execution: dict[str, Any], line: str) -> None:
    minute = execution["startDate"][:16].replace("T", "-").replace(":", "-")
    stream = f"states/{machine}/{minute}/{execution['name'][:8]}"
    if stream not in found["streams"]:
        cloudwatch_logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
    events = [{"timestamp": int(time.time() * 1000), "message": line}]
    cloudwatch_logs._put_log_events({"logGroupName": group, "logStreamName": stream, "logEvents": events})
