"""A storm in an account whose Lambda concurrency is small: who is throttled, how often, and for how long.

A model in discrete events: every execution walks its Task states; an invocation takes a slot, or is throttled and tries
again as the retrier of its state in the real definition says. Heads open and gather as the real ones do.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from invalidation.batches.head import Execution, Head, Window
from tests.definition import rendered
from tests.simulation.world import START

THROTTLED = "Lambda.TooManyRequestsException"
LEADER_S_TASKS = (
    "Close Batch",
    "Resolve Distributions",
    "Create Invalidation",
    "Get Invalidation",
    "Finish Batch",
    "Notify",
)


@dataclass(frozen=True, slots=True)
class Retrier:
    """What a state does when Lambda throttles it; ``attempts`` after the first."""

    interval: float
    rate: float
    attempts: int
    longest: float

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Retrier:
        for each in state.get("Retry", ()):
            if THROTTLED in each["ErrorEquals"]:
                assert each["JitterStrategy"] == "FULL", "without jitter a storm comes back as one"
                longest = each.get("MaxDelaySeconds", float("inf"))
                return cls(each["IntervalSeconds"], each["BackoffRate"], each["MaxAttempts"], longest)
        return cls(0, 1, 0, 0)

    def wait(self, attempt: int, random: Random) -> float:
        return random.uniform(0, min(self.longest, self.interval * self.rate**attempt))


@dataclass(slots=True)
class Storm:
    """What came of it; times are in seconds since the first change."""

    failed: list[str] = field(default_factory=list)
    """States in which an execution gave up."""
    throttled: int = 0
    most_attempts: int = 0
    accepted: list[float] = field(default_factory=list)
    """When each change was in the table."""
    covered: list[float] = field(default_factory=list)
    """When each change's invalidation was created."""
    leaderless: int = 0
    """How often the sweep would have found changes that nobody was going to read."""
    batches: int = 0


def retriers() -> dict[str, Retrier]:
    """Of each Task state of the real definition."""
    return {name: Retrier.of(state) for name, state in _states(rendered()["States"]) if state["Type"] == "Task"}


def storm(  # noqa: PLR0917 -- the figures of a storm
    changes: int, over: float, slots: int, seconds: float, seed: int, rules: Mapping[str, Retrier] | None = None
) -> Storm:
    """So many changes of one bucket, spread over some seconds; an invocation takes ``seconds`` on the average."""
    return _Account(slots, seconds, Random(seed), rules or retriers()).run(changes, over)  # noqa: S311 -- repeatable


class _Account:
    def __init__(self, slots: int, seconds: float, random: Random, rules: Mapping[str, Retrier]) -> None:
        self.free, self.seconds, self.random, self.rules = slots, seconds, random, rules
        self.window, self.head = Window(10, 60), Head("site")
        self.pending: list[float] = []
        self.storm = Storm()
        self.clock = 0.0
        self._numbers = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._alive: set[str] = set()

    def run(self, changes: int, over: float) -> Storm:
        for number in range(changes):
            self._at(over * number / changes, lambda number=number: self._begin(f"change-{number}"))  # type: ignore[misc]
        next_sweep = 300.0
        while self._events:
            at, _, event = heapq.heappop(self._events)
            while next_sweep < at:
                self._sweep(next_sweep)
                next_sweep += 300
            self.clock = at
            event()
        return self.storm

    def _at(self, moment: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), event))

    def _invoke(self, name: str, state: str, then: Callable[[], None], attempt: int = 0) -> None:
        """A Task state with its Retry."""
        self.storm.most_attempts = max(self.storm.most_attempts, attempt + 1)
        if self.free:
            self.free -= 1
            self._at(self.clock + self.random.uniform(0.5, 1.5) * self.seconds, lambda: self._answered(then))
            return
        self.storm.throttled += 1
        rule = self.rules[state]
        if attempt == rule.attempts:
            self.storm.failed.append(state)
            self._alive.discard(name)
            return
        again = self.clock + rule.wait(attempt, self.random)
        self._at(again, lambda: self._invoke(name, state, then, attempt + 1))

    def _answered(self, then: Callable[[], None]) -> None:
        self.free += 1
        then()

    def _begin(self, name: str) -> None:
        self._alive.add(name)
        self._invoke(name, "Join Batch", lambda: self._join(name))

    def _join(self, name: str) -> None:
        """The change is pending from here on; whoever finds no head that gathers leads the next batch."""
        now = START + timedelta(seconds=self.clock)
        self.storm.accepted.append(self.clock)
        self.pending.append(self.clock)
        if self.head.gathers(self.window, now):
            self._alive.discard(name)
            return
        execution = Execution(f"arn:aws:states:eu-central-1:123456789012:execution:invalidation:{name}", now)
        self.head = self.head.successor(execution, self.window, now)
        head = self.head
        if not head.waited:
            self._close(name, head)  # in the same function
            return
        closes = max(self.clock, (head.closes_at - START).total_seconds())
        self._at(closes, lambda: self._invoke(name, "Close Batch", lambda: self._close(name, head)))

    def _close(self, name: str, head: Head) -> None:
        if self.head.batch_id != head.batch_id:
            self._alive.discard(name)  # somebody took this leader for dead, and reads the same
            return
        self.head = Head("site", head.batch_id, closes_at=head.closes_at, window=head.window, waited=head.waited)
        owned, self.pending = self.pending, []
        self.storm.batches += 1
        self._go_on(name, iter(LEADER_S_TASKS[1:]), owned)

    def _go_on(self, name: str, left: Iterator[str], owned: list[float]) -> None:
        state = next(left, None)
        if state is None:
            self._alive.discard(name)
            return
        if state == "Get Invalidation":
            self.storm.covered += [self.clock] * len(owned)
        self._invoke(name, state, lambda: self._go_on(name, left, owned))

    def _sweep(self, at: float) -> None:
        now = START + timedelta(seconds=at)
        leader = self.head.leader.rsplit(":", 1)[-1]
        if self.pending and not self.head.gathers(self.window, now) and leader not in self._alive:
            self.storm.leaderless += 1


def _states(states: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, state in states.items():
        yield name, state
        if "ItemProcessor" in state:
            yield from _states(state["ItemProcessor"]["States"])
