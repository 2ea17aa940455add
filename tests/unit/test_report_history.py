from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from invalidations_cli.history import read_history
from tests.recordings.history import START, History, by_state, machine, run_of

FAMILIES = ["Task", "LambdaFunction", "Activity"]
TWO_TASKS = machine(
    A={"Type": "Task", "Next": "B", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}]},
    B={"Type": "Task", "End": True},
    C={"Type": "Pass", "End": True},
)


def test_a_history_without_previous_event_ids_is_read_in_order() -> None:
    history = History().entered("A").tried("Slow").exited("A").entered("C", "Pass").exited("C", "Pass")
    history.add("ExecutionSucceeded", "executionSucceeded", output="{}")
    run = read_history(TWO_TASKS, {"status": "SUCCEEDED"}, history.without_previous())
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
    run = read_history(TWO_TASKS, {"startDate": moment, "status": "RUNNING"}, [event])
    assert run.start == run.events[0].time == 1_795_415_881_500


def test_a_state_that_the_definition_does_not_have_is_shown_all_the_same() -> None:
    run = run_of(TWO_TASKS, History().entered("Renamed").tried().exited("Renamed"), "RUNNING")
    assert [(visit.state, visit.status) for visit in run.visits] == [("Renamed", "succeeded")]


def test_names_come_from_the_arn_where_the_description_has_none() -> None:
    arn = "arn:aws:states:eu-west-1:123456789012:execution:invalidate:a-run"
    run = read_history(TWO_TASKS, {"executionArn": arn, "status": "RUNNING"}, History().events)
    assert (run.name, run.machine) == ("a-run", "invalidate")


def test_an_execution_without_events_is_a_run_without_visits() -> None:
    run = read_history(TWO_TASKS, {"status": "RUNNING", "startDate": START}, [])
    assert (run.visits, run.start, run.end) == ((), START * 1000, None)


@pytest.mark.parametrize("event", [{}, {"id": 1}, {"type": "TaskFailed"}, {"timestamp": 1}])
def test_an_event_that_is_none_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="event 1 is no event"):
        read_history(TWO_TASKS, {}, [event])
