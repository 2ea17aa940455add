"""Executions that ended before their changes were accepted run again: oldest first, each looked at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from invalidation.batches import replay
from invalidation.batches.replay import MAX_LOOKS, MAX_REPLAYS, Ended, due_looks
from invalidation.batches.sweep import Swept, sweep
from invalidation.batches.table import BatchTable, Item
from invalidation.errors import BatchTableUnavailable
from tests.fakes.batch_steps import RETRY, START, WINDOW, Clock
from tests.fakes.memory_table import MemoryTable
from tests.fakes.state_machine import ARN, FakeStateMachine


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable(page_size=3)


@pytest.fixture
def machine() -> FakeStateMachine:
    return FakeStateMachine()


def swept(table: BatchTable, machine: FakeStateMachine, clock: Clock) -> Swept:
    return sweep(table, machine, WINDOW, clock, clock(), RETRY, lambda: 300)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_lost_changes_are_replayed_oldest_first_and_accepted_ones_are_not(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    for number in (3, 1, 2):
        machine.end(f"lost {number}", at(number), {"detail": number})
        machine.end(f"accepted {number}", at(number), {"detail": -number}, accepted=True)
    clock.seconds = 300
    found = swept(table, machine, clock)
    assert [each.document for each in found.started] == [{"detail": 1}, {"detail": 2}, {"detail": 3}]
    assert found.started[0].why == "the changes of lost 1 were not accepted"
    assert found.oldest == timedelta(seconds=299)


def test_an_execution_that_is_done_is_never_looked_at_again(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    for number in range(10):
        machine.end(f"{number}", at(number), {"detail": number}, accepted=number % 2 == 0)
    for _ in range(100):
        clock.seconds += 300
        swept(table, machine, clock)
    assert machine.count("was_accepted") == 10
    assert machine.count("start") == 5
    assert list(due_looks(table, clock())) == []


def test_an_execution_that_the_list_shows_late_is_found(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    clock.seconds = 600
    machine.end("first", at(599), {"detail": 1})
    swept(table, machine, clock)
    late = machine.end("late", at(1), {"detail": 2})
    clock.seconds = 900
    assert [each.name for each in swept(table, machine, clock).started] == [late.replay_name]


def test_an_execution_that_began_long_before_it_failed_is_found(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    for _ in range(3):
        clock.seconds += 3_600
        swept(table, machine, clock)
    asked = [datetime.fromisoformat(since) for method, since in machine.calls if method == "ended_badly"]
    assert clock() - asked[-1] >= timedelta(days=1)


@pytest.mark.parametrize("document", [{"lead": "site"}, {"retryBatch": "b"}])
def test_orders_carry_no_change_and_are_not_replayed(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock, document: dict[str, str]
) -> None:
    machine.end("by hand", clock(), document)
    machine.end("sweep-lead-site-20261123T062719Z", clock(), {"lead": "site"})
    assert swept(table, machine, clock).started == ()
    assert machine.count("was_accepted") == 1


def test_a_replay_that_is_lost_as_well_is_replayed_after_growing_times_and_then_somebody_is_told(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    last = machine.end("original", clock(), {"detail": 1})
    minutes: list[float] = []
    given_up: list[str] = []
    stopped = clock()
    for _ in range(400):
        found = swept(table, machine, clock)
        given_up += found.given_up
        for each in found.started:
            minutes.append((clock() - stopped).total_seconds() / 60)
            last = machine.end(each.name, clock(), each.document)
            stopped = clock()
        clock.seconds += 300
    assert minutes == [0, 10, 40, 130, 400]
    assert (len(minutes), given_up) == (MAX_REPLAYS, [last.name])


def test_a_look_that_fails_is_repeated_later_and_the_others_go_on(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    for number in range(3):
        machine.end(f"{number}", at(number), {"detail": number})
    machine.fails = lambda method, about: method == "was_accepted" and about == ARN + "0"
    clock.seconds = 300
    found = swept(table, machine, clock)
    assert [each.document["detail"] for each in found.started] == [1, 2]
    assert len(found.failed) == 1
    machine.fails = lambda _method, _about: False
    clock.seconds = 600
    assert [each.document["detail"] for each in swept(table, machine, clock).started] == [0]


def test_what_cannot_be_found_out_is_given_up_in_the_end_and_told_of(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    machine.end("forgotten", clock(), {"detail": 1})
    machine.fails = lambda method, _about: method == "was_accepted"
    given_up: list[str] = []
    for _ in range(24 * 30):
        given_up += swept(table, machine, clock).given_up
        clock.seconds += 3_600
    assert given_up == ["forgotten"]
    assert machine.count("was_accepted") == MAX_LOOKS


def test_more_than_a_sweep_can_note_or_remember_are_noted_by_the_next_ones(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "MOST_NOTED", 40)
    monkeypatch.setattr(replay, "MARKS", 30)
    for number in range(100):
        machine.end(f"{number}", at(number // 3), {"detail": number})
    clock.seconds = 60
    replayed = []
    for _ in range(4):
        replayed += [each.document["detail"] for each in swept(table, machine, clock).started]
    assert sorted(replayed) == list(range(100))
    assert replayed[:39] == sorted(replayed[:39], key=lambda number: number // 3)
    assert machine.count("was_accepted") <= 110


def test_two_sweeps_that_note_the_same_executions_start_one_replay_of_each(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    machine.end("lost", clock(), {"detail": 1})
    swept(table, machine, clock)
    table.partitions["SWEEP"].clear()
    assert swept(table, machine, clock).started == ()
    assert list(machine.started.values()) == [{"detail": 1}]


def test_an_execution_of_the_future_waits_for_its_time(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    name = f"replay-2-{'0' * 32}"
    machine.ended.append(Ended(ARN + name, name, clock()))
    machine.inputs[ARN + name] = {"detail": 1}
    clock.seconds = 2_399
    assert swept(table, machine, clock).started == ()
    clock.seconds = 2_400
    assert [each.name for each in swept(table, machine, clock).started] == [f"replay-3-{'0' * 32}"]


class RefusingTable(MemoryTable):
    """Takes no item of an execution while ``refuses`` is set."""

    refuses = True

    def put_all(self, items: Iterable[Item]) -> None:
        if self.refuses:
            raise BatchTableUnavailable("nothing is written")
        super().put_all(items)


def test_an_execution_whose_item_could_not_be_written_is_noted_by_the_next_sweep(
    machine: FakeStateMachine, clock: Clock
) -> None:
    table = RefusingTable()
    machine.end("lost", clock(), {"detail": 1})
    assert len(swept(table, machine, clock).failed) == 1
    table.refuses = False
    clock.seconds = 300
    assert [each.document for each in swept(table, machine, clock).started] == [{"detail": 1}]


def test_a_clock_of_the_sweep_that_runs_ahead_hides_no_execution(
    table: MemoryTable, machine: FakeStateMachine, clock: Clock
) -> None:
    replayed = []
    for number in range(5):
        machine.end(f"lost {number}", at(number), {"detail": number})
        clock.seconds += 3_600
        replayed += [each.document["detail"] for each in swept(table, machine, clock).started]
    assert replayed == [0, 1, 2, 3, 4]
