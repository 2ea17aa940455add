"""Finds executions as they start, and tells what they do, as a person sees it in the console: state by state.

Follows executions as they run: which state each one enters, when, and what came of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from invalidations_cli.output import count

LONGEST_CAUSE = 300
PAUSE = 0.25
AT_ONCE = 15
"""Histories that are read at one look, one a second: an account may read 20 a second (SFD, "Quotas")."""
MARGIN = timedelta(seconds=30)
"""How far a listing is read beyond what is new: emulators put those first that ended last."""

CLOSE_ENOUGH = timedelta(seconds=2)

COLOURS = {
    "Task": "cyan",
    "Wait": "yellow",
    "Choice": "dim",
    "Pass": "dim",
    "Map": "blue",
    "Parallel": "blue",
    "Succeed": "green",
    "Fail": "red",
}
"""The colour of a state, by its type."""


@dataclass(frozen=True, slots=True)
class Step:
    """One state entered, or the end of the execution; `kind` is Task, Choice, Wait, … or Ended.

    `about` says what the execution is about, and `item` which distribution the state is, inside the Map. `name` is the
    state's, or the status in which the execution ended; `why` says why it did not end well.
    """

    at: datetime
    execution_arn: str
    about: str
    kind: str
    name: str
    why: str = ""
    item: str = ""

    @property
    def colour(self) -> str:
        return COLOURS.get(self.kind, "green" if self.name == "SUCCEEDED" else "red")


@dataclass(slots=True)
class Watched:
    """An execution with what is known of it; `status` and `stopped` are those of its last event."""

    arn: str
    name: str
    started: datetime
    about: str = ""
    status: str = "RUNNING"
    stopped: datetime | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    listed: str = "RUNNING"
    looked: int = 0

    @property
    def ended(self) -> bool:
        return self.status != "RUNNING"


class Watcher:
    """Reads executions and their histories.

    Args:
        client: a boto3 client for Step Functions.
        state_machine_arn: whose executions.
        from_now: only those that run now or start later; else every one that there is.
    """

    def __init__(self, client: Any, state_machine_arn: str, *, from_now: bool = False) -> None:
        self._client = client
        self._machine = state_machine_arn
        self._from_now = from_now
        self._horizon: datetime | None = None
        self._looks = 0
        self._ahead = timedelta()
        self.executions: dict[str, Watched] = {}

    @property
    def seen(self) -> set[str]:
        """ARNs of all executions that it knows of."""
        return set(self.executions)

    @property
    def ended(self) -> dict[str, str]:
        """ARN → status of those that have ended."""
        return {arn: each.status for arn, each in self.executions.items() if each.ended}

    @property
    def running(self) -> list[Watched]:
        """Those that have not ended, as far as it has read, the oldest first."""
        return sorted((each for each in self.executions.values() if not each.ended), key=lambda each: each.started)

    def now(self) -> datetime:
        """The time by AWS's clock, which wrote the histories; it tells whole seconds only."""
        return datetime.now(UTC) - (self._ahead if abs(self._ahead) > CLOSE_ENOUGH else timedelta())

    def follow(self, until: Callable[[], bool], seconds: float) -> Iterator[Step]:
        """Each step as it happens, until nothing runs and `until` holds, or `seconds` have passed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            yield from self.new_steps()
            if not self.running and until():
                return
            time.sleep(PAUSE)

    def new_steps(self) -> list[Step]:
        """What happened since the last call, in the order in which it happened.

        Of many executions only some are looked at each time, those first that it has not looked at for longest.
        """
        self._list()
        self._looks += 1
        due = sorted(self.running, key=lambda each: each.looked)[:AT_ONCE]
        return sorted((step for each in due for step in self._steps_of(each)), key=lambda step: step.at)

    def forget(self, before: datetime) -> None:
        """Let go of executions that ended before; what is listed later on is newer."""
        for arn in [arn for arn, each in self.executions.items() if each.stopped and each.stopped < before]:
            del self.executions[arn]
        self._horizon = max(self._horizon or before, before)

    def _list(self) -> None:
        """Newest first (Step Functions API Reference, ListExecutions), so that the first old one ends the listing."""
        horizon = self._horizon if self._from_now else None
        running_only = self._from_now and horizon is None
        criteria: dict[str, Any] = {"statusFilter": "RUNNING"} if running_only else {}
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=self._machine, PaginationConfig={"PageSize": 1000}, **criteria
        )
        for page in pages:
            self._ahead = datetime.now(UTC) - server_time(page)
            self._horizon = self._horizon or server_time(page)
            for each in page["executions"]:
                latest = max(each["startDate"], each.get("stopDate") or each["startDate"])
                if horizon and each["status"] != "RUNNING" and latest < horizon - MARGIN:
                    return
                self._take(each, is_new=horizon is None or each["startDate"] >= horizon)

    def _take(self, listed: dict[str, Any], *, is_new: bool) -> None:
        arn = listed["executionArn"]
        if arn not in self.executions and (is_new or listed["status"] == "RUNNING"):
            self.executions[arn] = Watched(arn, listed["name"], listed["startDate"])
        if arn in self.executions:
            self.executions[arn].listed = listed["status"]

    def _steps_of(self, execution: Watched) -> Iterator[Step]:
        execution.looked = self._looks
        was_over, new = execution.listed, self._new_events(execution)
        for event in new:
            execution.events.append(event)
            kind, at = event["type"], event["timestamp"]
            if kind == "ExecutionStarted":
                execution.about = subject_of(event["executionStartedEventDetails"].get("input", ""))
            elif kind.endswith(ENTERED):
                details = event["stateEnteredEventDetails"]
                item = distribution_in(details.get("input", ""))
                step = (execution.arn, execution.about, kind.removesuffix(ENTERED), details["name"])
                yield Step(at, *step, item=item)
            elif kind in ENDINGS:
                execution.status, execution.stopped = ENDINGS[kind], at
                yield Step(at, execution.arn, execution.about, "Ended", execution.status, why=reason(event))
        if not new and not execution.ended and was_over != "RUNNING":
            execution.status, execution.stopped = was_over, execution.started  # an emulator that tells no end

    def _new_events(self, execution: Watched) -> list[dict[str, Any]]:
        """From the latest back to those that are known: histories can have 25,000 events."""
        known = execution.events[-1]["id"] if execution.events else 0
        new: list[dict[str, Any]] = []
        request: dict[str, Any] = {"executionArn": execution.arn, "reverseOrder": True, "maxResults": 200}
        while True:
            page = self._client.get_execution_history(**request)
            fresh = [event for event in page["events"] if event["id"] > known]
            new += fresh
            if "nextToken" not in page or len(fresh) < len(page["events"]):
                return new[::-1]
            request["nextToken"] = page["nextToken"]


def server_time(answer: dict[str, Any]) -> datetime:
    """When AWS answered, by its own clock: this machine's may be minutes off."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])


def reason(event: dict[str, Any]) -> str:
    """Error and cause out of the event that ended an execution; nothing where it ended well."""
    details: dict[str, str] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    return ": ".join(details[key][:LONGEST_CAUSE] for key in ("error", "cause") if details.get(key))


def distribution_in(state_input: str) -> str:
    """The distribution that a state inside the Map works on."""
    document = _document(state_input)
    found = document.get("distributionId") if isinstance(document, dict) and "batchId" in document else None
    return found if isinstance(found, str) else ""


def subject_of(execution_input: str) -> str:
    """What an execution is about, in a few words: the key that changed, where its input is an S3 event."""
    document = _document(execution_input)
    match document:
        case [_, _, *_]:
            return count(len(document), "change")
        case [{"body": dict(event)}] | [dict(event)] | {"body": dict(event)}:
            return _subject(event)
        case _:
            return _subject(document)


def _subject(document: Any) -> str:
    match document:
        case {"detail-type": str(what), "detail": {"object": {"key": str(key)}}}:
            return f"{key} {'deleted' if what.endswith('Deleted') else 'put'}"
        case {"bucket": str(where), "keys": list(names)}:
            return f"request: {count(len(names), 'key')} of {where}"
        case {"distributionId": str(where), "paths": list(names)}:
            return f"request: {count(len(names), 'path')} of {where}"
        case {"lead": str(bucket)}:
            return f"lead {bucket}"
        case {"retryBatch": str(batch)}:
            return f"retry {batch}"
        case _:
            return "an input that is not accepted"


def _document(text: str) -> Any:
    """A history's data; nothing where it was left out or cut."""
    try:
        return json.loads(text)
    except ValueError:
        return None


ENTERED = "StateEntered"
ENDINGS = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT",
    "ExecutionAborted": "ABORTED",
}


@dataclass(frozen=True, slots=True)
class FollowedStep:
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

    def new_steps(self) -> list[FollowedStep]:
        """What happened since the last call, in the order in which it happened."""
        return sorted((step for arn in self.running for step in self._steps_of(arn)), key=lambda step: step.at)

    def _steps_of(self, arn: str) -> Iterator[FollowedStep]:
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
                yield FollowedStep(at, arn, details["name"], kind.removesuffix(ENTERED), about)
            elif kind in ENDINGS:
                details = event.get(f"e{kind[1:]}EventDetails", {})
                self._remember(arn, _object(details.get("output")))
                ending = Ending(arn, ENDINGS[kind], details.get("error", ""), details.get("cause", ""))
                self.endings[arn] = self._with_outcome(ending)
                yield FollowedStep(at, arn, ending.status, "Ended")
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
