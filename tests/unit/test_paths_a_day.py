"""MaxPathsADay: what writers can cost in a day has an end, and no change is lost by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from invalidation.batches.close import close
from invalidation.batches.head import HELD_BACK_SECONDS, ClosedStatus, Execution, Head, Role, Window
from invalidation.batches.join import join, paths_of_day, window_today
from invalidation.batches.model import Batch
from invalidation.batches.snapshot import frozen_changes
from invalidation.batches.targets import count_paths
from invalidation.cloudfront.limits import FEW_PATHS, THRIFTY_PATHS
from invalidation.cloudfront.plan import plan_paths
from invalidation.cloudfront.rules import Budget
from tests.fakes.batch_steps import START, WINDOW, BatchSteps, Clock, change, execution
from tests.fakes.memory_table import MemoryTable

pytestmark = pytest.mark.slow

HOURS = 24
Schedule = Callable[[int], Iterator[tuple[float, int]]]
"""Hours -> when keys are put, in seconds from the beginning, and how many."""


def paced(hours: int) -> Iterator[tuple[float, int]]:
    """One key, eight keys, a pause: the window falls back to ten seconds each time."""
    for second in range(0, hours * 3_600, 60):
        yield second, 1
        yield second + 1, 8


def many_at_once(hours: int) -> Iterator[tuple[float, int]]:
    yield from ((minute * 60, 40) for minute in range(0, hours * 60, 2))


class Site:
    """A bucket with one distribution, whose changes are joined, closed and planned as the functions do."""

    def __init__(self, window: Window, most: int) -> None:
        self.table, self.clock = MemoryTable(), Clock()
        self.window = replace(window, max_paths_a_day=most)
        self.keys: set[str] = set()
        self.covered: set[str] = set()
        self.paths = 0
        self.batches = 0
        self._due: list[tuple[float, str, str]] = []
        self._runs = 0

    def put(self, second: float, number: int) -> None:
        self.close_until(second)
        self.clock.seconds = second
        self._runs += 1
        keys = [f"{self._runs}-{n}" for n in range(number)]
        self.keys |= set(keys)
        by = execution(f"run-{self._runs}")
        window = window_today(self.table, self.window, self.clock())
        joined = join(self.table, "site", [change(key) for key in keys], by, window, self.clock, f"a{self._runs}")
        if joined.role is Role.LEADER:
            closes = max(second, (joined.closes_at - START).total_seconds())
            self._due.append((closes, joined.batch_id, joined.leader_arn))
            self._due.sort()

    def close_until(self, second: float) -> None:
        while self._due and self._due[0][0] <= second:
            closes, batch_id, leader = self._due.pop(0)
            self.clock.seconds = closes
            batch = Batch.find(self.table, batch_id)
            if batch is None:
                closed = close(self.table, "site", batch_id, Execution(leader, START), batch_id, self.clock)
                assert closed.status is ClosedStatus.FROZEN
                batch = Batch.read(self.table, batch_id)
            keys = [each.key for each in frozen_changes(self.table, batch)]
            planned = plan_paths([f"/{key}" for key in keys], Budget())
            self.covered |= set(keys)
            self.paths += len(planned.paths)
            self.batches += 1
            count_paths(self.table, 0, self.clock(), of_day=len(planned.paths))

    def run(self, schedule: Schedule, hours: int = HOURS) -> None:
        for second, number in schedule(hours):
            self.put(second, number)


@pytest.mark.parametrize("window", [WINDOW, Window(0)], ids=["batching", "without batching"])
@pytest.mark.parametrize("schedule", [paced, many_at_once])
def test_what_a_writer_can_cost_in_a_day_has_an_end(schedule: Schedule, window: Window) -> None:
    """The maximum, what was on its way when it was reached, and a batch of at most 30 paths an hour."""
    site = Site(window, most=500)
    site.run(schedule)
    assert 500 <= site.paths <= 500 + FEW_PATHS + (HOURS + 2) * FEW_PATHS
    without = Site(window, most=0)
    without.run(schedule, hours=2)
    assert without.paths * HOURS / 2 > 5 * site.paths, "or there would be no need of a maximum"


@pytest.mark.parametrize("window", [WINDOW, Window(0)], ids=["batching", "without batching"])
def test_no_change_is_lost_by_the_maximum(window: Window) -> None:
    site = Site(window, most=100)
    site.run(paced)
    site.close_until(HOURS * 3_600 + 2 * HELD_BACK_SECONDS)
    assert site.covered == site.keys


def test_a_bucket_that_is_held_back_has_one_batch_an_hour_which_is_one_cover() -> None:
    site = Site(WINDOW, most=100)
    for second, number in paced(4):
        site.put(second, number)
    before, paths = site.batches, site.paths
    for second, number in paced(8):
        if second > 4 * 3_600:
            site.put(second, number)
    assert site.batches - before == pytest.approx(4, abs=1)
    assert (site.paths - paths) / (site.batches - before) <= THRIFTY_PATHS


def test_the_first_change_of_a_bucket_that_was_quiet_for_an_hour_goes_at_once_all_the_same() -> None:
    site = Site(WINDOW, most=1)
    site.put(0, 5)
    site.close_until(1)
    assert window_today(site.table, site.window, site.clock()).holds_back
    site.put(100, 1)
    site.put(HELD_BACK_SECONDS * 3, 1)
    site.close_until(HELD_BACK_SECONDS * 3)
    assert site.covered == site.keys


def test_the_next_day_begins_anew_and_who_has_a_window_again_trusts_a_leader_that_waits_for_an_hour() -> None:
    table, clock = MemoryTable(), Clock()
    steps = BatchSteps(table, clock)
    count_paths(table, 0, clock(), of_day=500)
    normal = replace(WINDOW, max_paths_a_day=500)
    held = window_today(table, normal, clock())
    assert held.seconds == HELD_BACK_SECONDS
    first = join(table, "site", [change("a")], execution("one"), held, clock, "1")
    clock.seconds = 1
    steps.close(first)
    second = join(table, "site", [change("b")], execution("two"), held, clock, "2")
    assert second.role is Role.LEADER
    assert second.closes_at - clock() > timedelta(minutes=55)
    clock.seconds = 20 * 3_600
    assert window_today(table, normal, clock()) == normal
    clock.seconds = 60
    assert Head.read(table, "site").gathers(WINDOW, clock()), "it is no leader whose clock ran ahead"
    assert join(table, "site", [change("c")], execution("three"), WINDOW, clock, "3").role is Role.FOLLOWER


def test_days_are_counted_apart_and_in_utc() -> None:
    table = MemoryTable()
    count_paths(table, 0, START, of_day=3)
    count_paths(table, 0, START, of_day=4)
    assert (paths_of_day(table, START), paths_of_day(table, START + timedelta(days=1))) == (7, 0)


def test_without_a_maximum_nobody_is_held_back() -> None:
    table = MemoryTable()
    count_paths(table, 0, START, of_day=1_000_000)
    assert window_today(table, WINDOW, START) == WINDOW
