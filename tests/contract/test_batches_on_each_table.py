"""The whole life of a batch on each of the three tables: what the protocol asks of a table, they all give."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from invalidation.batches.close import close
from invalidation.batches.finish import abandon
from invalidation.batches.head import Role, has_pending, pause, resume
from invalidation.batches.join import join, open_paths_batch
from invalidation.batches.model import Batch, Outcome, epoch_seconds
from invalidation.batches.queries import (
    batch_of_invalidation,
    batches_of_bucket,
    batches_of_distribution,
    parked_batches,
    unfinished_batches,
)
from invalidation.batches.snapshot import frozen_changes
from invalidation.batches.sweep import sweep
from invalidation.batches.table import BATCH, BatchTable, items
from invalidation.batches.targets import (
    InvalidationRecord,
    PlanSummary,
    StoredConfigurations,
    Target,
    claim,
    freeze_targets,
    owed_targets,
    record_invalidation,
    targets_of,
)
from invalidation.cloudfront.rules import Widening
from tests.fakes.batch_steps import (
    RETENTION,
    RETRY,
    START,
    WINDOW,
    BatchSteps,
    Clock,
    change,
    execution,
    failed,
    invalidated,
    record_plan,
    report,
    skipped,
)
from tests.fakes.state_machine import FakeStateMachine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bucket() -> str:
    return f"bucket-{uuid.uuid4().hex}"


@pytest.fixture
def name() -> str:
    """Of an execution, and so of its batch, that no other test has."""
    return uuid.uuid4().hex


def test_a_batch_lives_from_its_first_change_to_its_end(
    table: BatchTable, clock: Clock, bucket: str, name: str
) -> None:
    steps = BatchSteps(table, clock)
    joined = steps.join(name, change("a.html", bucket=bucket), bucket=bucket)
    follower = steps.join(f"{name}-2", change("ü 🙂", bucket=bucket), change("b", bucket=bucket), bucket=bucket)
    assert (joined.role, follower.role) == (Role.LEADER, Role.FOLLOWER)

    assert steps.close(joined) == steps.close(joined) == ("FROZEN", 3)
    assert not has_pending(table, bucket)
    frozen = frozen_changes(table, Batch.read(table, joined.batch_id))
    assert sorted(each.key for each in frozen) == ["a.html", "b", "ü 🙂"]

    first, second = f"E1{name}", f"E2{name}"
    freeze_targets(table, Batch.read(table, joined.batch_id), {first: {"rate": 0.5}, second: {}})
    record_plan(table, joined.batch_id, first, PlanSummary(2, 1, 1, (Widening("/a*", 2, 1),)))
    record = InvalidationRecord(0, f"I{name}", "reference", 2, 1, clock())
    record_invalidation(table, joined.batch_id, first, record)
    assert Target.read(table, joined.batch_id, first).document == {"rate": 0.5}

    tried = steps.finish(joined.batch_id, name, invalidated(first), failed(second))
    assert (tried.outcome, tried.batch.next_try_at) == (Outcome.PARTLY_FAILED, START + timedelta(minutes=5))
    assert joined.batch_id in [each.batch_id for each in unfinished_batches(table)]

    clock.seconds = 300
    assert claim(table, joined.batch_id, execution(f"{name}-3"), clock).role is Role.LEADER
    owed = owed_targets(targets_of(table, Batch.read(table, joined.batch_id)))
    assert [each.distribution_id for each in owed] == [second]
    ended = steps.finish(joined.batch_id, f"{name}-3", skipped(second))
    assert (ended.outcome, ended.seconds) == (Outcome.COMPLETED, 300)
    assert report(table, joined.batch_id) == ended
    assert joined.batch_id not in [each.batch_id for each in unfinished_batches(table)]
    expiry = [item.get("expiresAt") for item in items(table, f"{BATCH}{joined.batch_id}", keys=True)]
    assert len(expiry) == 5
    assert len(set(expiry)) == 1

    by_invalidation = batch_of_invalidation(table, f"I{name}")
    assert by_invalidation is not None
    assert by_invalidation.batch_id == joined.batch_id
    assert [each.batch_id for each in batches_of_bucket(table, bucket).batches] == [joined.batch_id]
    assert [each.batch_id for each in batches_of_distribution(table, first).batches] == [joined.batch_id]


def test_a_parked_batch_is_given_up_and_expires(table: BatchTable, clock: Clock, bucket: str, name: str) -> None:
    steps = BatchSteps(table, clock)
    joined = steps.join(name, change("a.html", bucket=bucket), bucket=bucket)
    steps.close(joined)
    freeze_targets(table, Batch.read(table, joined.batch_id), {f"E1{name}": {}})
    steps.finish(joined.batch_id, name, failed(f"E1{name}", "AccessDenied"))
    assert joined.batch_id in [each.batch_id for each in parked_batches(table)]
    ended = abandon(table, joined.batch_id, "nobody needs it", clock, RETENTION)
    assert (ended.outcome, ended.ended) == (Outcome.ABANDONED, True)
    assert joined.batch_id not in [each.batch_id for each in parked_batches(table)]
    expiry = {item.get("expiresAt") for item in items(table, f"{BATCH}{joined.batch_id}", keys=True)}
    assert expiry == {epoch_seconds(START + RETENTION)}


def test_a_storm_is_frozen_and_its_pending_items_deleted(
    table: BatchTable, clock: Clock, bucket: str, name: str
) -> None:
    storm = [change(f"{number:0900d}", f"{number}", bucket=bucket) for number in range(400)]
    joined = join(table, bucket, storm, execution(name), WINDOW, clock, "attempt")
    closed = close(table, bucket, joined.batch_id, execution(name), "attempt", clock)
    assert closed.changes == 400
    batch = Batch.read(table, joined.batch_id)
    assert batch.chunks > 1
    assert {each.key for each in frozen_changes(table, batch)} == {each.key for each in storm}
    assert not has_pending(table, bucket)


def test_a_paused_bucket_keeps_what_comes_until_it_is_resumed(
    table: BatchTable, clock: Clock, bucket: str, name: str
) -> None:
    steps = BatchSteps(table, clock)
    pause(table, bucket)
    assert steps.join(name, change("a", bucket=bucket), bucket=bucket).role is Role.PAUSED
    assert resume(table, bucket, WINDOW, clock)
    joined = steps.join(f"{name}-2", bucket=bucket)
    assert steps.close(joined) == ("FROZEN", 1)


def test_the_sweep_finds_what_a_dead_leader_and_a_dead_batch_left(
    table: BatchTable, clock: Clock, bucket: str, name: str
) -> None:
    BatchSteps(table, clock).join(name, change("a", bucket=bucket), bucket=bucket)
    own = open_paths_batch(table, "E1", ["/a"], execution(f"{name}-2"), clock, "attempt")
    clock.seconds = 1_000
    machine = FakeStateMachine()
    ended = machine.end(f"{name}-3", clock(), {"changes": "of somebody"})
    assert sweep(table, machine, WINDOW, clock, clock(), RETRY, lambda: 300).failed == ()
    started = machine.started.values()
    assert all(order in started for order in ({"lead": bucket}, {"retryBatch": own.batch_id}))
    assert machine.started[ended.replay_name] == {"changes": "of somebody"}
    again = len(machine.started)
    assert sweep(table, machine, WINDOW, clock, clock(), RETRY, lambda: 300).failed == ()
    assert (len(machine.started), machine.count("was_accepted")) == (again, 1)


def test_a_distributions_configuration_is_found_as_it_was_kept_last(table: BatchTable, clock: Clock) -> None:
    stored, distribution_id = StoredConfigurations(table, clock), uuid.uuid4().hex
    assert stored.find(distribution_id) is None
    for root in ("old.html", "größer.html"):
        config: Any = {"Enabled": True, "DefaultRootObject": root, "Origins": {"Quantity": 1, "Items": [{"Id": "o"}]}}
        stored.keep(distribution_id, f"ETag of {root}", config)
    assert stored.find(distribution_id) == ("ETag of größer.html", config)
