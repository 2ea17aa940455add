"""A few tasks run at once. The others wait before their TimeoutSeconds begin to count.

ministack starts a worker for every call that finds none idle: three hundred S3 events start three hundred interpreters,
and the machine stands still. AWS would run them all at once.
"""

from __future__ import annotations

import threading
from typing import Any

import ministack.services.stepfunctions as states

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings


def apply(settings: LocalSettings) -> None:
    turn = threading.BoundedSemaphore(settings.handlers_at_once)
    invoke = seam(states, "_invoke_resource_with_timeout", "faeed0bf70d5")

    def invoke_in_turn(resource: str, task_input: Any, timeout: float) -> Any:
        if "lambda" not in resource:
            return invoke(resource, task_input, timeout)
        with turn:
            return invoke(resource, task_input, timeout)

    states._invoke_resource_with_timeout = invoke_in_turn
