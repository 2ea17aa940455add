"""`invalidations wait`: it says "fresh" only when every change that was accepted has been invalidated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, cast

import click
import pytest
from botocore.exceptions import ClientError

from invalidation.executions import Unaccepted
from invalidation.lifecycle import Batch, BatchState, BatchTable, Window, pause
from invalidation.lifecycle.heads import Head
from invalidation.outcomes import Outcome
from ops.covered import Result, Watch, progress
from ops.owed import Facts, Reader
from ops.stack import Stack
from ops.wait import check, document, told
from tests.memory_table import MemoryTable
from tests.simulation import schedules
from tests.simulation.faults import Faults
from tests.simulation.machine import Protocol, StateMachine
from tests.simulation.world import START, World

NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
PREFIX = "arn:aws:states:us-east-1:123456789012:execution:stack-invalidation:"


def batch(name: str = "one", **changed: Any) -> Batch:
    usual = Batch(name, PREFIX + name, "attempt", 1, 3, NOW - timedelta(minutes=5), NOW, bucket="my-site")
    return replace(usual, **changed)


# ---------------------------------------------------------------- the decision

UNDER_WAY = Facts(unfinished=(batch(),))
OWED = {
    "a change that waits": Facts(pending=1),
    "a batch under way": UNDER_WAY,
    "a batch that is tried again": Facts(unfinished=(batch(tries=2, next_try_at=NOW),)),
    "an execution that runs": Facts(running=("arn",)),
    "an execution that was lost": Facts(lost=("name",)),
    "a message in the intake queue": Facts(queued=1),
}


def judged(quiet: float, *looks: tuple[float, Facts]) -> Result:
    watch = Watch(quiet)
    result = Result.WAITING
    for at, facts in looks:
        result = watch.look(facts, at)
    return result


@pytest.mark.parametrize("facts", OWED.values(), ids=OWED)
def test_while_anything_is_owed_it_waits_however_long_nothing_arrives(facts: Facts) -> None:
    assert judged(10, (0, facts), (1000, facts)) is Result.WAITING


@pytest.mark.parametrize("facts", OWED.values(), ids=OWED)
def test_what_has_just_arrived_starts_the_quiet_time_anew(facts: Facts) -> None:
    assert judged(10, (0, Facts()), (9, facts), (10, Facts())) is Result.WAITING or facts.lost
    assert judged(10, (0, Facts()), (9, facts), (19, Facts())) is Result.FRESH


def test_a_quiet_bucket_is_fresh_after_the_quiet_time_and_not_before() -> None:
    assert judged(10, (0, Facts())) is Result.WAITING
    assert judged(10, (0, Facts()), (9.9, Facts())) is Result.WAITING
    assert judged(10, (0, Facts()), (9.9, Facts()), (10, Facts())) is Result.FRESH


def test_time_in_which_nothing_new_arrives_counts_while_a_batch_is_under_way() -> None:
    assert judged(10, (0, UNDER_WAY), (15, UNDER_WAY), (20, Facts())) is Result.FRESH


def test_the_leader_that_still_notifies_is_nothing_new() -> None:
    ending = Facts(running=(batch().owner,))
    assert judged(10, (0, UNDER_WAY), (15, ending), (16, Facts())) is Result.FRESH


def test_a_batch_that_came_and_went_between_two_looks_is_seen_by_its_bucket_s_head() -> None:
    assert judged(10, (0, Facts(head="one")), (9, Facts(head="two")), (11, Facts(head="two"))) is Result.WAITING


def test_a_paused_bucket_ends_it_at_once() -> None:
    assert judged(10, (0, Facts(paused=True, pending=3))) is Result.PAUSED


def test_a_parked_batch_ends_it_at_once_whenever_it_was_parked() -> None:
    parked = batch(state=BatchState.PARKED, tries=1, error="AccessDenied")
    watch = Watch(10)
    assert watch.look(Facts(parked=(parked,)), 0) is Result.FAILED
    assert watch.failed == (parked,)


def test_older_parked_batches_only_get_a_mention_where_that_is_asked_for() -> None:
    parked = batch(state=BatchState.PARKED, opened=NOW - timedelta(hours=2))
    watch = Watch(10, NOW - timedelta(hours=1))
    facts = Facts(parked=(parked,))
    assert watch.look(facts, 0) is Result.WAITING
    assert watch.look(facts, 10) is Result.FRESH
    assert "1 batch parked" in progress(facts, watch, 10)
    assert watch.look(Facts(parked=(replace(parked, opened=NOW),)), 11) is Result.FAILED


def test_a_batch_that_fails_meanwhile_ends_it_and_one_that_had_failed_before_is_waited_for() -> None:
    before = Facts(unfinished=(batch(tries=1, next_try_at=NOW),))
    watch = Watch(10)
    assert watch.look(before, 0) is Result.WAITING
    assert "one that failed before is tried again at 07:00:00 UTC" in progress(before, watch, 0)
    again = Facts(unfinished=(batch(tries=2),))
    assert watch.look(again, 300) is Result.FAILED
    assert watch.failed == again.unfinished
    assert judged(10, (0, Facts()), (5, Facts(unfinished=(batch(tries=1),)))) is Result.FAILED


def test_an_event_that_ends_up_as_a_dead_letter_meanwhile_ends_it_and_older_ones_do_not() -> None:
    assert judged(10, (0, Facts(dead_letters=2)), (11, Facts(dead_letters=2))) is Result.FRESH
    assert judged(10, (0, Facts(dead_letters=2)), (5, Facts(dead_letters=3))) is Result.FAILED


# ---------------------------------------------------------------- what is told


def ended(result: Result, facts: Facts, *seen: Batch, failed: tuple[Batch, ...] = ()) -> list[str]:
    watch = Watch(10, batches={each.batch_id: each for each in seen}, failed=failed)
    return list(told(result, "my-site", facts, watch, 31.4))


def test_the_end_is_told_in_a_line_that_says_how_it_ended() -> None:
    assert ended(Result.FRESH, Facts(), batch("1"), batch("2")) == [
        "Fresh after 31 s: 6 changes of my-site, in 2 batches."
    ]
    assert ended(Result.FRESH, Facts()) == ["Fresh after 31 s: nothing was owed to my-site, and nothing arrived."]
    (paused,) = ended(Result.PAUSED, Facts(pending=2))
    assert paused.endswith("wait until it is resumed (2 changes so far).")
    (late,) = ended(Result.WAITING, Facts(running=("a", "b"), queued=1, lost=("\x1b[1m",), dead_letters=1))
    assert late == (
        "Not within 31 s: my-site: 2 executions running, 1 message in the intake queue, "
        r"\x1b[1m failed before its change was accepted and is replayed by the sweep, "
        "1 event in the dead-letter queue; quiet for 10 of 10 s."
    )


def test_what_failed_is_told_with_its_error_its_advice_and_what_comes_next() -> None:
    parked = batch("1", error="AccessDenied", message="Grant\nthis", state=BatchState.PARKED)
    later = batch("2", error="CloudFrontThrottled", message="Busy", next_try_at=NOW)
    assert ended(Result.FAILED, Facts(), failed=(parked, later))[1:] == [
        "  batch 1, 3 changes: AccessDenied (mend the cause, then retry it)",
        r"    Grant\nthis",
        "  batch 2, 3 changes: CloudFrontThrottled (tried again at 07:00 UTC)",
        "    Busy",
    ]
    assert "dead-letter queue" in ended(Result.FAILED, Facts())[1]


def test_the_end_is_one_document_for_a_script() -> None:
    facts = Facts(pending=1, unfinished=(batch("2", tries=1, error="X", message="m"),), running=("arn",), queued=3)
    watch = Watch(10, batches={"2": facts.unfinished[0], "1": batch("1")}, failed=facts.unfinished)
    assert json.loads(json.dumps(document(Result.WAITING, "my-site", facts, watch, 31.44))) == {
        "result": "timeout",
        "bucket": "my-site",
        "seconds": 31.4,
        "quietSeconds": 10,
        "batches": ["1", "2"],
        "changes": 6,
        "owed": {"pending": 1, "unfinished": ["2"], "parked": [], "running": 1, "lost": [], "queued": 3},
        "failed": [{"batchId": "2", "changes": 3, "error": "X", "message": "m"}],
    }


def test_waiting_is_refused_where_it_would_end_well_without_an_invalidation() -> None:
    def stack(**parameters: str) -> Stack:
        return Stack("s", cast("Any", None), {}, parameters)

    check(stack(BucketNames="other, my-site"), "my-site")
    with pytest.raises(click.UsageError, match="does not watch my-site, but other"):
        check(stack(BucketNames="other"), "my-site")
    with pytest.raises(click.ClickException, match="DryRun is true"):
        check(stack(BucketNames="my-site", DryRun="true"), "my-site")


# ---------------------------------------------------------------- the facts


@dataclass(slots=True)
class FakeAws:
    """A stack as the reader sees it: its queues and executions; `table` is the batch table."""

    batch_table: BatchTable
    running: list[str] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    failed: list[Unaccepted] = field(default_factory=list)
    replayed: set[str] = field(default_factory=set)
    messages: dict[str, dict[str, str]] = field(default_factory=dict)
    described: list[str] = field(default_factory=list)

    dead_letter_queue_url = "dead"
    intake_queue_url = "intake"
    state_machine_arn = "machine"

    def table(self) -> BatchTable:
        return self.batch_table

    def client(self, _service: str) -> FakeAws:
        return self

    def executions(self) -> FakeAws:
        return self

    def execution_arn(self, name: str) -> str:
        return PREFIX + name

    def input_of(self, arn: str) -> Any:
        self.described.append(arn)
        return self.inputs[arn]

    def unaccepted(self, since: datetime) -> Iterator[Unaccepted]:
        return (each for each in self.failed if each.stopped >= since)

    def get_queue_attributes(self, *, QueueUrl: str, **_options: Any) -> Any:  # noqa: N803 # boto3's name
        return {"Attributes": self.messages.get(QueueUrl, {})}

    def get_paginator(self, _name: str) -> FakeAws:
        return self

    def paginate(self, **options: Any) -> Iterator[Any]:
        assert options["statusFilter"] == "RUNNING"
        yield {"executions": [{"executionArn": arn} for arn in self.running]}

    class exceptions:  # noqa: N801 # boto3's name
        class ExecutionDoesNotExist(ClientError):
            pass

    def describe_execution(self, *, executionArn: str) -> None:  # noqa: N803 # boto3's name
        if executionArn not in self.replayed:
            raise self.exceptions.ExecutionDoesNotExist({}, "DescribeExecution")


def event(bucket: str) -> dict[str, Any]:
    detail = {"bucket": {"name": bucket}, "object": {"key": "a"}}
    return {"source": "aws.s3", "detail-type": "Object Created", "id": "1", "detail": detail}


def looked(aws: FakeAws) -> Facts:
    return Reader(cast("Stack", aws), "my-site", NOW).look()


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
    reader = Reader(cast("Stack", aws), "my-site", NOW)
    assert [len(reader.look().running) for _ in range(4)] == [35, 10, 0, 0]
    assert aws.described == arns


def test_messages_that_are_in_flight_or_delayed_count_as_well() -> None:
    attributes = {
        "ApproximateNumberOfMessages": "1",
        "ApproximateNumberOfMessagesNotVisible": "20",
        "ApproximateNumberOfMessagesDelayed": "300",
    }
    facts = looked(FakeAws(MemoryTable(), messages={"intake": attributes, "dead": attributes}))
    assert (facts.queued, facts.dead_letters) == (321, 321)


def test_an_execution_that_failed_before_its_change_was_accepted_is_owed_until_its_replay_has_started() -> None:
    lost = Unaccepted("1", "original", NOW)
    aws = FakeAws(MemoryTable(), inputs={"1": event("my-site")}, failed=[lost])
    assert looked(aws).lost == ("original",)
    aws.replayed.add(PREFIX + lost.replay_name)
    assert looked(aws).lost == ()


def test_failures_of_other_buckets_and_of_long_ago_are_not_this_bucket_s() -> None:
    other, old = Unaccepted("1", "other", NOW), Unaccepted("2", "old", NOW - timedelta(hours=2))
    inputs = {"1": event("other"), "2": event("my-site")}
    assert looked(FakeAws(MemoryTable(), inputs=inputs, failed=[other, old])).lost == ()


def test_a_paused_bucket_is_seen_before_it_has_ever_had_a_batch() -> None:
    table = MemoryTable()
    pause(table, "my-site")
    assert looked(FakeAws(table)) == Facts(paused=True)


def test_dry_runs_and_other_buckets_batches_are_not_owed() -> None:
    table = MemoryTable()
    for each in (batch("1", dry_run=True), batch("2", bucket="other"), batch("3", bucket="", distribution_id="E1")):
        table.put(each.to_item())
    assert looked(FakeAws(table)) == Facts()


def test_the_batch_that_the_head_names_is_seen_although_the_index_lags_behind() -> None:
    class Lagging(MemoryTable):
        def index_page(self, *_arguments: Any, **_options: Any) -> Any:
            return MemoryTable().index_page(*_arguments, **_options)

    table = Lagging()
    table.put(batch("1").to_item())
    table.put({"pk": "BUCKET#my-site", "sk": "HEAD", "batchId": "1", "state": "CLOSED"})
    assert [each.batch_id for each in looked(FakeAws(table)).unfinished] == ["1"]


def test_batches_that_ended_between_two_looks_are_found_for_the_summary() -> None:
    table = MemoryTable()
    one = batch("20261123T070001Z-0123456789", state=BatchState.ENDED, outcome=Outcome.COMPLETED)
    for each in (one, batch("20261123T065959Z-0123456789"), replace(one, batch_id="20261123T070001Z-1", dry_run=True)):
        table.put(each.to_item())
    opened = Reader(cast("Stack", FakeAws(table)), "my-site", NOW).opened()
    assert list(opened) == [one.batch_id]


# ---------------------------------------------------------------- the whole, among everything that can happen


class Bystander(MemoryTable):
    """The simulated world's table for somebody to whom no faults happen: each request is a turn."""

    def __init__(self, world: World) -> None:
        super().__init__(world.table.shards, page_size=100)
        self.world = world
        self.partitions = world.table.partitions

    def _request(self, operation: str, key: Any, effect: Any) -> Any:
        del operation, key
        self.world.scheduler.pause()
        return effect()


class Recorded(StateMachine):
    """Remembers with what each execution was begun, and when."""

    def __init__(self, world: World, window: Window) -> None:
        super().__init__(world, window, Protocol())
        self.world = world
        self.begun: dict[str, tuple[Mapping[str, Any], float]] = {}

    def begin(self, name: str, document: Mapping[str, Any], *, at: float) -> None:
        self.begun[self._arn(name)] = (document, at)
        super().begin(name, document, at=at)

    def events_of(self, bucket: str) -> set[str]:
        lists = [
            each
            for document, _ in self.begun.values()
            for each in (document.get("keys"), *document.get("changes", {}).values())
        ]
        return {change.event_id for changes in lists for change in changes or () if change.bucket == bucket}


class Observatory(FakeAws):
    """The simulated world, as the reader sees it."""

    def __init__(self, world: World, machine: Recorded) -> None:
        super().__init__(Bystander(world))
        self.world = world
        self.machine = machine

    def paginate(self, **_options: Any) -> Iterator[Any]:
        self.world.scheduler.pause()
        clock = self.world.scheduler.clock
        running = [arn for arn, (_, at) in self.machine.begun.items() if at <= clock and self.machine.is_running(arn)]
        yield {"executions": [{"executionArn": arn} for arn in running]}

    def input_of(self, arn: str) -> Any:
        self.world.scheduler.pause()
        document = self.machine.begun[arn][0]
        match document:
            case {"changes": by_bucket}:
                return [event(bucket) for bucket in by_bucket]
            case {"keys": changes}:
                return {"bucket": changes[0].bucket, "keys": [change.key for change in changes]}
            case _:
                return document


class WrongWayRound(Reader):
    """Looks at the batches before it looks at what is to become one."""

    def look(self) -> Facts:
        unfinished, parked = self._batches(Head("one"))
        return Facts(pending=self._pending(), unfinished=unfinished, parked=parked)


LOOKS = 40


def told_early(seed: int, kind: type[Reader] = Reader) -> list[str]:
    """Changes of the bucket that nothing covered although it was found fresh, and that had been accepted, or brought
    by a running execution, before the look that found it so.

    Without any quiet time, and going on when it could end: each look must be right by itself.
    """
    random = Random(seed)  # noqa: S311 # a schedule, not a secret
    world = World(random, Faults.some(random), shards=2, page_size=2)
    machine = Recorded(world, random.choice(schedules.WINDOWS))
    schedules._let_changes_come(world, machine)
    early: list[str] = []

    def observe() -> None:
        watch = Watch(quiet=0)
        reader = kind(cast("Stack", Observatory(world, machine)), "one", START)
        for _ in range(LOOKS):
            before = set(world.observed.accepted) & machine.events_of("one")
            if watch.look(reader.look(), world.scheduler.clock) is Result.FRESH:
                early.extend(each for each in world.observed.uncovered() if each in before)
            world.scheduler.sleep(world.scheduler.clock + random.choice([0, 0, 0, 0.1, 2]))

    world.scheduler.spawn("observer", observe)
    world.scheduler.run(schedules.RandomChoices(world), turns=2_000)
    world.scheduler.close()
    return early


SEEDS = range(200)


def test_in_no_schedule_is_a_bucket_called_fresh_while_an_accepted_change_is_uncovered() -> None:
    assert {seed: early for seed in SEEDS if (early := told_early(seed))} == {}


def test_a_reader_that_looks_the_wrong_way_round_is_caught_by_these_schedules() -> None:
    assert any(told_early(seed, WrongWayRound) for seed in SEEDS)
