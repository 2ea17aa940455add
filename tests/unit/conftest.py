"""A table in memory, a clock that is set by hand, and the steps of a batch over both."""

from __future__ import annotations

import pytest

from tests.fakes.batch_steps import BatchSteps, Clock
from tests.fakes.memory_table import MemoryTable


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table() -> MemoryTable:
    """Its pages are short, so that a query that stops after the first is found out."""
    return MemoryTable(page_size=2)


@pytest.fixture
def steps(table: MemoryTable, clock: Clock) -> BatchSteps:
    return BatchSteps(table, clock)
