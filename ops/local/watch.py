"""What executions do, as a person sees it in the console: which state each one enters, and when."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ops.local.aws import LocalAws

ENTERED = "StateEntered"
STATUSES = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT",
    "ExecutionAborted": "ABORTED",
}
LONGEST_CAUSE = 300
PAUSE = 0.25


@dataclass(frozen=True, slots=True)
class Step:
    """One state entered, or the end of the execution; `kind` is Task, Choice, Wait, … or Ended.

    `name` is the state's, or the status in which the execution ended; `why` says why it did not end well.
    """

    at: datetime
    execution_arn: str
    about: str
    kind: str
    name: str
    why: str = ""


@dataclass(slots=True)
class Watcher:
    """Reads executions and their histories; `seen` and `ended` are what it has told of already."""

    aws: LocalAws
    state_machine_arn: str
    seen: dict[str, int] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)

    def follow(self, until: Callable[[], bool], seconds: float) -> Iterator[Step]:
        """Each step as it happens, until nothing runs and `until` holds, or `seconds` have passed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            yield from self.new_steps()
            if set(self.seen) == set(self.ended) and until():
                return
            time.sleep(PAUSE)

    def new_steps(self) -> list[Step]:
        """What happened since the last call, in the order in which it happened."""
        states = self.aws.client("stepfunctions")
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=self.state_machine_arn)
        for page in pages:
            for execution in page["executions"]:
                self.seen.setdefault(execution["executionArn"], 0)
        running = [arn for arn in self.seen if arn not in self.ended]
        return sorted((step for arn in running for step in self.steps_of(states, arn)), key=lambda step: step.at)

    def steps_of(self, states: Any, arn: str) -> Iterator[Step]:
        pages = states.get_paginator("get_execution_history").paginate(executionArn=arn, includeExecutionData=True)
        events = [event for page in pages for event in page["events"]]
        for event in events[self.seen[arn] :]:
            kind = event["type"]
            if kind == "ExecutionStarted":
                self.about[arn] = subject_of(event["executionStartedEventDetails"]["input"])
            elif kind.endswith(ENTERED):
                name = event["stateEnteredEventDetails"]["name"]
                yield Step(event["timestamp"], arn, self.about[arn], kind.removesuffix(ENTERED), name)
            elif kind in STATUSES:
                self.ended[arn] = STATUSES[kind]
                yield Step(event["timestamp"], arn, self.about[arn], "Ended", self.ended[arn], reason(event))
        self.seen[arn] = len(events)


def reason(event: dict[str, Any]) -> str:
    """Error and cause out of the event that ended an execution; nothing where it ended well."""
    details: dict[str, str] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    return ": ".join(details[key][:LONGEST_CAUSE] for key in ("error", "cause") if details.get(key))


def subject_of(execution_input: str) -> str:
    """What an execution is about, in a few words: the key that changed, where its input is an S3 event."""
    document = json.loads(execution_input)
    match document:
        case {"detail-type": str(what), "detail": {"object": {"key": str(key)}}}:
            return f"{key} {'deleted' if what.endswith('Deleted') else 'put'}"
        case {"lead": str(bucket)}:
            return f"lead {bucket}"
        case {"retryBatch": str(batch)}:
            return f"retry {batch}"
        case _:
            return "request"
