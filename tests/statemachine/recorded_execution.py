"""What an execution did, read from its history as the console and an auditor would read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Event = Mapping[str, Any]


@dataclass(frozen=True)
class ObservedWait:
    """The seconds that a Wait would have taken, or the pause before a Task is tried again."""

    state: str
    seconds: float


@dataclass(frozen=True)
class RecordedExecution:
    """One execution from start to end.

    ``output`` is the parsed output of one that succeeded; ``error`` and ``cause`` are those of one that failed.
    """

    arn: str
    status: str
    output: Any
    error: str
    cause: str
    history: tuple[Event, ...]
    waits: tuple[ObservedWait, ...] = field(default=())

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The names of the states entered, in that order; those of parallel iterations are interleaved."""
        return tuple(event["stateEnteredEventDetails"]["name"] for event in self._entered())

    @cached_property
    def transitions(self) -> frozenset[tuple[str, str]]:
        """Each (state, next state) taken; a Map's first state follows the Map."""
        pairs = ((self._left_before(event), event["stateEnteredEventDetails"]["name"]) for event in self._entered())
        return frozenset((left, entered) for left, entered in pairs if left)

    @cached_property
    def iterations(self) -> tuple[tuple[str, ...], ...]:
        """For each item of the Map, in the order of the items, the states that it went through."""
        found: dict[int, list[str]] = {}
        for event in self._entered():
            index = self._iteration(event)
            if index is not None:
                found.setdefault(index, []).append(event["stateEnteredEventDetails"]["name"])
        return tuple(tuple(found[index]) for index in sorted(found))

    def tries(self, state: str) -> int:
        """How often a Task was tried, in all of its visits."""
        return sum(event["type"] == "TaskScheduled" and self._state_of(event) == state for event in self.history)

    def errors(self, state: str) -> tuple[str, ...]:
        """The names of the errors that a Task's tries ended in."""
        failures = (event for event in self.history if event["type"] in ("TaskFailed", "TaskTimedOut"))
        return tuple(
            next(value["error"] for value in event.values() if isinstance(value, dict) and "error" in value)
            for event in failures
            if self._state_of(event) == state
        )

    def output_of(self, state: str) -> Any:
        """What a state's last visit handed to the next state."""
        exits = (event["stateExitedEventDetails"] for event in self.history if "stateExitedEventDetails" in event)
        return json.loads([each["output"] for each in exits if each["name"] == state][-1])

    def payloads(self, state: str) -> list[Any]:
        """What a Task sent to its function, for each try."""
        scheduled = [event for event in self.history if event["type"] == "TaskScheduled"]
        parameters = [event["taskScheduledEventDetails"] for event in scheduled if self._state_of(event) == state]
        return [json.loads(each["parameters"])["Payload"] for each in parameters]

    def waited_in(self, state: str) -> list[float]:
        """The seconds of each wait in a state: a Wait's visits, or a Task's pauses before it was tried again."""
        return [waited.seconds for waited in self.waits if waited.state == state]

    @cached_property
    def _by_id(self) -> dict[int, Event]:
        return {event["id"]: event for event in self.history}

    def _entered(self) -> Iterator[Event]:
        return (event for event in self.history if "stateEnteredEventDetails" in event)

    def _before(self, event: Event) -> Iterator[Event]:
        """The events that led to this one, nearest first."""
        while (previous := self._by_id.get(event["previousEventId"])) is not None:
            yield previous
            event = previous

    def _left_before(self, entered: Event) -> str:
        for event in self._before(entered):
            if "mapIterationStartedEventDetails" in event:
                return str(event["mapIterationStartedEventDetails"]["name"])
            if "stateExitedEventDetails" in event:
                return str(event["stateExitedEventDetails"]["name"])
        return ""

    def _state_of(self, event: Event) -> str:
        for before in self._before(event):
            if "stateEnteredEventDetails" in before:
                return str(before["stateEnteredEventDetails"]["name"])
        return ""

    def _iteration(self, event: Event) -> int | None:
        for before in self._before(event):
            if "mapIterationStartedEventDetails" in before:
                return int(before["mapIterationStartedEventDetails"]["index"])
            if before["type"] in ("MapStateEntered", "MapStateExited"):
                return None
        return None


def covered(runs: Sequence[RecordedExecution]) -> tuple[set[str], set[tuple[str, str]]]:
    """The states entered and the transitions taken by any of the executions."""
    return (
        {state for execution in runs for state in execution.states},
        {transition for execution in runs for transition in execution.transitions},
    )
