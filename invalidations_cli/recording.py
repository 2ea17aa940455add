"""An execution's definition, description and events, from Step Functions or from a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from invalidations_cli.history import ExecutionHistory, read_history

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_stepfunctions import SFNClient


PARTS = {"definition": dict, "execution": dict, "events": list}


@dataclass(frozen=True, slots=True)
class Recording:
    """The definition that ran, DescribeExecution's answer, and the events of GetExecutionHistory, oldest first."""

    definition: dict[str, Any]
    execution: dict[str, Any]
    events: list[dict[str, Any]]

    def history(self) -> ExecutionHistory:
        """What happened in it; raises what `read_history` raises."""
        return read_history(self.definition, self.execution, self.events)


def collect(client: SFNClient, execution_arn: str) -> Recording:
    """Reads all of an execution from Step Functions. The definition that it ran with, and every page of its history.

    Raises:
        botocore.exceptions.ClientError: `ExecutionDoesNotExist`, `AccessDeniedException`, `InvalidArn`.
    """
    execution = client.describe_execution(executionArn=execution_arn)
    machine = client.describe_state_machine_for_execution(executionArn=execution_arn)
    pages = client.get_paginator("get_execution_history").paginate(
        executionArn=execution_arn, includeExecutionData=True, PaginationConfig={"PageSize": 1000}
    )
    described = {key: value for key, value in execution.items() if key != "ResponseMetadata"}
    events = [dict(event) for page in pages for event in page["events"]]
    return Recording(json.loads(machine["definition"]), described, events)


def dump(recording: Recording) -> str:
    """The recording as JSON text, with times in ISO 8601: what `load` reads."""
    parts = {"definition": recording.definition, "execution": recording.execution, "events": recording.events}
    return json.dumps(parts, indent=1, default=_plain) + "\n"


def load(path: Path) -> Recording:
    """Reads a file that `dump` wrote.

    Raises:
        ValueError: it is no such file; the message says what is missing.
    """
    try:
        parts = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path} is no saved execution: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{path} is no saved execution: it is not JSON ({error})") from None
    missing = [
        name for name, kind in PARTS.items() if not isinstance(parts, dict) or not isinstance(parts.get(name), kind)
    ]
    if missing:
        raise ValueError(f"{path} is no saved execution: it lacks {', '.join(missing)}")
    return Recording(parts["definition"], parts["execution"], parts["events"])


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    raise TypeError(f"{type(value).__name__} in an execution's history")
