"""Adapter: starts executions of the state machine and asks what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import boto3
from botocore.config import Config

from invalidation.batches.replay import Ended

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

ENDED_BADLY: tuple[Literal["FAILED", "ABORTED", "TIMED_OUT"], ...] = ("FAILED", "ABORTED", "TIMED_OUT")
ACCEPTING_STATE = "Join Batch"
_FIRST_EVENTS = 1_000
"""Of a history, in one answer; each attempt of Join Batch has three."""

STEP_FUNCTIONS_CONFIG: dict[str, Any] = {
    "connect_timeout": 2,
    "read_timeout": 5,
    "retries": {"mode": "adaptive", "total_max_attempts": 4},
}
"""For botocore's ``Config``: once throttled, the SDK keeps to the rate that Step Functions allows the account."""


def executions_of(state_machine_arn: str) -> Executions:
    """The executions of a state machine, asked with the function's own credentials."""
    return Executions(boto3.client("stepfunctions", config=Config(**STEP_FUNCTIONS_CONFIG)), state_machine_arn)


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

    def running(self) -> frozenset[str]:
        """The ARNs of the executions that run, as ListExecutions has them: a little late."""
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=self._state_machine_arn, statusFilter="RUNNING", PaginationConfig={"PageSize": 1_000}
        )
        return frozenset(execution["executionArn"] for page in pages for execution in page["executions"])

    def is_running(self, arn: str) -> bool:
        """Whether the execution goes on. False as well for one that is not known any more."""
        try:
            return self._client.describe_execution(executionArn=arn)["status"] == "RUNNING"
        except self._client.exceptions.ExecutionDoesNotExist:
            return False

    def ended_badly(self, started_since: datetime) -> list[Ended]:
        """The executions begun since then that failed, were aborted or timed out."""
        return list(self._ended_badly(started_since))

    def unrecorded(self, since: datetime) -> Iterator[Ended]:
        """The executions begun since then that ended before Join Batch ended well. Asks for the history of each."""
        return (each for each in self._ended_badly(since) if not self.was_accepted(each.arn))

    def was_accepted(self, arn: str) -> bool:
        """Whether its first events say that its change is in the batch table."""
        if arn in self._accepted:
            return True
        history = self._client.get_execution_history(
            executionArn=arn, maxResults=_FIRST_EVENTS, includeExecutionData=False
        )
        exited = (event.get("stateExitedEventDetails", {}).get("name") for event in history["events"])
        if ACCEPTING_STATE not in exited or self._join_was_caught(history["events"]):
            return False
        self._accepted.add(arn)
        return True

    def input_of(self, arn: str) -> Any:
        """The JSON document that an execution was started with."""
        return json.loads(self._client.describe_execution(executionArn=arn)["input"])

    def _ended_badly(self, since: datetime) -> Iterator[Ended]:
        for status in ENDED_BADLY:
            pages = self._client.get_paginator("list_executions").paginate(
                stateMachineArn=self._state_machine_arn, statusFilter=status, PaginationConfig={"PageSize": 1_000}
            )
            for execution in (each for page in pages for each in page["executions"]):
                if execution["startDate"] < since:
                    break  # newest first (Step Functions API Reference, ListExecutions)
                yield Ended(execution["executionArn"], execution["name"], execution["stopDate"])

    @staticmethod
    def _join_was_caught(events: Any) -> bool:
        """A caught failure also leaves the state, but goes on to Finish Batch."""
        entered = [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]
        return len(entered) > 1 and entered[:2] == [ACCEPTING_STATE, "Finish Batch"]
