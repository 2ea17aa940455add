"""Calling a handler as the state machine does."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from tests.definition import ACCOUNT, REGION
from tests.statemachine.functions import Functions
from tests.statemachine.machine import ARN

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Invoke:
    """``invoke.join(input)`` and so on, each with what the state machine adds to a payload."""

    functions: Functions

    def handler(self, function: str, event: dict[str, Any]) -> Any:
        return self.functions.module(function).handler(
            event, SimpleNamespace(get_remaining_time_in_millis=lambda: 300_000)
        )

    def join(self, document: object, execution: str = "") -> Any:
        event = {**self.run(execution), "stateMachine": ARN, "input": document}
        return self.handler("JoinBatchFunction", event)

    def close(self, joined: dict[str, Any]) -> Any:
        event = {"batchId": joined["batchId"], "bucket": joined["bucket"], **self.run(joined["leader"])}
        return self.handler("CloseBatchFunction", event)

    def resolve(self, joined: dict[str, Any]) -> Any:
        event = {"batchId": joined["batchId"], "bucket": joined["bucket"], **self.run(joined["leader"])}
        return self.handler("ResolveDistributionsFunction", event)

    def create(
        self, joined: dict[str, Any], distribution_id: str, room_until: str = "2999-01-01T00:00:00+00:00"
    ) -> Any:
        event = {
            **self.run(joined["leader"]),
            "batchId": joined["batchId"],
            "bucket": joined["bucket"],
            "distributionId": distribution_id,
            "roomUntil": room_until,
        }
        return self.handler("CreateInvalidationFunction", event)

    def poll(self, joined: dict[str, Any], distribution_id: str, invalidation: dict[str, Any]) -> Any:
        event = {
            **self.run(joined["leader"]),
            "batchId": joined["batchId"],
            "bucket": joined["bucket"],
            "distributionId": distribution_id,
            "invalidation": invalidation,
        }
        return self.handler("GetInvalidationFunction", event)

    def finish(self, state: dict[str, Any], execution: str = "") -> Any:
        return self.handler("FinishBatchFunction", {**self.run(execution or state.get("leader", "")), "state": state})

    def notify(self, state: dict[str, Any], execution: str = "") -> Any:
        return self.handler("NotifyFunction", {**self.run(execution), "state": state})

    @staticmethod
    def run(execution: str = "") -> dict[str, str]:
        """``$$.Execution``: an ARN of its own where none is given."""
        arn = execution or f"arn:aws:states:{REGION}:{ACCOUNT}:execution:invalidation:unit-{next(_NUMBERS)}"
        return {"execution": arn, "startedAt": "2026-11-12T09:14:01.482Z"}
