"""Every interleaving of a few executions, request by request, and everything checked after each request.

A schedule is run again from its beginning for each turn that it has. What makes this affordable is that two schedules
lead to the same state if the table holds the same and every task has had the same answers: the real code is
deterministic, so that the same future follows. The number of interleavings is counted over those states, and is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from greenlet import getcurrent

from invalidation.batches.snapshot import chunk_key, unpack
from invalidation.batches.table import BUCKETS, Item, Key
from invalidation.errors import InvalidationError
from tests.fakes.memory_table import MemoryTable
from tests.simulation.scheduler import Scheduler, Task

T = TypeVar("T")

BUCKET = "site"
START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
State = tuple[object, ...]
Move = tuple[int, str]
"""A task's number, and what it does: ``goes`` or ``dies``."""


class ExploredTable(MemoryTable):
    """Every request is a turn, and its answer is remembered."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(shards=1)
        self._scheduler = scheduler
        self.answers: dict[str, int] = {}
        """Task -> a hash over all that it has been told."""
        self.accepted: list[str] = []

    def ensure(self, key: Key) -> None:
        """Every handler is warm, and has done so before."""

    def _request(self, operation: str, key: Key, effect: Callable[[], T]) -> T:
        task = getcurrent()
        if not isinstance(task, Task):
            return effect()
        self._scheduler.pause()
        answer = effect()
        self.answers[task.name] = hash((self.answers.get(task.name), operation, key, repr(answer)))
        if operation == "put" and key.pk.startswith("PENDING"):
            self.accepted.append(key.sk.rsplit("#", 1)[1])
        return answer

    def fingerprint(self) -> int:
        """The same for the same contents, in whatever order they were written."""
        items = (item for partition in self.partitions.values() for item in partition.values())
        return hash(frozenset(repr(sorted(item.items())) for item in items))

    def pending(self) -> list[str]:
        return [item["eventId"] for item in self._all("PENDING")]

    def listed(self) -> list[str]:
        """Events on the frozen lists of all batch records; one that is on two of them comes twice."""
        found: list[str] = []
        for record in self._all("BATCH"):
            for number in range(1, record.get("chunks", 0) + 1):
                chunk = self.find(chunk_key(record["batchId"], record["attempt"], number))
                found += [row["eventId"] for row in unpack(chunk["rows"])] if chunk else []
        return found

    def _all(self, beginning: str) -> Iterator[Item]:
        for pk, partition in self.partitions.items():
            if pk.startswith(beginning):
                yield from partition.values()


class Stage:
    """A fresh world for each run: a table, a clock and tasks that stand before their first request."""

    def __init__(self) -> None:
        self.scheduler = Scheduler()
        self.table = ExploredTable(self.scheduler)
        self.table.put({"pk": BUCKETS, "sk": BUCKET})
        self.cast: list[Task] = []
        self.failures: list[str] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.scheduler.clock)

    def enter(self, name: str, run: Callable[[], object]) -> None:
        def body() -> None:
            try:
                run()
            except InvalidationError as error:
                self.failures.append(f"{name} fails with {type(error).__name__}")

        self.cast.append(self.scheduler.spawn(name, body))

    def moves(self) -> list[int]:
        """Who can go on. The clock moves when nobody can, and who wakes then goes up to their next request."""
        scheduler = self.scheduler
        while scheduler.tasks and not any(task.until <= scheduler.clock for task in scheduler.tasks):
            scheduler.clock = min(task.until for task in scheduler.tasks)
            for task in [task for task in scheduler.tasks if task.until == scheduler.clock]:
                scheduler.turn(task)
        return [n for n, task in enumerate(self.cast) if task in scheduler.tasks and task.until <= scheduler.clock]

    def make(self, move: Move) -> None:
        task = self.cast[move[0]]
        if move[1] == "dies":
            self.scheduler.kill(task)
        else:
            self.scheduler.turn(task)

    def state(self) -> State:
        """What the future depends on, and nothing else."""
        alive = frozenset((task.name, task.until, self.table.answers.get(task.name)) for task in self.scheduler.tasks)
        return self.scheduler.clock, alive, self.table.fingerprint(), frozenset(self.table.accepted)


@dataclass(slots=True)
class Explored:
    """What has been seen. ``interleavings`` is the number of different complete schedules."""

    interleavings: int = 0
    states: int = 0
    broken: dict[str, list[Move]] = field(default_factory=dict)
    """What was found, and the first schedule that shows it."""


class Explorer:
    """Tries every move in every state.

    Args:
        scenario: puts the cast on a fresh stage.
        always: complaints about any state.
        finally_: complaints about a state in which nobody is left; may run what comes after.
        deaths: how many of the cast may die, each anywhere.
        enough: a complaint that ends the search; the interleavings are not counted to the end then.
    """

    def __init__(
        self,
        scenario: Callable[[Stage], None],
        always: Callable[[Stage], list[str]],
        finally_: Callable[[Stage], list[str]],
        deaths: int = 0,
        enough: str = "",
    ) -> None:
        self._scenario = scenario
        self._always = always
        self._finally = finally_
        self._deaths = deaths
        self._enough = enough
        self._counted: dict[tuple[State, int], int] = {}
        self._explored = Explored()

    def explore(self) -> Explored:
        self._explored.interleavings = self._count([], self._play([]))
        self._explored.states = len(self._counted)
        return self._explored

    def _count(self, schedule: list[Move], stage: Stage) -> int:
        """Complete schedules that begin like this one, after which the stage is as it is given.

        What is tried first goes on where the stage stands; everything else is played again from the beginning.
        """
        moves = stage.moves()
        deaths = self._deaths - sum(what == "dies" for _, what in schedule)
        state = (stage.state(), deaths)
        if state in self._counted:
            stage.scheduler.close()
            return self._counted[state]
        complaints = self._always(stage)
        if not moves:
            complaints += self._finally(stage)
        for complaint in complaints:
            self._explored.broken.setdefault(complaint, schedule)
        if not moves or self._enough in self._explored.broken:
            stage.scheduler.close()
            self._counted[state] = 1
            return 1
        total = 0
        for number, move in enumerate((task, what) for task in moves for what in ("goes", "dies")[: 1 + bool(deaths)]):
            if self._enough in self._explored.broken:
                break
            if number:
                stage = self._play(schedule)
                stage.moves()
            stage.make(move)
            total += self._count([*schedule, move], stage)
        self._counted[state] = total
        return total

    def _play(self, schedule: list[Move]) -> Stage:
        stage = Stage()
        self._scenario(stage)
        for task in list(stage.scheduler.tasks):
            stage.scheduler.turn(task)
        for move in schedule:
            stage.moves()
            stage.make(move)
        return stage
