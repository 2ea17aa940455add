"""Executions as they run: which there are, which states they enter, and how they end.

`Follower` reads the histories of executions that are named to it; `Watcher` finds those of a state machine as well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from invalidations_cli.history import ExecutionHistory, details_of, distribution_in, document_in, read_history
from invalidations_cli.output import count

LONGEST_CAUSE = 300
PAUSE = 0.25
AT_ONCE = 15
"""Histories that are read at one look, one a second: an account may read 20 a second (SFD, "Quotas")."""
MARGIN = timedelta(seconds=30)
"""How far a listing is read beyond what is new: emulators put those first that ended last."""
CLOSE_ENOUGH = timedelta(seconds=2)
ENTERED = "StateEntered"
ENDINGS = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT",
    "ExecutionAborted": "ABORTED",
}
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
NOT_ACCEPTED = "an input that is not accepted"


@dataclass(frozen=True, slots=True)
class Step:
    """One state entered, or the end of the execution.

    Attributes:
        at: When.
        execution_arn: Whose.
        subject: What the execution is about, in words.
        kind: The state's type (Task, Wait, …), or Ended.
        name: The state's name, or the status in which the execution ended.
        why: Error and cause, where it did not end well.
        distribution_id: The distribution that the state works on, inside the Map.
    """

    at: datetime
    execution_arn: str
    subject: str
    kind: str
    name: str
    why: str = ""
    distribution_id: str = ""

    @property
    def is_end(self) -> bool:
        return self.kind == "Ended"

    @property
    def colour(self) -> str:
        return COLOURS.get(self.kind, "green" if self.name == "SUCCEEDED" else "red")


@dataclass(slots=True)
class FollowedExecution:
    """An execution with what is known of it. `status`, `stopped`, `error` and `cause` are those of its last event.

    `outcome` is the outcome document, {} if the execution did not get so far. A failed execution has no output, but the
    last states that it entered were told the outcome.
    """

    arn: str
    status: str = "RUNNING"
    error: str = ""
    cause: str = ""
    outcome: Mapping[str, Any] = field(default_factory=dict)
    started: datetime | None = None
    stopped: datetime | None = None
    subject: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    listed: str = "RUNNING"
    looked: int = 0

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]

    @property
    def ended(self) -> bool:
        return self.status != "RUNNING"

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCEEDED"

    def history(self, definition: Mapping[str, Any]) -> ExecutionHistory:
        """What has happened so far, as far as it was read."""
        described = {"executionArn": self.arn, "name": self.name, "status": self.status}
        return read_history(definition, described, self.events)

    def take(self, event: dict[str, Any]) -> Step | None:
        """Add an event, the next one; the step that it is, if it is one."""
        self.events.append(event)
        kind, at, details = event["type"], event["timestamp"], details_of(event)
        self.started = self.started or at
        self._remember(details.get("input") if kind.endswith(ENTERED) else details.get("output"))
        if kind == "ExecutionStarted":
            self.subject = subject_of(details.get("input", ""))
        elif kind.endswith(ENTERED):
            place = distribution_in(details.get("input"))
            step = (self.subject, kind.removesuffix(ENTERED), details["name"])
            return Step(at, self.arn, *step, distribution_id=place)
        elif kind in ENDINGS:
            self.status, self.stopped = ENDINGS[kind], at
            self.error, self.cause = details.get("error", ""), details.get("cause", "")
            return Step(at, self.arn, self.subject, "Ended", self.status, why=reason(event))
        return None

    def _remember(self, data: str | None) -> None:
        outcome = document_in(data).get("outcome") if data and '"outcome"' in data else None
        if isinstance(outcome, dict):
            self.outcome = outcome


class Follower:
    """Reads the histories of some executions.

    Args:
        client: a boto3 client for Step Functions.
        execution_arns: which.
    """

    def __init__(self, client: Any, execution_arns: Iterable[str] = ()) -> None:
        self._client = client
        self._looks = 0
        self.executions = {arn: FollowedExecution(arn) for arn in execution_arns}

    @property
    def ended(self) -> list[FollowedExecution]:
        """Those that have ended."""
        return [each for each in self.executions.values() if each.ended]

    @property
    def running(self) -> list[FollowedExecution]:
        """Those that have not ended, as far as it has read, the oldest first."""
        return sorted((each for each in self.executions.values() if not each.ended), key=_started)

    def new_steps(self) -> list[Step]:
        """What happened since the last call, in the order in which it happened.

        Of many executions only some are looked at each time, those first that it has not looked at for longest.
        """
        self._looks += 1
        due = sorted(self.running, key=lambda each: each.looked)[:AT_ONCE]
        return sorted((step for each in due for step in self._steps_of(each)), key=lambda step: step.at)

    def _steps_of(self, execution: FollowedExecution) -> Iterator[Step]:
        execution.looked = self._looks
        was, new = execution.listed, self._new_events(execution)
        yield from (step for step in map(execution.take, new) if step)
        if not new and not execution.ended and was != "RUNNING":  # an emulator that tells no end
            execution.status, execution.stopped = was, execution.started

    def _new_events(self, execution: FollowedExecution) -> list[dict[str, Any]]:
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


class Watcher(Follower):
    """Finds a state machine's executions as they start, and reads their histories.

    Args:
        client: a boto3 client for Step Functions.
        state_machine_arn: whose executions.
        from_now: only those that run now or start later; else every one that there is.
    """

    def __init__(self, client: Any, state_machine_arn: str, *, from_now: bool = False) -> None:
        super().__init__(client)
        self._machine = state_machine_arn
        self._from_now = from_now
        self._horizon: datetime | None = None
        self._ahead = timedelta()

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
        self._list()
        return super().new_steps()

    def forget(self, before: datetime) -> None:
        """Drop executions that ended before; what is listed later on is newer."""
        for arn in [arn for arn, each in self.executions.items() if each.stopped and each.stopped < before]:
            del self.executions[arn]
        self._horizon = max(self._horizon or before, before)

    def _list(self) -> None:
        """Listings are newest first: the first old one ends it (Step Functions API Reference, ListExecutions)."""
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
            self.executions[arn] = FollowedExecution(arn, started=listed["startDate"])
        if arn in self.executions:
            self.executions[arn].listed = listed["status"]


def _started(execution: FollowedExecution) -> datetime:
    return execution.started or datetime.min.replace(tzinfo=UTC)


def server_time(answer: dict[str, Any]) -> datetime:
    """When AWS answered, by its own clock: this machine's may be minutes off."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])


def reason(event: dict[str, Any]) -> str:
    """Error and cause out of the event that ended an execution. Nothing where it ended well."""
    details = details_of(event)
    return ": ".join(details[key][:LONGEST_CAUSE] for key in ("error", "cause") if details.get(key))


def subject_of(execution_input: str) -> str:
    """What an execution is about, in a few words. The key that changed, where its input is an S3 event."""
    try:
        document = json.loads(execution_input)
    except (ValueError, RecursionError):
        return NOT_ACCEPTED
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
            return NOT_ACCEPTED
