"""10,000 random schedules: one in six without faults, one with faults in Join alone. `make soak` runs 1,000,000."""

from collections import Counter

import pytest

from invalidation.batches import snapshot
from tests.simulation.faults import Fault
from tests.simulation.schedules import Lost, Outcome, stormy
from tests.simulation.soak import main, one, report, some

EACH = 1_000


@pytest.mark.parametrize("first", range(0, 10_000, EACH))
def test_no_change_is_lost_left_over_or_covered_twice(first: int) -> None:
    assert some(range(first, first + EACH)).broken == []


def test_nothing_is_lost_of_lists_in_many_chunks_that_take_several_closes_to_delete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshot, "RAW_CHUNK_BYTES", 60)  # one change a chunk
    assert some(range(EACH // 2)).broken == []


def test_every_fault_strikes_somewhere() -> None:
    struck: Counter[Fault] = Counter()
    for seed in range(300):
        struck += stormy(seed).struck
    assert {fault for fault in Fault if not struck[fault]} == set()


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_a_seed_always_gives_the_same_schedule(seed: int) -> None:
    once, again = one(seed, trace=True), one(seed, trace=True)
    assert once.trace
    assert once.trace == again.trace


def test_a_broken_invariant_says_how_to_see_it_again() -> None:
    with pytest.raises(Lost, match=r"event1 is not covered .*--replay 17"):
        Outcome(17, ["event1 is not covered"]).check()


def test_the_report_counts_schedules_faults_and_lost_keys() -> None:
    text = report(some(range(20)), 1.0)
    assert "schedules tried              20" in text
    assert "keys lost                     0" in text
    assert all(fault.value in text for fault in Fault)


def test_a_replay_shows_the_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--replay", "2"]) == 0
    shown = capsys.readouterr().out
    assert "put PENDING#" in shown
    assert shown.endswith("nothing is broken\n")
