from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ops.report import load, read
from tests.recordings.history import START, History
from tests.recordings.record import on_moto

if TYPE_CHECKING:
    from ops.report.run import Run

RECORDINGS = Path(__file__).parent.parent / "recordings"
FAMILIES = ["Task", "LambdaFunction", "Activity"]


def recorded(engine: str) -> Run:
    recording = load(RECORDINGS / f"{engine}.json")
    return read(recording.definition, recording.execution, recording.events)


def by_state(run: Run) -> dict[str, str]:
    return {state.name: run.status_of(state.name) for state, _ in run.flow.walk()}


def machine(**states: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


TWO_TASKS = machine(
    A={"Type": "Task", "Next": "B", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}]},
    B={"Type": "Task", "End": True},
    C={"Type": "Pass", "End": True},
)
MAP = machine(
    Each={
        "Type": "Map",
        "ItemProcessor": machine(X={"Type": "Task", "Next": "Y"}, Y={"Type": "Pass", "End": True}),
        "Next": "After",
    },
    After={"Type": "Pass", "End": True},
)


def run_of(definition: dict[str, Any], history: History, status: str = "SUCCEEDED") -> Run:
    return read(definition, {"status": status, "name": "one"}, history.events)


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


def test_a_recorded_run_shows_each_state_by_what_happened_to_it() -> None:
    assert by_state(recorded("moto")) == OUTCOMES_ON_MOTO


def test_the_recording_is_what_motos_interpreter_does() -> None:
    recording = on_moto()
    run = read(recording.definition, recording.execution, recording.events)
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
    iterations = recorded("ministack").iterations
    assert [json.loads(each.input or "") for each in iterations] == [
        {"id": "E1FAST"},
        {"id": "E2GONE"},
        {"id": "E3BUSY"},
    ]
    assert [json.loads(each.output or "").get("status") for each in iterations] == ["Completed", None, "Completed"]
    assert {(each.status, each.recorded) for each in iterations} == {("unrecorded", False)}


def test_a_history_without_previous_event_ids_is_read_in_order() -> None:
    history = History().entered("A").tried("Slow").exited("A").entered("C", "Pass").exited("C", "Pass")
    history.add("ExecutionSucceeded", "executionSucceeded", output="{}")
    run = read(TWO_TASKS, {"status": "SUCCEEDED"}, history.without_previous())
    assert by_state(run) == {"A": "caught", "B": "unreached", "C": "succeeded"}
    assert run.visits[0].next == "C"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_kind_of_task_has_attempts(family: str) -> None:
    history = History().entered("A").tried("Slow", family=family).tried(family=family).exited("A")
    run = run_of(TWO_TASKS, history, "RUNNING")
    assert [attempt.error for attempt in run.visits[0].attempts] == ["Slow", ""]
    assert run.visits[0].status == "retried"


@pytest.mark.parametrize(
    "event",
    ["TaskTimedOut", "TaskStartFailed", "TaskSubmitFailed", "LambdaFunctionScheduleFailed", "ActivityTimedOut"],
)
def test_every_way_in_which_an_attempt_fails_is_a_failure(event: str) -> None:
    history = History().entered("A").add("TaskScheduled", "taskScheduled")
    history.add(event, event[0].lower() + event[1:], error="States.Timeout", cause="too slow").exited("A")
    run = run_of(TWO_TASKS, history)
    assert (run.visits[0].status, run.visits[0].error) == ("caught", "States.Timeout")


def test_the_task_that_ends_an_execution_has_failed() -> None:
    history = History().entered("A").tried("Broken")
    history.add("ExecutionFailed", "executionFailed", error="Broken", cause="Broken happened")
    run = run_of(TWO_TASKS, history, "FAILED")
    assert (run.visits[0].status, run.error, run.cause) == ("failed", "Broken", "Broken happened")
    assert run.visits[0].end == (START + 4) * 1000


def test_a_state_that_fails_without_an_attempt_has_the_executions_error() -> None:
    definition = machine(Q={"Type": "Choice", "Choices": []})
    history = History().entered("Q", "Choice")
    history.add("ExecutionFailed", "executionFailed", error="States.NoChoiceMatched", cause="nothing fits")
    run = run_of(definition, history, "FAILED")
    assert (run.visits[0].status, run.visits[0].error) == ("failed", "States.NoChoiceMatched")


def test_a_fail_state_has_failed_and_took_no_time() -> None:
    history = History().entered("F", "Fail").add("ExecutionFailed", "executionFailed", error="Batch", cause="")
    run = run_of(machine(F={"Type": "Fail"}), history, "FAILED")
    assert (run.visits[0].status, run.visits[0].error) == ("failed", "Batch")
    assert run.visits[0].end == run.visits[0].start


def test_a_running_execution_has_a_state_that_runs() -> None:
    run = run_of(TWO_TASKS, History().entered("A").tried("Slow"), "RUNNING")
    assert (run.visits[0].status, run.visits[0].end, run.end) == ("running", None, None)


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT"])
def test_what_was_under_way_when_an_execution_was_stopped_was_stopped_too(status: str) -> None:
    kind = "ExecutionAborted" if status == "ABORTED" else "ExecutionTimedOut"
    history = History().entered("A").tried().exited("A").entered("B").tried("Slow")
    history.add(kind, after=0)
    run = run_of(TWO_TASKS, history, status)
    assert by_state(run) == {"A": "succeeded", "B": "aborted", "C": "unreached"}


def test_a_redriven_execution_goes_on_where_it_failed() -> None:
    history = History().entered("A").tried("Broken").add("ExecutionFailed", "executionFailed", error="Broken")
    history.add("ExecutionRedriven", "executionRedriven", redriveCount=1).tried().exited("A")
    history.entered("B").tried().exited("B").add("ExecutionSucceeded", "executionSucceeded", output="{}")
    run = run_of(TWO_TASKS, history)
    assert by_state(run) == {"A": "retried", "B": "succeeded", "C": "unreached"}
    assert len(run.visits) == 2


def mapped(*, caught: bool) -> History:
    """A Map of two of which the second fails, on AWS: the first is cut off."""
    history = History().entered("Each", "Map").add("MapStateStarted", "mapStateStarted", length=2)
    started = history.last
    history.add("MapIterationStarted", "mapIterationStarted", name="Each", index=0).entered("X")
    history.add("TaskScheduled", "taskScheduled")
    history.add("MapIterationStarted", "mapIterationStarted", after=started, name="Each", index=1).entered("X")
    history.tried("Broken").add("MapIterationFailed", "mapIterationFailed", name="Each", index=1)
    history.add("MapIterationAborted", "mapIterationAborted", after=6, name="Each", index=0)
    history.add("MapStateFailed", after=history.last - 1)
    if caught:
        return history.exited("Each", "Map").entered("After", "Pass").exited("After", "Pass")
    return history.add("ExecutionFailed", "executionFailed", error="Broken", cause="in an iteration")


def test_an_iteration_that_fails_fails_its_map_and_stops_the_others() -> None:
    run = run_of(MAP, mapped(caught=False), "FAILED")
    assert [(each.index, each.status) for each in run.iterations] == [(0, "aborted"), (1, "failed")]
    assert [(visit.state, visit.iteration, visit.status) for visit in run.visits] == [
        ("Each", None, "failed"),
        ("X", 0, "aborted"),
        ("X", 1, "failed"),
    ]


def test_a_map_that_failed_can_be_caught() -> None:
    run = run_of(MAP, mapped(caught=True))
    assert by_state(run) == {"Each": "caught", "X": "failed", "Y": "unreached", "After": "succeeded"}


def test_a_maps_second_try_has_iterations_of_its_own() -> None:
    history = History().entered("Each", "Map")
    for outcome in ("Failed", "Succeeded"):
        history.add("MapStateStarted", "mapStateStarted", length=1)
        history.add("MapIterationStarted", "mapIterationStarted", name="Each", index=0).entered("X")
        history.tried("Broken" if outcome == "Failed" else "")
        if outcome == "Succeeded":
            history.exited("X").entered("Y", "Pass").exited("Y", "Pass")
        history.add(f"MapIteration{outcome}", f"mapIteration{outcome}", name="Each", index=0)
        history.add(f"MapState{outcome}")
    history.exited("Each", "Map")
    run = run_of(MAP, history, "RUNNING")
    assert [(each.attempt, each.index, each.status) for each in run.iterations] == [
        (1, 0, "failed"),
        (2, 0, "succeeded"),
    ]
    assert run.visits[0].status == "retried"


def test_a_map_inside_a_map_belongs_to_the_outer_iteration() -> None:
    inner = machine(Inner={"Type": "Map", "ItemProcessor": machine(X={"Type": "Pass", "End": True}), "End": True})
    definition = machine(Outer={"Type": "Map", "ItemProcessor": inner, "End": True})
    history = History().entered("Outer", "Map").add("MapStateStarted", "mapStateStarted", length=2)
    started = history.last
    for index in (0, 1):
        history.add("MapIterationStarted", "mapIterationStarted", after=started, name="Outer", index=index)
        history.entered("Inner", "Map").add("MapStateStarted", "mapStateStarted", length=1)
        history.add("MapIterationStarted", "mapIterationStarted", name="Inner", index=0)
        history.entered("X", "Pass").exited("X", "Pass")
        history.add("MapIterationSucceeded", "mapIterationSucceeded", name="Inner", index=0).add("MapStateSucceeded")
        history.exited("Inner", "Map").add("MapIterationSucceeded", "mapIterationSucceeded", name="Outer", index=index)
    history.add("MapStateSucceeded").exited("Outer", "Map")
    run = run_of(definition, history)
    around = [[run.visits[each.visit].state, run.visits[each.visit].iteration, each.index] for each in run.iterations]
    assert around == [["Outer", None, 0], ["Inner", 0, 0], ["Outer", None, 1], ["Inner", 2, 0]]
    assert [visit.iteration for visit in run.visits if visit.state == "X"] == [1, 3]


def test_a_distributed_map_tells_nothing_of_its_iterations_which_are_executions() -> None:
    history = History().entered("Each", "Map").add("MapStateStarted", "mapStateStarted", length=2)
    history.add("MapRunStarted", "mapRunStarted", mapRunArn="arn:aws:states:::mapRun:1").add("MapRunSucceeded")
    history.exited("Each", "Map").entered("After", "Pass").exited("After", "Pass")
    run = run_of(MAP, history)
    assert by_state(run) == {"Each": "succeeded", "X": "unrecorded", "Y": "unrecorded", "After": "succeeded"}
    assert run.iterations == ()


def test_a_loop_gives_one_visit_for_each_time_around() -> None:
    definition = machine(A={"Type": "Pass", "Next": "B"}, B={"Type": "Wait", "Next": "A"})
    history = History()
    for _ in range(3):
        history.entered("A", "Pass").exited("A", "Pass").entered("B", "Wait").exited("B", "Wait")
    run = run_of(definition, history, "RUNNING")
    assert [visit.next for visit in run.visits] == ["B", "A", "B", "A", "B", None]


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 23, 6, 38, 1, 500_000, tzinfo=UTC),
        datetime(2026, 11, 23, 6, 38, 1, 500_000),  # noqa: DTZ001 - some engines leave the zone out, and mean UTC
        "2026-11-23T06:38:01.500Z",
        "2026-11-23T07:38:01.500+01:00",
        1_795_415_881.5,
        1_795_415_881_500,
    ],
)
def test_times_are_read_in_every_form_that_engines_give_them(moment: Any) -> None:
    event = {"id": 1, "type": "ExecutionStarted", "timestamp": moment}
    run = read(TWO_TASKS, {"startDate": moment, "status": "RUNNING"}, [event])
    assert run.start == run.events[0].time == 1_795_415_881_500


def test_a_state_that_the_definition_does_not_have_is_shown_all_the_same() -> None:
    run = run_of(TWO_TASKS, History().entered("Renamed").tried().exited("Renamed"), "RUNNING")
    assert [(visit.state, visit.status) for visit in run.visits] == [("Renamed", "succeeded")]


def test_names_come_from_the_arn_where_the_description_has_none() -> None:
    arn = "arn:aws:states:eu-west-1:123456789012:execution:invalidate:a-run"
    run = read(TWO_TASKS, {"executionArn": arn, "status": "RUNNING"}, History().events)
    assert (run.name, run.machine) == ("a-run", "invalidate")


def test_an_execution_without_events_is_a_run_without_visits() -> None:
    run = read(TWO_TASKS, {"status": "RUNNING", "startDate": START}, [])
    assert (run.visits, run.start, run.end) == ((), START * 1000, None)


@pytest.mark.parametrize("event", [{}, {"id": 1}, {"type": "TaskFailed"}, {"timestamp": 1}])
def test_an_event_that_is_none_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="event 1 is no event"):
        read(TWO_TASKS, {}, [event])
