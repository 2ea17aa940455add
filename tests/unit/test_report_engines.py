from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from invalidations_cli.history import read_history
from invalidations_cli.recording import load
from invalidations_cli.report.items import with_items
from tests.recordings.history import by_state
from tests.recordings.record import on_moto

if TYPE_CHECKING:
    from invalidations_cli.history import ExecutionHistory

RECORDINGS = Path(__file__).parent.parent / "recordings"
OUTCOMES_ON_MOTO = {
    "Find Distributions": "retried",
    "Any?": "succeeded",
    "Nothing To Do": "unreached",
    "Invalidate Each": "succeeded",
    "Create": "caught",
    "Completed?": "succeeded",
    "Wait A Moment": "succeeded",
    "Poll": "succeeded",
    "Invalidated": "succeeded",
    "Given Up": "succeeded",
    "Tell Channel": "caught",
    "Write Down": "succeeded",
    "Write Log": "succeeded",
    "Count": "succeeded",
    "Sum": "succeeded",
    "Ended": "succeeded",
}


def recorded(engine: str) -> ExecutionHistory:
    recording = load(RECORDINGS / f"{engine}.json")
    return read_history(recording.definition, recording.execution, recording.events)


def test_a_recorded_run_shows_each_state_by_what_happened_to_it() -> None:
    assert by_state(recorded("moto")) == OUTCOMES_ON_MOTO


@pytest.mark.slow
def test_the_recording_is_what_motos_interpreter_does() -> None:
    recording = on_moto()
    run = read_history(recording.definition, recording.execution, recording.events)
    assert by_state(run) == OUTCOMES_ON_MOTO
    assert [(each.index, each.status) for each in run.iterations] == [(0, "succeeded"), (1, "caught"), (2, "retried")]


def test_iterations_that_ran_side_by_side_are_told_apart() -> None:
    run = recorded("moto")
    states = {
        index: [visit.state for visit in run.visits if visit.iteration == index] for index in range(len(run.iterations))
    }
    assert states == {
        0: ["Create", "Completed?", "Wait A Moment", "Poll", "Completed?", "Invalidated"],
        1: ["Create", "Given Up"],
        2: ["Create", "Completed?", "Invalidated"],
    }
    assert [(each.index, each.status, each.recorded) for each in run.iterations] == [
        (0, "succeeded", True),
        (1, "caught", True),
        (2, "retried", True),
    ]


def test_attempts_carry_their_errors_and_their_pauses() -> None:
    (visit,) = [visit for visit in recorded("moto").visits if visit.state == "Find Distributions"]
    assert [(attempt.outcome, attempt.error) for attempt in visit.attempts] == [
        ("failed", "Throttled"),
        ("failed", "Throttled"),
        ("succeeded", ""),
    ]
    first, second, _ = visit.attempts
    assert first.end is not None
    assert second.start - first.end == pytest.approx(1000, abs=300)
    assert (visit.status, visit.error, visit.next) == ("retried", "", "Any?")


def test_a_caught_error_stays_with_the_visit_and_the_way_on_is_known() -> None:
    (visit,) = [visit for visit in recorded("moto").visits if visit.state == "Tell Channel"]
    assert (visit.status, visit.error, visit.next) == ("caught", "AccessDenied", "Write Down")
    assert "sns:Publish" in visit.cause


def test_branches_of_a_parallel_follow_one_another_only_within_themselves() -> None:
    ways = {visit.state: visit.next for visit in recorded("moto").visits}
    assert (ways["Write Log"], ways["Count"], ways["Sum"], ways["Write Down"]) == (None, "Sum", None, "Ended")


def test_what_an_engine_does_not_record_is_not_called_unreached() -> None:
    run = recorded("ministack")
    statuses = by_state(run)
    assert {statuses[name] for name in ("Create", "Poll", "Given Up", "Write Log", "Sum")} == {"unrecorded"}
    assert (statuses["Nothing To Do"], statuses["Find Distributions"]) == ("unreached", "retried")
    assert (statuses["Invalidate Each"], statuses["Tell Channel"]) == ("succeeded", "caught")


def test_iterations_without_events_are_made_from_the_maps_own_data() -> None:
    iterations = with_items(recorded("ministack")).iterations
    assert [json.loads(each.input or "") for each in iterations] == [
        {"id": "E1FAST"},
        {"id": "E2GONE"},
        {"id": "E3BUSY"},
    ]
    assert [json.loads(each.output or "").get("status") for each in iterations] == ["Completed", None, "Completed"]
    assert {(each.status, each.recorded) for each in iterations} == {("unrecorded", False)}
