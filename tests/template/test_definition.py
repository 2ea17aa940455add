"""What no linter checks in the state machine's definition: each rule here comes from a fault that one let pass."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from invalidation.errors import ERRORS
from tests.definition import ASL_FILE, State, rendered, resources, states, template
from tools.definition import laid_out
from tools.definition import main as definition_command

TASKS = [(name, state) for name, state in states(rendered()) if state["Type"] == "Task"]
STATES_ERRORS = {"States.ALL", "States.Timeout", "States.TaskFailed"}
LAMBDA_TRANSIENT = {
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    # Out of time and out of memory: older runtimes say Lambda.Unknown for both, newer ones name them.
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
}
THROTTLED = "Lambda.TooManyRequestsException"
LAMBDA_TASKS = [(name, state) for name, state in TASKS if "FunctionName" in state["Parameters"]]
NOT_POLICY = {"Comment", "ErrorEquals"}
task = pytest.mark.parametrize(("name", "state"), TASKS, ids=[name for name, _ in TASKS])
lambda_task = pytest.mark.parametrize(("name", "state"), LAMBDA_TASKS, ids=[name for name, _ in LAMBDA_TASKS])


def test_the_file_is_json_as_it_stands() -> None:
    json.loads(ASL_FILE.read_text())


def test_the_file_is_short_and_laid_out_as_make_fmt_does() -> None:
    text = ASL_FILE.read_text(encoding="utf-8")
    assert text == laid_out(json.loads(text))
    assert text.count("\n") <= 700


def test_a_retrier_and_a_list_of_errors_stand_on_one_line_each() -> None:
    retrier = {"ErrorEquals": ["A", "B"], "MaxAttempts": 2}
    assert laid_out({"Retry": [retrier, retrier], "Catch": [{"ErrorEquals": ["A", "B"]}], "Empty": {}}) == (
        '{\n  "Retry": [\n'
        '    {"ErrorEquals": ["A", "B"], "MaxAttempts": 2},\n    {"ErrorEquals": ["A", "B"], "MaxAttempts": 2}\n  ],\n'
        '  "Catch": [\n    {\n      "ErrorEquals": ["A", "B"]\n    }\n  ],\n  "Empty": {}\n}\n'
    )


def test_the_layout_s_command_tells_and_mends(tmp_path: Path) -> None:
    file = tmp_path / "x.asl.json"
    file.write_text('{"Retry": [{"MaxAttempts":\n2}]}')
    told = CliRunner().invoke(definition_command, [str(file)])
    assert (told.exit_code, "make fmt" in told.output) == (1, True)
    assert CliRunner().invoke(definition_command, ["--write", str(file)]).exit_code == 0
    assert CliRunner().invoke(definition_command, [str(file)]).exit_code == 0


def test_statelint_finds_nothing_in_the_rendered_definition(tmp_path: Path) -> None:
    assert _statelint(rendered(), tmp_path) == ""


def test_statelint_finds_a_fault_that_is_put_in(tmp_path: Path) -> None:
    broken = rendered()
    broken["States"]["Close Batch"]["Next"] = "No Such State"
    assert "No Such State" in _statelint(broken, tmp_path)


def _statelint(definition: State, folder: Path) -> str:
    file = folder / "definition.json"
    file.write_text(json.dumps(definition))
    command = [sys.executable, "-m", "statelint", "--ignore=FLOAT,URI", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in ran.stderr
    return ran.stdout.strip()


@task
def test_each_task_has_a_time_limit_a_retry_and_a_catch(name: str, state: State) -> None:
    assert isinstance(state["TimeoutSeconds"], int), name
    assert state["Retry"]
    assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


@task
def test_each_retry_is_bounded_and_spread(name: str, state: State) -> None:
    for retrier in state["Retry"]:
        assert 1 <= retrier["MaxAttempts"] <= (60 if retrier["ErrorEquals"] == [THROTTLED] else 10), name
        assert retrier["JitterStrategy"] == "FULL"
        assert retrier["MaxDelaySeconds"] <= (120 if retrier["ErrorEquals"] == [THROTTLED] else 60)


@task
def test_retriers_of_one_policy_are_one_retrier(name: str, state: State) -> None:
    policies = [{key: value for key, value in each.items() if key not in NOT_POLICY} for each in state["Retry"]]
    assert all(policies.count(policy) == 1 for policy in policies), name


@lambda_task
def test_a_throttled_function_is_waited_for_for_minutes(name: str, state: State) -> None:
    (retrier,) = (each for each in state["Retry"] if THROTTLED in each["ErrorEquals"])
    assert retrier["ErrorEquals"] == [THROTTLED], name
    ceilings = [
        min(retrier["IntervalSeconds"] * retrier["BackoffRate"] ** attempt, retrier["MaxDelaySeconds"])
        for attempt in range(retrier["MaxAttempts"])
    ]
    # Full jitter draws each pause between nothing and its ceiling: half of it on average.
    assert 20 * 60 <= sum(ceilings) / 2 <= 60 * 60


@lambda_task
def test_each_lambda_task_retries_what_lambda_calls_transient(name: str, state: State) -> None:
    assert any(set(retrier["ErrorEquals"]) >= LAMBDA_TRANSIENT for retrier in state["Retry"]), name


@task
def test_each_error_name_is_ours_or_a_service_knows_it(name: str, state: State) -> None:
    known = set(ERRORS) | STATES_ERRORS | LAMBDA_TRANSIENT | {THROTTLED, "EventBridge.FailedEntry"}
    for handler in [*state["Retry"], *state["Catch"]]:
        assert set(handler["ErrorEquals"]) <= known, name


@task
def test_no_permanent_error_is_retried(name: str, state: State) -> None:
    for retrier in state["Retry"]:
        ours = [ERRORS[error] for error in retrier["ErrorEquals"] if error in ERRORS]
        assert all(error.transient for error in ours), name


@task
def test_states_all_stands_alone_and_last(name: str, state: State) -> None:
    for handlers in (state["Retry"], state["Catch"]):
        names = [handler["ErrorEquals"] for handler in handlers]
        assert all("States.ALL" not in each for each in names[:-1]), name
        assert all(len(each) == 1 for each in names if "States.ALL" in each)


@lambda_task
def test_a_task_outlives_its_function(name: str, state: State) -> None:
    function = state["Parameters"]["FunctionName"].rsplit(":", 1)[-1]
    own = resources("AWS::Serverless::Function")[function]
    assert state["TimeoutSeconds"] > own.get("Timeout", template()["Globals"]["Function"]["Timeout"]), name


def test_each_state_says_why_it_is_there() -> None:
    assert [name for name, state in states(rendered()) if not state.get("Comment")] == []


def test_choices_are_questions_and_always_have_an_answer() -> None:
    choices = {name: state for name, state in states(rendered()) if state["Type"] == "Choice"}
    assert choices
    assert all(name.endswith("?") and "Default" in state for name, state in choices.items())


def test_every_failure_of_the_workflow_leads_through_a_notification_to_a_fail_state() -> None:
    machine = rendered()["States"]
    for name, state in machine.items():
        for catcher in state.get("Catch", []):
            path = _path_to_the_end(machine, catcher["Next"])
            assert "Notify" in path or name == "Notify"
            assert machine[path[-1]]["Type"] == "Fail"


def _path_to_the_end(machine: dict[str, State], name: str) -> list[str]:
    """The states from one on, taking a Choice's default, which is the way of failures."""
    path = [name]
    while (following := machine[path[-1]].get("Next") or machine[path[-1]].get("Default")) is not None:
        assert following not in path
        path.append(following)
    return path
