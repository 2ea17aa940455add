"""Adapter: starts executions of the state machine and asks what became of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

ENDED_BADLY: tuple[Literal["FAILED", "ABORTED", "TIMED_OUT"], ...] = ("FAILED", "ABORTED", "TIMED_OUT")
ACCEPTING_STATE = "Join Batch"
MAX_REPLAYS = 5
_REPLAY_NAME = re.compile(r"replay-([0-9]+)-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Unaccepted:
    """An execution that ended before its changes were in the batch table: its input is all that is left of them."""

    arn: str
    name: str
    stopped: datetime

    @property
    def replays(self) -> int:
        """How many replays led to this execution; 0 for an original."""
        match = _REPLAY_NAME.fullmatch(self.name)
        return int(match[1]) if match else 0

    @property
    def replay_name(self) -> str:
        """The name of the next replay: always the same, so that two sweeps start one."""
        match = _REPLAY_NAME.fullmatch(self.name)
        origin = match[2] if match else hashlib.sha256(self.arn.encode()).hexdigest()[:32]
        return f"replay-{self.replays + 1}-{origin}"

    def is_due(self, now: datetime) -> bool:
        """Replays come after 5, 15, 45, 135 and 405 minutes: what is broken for all must not become a storm."""
        return self.replays < MAX_REPLAYS and now >= self.stopped + timedelta(minutes=5 * 3**self.replays - 5)


class Executions:
    """The executions of one state machine.

    Args:
        client: a boto3 client for Step Functions.
        state_machine_arn: whose executions.
    """

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn
        self._accepted: set[str] = set()

    def start(self, name: str, document: object) -> bool:
        """Start an execution. False: one of that name has ended, or has another input (names are kept for 90 days).

        One that is running with the same input counts as started (Step Functions API Reference, StartExecution).
        """
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine_arn, name=name, input=json.dumps(document, separators=(",", ":"))
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return False
        return True

    def is_running(self, arn: str) -> bool:
        """Whether the execution goes on; False as well for one that is not known any more."""
        try:
            return self._client.describe_execution(executionArn=arn)["status"] == "RUNNING"
        except self._client.exceptions.ExecutionDoesNotExist:
            return False

    def unaccepted(self, since: datetime) -> Iterator[Unaccepted]:
        """The executions begun after ``since`` that ended before Join Batch ended well."""
        for status in ENDED_BADLY:
            pages = self._client.get_paginator("list_executions").paginate(
                stateMachineArn=self._state_machine_arn, statusFilter=status
            )
            for execution in (each for page in pages for each in page["executions"]):
                if execution["startDate"] < since:
                    break  # newest first (Step Functions API Reference, ListExecutions)
                arn = execution["executionArn"]
                if arn not in self._accepted and not self._was_accepted(arn):
                    yield Unaccepted(arn, execution["name"], execution["stopDate"])

    def input_of(self, arn: str) -> Any:
        """The JSON document that an execution was started with."""
        return json.loads(self._client.describe_execution(executionArn=arn)["input"])

    def _was_accepted(self, arn: str) -> bool:
        """Whether the execution left Join Batch. Its first events say so: no retry comes near a hundred events."""
        history = self._client.get_execution_history(executionArn=arn, maxResults=100, includeExecutionData=False)
        exited = (event.get("stateExitedEventDetails", {}).get("name") for event in history["events"])
        if ACCEPTING_STATE not in exited or self._join_was_caught(history["events"]):
            return False
        self._accepted.add(arn)
        return True

    @staticmethod
    def _join_was_caught(events: Any) -> bool:
        """A caught failure also leaves the state, and goes on to Finish Batch instead of the Choice."""
        entered = [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]
        return len(entered) > 1 and entered[:2] == [ACCEPTING_STATE, "Finish Batch"]
