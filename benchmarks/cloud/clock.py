"""A model of time: it passes when something waits, and not otherwise.

A process is a generator: it yields the seconds that it waits, or another process that it waits for.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tests.statemachine.clock import datetime_of

T = TypeVar("T")
Process = Generator["float | Running", None, T]

START = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)


@dataclass(eq=False, slots=True)
class Running:
    """A process that has been begun."""

    process: Process[None]
    ended: bool = False
    waiting: list[Running] = field(default_factory=list)


class Clock:
    """Runs processes in the order of their times; those of the same time in the order in which they came."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, Running]] = []
        self.datetime = datetime_of(self.now)
        """In the place of ``datetime.datetime``, in modules that ask it for the time."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def seconds_at(self, moment: datetime) -> float:
        return (moment - START).total_seconds()

    def begin(self, process: Process[None], after: float = 0.0) -> Running:
        running = Running(process)
        self._resume(running, after)
        return running

    def run(self) -> None:
        """Go on until nothing is left to do."""
        while self._due:
            self.seconds, _, running = heapq.heappop(self._due)
            self._step(running)

    def _step(self, running: Running) -> None:
        try:
            wanted = next(running.process)
        except StopIteration:
            running.ended = True
            for each in running.waiting:
                self._resume(each)
            return
        if isinstance(wanted, Running):
            if wanted.ended:
                self._resume(running)
            else:
                wanted.waiting.append(running)
        else:
            self._resume(running, wanted)

    def _resume(self, running: Running, after: float = 0.0) -> None:
        heapq.heappush(self._due, (self.seconds + max(0.0, after), next(self._numbers), running))
