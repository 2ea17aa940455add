import copy
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest

from invalidation.batches import sweep as sweeping
from invalidation.batches.head import Execution, Head, pause, resume
from invalidation.batches.join import open_own_batch, open_paths_batch
from invalidation.batches.model import Batch, BatchState, Outcome, PendingChange
from invalidation.batches.sweep import RESERVE_SECONDS, Swept, sweep
from invalidation.batches.table import BUCKETS, VERSION, BatchTable, Key
from invalidation.batches.targets import claim
from invalidation.errors import BatchTableUnavailable
from tests.fakes.batch_steps import BUCKET, RETRY, WINDOW, BatchSteps, Clock, change, execution, failed, invalidated
from tests.fakes.memory_table import MemoryTable
from tests.fakes.state_machine import FakeStateMachine

T = TypeVar("T")


@pytest.fixture
def machine() -> FakeStateMachine:
    return FakeStateMachine()


def swept(table: BatchTable, machine: FakeStateMachine, clock: Clock, seconds: float = 300) -> Swept:
    return sweep(table, machine, WINDOW, clock, clock(), RETRY, lambda: seconds)


def orders(found: Swept) -> list[dict[str, str]]:
    return [each.document for each in found.started]


def test_a_bucket_that_only_ever_had_requests_has_no_head_and_nothing_for_the_sweep_to_do(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    changes = [change("a.html", bucket="requested")]
    joined = open_own_batch(table, "requested", changes, execution("by-hand"), clock, "1")
    machine.runs.add(joined.leader_arn)
    clock.seconds = 100_000
    assert table.find(Key(BUCKETS, "requested")) is not None
    assert table.find(Head.key_of("requested")) is None
    found = swept(table, machine, clock)
    assert (found.started, found.waiting, found.unfinished) == ((), (), 1)


def test_the_sweep_starts_nothing_when_there_is_nothing_to_do(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    assert swept(table, machine, clock) == Swept()
    steps.finish(steps.resolved("first", "E1"), "first", invalidated("E1"))
    clock.seconds = 100_000
    assert swept(table, machine, clock) == Swept()


def test_the_sweep_changes_nothing_but_its_own_notes_and_when_a_batch_is_due(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.join("dead", change("b"))
    clock.seconds = 1_000
    before = copy.deepcopy(table.partitions)
    assert len(swept(table, machine, clock).started) == 2
    for key in ("tries", "triedBy", "nextTryAt", "error", "message", "starts"):
        before[Batch.key_of(batch_id).pk]["META"].pop(key, None)
        table.partitions[Batch.key_of(batch_id).pk]["META"].pop(key, None)
    assert {pk: items for pk, items in table.partitions.items() if pk != "SWEEP"} == before


def test_changes_of_a_joiner_that_died_before_it_looked_for_a_leader_get_one(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    table.ensure(Key(BUCKETS, BUCKET))
    table.put(PendingChange.of(change("a"), table.shards).to_item())
    found = swept(table, machine, clock)
    assert orders(found) == [{"lead": BUCKET}]
    assert found.waiting == (BUCKET,)


@pytest.mark.parametrize(("seconds", "led"), [(120, False), (121, True)])
def test_changes_of_a_leader_that_died_before_it_closed_get_another_when_the_grace_is_over(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock, seconds: int, *, led: bool
) -> None:
    steps.join("dead", change("a"))
    clock.seconds = seconds
    assert orders(swept(table, machine, clock)) == [{"lead": BUCKET}] * led


@pytest.mark.parametrize(("seconds", "led"), [(120, False), (121, True)])
def test_changes_of_a_leader_that_died_while_it_closed_get_another_when_the_grace_is_over(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock, seconds: int, *, led: bool
) -> None:
    steps.frozen("first", "a")
    table.put(PendingChange.of(change("b"), table.shards).to_item())
    clock.seconds = seconds
    machine.runs = {execution("first").arn}
    assert orders(swept(table, machine, clock)) == [{"lead": BUCKET}] * led


@pytest.mark.parametrize("closed", [False, True])
def test_a_leader_that_lives_and_is_only_late_is_left_to_its_work(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock, *, closed: bool
) -> None:
    steps.join("slow", change("a"))
    if closed:
        table.update(Head.key_of(BUCKET), {"state": "CLOSED"}, {})
    machine.runs = {execution("slow").arn}
    clock.seconds = 1_000
    assert swept(table, machine, clock) == Swept()
    machine.runs = set()
    assert orders(swept(table, machine, clock)) == [{"lead": BUCKET}]


def test_a_leader_that_waits_for_a_time_far_ahead_is_not_waited_for(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    clock.seconds = 86_400
    steps.join("ahead", change("a"))
    machine.runs = {execution("ahead").arn}
    clock.seconds = 0
    assert orders(swept(table, machine, clock)) == [{"lead": BUCKET}]


def test_a_head_that_was_closed_by_a_clock_that_ran_ahead_does_not_hide_what_waits(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    joined = steps.join("first", change("a"))
    clock.seconds = 86_400
    steps.close(joined)
    table.put(PendingChange.of(change("b"), table.shards).to_item())
    clock.seconds = 0
    assert {"lead": BUCKET} in orders(swept(table, machine, clock))


def test_an_unfinished_batch_whose_execution_ended_is_retried(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    machine.runs = {execution("first").arn}
    assert swept(table, machine, clock).unfinished == 1
    assert orders(swept(table, machine, clock)) == []
    machine.runs = set()
    assert orders(swept(table, machine, clock)) == [{"retryBatch": batch_id}]


def test_a_failed_batch_is_retried_when_it_is_due_and_not_before(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.finish(batch_id, "first", failed("E1"))
    clock.seconds = 299
    assert orders(swept(table, machine, clock)) == []
    clock.seconds = 300
    assert [(each.document, each.why) for each in swept(table, machine, clock).started] == [
        ({"retryBatch": batch_id}, "try 2 is due")
    ]


def test_a_batch_that_has_just_been_claimed_is_left_to_its_claimant(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.finish(batch_id, "first", failed("E1"))
    clock.seconds = 300
    claim(table, batch_id, execution("person"), clock)
    machine.runs = {execution("person").arn}
    assert orders(swept(table, machine, clock)) == []


def test_parked_batches_are_counted_and_left_to_a_person(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    steps.finish(steps.resolved("first", "E1"), "first", failed("E1", "AccessDenied"))
    clock.seconds = 100_000
    assert swept(table, machine, clock) == Swept(parked=1)


def test_an_index_that_lags_behind_starts_nothing(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.finish(batch_id, "first", invalidated("E1"))
    table.update(Batch.key_of(batch_id), {"unfinished": "UNFINISHED"}, {})
    assert swept(table, machine, clock) == Swept()


def test_a_paused_bucket_is_left_alone(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    steps.resolved("first", "E1")
    steps.join("second", change("b"))
    pause(table, BUCKET)
    clock.seconds = 1_000
    found = swept(table, machine, clock)
    assert (orders(found), found.paused, found.unfinished) == ([], (BUCKET,), 1)


def test_other_buckets_and_batches_of_paths_go_on_while_a_bucket_is_paused(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    steps.join("one", change("a"))
    steps.join("two", change("a", bucket="other"), bucket="other")
    paths = open_paths_batch(table, "E1", ["/a"], execution("person"), clock, "attempt")
    pause(table, BUCKET)
    clock.seconds = 1_000
    assert orders(swept(table, machine, clock)) == [{"lead": "other"}, {"retryBatch": paths.batch_id}]


def test_a_sweep_that_is_delivered_twice_starts_nothing_twice_and_the_next_one_starts_again(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    steps.resolved("first", "E1")
    steps.join("dead", change("b"))
    clock.seconds = 1_000
    tick = clock()
    assert len(sweep(table, machine, WINDOW, clock, tick, RETRY, lambda: 300).started) == 2
    clock.seconds += 30
    assert sweep(table, machine, WINDOW, clock, tick, RETRY, lambda: 300).started == ()
    clock.seconds += 300
    assert len(swept(table, machine, clock).started) == 2


def test_names_of_what_the_sweep_starts_say_so(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    steps.resolved("first", "E1")
    steps.join("dead", change("b"))
    clock.seconds = 1_000
    swept(table, machine, clock)
    assert all(execution(name).started_by_sweep for name in machine.started)
    assert not execution("person").started_by_sweep


class CountedTable(MemoryTable):
    """Counts its requests, each of which may be refused."""

    def __init__(self) -> None:
        super().__init__(page_size=1_000)
        self.requests: list[tuple[str, Key]] = []
        self.refuses: Callable[[str, Key], bool] = lambda _operation, _key: False

    def _request(self, operation: str, key: Key, effect: Callable[[], T]) -> T:
        self.requests.append((operation, key))
        if self.refuses(operation, key):
            raise BatchTableUnavailable(f"{operation} {key} is refused")
        return effect()


def waiting(steps: BatchSteps, *buckets: str) -> None:
    """Buckets whose leaders died before they closed, each later than the one before."""
    for bucket in buckets:
        steps.join(f"dead leader of {bucket}", change("a", bucket=bucket), bucket=bucket)
        steps.clock.seconds += 1


def test_a_call_that_is_denied_costs_its_own_batch_only_and_is_told_of(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    batches = [steps.resolved(f"{number}", "E1") for number in range(3)]
    denied = batches[1]
    waiting(steps, "one", "two")
    clock.seconds = 1_000
    machine.fails = lambda method, about: method == "is_running" and about == execution("1").arn
    found = swept(table, machine, clock)
    retried = [{"retryBatch": each} for each in sorted(batches) if each != denied]
    assert orders(found) == [{"lead": "one"}, {"lead": "two"}, *retried]
    assert len(found.failed) == 1
    assert "is denied" in found.failed[0]
    assert denied in found.failed[0]


@pytest.mark.parametrize("method", ["running", "ended_badly", "was_accepted", "input_of"])
def test_a_kind_of_call_that_is_always_denied_keeps_nothing_else_from_being_started(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock, method: str
) -> None:
    batch_id = steps.resolved("first", "E1")
    waiting(steps, "one")
    clock.seconds = 1_000
    machine.end("lost", clock(), {"detail": {}})
    machine.fails = lambda called, _about: called == method
    found = swept(table, machine, clock)
    assert orders(found)[:2] == [{"lead": "one"}, {"retryBatch": batch_id}]
    assert len(found.failed) == 1


def test_records_that_are_damaged_cost_only_themselves_and_need_somebody(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    damaged, sound = steps.resolved("first", "E1"), steps.resolved("second", "E1")
    waiting(steps, "one", "two")
    table.update(Batch.key_of(damaged), {"owner": None}, {})
    table.update(Head.key_of("one"), {"closesAt": "yesterday"}, {})
    table.put({"pk": "REPLAY", "sk": "2020"})
    clock.seconds = 1_000
    found = swept(table, machine, clock)
    assert orders(found) == [{"lead": "two"}, {"retryBatch": sound}]
    assert found.failed == ()
    assert sorted(each.partition(" in the batch table")[0] for each in found.left_alone) == [
        Batch.key_of(damaged).pk,
        "REPLAY / 2020",
        "the head of one",
    ]


def test_what_has_waited_for_longest_is_started_first(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    waiting(steps, "z", "m", "a")
    clock.seconds = 1_000
    batches = [
        open_paths_batch(table, "E1", ["/a"], Execution(execution(name).arn, clock()), clock, name).batch_id
        for clock.seconds, name in ((1_000, "c"), (1_001, "b"), (1_002, "a"))
    ]
    found = [order.get("lead", order.get("retryBatch")) for order in orders(swept(table, machine, clock))]
    assert found == ["z", "m", "a", *batches]


def test_batches_in_flight_are_found_in_the_list_of_executions_and_not_asked_for_one_by_one(
    machine: FakeStateMachine, clock: Clock
) -> None:
    table = CountedTable()
    for number in range(250):
        joined = open_paths_batch(table, "E1", ["/a"], execution(f"{number}"), clock, "1")
        machine.runs.add(joined.leader_arn)
    table.requests.clear()
    found = swept(table, machine, clock)
    assert (found.unfinished, found.started, machine.count("is_running")) == (250, (), 0)
    assert len(table.requests) < 15
    machine.lists = False
    assert (swept(table, machine, clock).started, machine.count("is_running")) == ((), 250)


def test_parked_batches_are_counted_without_reading_them(machine: FakeStateMachine, clock: Clock) -> None:
    table = CountedTable()
    for number in range(500):
        joined = open_paths_batch(table, "E1", ["/a"], execution(f"{number}"), clock, "1")
        table.update(Batch.key_of(joined.batch_id), {"state": "PARKED", "unfinished": "PARKED"}, {})
    table.requests.clear()
    assert swept(table, machine, clock).parked == 500
    assert len(table.requests) < 15


def dies_at_once(table: BatchTable, machine: FakeStateMachine, clock: Clock) -> None:
    """What the sweep has started claims its batch, and dies before Finish."""
    for name, document in machine.started.items():
        if "retryBatch" in document:
            claim(table, document["retryBatch"], execution(name), clock)


def test_a_batch_whose_executions_die_before_finish_is_tried_as_often_as_others_and_then_parked(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    for _ in range(288):
        clock.seconds += 300
        swept(table, machine, clock)
        dies_at_once(table, machine, clock)
    assert len(machine.started) == RETRY.max_tries - 1
    batch = Batch.read(table, batch_id)
    assert (batch.state, batch.tries, batch.error) == (BatchState.PARKED, 3, "EndedUnfinished")
    assert swept(table, machine, clock).parked == 1


def test_a_batch_that_no_execution_lives_to_claim_is_parked_as_well(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.finish(batch_id, "first", failed("E1"))
    for _ in range(288):
        clock.seconds += 300
        swept(table, machine, clock)
    assert len(machine.started) == RETRY.max_tries
    batch = Batch.read(table, batch_id)
    assert (batch.state, batch.error) == (BatchState.PARKED, "NeverClaimed")


def test_a_person_who_retries_what_the_sweep_has_parked_begins_anew(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    for _ in range(100):
        clock.seconds += 300
        swept(table, machine, clock)
        dies_at_once(table, machine, clock)
    claim(table, batch_id, execution("person"), clock)
    batch = Batch.read(table, batch_id)
    assert (batch.state, batch.tries, batch.starts) == (BatchState.FROZEN, 0, 0)
    assert steps.finish(batch_id, "person", invalidated("E1")).outcome == Outcome.COMPLETED


def test_two_sweeps_at_once_count_one_try(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    stale = Batch.read(table, batch_id)
    clock.seconds = 1_000
    swept(table, machine, clock)
    before = Batch.read(table, batch_id)
    table.get_all = lambda keys: [stale.to_item() for key in keys if key == Batch.key_of(batch_id)]  # type: ignore[method-assign]
    assert swept(table, machine, clock).started == ()
    assert Batch.read(table, batch_id) == before


def test_a_bucket_that_is_quiet_is_not_looked_at_again(
    machine: FakeStateMachine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "REGISTERED", 100)
    table = CountedTable()
    steps = BatchSteps(table, clock)
    for number in range(300):
        joined = steps.join(f"{number}", change("a", bucket=f"{number:03d}"), bucket=f"{number:03d}")
        steps.close(joined)
        table.update(Batch.key_of(joined.batch_id), {"unfinished": None, "state": "ENDED"}, {})
    clock.seconds = 1_000
    swept(table, machine, clock)
    table.requests.clear()
    swept(table, machine, clock)
    heads = {key.pk.split("#")[1] for operation, key in table.requests if operation == "page" and "PENDING" in key.pk}
    assert len(heads) == 100


def test_what_is_pending_without_a_mark_is_found_when_its_turn_comes(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "REGISTERED", 100)
    table.page_size = 1_000
    for number in range(450):
        table.ensure(Key(BUCKETS, f"{number:03d}"))
    table.put(PendingChange.of(change("a", bucket="444"), table.shards).to_item())
    led = []
    for _ in range(5):
        clock.seconds += 300
        led += orders(swept(table, machine, clock))
    assert led == [{"lead": "444"}]


def test_a_bucket_that_was_paused_for_long_is_found_after_it_is_resumed(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    steps.close(steps.join("first", change("a")))
    clock.seconds = 1_000
    swept(table, machine, clock)
    pause(table, BUCKET)
    steps.join("second", change("b"))
    table.partitions["BUCKETS"].clear()
    swept(table, machine, clock)
    assert machine.started.keys() == set(machine.started) - {f"lead {BUCKET}"}
    resume(table, BUCKET, WINDOW, clock)
    assert {"lead": BUCKET} in orders(swept(table, machine, clock))


def test_a_leader_that_runs_without_closing_is_not_waited_for_beyond_an_hour(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    steps.join("stuck", change("a"))
    machine.runs = {execution("stuck").arn}
    clock.seconds = 3_600
    assert orders(swept(table, machine, clock)) == []
    clock.seconds = 3_601
    assert orders(swept(table, machine, clock)) == [{"lead": BUCKET}]


def test_a_sweep_whose_time_is_over_stops_and_the_next_ones_come_to_the_rest(
    machine: FakeStateMachine, clock: Clock
) -> None:
    table = CountedTable()
    steps = BatchSteps(table, clock)
    for number in range(30):
        open_paths_batch(table, "E1", ["/a"], execution(f"{number}"), clock, "1")
    waiting(steps, *(f"bucket {number}" for number in range(10)))
    for number in range(40):
        machine.end(f"lost {number}", clock(), {"detail": number})
    ticks, found = 0, Swept(complete=False)
    while not found.complete:
        ticks += 1
        clock.seconds += 300
        limit = len(table.requests) + len(machine.calls) + RESERVE_SECONDS + 100
        found = sweep(table, machine, WINDOW, clock, clock(), RETRY, partial(_calls_left, table, machine, limit))
        assert _calls_left(table, machine, limit) > -30
        for each in found.started:
            machine.runs.add(execution(each.name).arn)
            if "lead" in each.document:
                steps.close(steps.join(each.name, bucket=each.document["lead"]))
            elif "retryBatch" in each.document:
                claim(table, each.document["retryBatch"], execution(each.name), clock)
    assert 3 < ticks < 12
    started = [next(iter(document)) for document in machine.started.values()]
    assert {kind: started.count(kind) for kind in started} == {"lead": 10, "retryBatch": 30, "detail": 40}


def _calls_left(table: CountedTable, machine: FakeStateMachine, limit: int) -> float:
    return limit - len(table.requests) - len(machine.calls)


def test_notes_of_a_later_release_are_left_as_they_are(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    later = {"pk": "SWEEP", "sk": "NOTES", "v": VERSION + 1}
    table.put(later)
    waiting(steps, "one")
    clock.seconds = 1_000
    found = swept(table, machine, clock)
    assert orders(found) == [{"lead": "one"}]
    assert len(found.left_alone) == 1
    assert table.find(Key("SWEEP", "NOTES")) == later


def test_who_claims_at_once_what_the_sweep_has_started_is_not_written_over(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    clock.seconds = 1_000
    name = ""

    def claims(method: str, about: str) -> bool:
        nonlocal name
        if method == "start" and "retry" in about:
            name = about
            claim(table, batch_id, execution(about), clock)
        return False

    machine.fails = claims
    swept(table, machine, clock)
    batch = Batch.read(table, batch_id)
    assert (batch.owner, batch.next_try_at, batch.starts) == (execution(name).arn, None, 0)


def test_a_batch_that_somebody_claims_while_it_is_looked_at_is_not_parked(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    table.update(Batch.key_of(batch_id), {"tries": RETRY.max_tries - 1}, {})
    clock.seconds = 1_000

    def claims(method: str, about: str) -> bool:
        if method == "is_running" and about == execution("first").arn:
            claim(table, batch_id, execution("person"), clock)
        return False

    machine.fails = claims
    swept(table, machine, clock)
    batch = Batch.read(table, batch_id)
    assert (batch.state, batch.owner) == (BatchState.FROZEN, execution("person").arn)


def test_a_bucket_that_is_not_watched_is_forgotten_in_time_unless_changes_of_it_wait(
    steps: BatchSteps, table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    steps.join("first", change("a"))
    made_up = [f"made-up-{number:03}" for number in range(120)]
    for bucket in ("watched", *made_up):
        table.ensure(Key(BUCKETS, bucket))

    def expires(watched: tuple[str, ...]) -> set[str]:
        for _ in range(2):  # a visit looks at a hundred
            sweep(table, machine, WINDOW, clock, clock(), RETRY, lambda: 300, watched)
        return {row["sk"] for row in table.partitions[BUCKETS].values() if "expiresAt" in row}

    assert expires(("watched",)) == set(made_up), "changes of the other one wait"
    assert expires(("watched", "made-up-007")) == set(made_up) - {"made-up-007"}
    assert expires(()) == set(), "who watches any bucket forgets none"
