"""What `invalidations wait` looks at: everything in which a change of the bucket can be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from invalidation.batches.head import pause
from invalidation.batches.model import BatchState, Outcome
from invalidation.batches.replay import Ended
from invalidations_cli.aws import Stack
from invalidations_cli.backlog import BacklogReader, BucketBacklog
from tests.fakes.backlog import NOW, PREFIX, FakeAws, batch, event
from tests.fakes.memory_table import MemoryTable


def looked(aws: FakeAws) -> BucketBacklog:
    return BacklogReader(cast("Stack", aws), "my-site", NOW).look()


ABOUT_THE_BUCKET: dict[str, Any] = {
    "an event": event("my-site"),
    "a list with it": [event("other"), event("my-site")],
    "a buffered list": [{"body": event("my-site")}],
    "a list in which something is wrong": [{"source": "aws.s3"}, event("my-site")],
    "a request": {"bucket": "my-site", "keys": ["a"]},
    "an order to lead": {"lead": "my-site"},
}
ABOUT_SOMETHING_ELSE: dict[str, Any] = {
    "another bucket's event": event("other"),
    "a request of paths": {"distributionId": "E2QWRUHAPOMQZL", "paths": ["/*"]},
    "a retry of a batch that is unknown": {"retryBatch": "20261123T062719Z-0123456789"},
    "what is not accepted": {"nonsense": 1},
    "another bucket's list": [event("other"), event("another")],
}


@pytest.mark.parametrize("given", ABOUT_THE_BUCKET.values(), ids=ABOUT_THE_BUCKET)
def test_an_execution_about_the_bucket_counts(given: Any) -> None:
    assert looked(FakeAws(MemoryTable(), running=["1"], inputs={"1": given})).running == ("1",)


@pytest.mark.parametrize("given", ABOUT_SOMETHING_ELSE.values(), ids=ABOUT_SOMETHING_ELSE)
def test_an_execution_about_something_else_does_not(given: Any) -> None:
    assert looked(FakeAws(MemoryTable(), running=["1"], inputs={"1": given})).running == ()


def test_a_retry_counts_for_the_bucket_of_its_batch() -> None:
    table = MemoryTable()
    table.put(batch("20261123T062719Z-0123456789", state=BatchState.ENDED).to_item())
    aws = FakeAws(table, running=["1"], inputs={"1": {"retryBatch": "20261123T062719Z-0123456789"}})
    assert looked(aws).running == ("1",)


def test_of_many_executions_only_some_are_asked_about_at_a_look_and_none_twice_and_the_rest_count() -> None:
    arns = [str(number) for number in range(60)]
    aws = FakeAws(MemoryTable(), running=arns, inputs=dict.fromkeys(arns, event("other")))
    reader = BacklogReader(cast("Stack", aws), "my-site", NOW)
    assert [len(reader.look().running) for _ in range(4)] == [35, 10, 0, 0]
    assert sorted(aws.described) == sorted(arns)


def test_messages_that_are_in_flight_or_delayed_count_as_well() -> None:
    attributes = {
        "ApproximateNumberOfMessages": "1",
        "ApproximateNumberOfMessagesNotVisible": "20",
        "ApproximateNumberOfMessagesDelayed": "300",
    }
    facts = looked(FakeAws(MemoryTable(), messages={"intake": attributes, "dead": attributes}))
    assert (facts.queued, facts.dead_letters) == (321, 321)


def test_an_execution_that_failed_before_its_change_was_accepted_is_owed_until_its_replay_has_started() -> None:
    lost = Ended("1", "original", NOW)
    aws = FakeAws(MemoryTable(), inputs={"1": event("my-site")}, failed=[lost])
    assert looked(aws).lost == ("original",)
    aws.replayed.add(PREFIX + lost.replay_name)
    assert looked(aws).lost == ()


def test_failures_of_other_buckets_and_of_long_ago_are_not_this_bucket_s() -> None:
    other, old = Ended("1", "other", NOW), Ended("2", "old", NOW - timedelta(days=2))
    inputs = {"1": event("other"), "2": event("my-site")}
    assert looked(FakeAws(MemoryTable(), inputs=inputs, failed=[other, old])).lost == ()


def test_a_paused_bucket_is_seen_before_it_has_ever_had_a_batch() -> None:
    table = MemoryTable()
    pause(table, "my-site")
    assert looked(FakeAws(table)) == BucketBacklog(paused=True)


def test_dry_runs_and_other_buckets_batches_are_not_owed() -> None:
    table = MemoryTable()
    for each in (batch("1", dry_run=True), batch("2", bucket="other"), batch("3", bucket="", distribution_id="E1")):
        table.put(each.to_item())
    assert looked(FakeAws(table)) == BucketBacklog()


def test_the_batch_that_the_head_names_is_seen_although_the_index_lags_behind() -> None:
    class Lagging(MemoryTable):
        def index_page(self, *_arguments: Any, **_options: Any) -> Any:
            return MemoryTable().index_page(*_arguments, **_options)

    table = Lagging()
    table.put(batch("1").to_item())
    table.put({"pk": "BUCKET#my-site", "sk": "HEAD", "batchId": "1", "state": "CLOSED"})
    assert [each.batch_id for each in looked(FakeAws(table)).unfinished] == ["1"]


def test_batches_that_ended_between_two_looks_or_shortly_before_them_are_found_for_the_summary() -> None:
    table = MemoryTable()
    one = batch("20261123T070001Z-0123456789", state=BatchState.ENDED, outcome=Outcome.COMPLETED)
    before, earlier = batch("20261123T065955Z-0123456789"), batch("20261123T065945Z-0123456789")
    for each in (one, before, earlier, replace(one, batch_id="20261123T070001Z-1", dry_run=True)):
        table.put(each.to_item())
    reader = BacklogReader(cast("Stack", FakeAws(table)), "my-site", NOW)
    assert set(reader.opened(0)) == {one.batch_id}
    assert set(reader.opened(10)) == {one.batch_id, before.batch_id}
