from datetime import timedelta
from typing import Any

import pytest

from invalidation.batches.finish import abandon
from invalidation.batches.head import Role
from invalidation.batches.model import Batch, Outcome, epoch_seconds
from invalidation.batches.queries import batches_of_bucket, parked_batches, unfinished_batches
from invalidation.batches.table import BATCH, Key
from invalidation.batches.targets import TargetState, claim, targets_of
from invalidation.errors import BatchContended, BatchNotFound, BatchTableUnavailable
from tests.fakes.batch_steps import BUCKET, RETENTION, START, BatchSteps, Clock, execution, failed, invalidated, report
from tests.fakes.memory_table import MemoryTable

HOUR = 3_600.0


class Overtaken(MemoryTable):
    """Calls ``meanwhile`` once, just before the write by which an abandoned batch ends."""

    def meanwhile(self) -> None:
        """Nothing, until a test says otherwise."""

    def update(self, key: Key, assign: Any, expect: Any) -> Any:
        if assign.get("outcome") == Outcome.ABANDONED.value:
            self.meanwhile()
        return super().update(key, assign, expect)


@pytest.fixture
def table() -> Overtaken:
    return Overtaken(page_size=2)


@pytest.fixture
def parked(steps: BatchSteps, clock: Clock) -> str:
    """A batch of which one distribution is fresh, and another waits for somebody."""
    batch_id = steps.resolved("first", "E1", "E2")
    steps.finish(batch_id, "first", invalidated("E1"), failed("E2", "AccessDenied"))
    clock.seconds = HOUR
    return batch_id


def give_up(table: MemoryTable, batch_id: str, clock: Clock, reason: str = "the site is gone") -> Batch:
    return abandon(table, batch_id, reason, clock, RETENTION)


def expiries(table: MemoryTable, batch_id: str) -> set[Any]:
    return {item.get("expiresAt") for item in table.partitions[f"{BATCH}{batch_id}"].values()}


def test_a_parked_batch_ends_and_its_record_says_why(table: Overtaken, clock: Clock, parked: str) -> None:
    batch = give_up(table, parked, clock)
    assert batch == Batch.read(table, parked)
    assert (batch.ended, batch.outcome, batch.finished) == (True, Outcome.ABANDONED, clock())
    assert batch.error == "AccessDenied"
    assert batch.message == "the site is gone (it had failed: AccessDenied said why)"


def test_nothing_waits_for_anybody_any_more_and_the_audit_keeps_it(table: Overtaken, clock: Clock, parked: str) -> None:
    give_up(table, parked, clock)
    assert [*parked_batches(table), *unfinished_batches(table)] == []
    assert [each.batch_id for each in batches_of_bucket(table, BUCKET).batches] == [parked]
    told = report(table, parked)
    assert (told.outcome, told.succeeded, told.parked, told.batch.next_try_at) == (
        Outcome.ABANDONED,
        False,
        False,
        None,
    )


def test_what_was_owed_stays_to_be_seen(table: Overtaken, clock: Clock, parked: str) -> None:
    batch = give_up(table, parked, clock)
    assert [(each.state, each.error) for each in targets_of(table, batch)] == [
        (TargetState.COMPLETED, ""),
        (TargetState.PARKED, "AccessDenied"),
    ]


def test_it_expires_as_every_ended_record_does(table: Overtaken, clock: Clock, parked: str) -> None:
    give_up(table, parked, clock)
    assert expiries(table, parked) == {epoch_seconds(START + timedelta(seconds=HOUR) + RETENTION)}


def test_a_batch_that_was_never_resolved_can_be_given_up(steps: BatchSteps, table: Overtaken, clock: Clock) -> None:
    batch_id = steps.frozen("first", "a.html")
    table.update(Batch.key_of(batch_id), {"state": "PARKED", "unfinished": "PARKED", "message": "x" * 1_000}, {})
    message = give_up(table, batch_id, clock).message
    assert message.startswith("the site is gone (it had failed: xxx")
    assert len(message) == 1_000


def test_a_second_time_changes_nothing(table: Overtaken, clock: Clock, parked: str) -> None:
    first = give_up(table, parked, clock)
    before = {key: dict(item) for key, item in table.partitions[f"{BATCH}{parked}"].items()}
    clock.seconds = 2 * HOUR
    assert give_up(table, parked, clock, "another reason") == first
    assert table.partitions[f"{BATCH}{parked}"] == before


def test_whoever_repeats_what_died_half_way_marks_what_is_left(
    table: Overtaken, clock: Clock, parked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = table.update

    def dies(key: Key, assign: Any, expect: Any) -> Any:
        if "expiresAt" in assign and key.sk.startswith("TARGET#E2"):
            raise BatchTableUnavailable("died")
        return update(key, assign, expect)

    with monkeypatch.context() as patch:
        patch.setattr(table, "update", dies)
        with pytest.raises(BatchTableUnavailable):
            give_up(table, parked, clock)
    assert Batch.read(table, parked).outcome is Outcome.ABANDONED
    assert None in expiries(table, parked)
    give_up(table, parked, clock)
    assert len(expiries(table, parked)) == 1
    assert None not in expiries(table, parked)


def test_only_what_is_parked_is_given_up(steps: BatchSteps, table: Overtaken, clock: Clock) -> None:
    owed = steps.resolved("owed", "E1")
    clock.seconds = HOUR
    ended = steps.resolved("ended", "E1")
    steps.finish(ended, "ended", invalidated("E1"))
    for batch_id in (owed, ended):
        before = {key: dict(item) for key, item in table.partitions[f"{BATCH}{batch_id}"].items()}
        assert give_up(table, batch_id, clock).outcome is not Outcome.ABANDONED
        assert table.partitions[f"{BATCH}{batch_id}"] == before


def test_a_retry_that_comes_first_wins_and_keeps_its_list(table: Overtaken, clock: Clock, parked: str) -> None:
    table.meanwhile = lambda: claim(table, parked, execution("retry"), clock)  # type: ignore[method-assign, assignment]
    batch = give_up(table, parked, clock)
    assert (batch.outcome, batch.owner) == (Outcome.PARTLY_FAILED, execution("retry").arn)
    assert expiries(table, parked) == {None}
    assert [each.batch_id for each in unfinished_batches(table)] == [parked]


def test_a_retry_that_comes_second_has_nothing_to_do(table: Overtaken, clock: Clock, parked: str) -> None:
    give_up(table, parked, clock)
    assert claim(table, parked, execution("retry"), clock).role is Role.ENDED
    assert Batch.read(table, parked).outcome is Outcome.ABANDONED


def test_an_execution_that_comes_late_is_told_that_it_was_given_up(
    steps: BatchSteps, table: Overtaken, clock: Clock, parked: str
) -> None:
    give_up(table, parked, clock)
    told = steps.finish(parked, "first", invalidated("E1"), invalidated("E2"))
    assert (told.outcome, told.succeeded, told.batch.error) == (Outcome.ABANDONED, False, "AccessDenied")


def test_a_record_that_changes_under_every_attempt_is_left_alone(table: Overtaken, clock: Clock, parked: str) -> None:
    def overtake() -> None:
        item = table.find(Batch.key_of(parked))
        assert item is not None
        MemoryTable.update(table, Batch.key_of(parked), {"tries": item["tries"] + 1}, {})

    table.meanwhile = overtake  # type: ignore[method-assign]
    with pytest.raises(BatchContended, match="try again"):
        give_up(table, parked, clock)
    assert [each.batch_id for each in parked_batches(table)] == [parked]


def test_what_nobody_knows_cannot_be_given_up(table: Overtaken, clock: Clock) -> None:
    with pytest.raises(BatchNotFound):
        give_up(table, "20261123T062719Z-0123456789", clock)
