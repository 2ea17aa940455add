"""An execution's history, read. Which states it was in, when, how often each was tried, and what came of it.

Events name the state only when it is entered or exited (Step Functions API Reference, HistoryEvent); all others belong
to where the event before them, `previousEventId`, left off. So each event leaves behind a *place*: the innermost visit
or iteration that is open after it. Histories without `previousEventId` are read in order. Times are milliseconds since
1970.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from invalidations_cli.report.flow import Flow, flow

Status = Literal["succeeded", "retried", "caught", "failed", "aborted", "running", "unreached", "unrecorded"]
WORST_FIRST: tuple[Status, ...] = ("failed", "aborted", "running", "caught", "retried", "succeeded")
"""What a state shows when it was entered more than once."""
CONTAINERS = ("Map", "Parallel")
STOPPED = ("ABORTED", "TIMED_OUT")
ITERATION_EVENT = re.compile(r"MapIteration(Started|Succeeded|Failed|Aborted)$")
STATE_EVENT = re.compile(r"(Map|Parallel)State(Started|Succeeded|Failed|Aborted)$")
EDGE_EVENT = re.compile(r"(?P<type>\w+)State(?P<what>Entered|Exited|Aborted)$")
ABORTED = re.compile(r"\w+StateAborted$|MapRunAborted$|Execution(Aborted|TimedOut)$")
MILLISECONDS = 1e11
"""A number below this is seconds since 1970."""


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One event, its details unwrapped. `visit` and `iteration` are numbers of those that it belongs to."""

    id: int
    type: str
    time: float
    previous: int
    details: dict[str, Any]
    visit: int | None = None
    iteration: int | None = None

    @classmethod
    def of(cls, event: Mapping[str, Any], number: int) -> HistoryEvent:
        """One HistoryEvent of the API; `previousEventId` falls back to the event before it.

        Raises:
            ValueError: it has no type or timestamp.
        """
        if not {"type", "timestamp"} <= event.keys():
            raise ValueError(f"event {number} is no event of an execution's history: it needs id, type and timestamp")
        identity = int(event.get("id", number))
        previous = int(event.get("previousEventId", identity - 1))
        return cls(identity, str(event["type"]), _time(event["timestamp"]), previous, dict(details_of(event)))

    @property
    def error(self) -> tuple[str, str]:
        """Error and cause, empty where it has none."""
        return str(self.details.get("error") or ""), str(self.details.get("cause") or "")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a Task (or a Map or Parallel as a whole). `ended` and `end` are None while it runs or was cut off."""

    scheduled: int
    ended: int | None
    start: float
    end: float | None
    outcome: Literal["succeeded", "failed", "open"]
    error: str
    cause: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay in a state, from StateEntered to StateExited (None: it was never left)."""

    number: int
    state: str
    type: str
    iteration: int | None
    entered: int
    exited: int | None
    start: float
    end: float | None
    status: Status
    attempts: tuple[Attempt, ...]
    error: str
    cause: str
    next: str | None
    distribution_id: str

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it goes on."""
        return None if self.end is None or self.status == "running" else round((self.end - self.start) / 1000, 3)


@dataclass(frozen=True, slots=True)
class Iteration:
    """One item of a Map. Not `recorded`, it was made by `report.items` from the Map's own input and output."""

    number: int
    visit: int
    attempt: int
    index: int
    start: float
    end: float | None
    status: Status
    recorded: bool = True
    input: str | None = None
    output: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionHistory:
    """One execution, read.

    `unrecorded` names the states that the history cannot tell of: those inside a container that was entered, where the
    engine writes no events of its inside, or writes them elsewhere.
    """

    name: str
    arn: str
    machine: str
    status: str
    start: float
    end: float | None
    error: str
    cause: str
    definition: dict[str, Any]
    flow: Flow
    events: tuple[HistoryEvent, ...]
    visits: tuple[Visit, ...]
    iterations: tuple[Iteration, ...]
    unrecorded: frozenset[str]


def worst(statuses: Sequence[Status]) -> Status:
    return next((status for status in WORST_FIRST if status in statuses), "unreached")


def read_history(
    definition: Mapping[str, Any], execution: Mapping[str, Any], events: Sequence[Mapping[str, Any]]
) -> ExecutionHistory:
    """What happened in an execution.

    `execution` is DescribeExecution's answer, `events` are those of GetExecutionHistory, oldest first; times may be
    datetimes, ISO 8601 text or numbers.

    Raises:
        ValueError: the definition is none, or an event has no id, type or timestamp.
    """
    reader = HistoryReader(flow(definition))
    for number, event in enumerate(events, 1):
        reader.add(HistoryEvent.of(event, number))
    status = str(execution.get("status", "RUNNING"))
    visits = tuple(reader.visit(each, status) for each in reader.visits)
    inside = defaultdict(list)
    for visit in visits:
        inside[visit.iteration].append(visit.status)
    arn = str(execution.get("executionArn", ""))
    ended = execution.get("stopDate")
    last = reader.events[-1] if reader.events else None
    error, cause = last.error if last and last.type.startswith("Execution") else ("", "")
    return ExecutionHistory(
        name=str(execution.get("name") or arn.rpartition(":")[2] or "execution"),
        arn=arn,
        machine=str(execution.get("stateMachineArn", "")).rpartition(":")[2] or (arn.split(":") + [""] * 7)[6],
        status=status,
        start=_time(execution["startDate"]) if "startDate" in execution else (reader.events[0].time if last else 0.0),
        end=_time(ended) if ended else (last.time if last and status != "RUNNING" else None),
        error=str(execution.get("error") or error),
        cause=str(execution.get("cause") or cause),
        definition=dict(definition),
        flow=reader.flow,
        events=tuple(reader.events),
        visits=visits,
        iterations=tuple(reader.iteration(each, inside[each.number], status) for each in reader.iterations),
        unrecorded=reader.unrecorded(),
    )


@dataclass(slots=True)
class OpenVisit:
    """A visit while its events are gathered. `parent` is the iteration, or the Parallel's visit, that it is in."""

    number: int
    state: str
    type: str
    parent: Place
    entered: HistoryEvent
    events: list[HistoryEvent] = field(default_factory=list)
    exited: HistoryEvent | None = None
    next: str | None = None
    tries: int = 0

    @property
    def is_over(self) -> bool:
        return self.exited is not None

    @property
    def parent_is_over(self) -> bool:
        return _climb(self.parent, lambda place: place.is_over) is not None


@dataclass(slots=True)
class OpenIteration:
    """An iteration while its events are gathered. `attempt` counts the tries at the Map as a whole, from 1."""

    number: int
    parent: OpenVisit
    attempt: int
    index: int
    started: HistoryEvent
    ended: HistoryEvent | None = None

    @property
    def is_over(self) -> bool:
        return self.ended is not None


Place: TypeAlias = OpenVisit | OpenIteration | None


@dataclass(frozen=True, slots=True)
class AttemptEvents:
    """The types of event that begin and end an attempt at a state."""

    scheduled: re.Pattern[str]
    succeeded: re.Pattern[str]
    failed: re.Pattern[str]

    def end(self, event: HistoryEvent) -> Literal["succeeded", "failed"] | None:
        """How the event ends an attempt, if it does."""
        if self.succeeded.match(event.type):
            return "succeeded"
        return "failed" if self.failed.match(event.type) else None


TASK = r"(Task|LambdaFunction|Activity)"
OF_TASKS = AttemptEvents(
    scheduled=re.compile(rf"{TASK}Scheduled$"),
    succeeded=re.compile(rf"{TASK}Succeeded$"),
    failed=re.compile(rf"({TASK}\w*(Failed|TimedOut)|EvaluationFailed)$"),
)
OF_CONTAINERS = AttemptEvents(
    scheduled=re.compile(r"(Map|Parallel)StateStarted$"),
    succeeded=re.compile(r"((Map|Parallel)State|MapRun)Succeeded$"),
    failed=re.compile(r"((Map|Parallel)StateFailed|MapRunFailed|EvaluationFailed)$"),
)
"""Events of Tasks may lie here too, where the engine does not tell which state inside they are of."""


class HistoryReader:
    """Gathers events into visits and iterations, one by one."""

    def __init__(self, machine: Flow) -> None:
        self.flow = machine
        self.containers = {state.name: container for state, container in machine.walk()}
        self.events: list[HistoryEvent] = []
        self.visits: list[OpenVisit] = []
        self.iterations: list[OpenIteration] = []
        self._transitions = machine.transitions()
        self._places: dict[int, Place] = {}
        self._by_id: dict[int, HistoryEvent] = {}

    def add(self, event: HistoryEvent) -> None:
        """Take the next event, in the order of their ids."""
        place, after = self._place(event, self._places.get(event.previous))
        visit = place.parent if isinstance(place, OpenIteration) else place
        iteration = _climb(place, lambda each: isinstance(each, OpenIteration))
        numbers = (visit.number if visit else None, iteration.number if iteration else None)
        event = replace(event, visit=numbers[0], iteration=numbers[1])
        if visit:
            visit.events.append(event)
            visit.tries += event.type == "MapStateStarted"
        self.events.append(event)
        self._by_id[event.id] = event
        self._places[event.id] = after

    def _place(self, event: HistoryEvent, here: Place) -> tuple[Place, Place]:
        """Where the event belongs, and the place that it leaves behind."""
        if ITERATION_EVENT.match(event.type):
            return self._iterate(event, here)
        if STATE_EVENT.match(event.type):
            here = _climb(here, lambda place: isinstance(place, OpenVisit) and event.type.startswith(place.type))
            return here, here
        edge = EDGE_EVENT.match(event.type)
        if edge and edge["what"] == "Entered":
            visit = self._enter(event, here, edge["type"])
            return visit, visit
        if edge and (edge["what"] == "Exited" or "name" in event.details):
            left = self._visit_named(str(event.details.get("name", "")), here)
            if left and edge["what"] == "Exited":
                left.exited = event
            return left, left.parent if left else here
        return here, here

    def _enter(self, event: HistoryEvent, here: Place, kind: str) -> OpenVisit:
        name = str(event.details.get("name", ""))
        before = self._by_id.get(event.previous)
        container = self.containers.get(name)
        parent = _climb(here, lambda place: _holds(place, container)) if container else None
        visit = OpenVisit(len(self.visits), name, kind, parent, event)
        if before and before.visit is not None and self.visits[before.visit].parent is parent:
            self.visits[before.visit].next = name
        self.visits.append(visit)
        return visit

    def _visit_named(self, name: str, here: Place) -> OpenVisit | None:
        found = _climb(here, lambda place: isinstance(place, OpenVisit) and place.state == name)
        if isinstance(found, OpenVisit):
            return found
        return next((visit for visit in reversed(self.visits) if visit.state == name and not visit.exited), None)

    def _iterate(self, event: HistoryEvent, here: Place) -> tuple[Place, Place]:
        name, index = str(event.details.get("name", "")), int(event.details.get("index", 0))
        if event.type == "MapIterationStarted":
            visit = self._visit_named(name, here)
            if visit is None:
                return here, here
            started = OpenIteration(len(self.iterations), visit, max(1, visit.tries), index, event)
            self.iterations.append(started)
            return started, started
        found = _climb(here, lambda place: isinstance(place, OpenIteration) and place.index == index)
        if not isinstance(found, OpenIteration) or found.parent.state != name:
            unended = (each for each in reversed(self.iterations) if each.ended is None)
            found = next((each for each in unended if (each.parent.state, each.index) == (name, index)), None)
        if found is None:
            return here, here
        found.ended = event
        return found, found.parent

    def visit(self, opened: OpenVisit, execution_status: str) -> Visit:
        """The visit with its outcome, in an execution with a status of DescribeExecution's."""
        kinds = OF_CONTAINERS if opened.type in CONTAINERS else OF_TASKS
        attempts = _attempts(opened.events, kinds)
        error, cause = _error(opened.events, kinds)
        over = execution_status != "RUNNING" or opened.parent_is_over
        status = _status(opened, attempts, kinds, over=over)
        if status == "failed" and execution_status in STOPPED and opened.type != "Fail" and not opened.parent_is_over:
            status = "aborted"  # it waited for its next attempt
        if status == "succeeded" and (self._left_by_catch(opened) or _never_ended(attempts)):
            status = "caught"
        return Visit(
            number=opened.number,
            state=opened.state,
            type=opened.type,
            iteration=opened.events[0].iteration,
            entered=opened.entered.id,
            exited=opened.exited.id if opened.exited else None,
            start=opened.entered.time,
            end=self._end(opened, over=over),
            status=status,
            attempts=attempts,
            error=error,
            cause=cause,
            next=opened.next,
            distribution_id=distribution_in(opened.entered.details.get("input")),
        )

    def _left_by_catch(self, opened: OpenVisit) -> bool:
        """Whether only a Catch leads from here to the state that came next."""
        return self._transitions.get((opened.state, opened.next or "")) == {"catch"}

    def _end(self, opened: OpenVisit, *, over: bool) -> float | None:
        if opened.exited:
            return opened.exited.time
        if opened.type in ("Succeed", "Fail"):
            return opened.entered.time
        if not over:
            return None
        ended = opened.parent.ended if isinstance(opened.parent, OpenIteration) else None
        return ended.time if ended else self.events[-1].time

    def iteration(self, opened: OpenIteration, inside: Sequence[Status], execution_status: str) -> Iteration:
        """The iteration with its outcome. `inside` are the statuses of its visits: they say what was caught there."""
        end = opened.ended
        status: Status
        if end is None:
            status = "running" if execution_status == "RUNNING" else "aborted"
        elif end.type == "MapIterationSucceeded":
            status = worst([each for each in inside if each in ("caught", "retried")] or ["succeeded"])
        else:
            status = "failed" if end.type == "MapIterationFailed" else "aborted"
        times = (opened.started.time, end.time if end else None)
        return Iteration(opened.number, opened.parent.number, opened.attempt, opened.index, *times, status)

    def unrecorded(self) -> frozenset[str]:
        """The states inside containers that were entered and tell nothing of it. A distributed Map's are executions."""
        names: set[str] = set()
        types: dict[str, set[str]] = defaultdict(set)
        for visit in self.visits:
            types[visit.state] |= {event.type for event in visit.events}
        for state, _ in self.flow.walk():
            inside = {inner.name for machine in state.machines for inner, _ in machine.walk()}
            known = types.get(state.name, set())
            told = types.keys() & inside or (f"{state.type}StateStarted" in known and "MapRunStarted" not in known)
            if not told and (state.name in types or state.name in names):
                names |= inside
        return frozenset(names)


def _climb(place: Place, wanted: Callable[[Any], bool]) -> Place:
    """The nearest place, from the inside out, that is wanted."""
    while place is not None and not wanted(place):
        place = place.parent
    return place


def _holds(place: Place, container: str) -> bool:
    """Whether states of a container happen in a place. Its iteration, or its visit where no event tells of any."""
    if isinstance(place, OpenIteration):
        return place.parent.state == container
    return place is not None and place.state == container


def _attempts(events: Sequence[HistoryEvent], kinds: AttemptEvents) -> tuple[Attempt, ...]:
    attempts: list[Attempt] = []
    for event in events:
        if kinds.scheduled.match(event.type):
            attempts.append(Attempt(event.id, None, event.time, None, "open", "", ""))
        elif attempts and (outcome := kinds.end(event)):
            latest = attempts[-1]
            attempts[-1] = Attempt(latest.scheduled, event.id, latest.start, event.time, outcome, *event.error)
    return tuple(attempts)


def _error(events: Sequence[HistoryEvent], kinds: AttemptEvents) -> tuple[str, str]:
    """The error that the visit ended with, if it did. An attempt that succeeds wipes out those before it."""
    found = ("", "")
    for event in events:
        ended = kinds.end(event)
        if ended == "succeeded":
            found = ("", "")
        elif (ended or event.type.startswith("Execution")) and any(event.error):
            found = event.error
    return found


def _status(opened: OpenVisit, attempts: Sequence[Attempt], kinds: AttemptEvents, *, over: bool) -> Status:
    types = [event.type for event in opened.events]
    ends = [ended for ended in map(kinds.end, opened.events) if ended]
    failed = bool(ends) and ends[-1] == "failed"
    if opened.exited:
        if failed:
            return "caught"
        return "retried" if len(attempts) > 1 else "succeeded"
    if any(ABORTED.match(each) for each in types):
        return "aborted"
    if opened.type == "Fail" or "ExecutionFailed" in types or (failed and over):
        return "failed"
    if opened.type == "Succeed":  # some engines write no SucceedStateExited
        return "succeeded"
    return "aborted" if over else "running"


def _never_ended(attempts: Sequence[Attempt]) -> bool:
    """Whether a visit that was left has an attempt without an end. Engines may leave out that a Map failed."""
    return bool(attempts) and attempts[-1].outcome == "open"


def details_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an event holds under `…EventDetails`, whose name depends on its type."""
    return next((value for key, value in event.items() if key.endswith("EventDetails")), {})


def document_in(text: Any) -> Mapping[str, Any]:
    """A JSON object in a history, {} where there is none. Data may be left out or cut there."""
    try:
        document = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def distribution_in(state_input: Any) -> str:
    """The distribution that a state inside the Map works on."""
    document = document_in(state_input)
    found = document.get("distributionId") if "batchId" in document else None
    return found if isinstance(found, str) else ""


def _time(value: Any) -> float:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000
    return float(value) if value > MILLISECONDS else float(value) * 1000
