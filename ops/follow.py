"""Follows executions as they run: which state each one enters, when, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ENTERED = "StateEntered"
ENDINGS = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT",
    "ExecutionAborted": "ABORTED",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One state entered, or the end, whose `name` is the status. `about` is the distribution, inside the Map."""

    at: datetime
    execution_arn: str
    name: str
    kind: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ended. `outcome` is the outcome document, {} if the execution did not get so far."""

    execution_arn: str
    status: str
    error: str = ""
    cause: str = ""
    outcome: Mapping[str, Any] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCEEDED"


class Follower:
    """Reads the histories of some executions; `endings` fills up as they end.

    Args:
        client: a boto3 client for Step Functions.
        execution_arns: which.
    """

    def __init__(self, client: Any, execution_arns: Sequence[str]) -> None:
        self._client = client
        self._read = dict.fromkeys(execution_arns, 0)
        self._outcomes: dict[str, Mapping[str, Any]] = {}
        self.endings: dict[str, Ending] = {}

    @property
    def running(self) -> list[str]:
        return [arn for arn in self._read if arn not in self.endings]

    def new_steps(self) -> list[Step]:
        """What happened since the last call, in the order in which it happened."""
        return sorted((step for arn in self.running for step in self._steps_of(arn)), key=lambda step: step.at)

    def _steps_of(self, arn: str) -> Iterator[Step]:
        pages = self._client.get_paginator("get_execution_history").paginate(
            executionArn=arn, includeExecutionData=True, PaginationConfig={"PageSize": 1000}
        )
        events = [event for page in pages for event in page["events"]]
        for event in events[self._read[arn] :]:
            kind, at = event["type"], event["timestamp"]
            if kind.endswith(ENTERED):
                details = event["stateEnteredEventDetails"]
                state = _object(details.get("input"))
                self._remember(arn, state)
                about = str(state.get("distributionId", ""))
                yield Step(at, arn, details["name"], kind.removesuffix(ENTERED), about)
            elif kind in ENDINGS:
                details = event.get(f"e{kind[1:]}EventDetails", {})
                self._remember(arn, _object(details.get("output")))
                ending = Ending(arn, ENDINGS[kind], details.get("error", ""), details.get("cause", ""))
                self.endings[arn] = self._with_outcome(ending)
                yield Step(at, arn, ending.status, "Ended")
        self._read[arn] = len(events)

    def _remember(self, arn: str, state: Mapping[str, Any]) -> None:
        """A failed execution has no output, but the last states that it entered were told the outcome."""
        if isinstance(state.get("outcome"), dict):
            self._outcomes[arn] = state["outcome"]

    def _with_outcome(self, ending: Ending) -> Ending:
        outcome = self._outcomes.get(ending.execution_arn, {})
        return Ending(ending.execution_arn, ending.status, ending.error, ending.cause, outcome)


def _object(text: str | None) -> Mapping[str, Any]:
    """A JSON object in a history, or nothing: data may be left out or cut there."""
    try:
        document = json.loads(text or "")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
