from datetime import timedelta

import pytest

from invalidation.batches.head import Head, Window, pause
from invalidation.batches.join import open_own_batch, open_paths_batch
from invalidation.batches.model import Batch, PendingChange
from invalidation.batches.sweep import Swept, sweep
from invalidation.batches.table import BUCKETS, BatchTable, Key
from invalidation.batches.targets import claim
from tests.fakes.batch_steps import BUCKET, START, WINDOW, BatchSteps, Clock, change, execution, failed, invalidated
from tests.fakes.memory_table import MemoryTable


class FakeExecutions:
    """Implements ``Executions``: who runs is said by the test."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.started: dict[str, dict[str, str]] = {}

    def is_running(self, arn: str) -> bool:
        return arn in self.running

    def start(self, name: str, document: dict[str, str]) -> bool:
        new = name not in self.started
        self.started.setdefault(name, document)
        return new


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable(page_size=2)


@pytest.fixture
def steps(table: MemoryTable, clock: Clock) -> BatchSteps:
    return BatchSteps(table, clock)


@pytest.fixture
def executions() -> FakeExecutions:
    return FakeExecutions()


def swept(table: BatchTable, executions: FakeExecutions, clock: Clock, window: Window = WINDOW) -> Swept:
    return sweep(table, executions, window, clock, clock())


def orders(found: Swept) -> list[dict[str, str]]:
    return [each.document for each in found.started]


def test_a_bucket_that_only_ever_had_requests_has_no_head_and_nothing_for_the_sweep_to_do(
    table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    changes = [change("a.html", bucket="requested")]
    joined = open_own_batch(table, "requested", changes, execution("by-hand"), clock, "1")
    executions.running.add(joined.leader_arn)
    clock.seconds = 100_000
    assert table.find(Key(BUCKETS, "requested")) is not None
    assert table.find(Head.key_of("requested")) is None
    found = swept(table, executions, clock)
    assert (found.started, found.waiting, found.unfinished) == ((), (), 1)


def test_the_sweep_starts_nothing_when_there_is_nothing_to_do(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    assert swept(table, executions, clock) == Swept()
    steps.finish(steps.resolved("first", "E1"), "first", invalidated("E1"))
    clock.seconds = 100_000
    assert swept(table, executions, clock) == Swept()


def test_the_sweep_changes_nothing_itself(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    steps.resolved("first", "E1")
    steps.join("dead", change("b"))
    clock.seconds = 1_000
    before = repr(table.partitions)
    assert len(swept(table, executions, clock).started) == 2
    assert repr(table.partitions) == before


def test_changes_of_a_joiner_that_died_before_it_looked_for_a_leader_get_one(
    table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    table.ensure(Key(BUCKETS, BUCKET))
    table.put(PendingChange.of(change("a"), table.shards).to_item())
    found = swept(table, executions, clock)
    assert orders(found) == [{"lead": BUCKET}]
    assert found.waiting == (BUCKET,)


@pytest.mark.parametrize(("seconds", "led"), [(120, False), (121, True)])
def test_changes_of_a_leader_that_died_before_it_closed_get_another_when_the_grace_is_over(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock, seconds: int, *, led: bool
) -> None:
    steps.join("dead", change("a"))
    clock.seconds = seconds
    assert orders(swept(table, executions, clock)) == [{"lead": BUCKET}] * led


@pytest.mark.parametrize(("seconds", "led"), [(120, False), (121, True)])
def test_changes_of_a_leader_that_died_while_it_closed_get_another_when_the_grace_is_over(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock, seconds: int, *, led: bool
) -> None:
    steps.frozen("first", "a")
    table.put(PendingChange.of(change("b"), table.shards).to_item())
    clock.seconds = seconds
    executions.running = {execution("first").arn}
    assert orders(swept(table, executions, clock)) == [{"lead": BUCKET}] * led


@pytest.mark.parametrize("closed", [False, True])
def test_a_leader_that_lives_and_is_only_late_is_left_to_its_work(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock, *, closed: bool
) -> None:
    steps.join("slow", change("a"))
    if closed:
        table.update(Head.key_of(BUCKET), {"state": "CLOSED"}, {})
    executions.running = {execution("slow").arn}
    clock.seconds = 1_000
    assert swept(table, executions, clock) == Swept()
    executions.running = set()
    assert orders(swept(table, executions, clock)) == [{"lead": BUCKET}]


def test_a_leader_that_waits_for_a_time_far_ahead_is_not_waited_for(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    clock.seconds = 86_400
    steps.join("ahead", change("a"))
    executions.running = {execution("ahead").arn}
    clock.seconds = 0
    assert orders(swept(table, executions, clock)) == [{"lead": BUCKET}]


def test_a_head_that_was_closed_by_a_clock_that_ran_ahead_does_not_hide_what_waits(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    joined = steps.join("first", change("a"))
    clock.seconds = 86_400
    steps.close(joined)
    table.put(PendingChange.of(change("b"), table.shards).to_item())
    clock.seconds = 0
    assert {"lead": BUCKET} in orders(swept(table, executions, clock))


def test_an_unfinished_batch_whose_execution_ended_is_retried(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    executions.running = {execution("first").arn}
    assert swept(table, executions, clock).unfinished == 1
    assert orders(swept(table, executions, clock)) == []
    executions.running = set()
    assert orders(swept(table, executions, clock)) == [{"retryBatch": batch_id}]


def test_a_failed_batch_is_retried_when_it_is_due_and_not_before(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.finish(batch_id, "first", failed("E1"))
    clock.seconds = 299
    assert orders(swept(table, executions, clock)) == []
    clock.seconds = 300
    assert [(each.document, each.why) for each in swept(table, executions, clock).started] == [
        ({"retryBatch": batch_id}, "try 2 is due")
    ]


def test_a_batch_that_has_just_been_claimed_is_left_to_its_claimant(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.finish(batch_id, "first", failed("E1"))
    clock.seconds = 300
    claim(table, batch_id, execution("person"), clock)
    executions.running = {execution("person").arn}
    assert orders(swept(table, executions, clock)) == []


def test_parked_batches_are_counted_and_left_to_a_person(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    steps.finish(steps.resolved("first", "E1"), "first", failed("E1", "AccessDenied"))
    clock.seconds = 100_000
    assert swept(table, executions, clock) == Swept(parked=1)


def test_an_index_that_lags_behind_starts_nothing(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.finish(batch_id, "first", invalidated("E1"))
    table.update(Batch.key_of(batch_id), {"unfinished": "UNFINISHED"}, {})
    assert swept(table, executions, clock) == Swept()


def test_a_paused_bucket_is_left_alone(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    steps.resolved("first", "E1")
    steps.join("second", change("b"))
    pause(table, BUCKET)
    clock.seconds = 1_000
    found = swept(table, executions, clock)
    assert (orders(found), found.paused, found.unfinished) == ([], (BUCKET,), 1)


def test_other_buckets_and_batches_of_paths_go_on_while_a_bucket_is_paused(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    steps.join("one", change("a"))
    steps.join("two", change("a", bucket="other"), bucket="other")
    paths = open_paths_batch(table, "E1", ["/a"], execution("person"), clock, "attempt")
    pause(table, BUCKET)
    clock.seconds = 1_000
    assert orders(swept(table, executions, clock)) == [{"lead": "other"}, {"retryBatch": paths.batch_id}]


def test_a_sweep_that_is_delivered_twice_starts_nothing_twice_and_the_next_one_starts_again(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    steps.resolved("first", "E1")
    steps.join("dead", change("b"))
    clock.seconds = 1_000
    tick = START + timedelta(minutes=15)
    assert len(sweep(table, executions, WINDOW, clock, tick).started) == 2
    assert sweep(table, executions, WINDOW, clock, tick).started == ()
    assert len(sweep(table, executions, WINDOW, clock, tick + timedelta(minutes=5)).started) == 2


def test_names_of_what_the_sweep_starts_say_so(
    steps: BatchSteps, table: MemoryTable, executions: FakeExecutions, clock: Clock
) -> None:
    steps.resolved("first", "E1")
    steps.join("dead", change("b"))
    clock.seconds = 1_000
    swept(table, executions, clock)
    assert all(execution(name).started_by_sweep for name in executions.started)
    assert not execution("person").started_by_sweep
