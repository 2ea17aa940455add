from datetime import timedelta

import pytest

from invalidation.batches.head import Execution, has_pending
from invalidation.batches.join import open_own_batch, open_paths_batch
from invalidation.batches.model import Batch
from invalidation.batches.queries import (
    batch_of_invalidation,
    batches_of_bucket,
    batches_of_distribution,
    parked_batches,
    unfinished_batches,
)
from invalidation.batches.table import Key, Page
from invalidation.batches.targets import InvalidationRecord, freeze_targets, record_invalidation, targets_of
from tests.fakes.batch_steps import BUCKET, START, BatchSteps, Clock, change, execution, failed, invalidated
from tests.fakes.memory_table import MemoryTable


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable(page_size=3)


@pytest.fixture
def hourly(table: MemoryTable, clock: Clock) -> list[str]:
    """Five batches, an hour apart, oldest first."""
    found = []
    for hour in range(5):
        by = Execution(f"arn:hour{hour}", START + timedelta(hours=hour))
        found.append(open_own_batch(table, BUCKET, [change(f"{hour}.html")], by, clock, f"a{hour}").batch_id)
    return found


def test_batches_of_a_bucket_come_newest_first(table: MemoryTable, hourly: list[str]) -> None:
    first = batches_of_bucket(table, BUCKET, limit=3)
    assert [each.batch_id for each in first.batches] == hourly[:1:-1]
    rest = batches_of_bucket(table, BUCKET, limit=3, after=first.after)
    assert [each.batch_id for each in rest.batches] == [hourly[1], hourly[0]]
    assert rest.after is None


def test_batches_of_another_bucket_are_not_among_them(table: MemoryTable, hourly: list[str]) -> None:
    assert hourly
    assert batches_of_bucket(table, "another").batches == ()


@pytest.mark.parametrize(
    ("since", "until", "expected"), [(None, 1, [1, 0]), (3, None, [4, 3]), (1, 2, [2, 1]), (9, None, [])]
)
def test_batches_of_a_bucket_can_be_asked_for_by_time(
    table: MemoryTable, hourly: list[str], since: int | None, until: int | None, expected: list[int]
) -> None:
    low, high = (None if hour is None else START + timedelta(hours=hour) for hour in (since, until))
    found = batches_of_bucket(table, BUCKET, since=low, until=high)
    assert [each.batch_id for each in found.batches] == [hourly[hour] for hour in expected]


def test_batches_are_found_by_distribution(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    paths = open_paths_batch(table, "E2", ["/a"], execution("person"), clock, "attempt")
    freeze_targets(table, Batch.read(table, paths.batch_id), {"E2": {}})
    assert [each.batch_id for each in batches_of_distribution(table, "E1").batches] == [batch_id]
    assert {each.batch_id for each in batches_of_distribution(table, "E2").batches} == {batch_id, paths.batch_id}


def test_a_batch_is_found_by_its_invalidation(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    batch_id = steps.resolved("first", "E1")
    record_invalidation(table, batch_id, "E1", InvalidationRecord(0, "I2J0I21PCUYOIK", "ref", 1, 0, clock()))
    found = batch_of_invalidation(table, "I2J0I21PCUYOIK")
    assert found is not None
    assert found.batch_id == batch_id
    assert batch_of_invalidation(table, "I0") is None


def test_unfinished_and_parked_batches_are_told_apart(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    ended = steps.resolved("ended", "E1")
    steps.finish(ended, "ended", invalidated("E1"))
    clock.seconds = 1_000
    parked = steps.resolved("parked", "E1")
    steps.finish(parked, "parked", failed("E1", "AccessDenied"))
    clock.seconds = 2_000
    owed = steps.resolved("owed", "E1")
    assert [each.batch_id for each in unfinished_batches(table)] == [owed]
    assert [each.batch_id for each in parked_batches(table)] == [parked]


class WithEmptyPages(MemoryTable):
    """Its queries begin with a page on which there is nothing, as DynamoDB's may."""

    def page(self, pk: str, prefix: str = "", *, after: Key | None = None, limit: int = 0, keys: bool = False) -> Page:
        if after is None:
            return Page((), Key(pk, ""))
        return super().page(pk, prefix, after=after, limit=limit, keys=keys)


def test_an_empty_page_is_not_the_end_of_a_query(clock: Clock) -> None:
    table = WithEmptyPages()
    steps = BatchSteps(table, clock)
    joined = steps.join("first", change("a"))
    assert has_pending(table, BUCKET)
    assert steps.close(joined) == ("FROZEN", 1)
    freeze_targets(table, Batch.read(table, joined.batch_id), {"E1": {}})
    assert len(targets_of(table, Batch.read(table, joined.batch_id))) == 1
