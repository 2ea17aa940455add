"""From an execution's history to a `Run`: which event belongs to which visit of which state, in which Map iteration.

Events name the state only when it is entered or exited (Step Functions API reference, HistoryEvent); all others belong
to where the event before them, `previousEventId`, left off. So each event here leaves behind a *place*: the innermost
visit or iteration that is open after it. Histories without `previousEventId` are read in order. Iterations that no
event tells of are made from the Map's input and output, by `invalidations_cli.report.items`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from invalidations_cli.report import items, outcome
from invalidations_cli.report.flow import flow
from invalidations_cli.report.run import Event, Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from invalidations_cli.report.flow import Flow


ITERATION_EVENT = re.compile(r"MapIteration(Started|Succeeded|Failed|Aborted)$")
STATE_EVENT = re.compile(r"(Map|Parallel)State(Started|Succeeded|Failed|Aborted)$")
EDGE_EVENT = re.compile(r"(?P<type>\w+)State(?P<what>Entered|Exited|Aborted)$")
CHUNK = 1e11  # a number below this is seconds since 1970, above it milliseconds


@dataclass(slots=True)
class OpenVisit:
    """A visit while its events are gathered. `parent` is the iteration, or the Parallel's visit, that it is in."""

    number: int
    state: str
    type: str
    parent: Place
    entered: Event
    events: list[Event] = field(default_factory=list)
    exited: Event | None = None
    next: str | None = None
    tries: int = 0


@dataclass(slots=True)
class OpenIteration:
    """An iteration while its events are gathered. `attempt` counts the tries at the Map as a whole, from 1."""

    number: int
    parent: OpenVisit
    attempt: int
    index: int
    started: Event
    ended: Event | None = None


Place: TypeAlias = OpenVisit | OpenIteration | None


def read(definition: Mapping[str, Any], execution: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Run:
    """What happened in an execution.

    `execution` is DescribeExecution's answer, `events` are those of GetExecutionHistory, oldest first; times may be
    datetimes, ISO 8601 text or numbers.

    Raises:
        ValueError: the definition is none, or an event has no id, type or timestamp.
    """
    reader = Reader(flow(definition))
    for number, event in enumerate(events, 1):
        reader.add(_event(event, number))
    status = str(execution.get("status", "RUNNING"))
    visits = tuple(outcome.visit(visit, reader, status) for visit in reader.visits)
    inside = defaultdict(list)
    for visit in visits:
        inside[visit.iteration].append(visit.status)
    recorded = tuple(outcome.iteration(each, inside[each.number], status) for each in reader.iterations)
    arn = str(execution.get("executionArn", ""))
    ended = execution.get("stopDate")
    last = reader.events[-1] if reader.events else None
    details = last.details if last and last.type.startswith("Execution") else {}
    return Run(
        name=str(execution.get("name") or arn.rpartition(":")[2] or "execution"),
        arn=arn,
        machine=str(execution.get("stateMachineArn", "")).rpartition(":")[2] or (arn.split(":") + [""] * 7)[6],
        status=status,
        start=_time(execution["startDate"]) if "startDate" in execution else (reader.events[0].time if last else 0.0),
        end=_time(ended) if ended else (last.time if last and status != "RUNNING" else None),
        error=str(execution.get("error") or details.get("error") or ""),
        cause=str(execution.get("cause") or details.get("cause") or ""),
        definition=dict(definition),
        flow=reader.flow,
        events=tuple(reader.events),
        visits=visits,
        iterations=(*recorded, *items.derived(definition, visits, reader.events, first=len(recorded))),
        unrecorded=_unrecorded(reader),
    )


class Reader:
    """Gathers events into visits and iterations, one by one."""

    def __init__(self, machine: Flow) -> None:
        self.flow = machine
        self.containers = {state.name: container for state, container in machine.walk()}
        self.edges = _edges(machine)
        self.events: list[Event] = []
        self.visits: list[OpenVisit] = []
        self.iterations: list[OpenIteration] = []
        self._places: dict[int, Place] = {}
        self._by_id: dict[int, Event] = {}

    def add(self, event: Event) -> None:
        """Takes the next event, in the order of their ids."""
        place, after = self._place(event, self._places.get(event.previous))
        visit, iteration = _visit_of(place), _iteration_of(place)
        event = Event(
            id=event.id,
            type=event.type,
            time=event.time,
            previous=event.previous,
            details=event.details,
            visit=visit.number if visit else None,
            iteration=iteration.number if iteration else None,
        )
        if visit:
            visit.events.append(event)
            visit.tries += event.type == "MapStateStarted"
        self.events.append(event)
        self._by_id[event.id] = event
        self._places[event.id] = after

    def _place(self, event: Event, here: Place) -> tuple[Place, Place]:
        """Where the event belongs, and the place that it leaves behind."""
        if ITERATION_EVENT.match(event.type):
            return self._iteration(event, here)
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

    def _enter(self, event: Event, here: Place, kind: str) -> OpenVisit:
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

    def _iteration(self, event: Event, here: Place) -> tuple[Place, Place]:
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


def _unrecorded(reader: Reader) -> frozenset[str]:
    """The states inside containers that were entered and tell nothing of it; a distributed Map's are executions."""
    names: set[str] = set()
    entered = {visit.state for visit in reader.visits}
    for state, _ in reader.flow.walk():
        inside = {inner.name for machine in state.machines for inner, _ in machine.walk()}
        types = {event.type for visit in reader.visits if visit.state == state.name for event in visit.events}
        told = entered & inside or (f"{state.type}StateStarted" in types and "MapRunStarted" not in types)
        if not told and (state.name in entered or state.name in names):
            names |= inside
    return frozenset(names)


def _edges(machine: Flow) -> dict[tuple[str, str], set[str]]:
    """The kinds of transition between two states."""
    kinds: dict[tuple[str, str], set[str]] = {}
    machines = [machine, *(inner for state, _ in machine.walk() for inner in state.machines)]
    for edge in (edge for each in machines for edge in each.edges):
        kinds.setdefault((edge.source, edge.target), set()).add(edge.kind)
    return kinds


def _climb(place: Place, wanted: Any) -> Place:
    """The nearest place, from the inside out, that is wanted."""
    while place is not None and not wanted(place):
        place = place.parent
    return place


def _holds(place: Place, container: str) -> bool:
    """Whether states of a container happen in a place: its iteration, or its visit where no event tells of any."""
    if isinstance(place, OpenIteration):
        return place.parent.state == container
    return place is not None and place.state == container


def _visit_of(place: Place) -> OpenVisit | None:
    return place.parent if isinstance(place, OpenIteration) else place


def _iteration_of(place: Place) -> OpenIteration | None:
    found = _climb(place, lambda each: isinstance(each, OpenIteration))
    return found if isinstance(found, OpenIteration) else None


def _event(event: Mapping[str, Any], number: int) -> Event:
    """One HistoryEvent; `previousEventId` falls back to the event before it."""
    if not {"type", "timestamp"} <= event.keys():
        raise ValueError(f"event {number} is no event of an execution's history: it needs id, type and timestamp")
    identity = int(event.get("id", number))
    details: dict[str, Any] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    previous = int(event.get("previousEventId", identity - 1))
    return Event(identity, str(event["type"]), _time(event["timestamp"]), previous, dict(details), None, None)


def _time(value: Any) -> float:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000
    return float(value) if value > CHUNK else float(value) * 1000
