"""What happened in an execution, as values. Times are milliseconds since 1970; numbers index the tuples of `Run`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from invalidations_cli.report.flow import Flow


Status = Literal["succeeded", "retried", "caught", "failed", "aborted", "running", "unreached", "unrecorded"]

# The worst first: what a state shows when it was entered more than once.
WORST_FIRST: tuple[Status, ...] = ("failed", "aborted", "running", "caught", "retried", "succeeded")


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the history: GetExecutionHistory's HistoryEvent, with its details unwrapped."""

    id: int
    type: str
    time: float
    previous: int
    details: dict[str, Any]
    visit: int | None
    iteration: int | None


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
    """One stay in a state, from its StateEntered event to its StateExited event (None: it was never left)."""

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


@dataclass(frozen=True, slots=True)
class Iteration:
    """One item of a Map.

    `recorded` is false where the history tells nothing of iterations: then `input` and `output` hold what the Map's own
    input and output say of the item, as JSON, and the times are the Map's.
    """

    number: int
    visit: int
    attempt: int
    index: int
    start: float
    end: float | None
    status: Status
    recorded: bool
    input: str | None
    output: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """One execution, read: what `render` shows.

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
    events: tuple[Event, ...]
    visits: tuple[Visit, ...]
    iterations: tuple[Iteration, ...]
    unrecorded: frozenset[str]

    def status_of(self, state: str) -> Status:
        """The worst that happened in any visit of a state; `unrecorded` where the history leaves out what is inside."""
        known = worst([visit.status for visit in self.visits if visit.state == state])
        return "unrecorded" if known == "unreached" and state in self.unrecorded else known


def worst(statuses: list[Status]) -> Status:
    return next((status for status in WORST_FIRST if status in statuses), "unreached")
