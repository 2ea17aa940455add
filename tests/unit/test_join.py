import math
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import TypeVar

import pytest

from invalidation.batches import snapshot
from invalidation.batches.close import MOST_AT_ONCE, close
from invalidation.batches.head import (
    Closed,
    ClosedStatus,
    Head,
    HeadState,
    Joined,
    Role,
    Window,
    batch_id,
    has_pending,
    lead_name,
    needs_leader,
    pause,
    sweep_lead_name,
    sweep_retry_name,
)
from invalidation.batches.join import accept, join_each, join_request
from invalidation.batches.model import Batch, PendingChange
from invalidation.batches.snapshot import frozen_changes
from invalidation.batches.table import ATTEMPTS, BATCH, BUCKETS, Item, Key
from invalidation.errors import BatchContended, BatchTableUnavailable, ChangesNotAccepted
from invalidation.events import Change, KeysRequest, PathsRequest, RetryBatch
from tests.fakes.batch_steps import BUCKET, START, WINDOW, BatchSteps, Clock, change, execution
from tests.fakes.memory_table import MemoryTable

T = TypeVar("T")


def pending_keys(table: MemoryTable) -> list[str]:
    return sorted(each.change.key for each in PendingChange.of_bucket(table, BUCKET))


def test_the_first_change_of_a_quiet_bucket_leads_and_does_not_wait(steps: BatchSteps) -> None:
    joined = steps.join("first", change("a"))
    assert (joined.role, joined.leader_arn, joined.closes_at) == (Role.LEADER, execution("first").arn, START)


def test_a_change_that_comes_while_a_batch_gathers_follows_and_knows_who_leads(steps: BatchSteps) -> None:
    leads = steps.join("first", change("a"))
    follows = steps.join("second", change("b"))
    assert (follows.role, follows.leader_arn) == (Role.FOLLOWER, execution("first").arn)
    assert (follows.batch_id, follows.closes_at) == (leads.batch_id, leads.closes_at)


def test_a_change_is_written_before_anything_else_can_go_wrong(steps: BatchSteps, table: MemoryTable) -> None:
    steps.join("first", change("a"))
    steps.join("second", change("b"))
    assert pending_keys(table) == ["a", "b"]
    assert table.find(Key(BUCKETS, BUCKET)) is not None


def test_a_repeated_join_of_the_leader_leads_still(steps: BatchSteps) -> None:
    assert steps.join("first", change("a")) == steps.join("first", change("a"))


def test_a_repeated_join_leaves_one_pending_item(steps: BatchSteps, table: MemoryTable) -> None:
    steps.join("first", change("a"))
    steps.join("first", change("a"))
    assert pending_keys(table) == ["a"]


def test_two_changes_of_one_key_are_two_items(steps: BatchSteps, table: MemoryTable) -> None:
    steps.join("first", change("a", "earlier"), change("a", "later"))
    assert pending_keys(table) == ["a", "a"]


def test_a_change_without_an_event_id_does_not_share_its_item_with_anothers(
    steps: BatchSteps, table: MemoryTable
) -> None:
    for name in ("first", "second"):
        steps.join(name, change("a").__class__(BUCKET, "a", event_id=""))
    assert pending_keys(table) == ["a", "a"]


def test_an_event_id_of_any_length_and_alphabet_fits_into_the_key(steps: BatchSteps, table: MemoryTable) -> None:
    steps.join("first", change("a", "é" * 3_000), change("b", "x" * 3_000))
    items = [item for pk, each in table.partitions.items() if pk.startswith("PENDING") for item in each.values()]
    assert sorted(len(item["sk"].encode()) for item in items) == [129, 129]


def test_batches_follow_each_other_at_growing_intervals_under_load_and_fall_back_when_it_is_quiet(
    steps: BatchSteps, clock: Clock
) -> None:
    closes = []
    for number in range(8):
        joined = steps.join(f"execution{number}", change(f"{number}"))
        assert joined.role is Role.LEADER
        closes.append((joined.closes_at - START).total_seconds())
        clock.seconds = closes[-1]
        steps.close(joined)
        clock.seconds += 1
    assert closes == [0, 10, 20, 40, 80, 140, 200, 260]

    clock.seconds += 60
    after_a_pause = steps.join("later", change("later"))
    assert after_a_pause.closes_at == clock()
    steps.close(after_a_pause)
    assert steps.join("next", change("next")).closes_at == clock() + timedelta(seconds=10)


def test_a_window_is_never_longer_than_the_parameter_allows_now(steps: BatchSteps, clock: Clock) -> None:
    steps.close(steps.join("first", change("a")))
    steps.window = Window(seconds=3, max_seconds=5)
    assert steps.join("second", change("b")).closes_at == clock() + timedelta(seconds=5)


def test_a_clock_that_ran_ahead_costs_one_window_at_most(steps: BatchSteps, clock: Clock) -> None:
    clock.seconds = 86_400
    ahead = steps.join("ahead", change("a"))
    steps.close(ahead)
    clock.seconds = 0
    assert steps.join("second", change("b")).closes_at == clock() + timedelta(seconds=60)


def test_nobody_follows_a_leader_whose_clock_ran_ahead(steps: BatchSteps, clock: Clock) -> None:
    clock.seconds = 86_400
    steps.join("ahead", change("a"))
    clock.seconds = 0
    assert steps.join("second", change("b")).role is Role.LEADER


@pytest.mark.parametrize(("seconds", "role"), [(120, Role.FOLLOWER), (121, Role.LEADER)])
def test_a_leader_is_taken_for_dead_when_the_grace_is_over(
    steps: BatchSteps, clock: Clock, seconds: int, role: Role
) -> None:
    steps.join("dead", change("a"))
    clock.seconds = seconds
    assert steps.join("second", change("b")).role is role


def test_an_old_attempt_of_a_join_opens_no_second_batch_in_the_name_of_an_execution_that_has_gone_on(
    steps: BatchSteps, clock: Clock, table: MemoryTable
) -> None:
    led = steps.join("long", change("a"))
    steps.close(led)
    clock.seconds = 200
    steps.close(steps.join("other", change("b")))
    late = steps.join("long", change("a"))
    assert (late.role, late.batch_id) == (Role.LEADER, led.batch_id), "which it has closed already"
    head = Head.read(table, BUCKET)
    assert (head.leader, head.state) == (execution("other").arn, HeadState.CLOSED)
    assert steps.join("next", change("c")).role is Role.LEADER, "who follows nobody that would not close"


def test_a_repeated_join_goes_on_with_the_batch_that_it_has_closed_whoever_gathers_or_pauses_meanwhile(
    table: MemoryTable, clock: Clock
) -> None:
    run = partial(join_each, table, window=WINDOW, now=clock)
    first = run({BUCKET: [change("a")]}, execution("first"), attempt="1").joined
    assert first.closed is not None
    assert run({BUCKET: [change("b")]}, execution("second"), attempt="1").joined.role is Role.LEADER
    for _ in range(2):
        again = run({BUCKET: [change("a")]}, execution("first"), attempt="2").joined
        assert (again.role, again.batch_id, again.closed) == (Role.LEADER, first.batch_id, first.closed)
        pause(table, BUCKET)


def test_an_old_attempt_of_a_join_of_several_buckets_leads_none_beside_the_one_that_it_led(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    both = {"a": [change("1", bucket="a")], "b": [change("2", bucket="b")]}
    long = execution("long")
    first = join_each(table, both, long, WINDOW, clock, "attempt")
    steps.close(first.joined)
    clock.seconds = 200
    steps.close(steps.join("other", change("3", bucket="a"), bucket="a"))
    assert join_each(table, both, long, WINDOW, clock, "attempt").joined.batch_id == first.joined.batch_id
    assert Head.read(table, "b").leader == ""


def test_a_batch_id_begins_with_the_start_of_its_execution() -> None:
    assert batch_id(execution("a")).startswith("20261123T062719Z-")
    assert batch_id(execution("a")) == batch_id(execution("a")) != batch_id(execution("b"))
    assert batch_id(execution("a")) != batch_id(execution("a"), follows="another")


def test_names_of_executions_are_legal_whatever_the_bucket_is_called() -> None:
    longest = "a.b-c_" * 42
    names = [lead_name(longest, execution("a")), sweep_lead_name(longest, START), sweep_retry_name("x" * 27, START)]
    assert all(len(name) <= 80 for name in names)
    assert lead_name("Ü/<>", execution("a")).startswith("lead-____-")
    assert lead_name(longest + "x", execution("a")) != lead_name(longest + "y", execution("a"))


@pytest.mark.parametrize("fraction", [0.0, 0.000001, 0.5])
def test_the_first_change_of_a_quiet_bucket_waits_for_no_fraction_of_a_second(
    steps: BatchSteps, clock: Clock, fraction: float
) -> None:
    clock.seconds = fraction
    joined = steps.join("first", change("a"))
    assert joined.wait_until == joined.to_document()["closesAt"] == "2026-11-23T06:27:19Z"


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, "06:27:29Z"), (0.000001, "06:27:30Z"), (0.5, "06:27:30Z")])
def test_the_time_that_a_batch_waits_until_is_rounded_up_to_whole_seconds(
    steps: BatchSteps, clock: Clock, fraction: float, expected: str
) -> None:
    clock.seconds = fraction
    steps.close(steps.join("first", change("a")))
    joined = steps.join("second", change("b"))
    assert joined.wait_until == joined.to_document()["closesAt"] == f"2026-11-23T{expected}"


def test_leading_without_changes_leads_what_waits(steps: BatchSteps, table: MemoryTable) -> None:
    assert steps.join("lead").role is Role.LEADER
    assert not has_pending(table, BUCKET)
    assert steps.join("lead too").role is Role.FOLLOWER


class Overtaken(MemoryTable):
    """Somebody else always changes the head first."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def get(self, key: Key) -> Item | None:
        found = super().get(key)
        if key.sk == "HEAD" and self.times:
            self.times -= 1
            self.put(
                {"pk": key.pk, "sk": key.sk, "batchId": f"other{self.times}", "state": "CLOSED", "leader": "other"}
            )
        return found


def test_who_loses_the_race_for_the_head_looks_again(clock: Clock) -> None:
    assert BatchSteps(Overtaken(ATTEMPTS - 1), clock).join("first", change("a")).role is Role.LEADER


def test_who_loses_too_often_says_so_and_leaves_the_change_pending(clock: Clock) -> None:
    table = Overtaken(ATTEMPTS)
    with pytest.raises(BatchContended):
        BatchSteps(table, clock).join("first", change("a"))
    assert pending_keys(table) == ["a"]


class Unwilling(MemoryTable):
    def put_all(self, items: Iterable[Item]) -> None:
        for item in items:
            self.put(item)
            raise BatchTableUnavailable("throttled")


def test_changes_that_may_not_have_been_written_were_not_accepted(clock: Clock) -> None:
    with pytest.raises(ChangesNotAccepted, match="throttled"):
        BatchSteps(Unwilling(), clock).join("first", change("a"), change("b"))


# --- Batching off ---


def test_with_batching_off_every_execution_has_a_batch_of_its_own(table: MemoryTable, clock: Clock) -> None:
    steps = BatchSteps(table, clock, Window(seconds=0))
    first, second = steps.join("first", change("a")), steps.join("second", change("b"))
    assert (first.role, second.role) == (Role.LEADER, Role.LEADER)
    assert (first.closes_at, second.closes_at) == (START, START)
    assert [Batch.read(table, each.batch_id).sample for each in (first, second)] == [("a",), ("b",)]
    assert not Batch.read(table, first.batch_id).by_hand
    assert not has_pending(table, BUCKET)


def test_with_batching_off_a_paused_bucket_gathers_all_the_same(table: MemoryTable, clock: Clock) -> None:
    pause(table, BUCKET)
    assert BatchSteps(table, clock, Window(seconds=0)).join("first", change("a")).role is Role.PAUSED
    assert pending_keys(table) == ["a"]


def test_with_batching_off_what_waits_from_before_can_be_led(table: MemoryTable, clock: Clock) -> None:
    steps = BatchSteps(table, clock)
    steps.close(steps.join("first", change("a")))
    steps.join("dead", change("b"))
    clock.seconds = 500
    steps.window = Window(seconds=0)
    joined = steps.join("lead")
    assert (joined.role, joined.closes_at) == (Role.LEADER, clock())
    assert steps.close(joined) == ("FROZEN", 1)


# --- Changes of several buckets ---


def test_of_several_buckets_one_is_led_and_the_others_are_reported(table: MemoryTable, clock: Clock) -> None:
    changes = {bucket: [change("a", bucket=bucket)] for bucket in ("b", "a", "c")}
    joined = join_each(table, changes, execution("list"), WINDOW, clock, "attempt")
    assert (joined.joined.role, joined.joined.bucket) == (Role.LEADER, "a")
    assert joined.leaderless == ("b", "c")
    assert all(has_pending(table, bucket) for bucket in changes)


def test_a_bucket_that_has_a_leader_is_not_reported(table: MemoryTable, clock: Clock) -> None:
    BatchSteps(table, clock).join("other", change("x", bucket="b"), bucket="b")
    changes = {bucket: [change("a", bucket=bucket)] for bucket in ("a", "b")}
    assert join_each(table, changes, execution("list"), WINDOW, clock, "attempt").leaderless == ()


def test_a_bucket_is_led_when_the_ones_before_it_have_leaders(table: MemoryTable, clock: Clock) -> None:
    BatchSteps(table, clock).join("other", change("x", bucket="a"), bucket="a")
    changes = {bucket: [change("y", bucket=bucket)] for bucket in ("a", "b")}
    joined = join_each(table, changes, execution("list"), WINDOW, clock, "attempt")
    assert (joined.joined.role, joined.joined.bucket) == (Role.LEADER, "b")


def test_a_repeated_join_of_several_buckets_leads_the_bucket_that_it_led_before(
    table: MemoryTable, clock: Clock
) -> None:
    steps = BatchSteps(table, clock)
    other = steps.join("other", change("x", bucket="a"), bucket="a")
    changes = {bucket: [change("y", bucket=bucket)] for bucket in ("a", "b")}
    join_each(table, changes, execution("list"), WINDOW, clock, "first attempt")
    steps.close(other)
    again = join_each(table, changes, execution("list"), WINDOW, clock, "second attempt")
    assert (again.joined.role, again.joined.bucket) == (Role.LEADER, "b")
    assert again.leaderless == ("a",)
    assert Head.read(table, "a").leader == execution("other").arn


def test_a_list_of_nothing_is_refused(table: MemoryTable, clock: Clock) -> None:
    with pytest.raises(ValueError, match="no changes"):
        join_each(table, {}, execution("list"), WINDOW, clock, "attempt")


def test_a_bucket_needs_a_leader_unless_one_gathers_or_it_is_paused(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    assert needs_leader(table, BUCKET, WINDOW, clock)
    joined = steps.join("first", change("a"))
    assert not needs_leader(table, BUCKET, WINDOW, clock)
    steps.close(joined)
    assert needs_leader(table, BUCKET, WINDOW, clock)
    pause(table, BUCKET)
    assert not needs_leader(table, BUCKET, WINDOW, clock)


# --- Closed in the Join that opened it ---

FROZEN_ONE = Closed(ClosedStatus.FROZEN, 1)


class Stopped(Exception):
    """The worker is gone: nothing of the application sees it."""


class StoppingTable(MemoryTable):
    """Its worker stops at one request: before it is carried out, or after."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0
        self.stop_at = (math.inf, False)
        self.at_request: dict[int, Callable[[], object]] = {}

    def _request(self, operation: str, key: Key, effect: Callable[[], T]) -> T:
        self.requests += 1
        self.at_request.pop(self.requests, lambda: None)()
        number, carried_out = self.stop_at
        if self.requests != number:
            return super()._request(operation, key, effect)
        if carried_out:
            effect()
        raise Stopped


def put(table: MemoryTable, clock: Clock, name: str, *changes: Change, attempt: str = "attempt") -> Joined:
    return join_each(table, {BUCKET: changes}, execution(name), WINDOW, clock, attempt).joined


def requests_of_a_join(clock: Clock) -> int:
    table = StoppingTable()
    put(table, clock, "first", change("a"))
    return table.requests


@pytest.mark.parametrize("carried_out", [False, True])
def test_a_join_that_stops_at_any_request_gives_the_same_answer_when_it_is_repeated(
    clock: Clock, *, carried_out: bool
) -> None:
    expected = put(MemoryTable(), clock, "first", change("a"))
    assert expected.closed == FROZEN_ONE
    for number in range(1, requests_of_a_join(clock) + 1):
        table = StoppingTable()
        table.stop_at = (number, carried_out)
        with pytest.raises(Stopped):
            put(table, clock, "first", change("a"), attempt="one")
        assert put(table, clock, "first", change("a"), attempt="two") == expected
        assert not has_pending(table, BUCKET)
        assert [each.key for each in frozen_changes(table, Batch.read(table, expected.batch_id))] == ["a"]


@pytest.mark.parametrize("change_of_plan", [pause, "another leads"])
def test_what_comes_between_while_a_join_closes_its_batch_is_left_to_close_batch(
    clock: Clock, change_of_plan: Callable[..., object] | str
) -> None:
    """Between whichever requests: a batch owns the change afterwards, or it is pending still."""

    def another_leads() -> None:
        clock.seconds += 1_000
        put(table, clock, "another", change("b"), attempt="another")

    for number in range(1, requests_of_a_join(clock) + 1):
        clock.seconds = 0
        table = StoppingTable()
        table.at_request[number] = partial(pause, table, BUCKET) if change_of_plan is pause else another_leads
        joined = put(table, clock, "first", change("a"))
        if joined.closed is None and joined.role is Role.LEADER:
            close(table, BUCKET, joined.batch_id, execution("first"), "close", clock)
        owned = [each for each in ("first", "another") if "a" in frozen_keys_of(table, each)]
        assert owned or pending_keys(table) == ["a"]


def frozen_keys_of(table: MemoryTable, name: str) -> list[str]:
    items = [each["META"] for pk, each in table.partitions.items() if pk.startswith(BATCH) and "META" in each]
    batches = [Batch.from_item(item) for item in items if item["owner"] == execution(name).arn]
    return [change.key for batch in batches for change in frozen_changes(table, batch)]


def test_a_list_of_changes_gathers_what_comes_while_close_batch_is_on_its_way(table: MemoryTable, clock: Clock) -> None:
    leads = put(table, clock, "list", change("a"), change("b"))
    assert (leads.role, leads.waits, leads.closed) == (Role.LEADER, False, None)
    assert put(table, clock, "another", change("c"), change("d")).role is Role.FOLLOWER


def test_a_batch_that_gathers_first_is_not_closed_by_join(table: MemoryTable, clock: Clock) -> None:
    put(table, clock, "first", change("a"))
    waits = put(table, clock, "second", change("b"))
    assert (waits.role, waits.waits, waits.closed) == (Role.LEADER, True, None)
    assert Head.read(table, BUCKET).state is HeadState.GATHERING


@pytest.mark.parametrize(("left", "at_once"), [(MOST_AT_ONCE - 1, True), (MOST_AT_ONCE, False)])
def test_what_somebody_has_left_behind_is_frozen_by_join_as_long_as_it_is_little(
    table: MemoryTable, clock: Clock, left: int, *, at_once: bool
) -> None:
    accept(table, BUCKET, [change(f"{number}") for number in range(left)], execution("dead"))
    joined = put(table, clock, "first", change("a"))
    assert (joined.closed is not None) is at_once
    closed = close(table, BUCKET, joined.batch_id, execution("first"), "close", clock)
    assert (closed.status, closed.changes) == (ClosedStatus.FROZEN, left + 1)
    assert not has_pending(table, BUCKET)


def test_a_retry_of_a_batch_with_much_to_delete_leaves_that_to_close_batch(
    table: MemoryTable, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "RAW_CHUNK_BYTES", 100)
    steps = BatchSteps(table, clock)
    joined = steps.join("first", change("a"), change("b"))
    pending = {key: table.find(key) for key in (each.key for each in PendingChange.of_bucket(table, BUCKET))}
    steps.close(joined)
    for item in pending.values():
        assert item is not None
        table.put(item)  # as if that Close had died before it deleted them
    table.update(Batch.key_of(joined.batch_id), {"pendingDeleted": None}, {})
    again = join_request(table, RetryBatch(joined.batch_id), execution("retry"), WINDOW, clock, "attempt")
    assert (again.role, again.closed) == (Role.LEADER, None)
    assert steps.close(again) == ("FROZEN", 2)
    assert not has_pending(table, BUCKET)


@pytest.mark.parametrize(
    "request_",
    [KeysRequest(BUCKET, ("a",), dry_run=False), PathsRequest("E1", ("/a",), dry_run=False)],
    ids=["keys", "paths"],
)
def test_a_request_has_nothing_left_to_close(
    table: MemoryTable, clock: Clock, request_: KeysRequest | PathsRequest
) -> None:
    assert join_request(table, request_, execution("asks"), WINDOW, clock, "attempt").closed == FROZEN_ONE
