"""The small casts, exhaustively; `make soak` searches larger ones.

The numbers of interleavings are lower bounds: a request more or less changes them.
"""

from collections.abc import Callable

import pytest

from invalidation.batches import close as closing
from invalidation.batches import head as executions
from invalidation.batches import join as joining
from invalidation.batches import snapshot as freezing
from invalidation.batches.head import Head
from invalidation.events import Change
from tests.simulation import mutants
from tests.simulation.exhaustive import Explored, Explorer, Stage
from tests.simulation.scenarios import (
    a_joiner_while_the_bucket_is_resumed,
    frozen,
    frozen_after_sweeps,
    frozen_once,
    joiner,
    leader,
    owned,
    two_attempts_of_close_and_a_joiner,
    two_attempts_of_join,
    two_joiners_and_a_leader,
    two_joiners_of_a_quiet_bucket,
)

Scenario = Callable[[Stage], None]
Check = Callable[[Stage], list[str]]


def explore(scenario: Scenario, finally_: Check, deaths: int = 0) -> Explored:
    return Explorer(scenario, owned, finally_, deaths).explore()


def nothing(stage: Stage) -> list[str]:
    del stage
    return []


def test_two_joiners_and_a_leader_freeze_every_change_once_whoever_goes_first() -> None:
    explored = explore(two_joiners_and_a_leader, frozen_once)
    assert explored.broken == {}
    assert explored.interleavings > 70_000


def test_two_joiners_of_a_quiet_bucket_freeze_every_change_once_whoever_goes_first() -> None:
    explored = explore(two_joiners_of_a_quiet_bucket, frozen_once)
    assert explored.broken == {}
    assert explored.interleavings > 800


def test_an_old_attempt_of_close_beside_its_retry_loses_nothing_whoever_goes_first() -> None:
    explored = explore(two_attempts_of_close_and_a_joiner, frozen)
    assert explored.broken == {}
    assert explored.interleavings > 30_000_000


def test_an_old_attempt_of_join_beside_its_retry_loses_nothing_wherever_one_of_them_dies() -> None:
    explored = explore(two_attempts_of_join, frozen_after_sweeps, deaths=1)
    assert explored.broken == {}
    assert explored.interleavings > 100_000


def test_wherever_one_of_two_joiners_and_a_leader_dies_the_sweep_loses_nothing() -> None:
    explored = explore(two_joiners_and_a_leader, frozen_after_sweeps, deaths=1)
    assert explored.broken == {}
    assert explored.interleavings > 700_000


def test_a_change_that_comes_while_its_bucket_is_resumed_has_a_leader_whoever_goes_first() -> None:
    explored = explore(a_joiner_while_the_bucket_is_resumed, frozen)
    assert explored.broken == {}
    assert explored.interleavings > 50


@pytest.mark.parametrize("deaths", [0, 1])
def test_interleavings_are_counted_as_if_each_were_run(deaths: int) -> None:
    class OneByOne(Explorer):
        """Forgets every state at once, so that nothing is taken for known."""

        def _count(self, schedule: list[tuple[int, str]], stage: Stage) -> int:
            self._counted.clear()
            return super()._count(schedule, stage)

    def a_leader_and_a_joiner_that_follows(stage: Stage) -> None:
        leader(stage)
        joiner(stage, "first", changes=[Change("site", "first.html", event_id="first")] if not deaths else [])

    merged = Explorer(a_leader_and_a_joiner_that_follows, nothing, nothing, deaths).explore()
    run = OneByOne(a_leader_and_a_joiner_that_follows, nothing, nothing, deaths).explore()
    assert merged.interleavings == run.interleavings > 50


@pytest.mark.parametrize(
    ("mistake", "scenario", "complaint"),
    [
        (((joining, "join"), mutants.read_then_write), two_joiners_and_a_leader, "first is frozen 0 times"),
        (((closing, "close"), mutants.read_then_close), two_joiners_and_a_leader, "first is frozen 0 times"),
        (((Head, "gathers"), mutants.follow_a_closed_head), two_joiners_and_a_leader, "first is frozen 0 times"),
        (
            ((Head, "closing"), mutants.stay_open),
            two_joiners_of_a_quiet_bucket,
            "second is frozen 0 times",
        ),
        (((Head, "open"), mutants.open_regardless), two_joiners_of_a_quiet_bucket, "first is frozen 2 times"),
        (
            ((closing, "freeze_changes"), mutants.delete_then_freeze),
            two_joiners_and_a_leader,
            "leader belongs to nobody",
        ),
        (
            ((freezing, "chunk_key"), mutants.share_the_list_name),
            two_attempts_of_close_and_a_joiner,
            "first belongs to nobody",
        ),
        (
            ((freezing, "_write_record"), mutants.overwrite),
            two_attempts_of_close_and_a_joiner,
            "first belongs to nobody",
        ),
        (
            ((freezing, "_write_record"), mutants.keep_mine),
            two_attempts_of_close_and_a_joiner,
            "first belongs to nobody",
        ),
        (
            ((executions, "resume"), mutants.look_then_resume),
            a_joiner_while_the_bucket_is_resumed,
            "first is frozen 0 times",
        ),
    ],
    ids=[
        "the joiner reads the head first",
        "the leader closes the head last",
        "a closed head is followed",
        "join freezes and leaves the head open",
        "a changed head is opened",
        "pending items are deleted first",
        "two attempts share a list name",
        "the record is overwritten",
        "an overtaken attempt keeps its list",
        "resume looks for what is pending before it clears the pause",
    ],
)
def test_a_mistake_in_the_protocol_is_found(
    monkeypatch: pytest.MonkeyPatch,
    mistake: tuple[tuple[object, str], Callable[..., object]],
    scenario: Scenario,
    complaint: str,
) -> None:
    where, instead = mistake
    monkeypatch.setattr(*where, instead)
    assert complaint in Explorer(scenario, owned, frozen_once, enough=complaint).explore().broken
