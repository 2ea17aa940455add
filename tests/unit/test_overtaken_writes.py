"""Somebody writes between a step's reading and writing: what is final stays so, no success is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from invalidation.batches.model import Batch
from invalidation.batches.table import BUCKETS, Item, Key, Page, items
from invalidation.batches.targets import Target, TargetState, claim
from tests.fakes.batch_steps import BatchSteps, Clock, execution, failed, invalidated
from tests.fakes.memory_table import MemoryTable


class OvertakenTable(MemoryTable):
    """Before the next update of a target somebody else writes to it."""

    def __init__(self) -> None:
        super().__init__()
        self.first: Callable[[Key], object] | None = None

    def update(self, key: Key, assign: Mapping[str, Any], expect: Mapping[str, Any]) -> Item | None:
        if self.first is not None and key.sk.startswith("TARGET#"):
            somebody, self.first = self.first, None
            somebody(key)
        return super().update(key, assign, expect)


@pytest.fixture
def table() -> OvertakenTable:
    return OvertakenTable()


@pytest.fixture
def steps(table: OvertakenTable) -> BatchSteps:
    return BatchSteps(table, Clock())


def test_a_failure_that_a_success_overtakes_leaves_it(table: OvertakenTable, steps: BatchSteps) -> None:
    batch_id = steps.resolved("first", "E1")
    table.first = lambda key: table.update(key, {"state": "COMPLETED"}, {})
    steps.finish(batch_id, "first", failed("E1"))
    assert Target.read(table, batch_id, "E1").state is TargetState.COMPLETED


def test_a_success_that_a_failure_overtakes_is_written_all_the_same(table: OvertakenTable, steps: BatchSteps) -> None:
    batch_id = steps.resolved("first", "E1")
    table.first = lambda key: table.update(key, {"state": "PARKED", "tries": 1}, {})
    steps.finish(batch_id, "first", invalidated("E1"))
    assert Target.read(table, batch_id, "E1").state is TargetState.COMPLETED
    assert Batch.read(table, batch_id).ended


def test_a_claim_by_hand_leaves_what_completes_meanwhile(table: OvertakenTable, steps: BatchSteps) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    steps.finish(batch_id, "first", invalidated("E1"), failed("E2", "AccessDenied"))
    table.first = lambda key: table.update(key, {"state": "COMPLETED"}, {})
    claim(table, batch_id, execution("person"), steps.clock)
    states = {each: Target.read(table, batch_id, each).state for each in ("E1", "E2")}
    assert states == {"E1": TargetState.COMPLETED, "E2": TargetState.COMPLETED}


def test_a_page_without_items_is_not_taken_for_the_last() -> None:
    class EmptyPages(MemoryTable):
        """Answers every other time with no item and the key to go on from, as DynamoDB may."""

        empty = False

        def page(
            self, pk: str, prefix: str = "", *, after: Key | None = None, limit: int = 0, keys: bool = False
        ) -> Page:
            self.empty = not self.empty
            if self.empty:
                return Page((), after or Key(pk, ""))
            return super().page(pk, prefix, after=after, limit=limit, keys=keys)

    table = EmptyPages(page_size=2)
    for number in range(5):
        table.put({"pk": BUCKETS, "sk": f"{number}"})
    assert [item["sk"] for item in items(table, BUCKETS)] == ["0", "1", "2", "3", "4"]
