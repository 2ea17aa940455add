"""One thread that runs many: whoever is about to make a request stops, and somebody else may go first.

Tasks are greenlets, so that the real code runs as it is written. Nothing happens but by ``run``'s choices: with the
same choices the same schedule comes out, down to the last request.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from greenlet import GreenletExit, getcurrent, greenlet


class Choices(Protocol):
    """Who goes next; random, or read from a list."""

    def choose(self, scheduler: Scheduler) -> Task | None:
        """One of those who are ready; None when nobody is."""


@dataclass(slots=True)
class Call:
    """One invocation of a handler, as its caller sees it."""

    waiter: Task
    answered: bool = False
    result: Any = None
    error: str = ""


class Task(greenlet):
    """A thread of control that stops before each request; ``until`` is when it wants to go on.

    ``call`` is set for a handler's task.
    """

    def __init__(self, name: str, run: Callable[[], object], scheduler: Scheduler) -> None:
        super().__init__(run, scheduler.hub)
        self.name = name
        self.until = 0.0
        self.call: Call | None = None


class Scheduler:
    """Runs tasks in turns, and keeps their common clock, in seconds.

    Attributes:
        clock: moved on to the next ``until`` when nobody can go on otherwise.
        steps: turns taken so far, which is the logical time.
    """

    def __init__(self) -> None:
        self.hub = getcurrent()
        self.tasks: list[Task] = []
        self.killed: list[Task] = []
        self.clock = 0.0
        self.steps = 0

    def spawn(self, name: str, run: Callable[[], object], *, at: float = 0.0) -> Task:
        task = Task(name, run, self)
        task.until = at
        self.tasks.append(task)
        return task

    def kill(self, task: Task) -> None:
        """The task never goes on: no handler of its own runs, as in a machine that loses its power."""
        if task in self.tasks:
            task.until = self.clock
            self.tasks.remove(task)
            self.killed.append(task)

    def pause(self) -> None:
        """Called by a task: let others go first."""
        self.hub.switch()

    def sleep(self, until: float) -> None:
        """Called by a task: go on when the clock says so; at once if it does already."""
        task = getcurrent()
        assert isinstance(task, Task)
        if until > self.clock:
            task.until = until
            self.hub.switch()

    def block(self) -> None:
        """Called by a task: go on when its call is answered."""
        self.sleep(math.inf)

    def answer(self, call: Call, *, result: Any = None, error: str = "") -> None:
        """The first answer counts; nobody hears what an abandoned handler returns."""
        if not call.answered:
            call.answered, call.result, call.error = True, result, error
            call.waiter.until = self.clock

    def run(self, choices: Choices, *, turns: int | None = None) -> None:
        """Until no task is left, or for a number of turns."""
        left = math.inf if turns is None else turns
        while self.tasks and left > 0:
            task = choices.choose(self)
            if task is None:
                self.clock = min(task.until for task in self.tasks)
                assert self.clock < math.inf, f"nobody can go on: {[task.name for task in self.tasks]}"
            else:
                self.turn(task)
                left -= 1

    def ready(self) -> list[Task]:
        clock = self.clock
        return [task for task in self.tasks if task.until <= clock]

    def turn(self, task: Task) -> None:
        self.steps += 1
        task.switch()
        if task.dead and task in self.tasks:
            task.until = self.clock
            self.tasks.remove(task)

    def close(self) -> None:
        """End what is left, and what was killed: who does not end keeps a frame, and all that it holds."""
        for task in [*self.tasks, *self.killed]:
            task.throw(GreenletExit)
        self.tasks.clear()
        self.killed.clear()
