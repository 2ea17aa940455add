"""The month's paths are added up as the bill adds them up: from the first of the month, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from invalidation.batches.targets import count_paths, paths_of_month
from tests.fakes.memory_table import MemoryTable

NOW = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)


def test_a_month_without_invalidations_has_taken_no_path() -> None:
    assert paths_of_month(MemoryTable(), NOW) == 0


def test_the_paths_of_a_month_are_added_up_and_those_of_other_months_are_not() -> None:
    table = MemoryTable()
    for at, paths in ((NOW - timedelta(days=29), 30), (NOW, 7), (NOW + timedelta(hours=1), 1_000)):
        count_paths(table, paths, at)
    assert (paths_of_month(table, NOW), paths_of_month(table, NOW + timedelta(days=1))) == (37, 1_000)


def test_the_month_is_that_of_utc() -> None:
    table = MemoryTable()
    count_paths(table, 5, datetime(2026, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))))
    assert paths_of_month(table, NOW) == 5


def test_who_counts_is_told_the_months_total() -> None:
    table = MemoryTable()
    assert [count_paths(table, paths, NOW) for paths in (5, 2)] == [5, 7]
