"""A parent is told of its failed child as `startExecution.sync:2` tells it.

ministack hands it the child's own error. AWS hands it `States.TaskFailed`, with the child's description as the cause:
here, as there, a parent that catches the child's error by name fails.
"""

from __future__ import annotations

import json
from typing import Any

import ministack.services.stepfunctions as states

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

DESCRIPTION = ("executionArn", "status", "error", "cause", "input", "name", "stateMachineArn", "startDate", "stopDate")


def apply(_settings: LocalSettings) -> None:
    seam(states, "_nested_execution_failure", "aa53a760707b")
    states._nested_execution_failure = task_failed


def task_failed(child: dict[str, Any]) -> tuple[str, str]:
    """Error name and cause, from what DescribeExecution says of the child."""
    cause = {key[0].upper() + key[1:]: child.get(key) for key in DESCRIPTION}
    return "States.TaskFailed", json.dumps(cause)
