"""`invalidations watch`: which executions it finds, what it tells of them, how much it asks, and how it ends."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from invalidations_cli.commands import watch as command
from invalidations_cli.commands.watch import Deadline, EndedExecutions, document, screen, watch
from invalidations_cli.follow import AT_ONCE, Step, Watcher, reason, subject_of
from tests.fakes.stack import (
    DEFINITION,
    EXECUTION,
    HOSTILE,
    MACHINE,
    SHOWN_HOSTILE,
    START,
    FakeStates,
    StartedExecution,
    World,
    event,
    rendered,
)

SECOND = timedelta(seconds=1)


def succeed(ran: StartedExecution, seconds: int) -> None:
    ran.event("SucceedStateEntered", START + seconds * SECOND, name="Batch Completed", input="{}")
    ran.end("SUCCEEDED", START + seconds * SECOND, output="{}")


@pytest.fixture
def states() -> FakeStates:
    return FakeStates()


@pytest.fixture
def watcher(states: FakeStates) -> Watcher:
    return Watcher(states, MACHINE, from_now=True)


def told(watcher: Watcher) -> list[tuple[str, str]]:
    return [(step.subject, step.name) for step in watcher.new_steps()]


def test_each_step_is_told_once_in_the_order_in_which_it_happened(states: FakeStates, watcher: Watcher) -> None:
    first = states.add("a", event("a.html")).event("TaskStateEntered", START, name="Join Batch", input="{}")
    states.add("b", event("b.html", "Object Deleted")).event(
        "TaskStateEntered", START - SECOND, name="Join Batch", input="{}"
    )
    assert told(watcher) == [("b.html deleted", "Join Batch"), ("a.html put", "Join Batch")]
    assert told(watcher) == []
    succeed(first, 5)
    assert told(watcher) == [("a.html put", "Batch Completed"), ("a.html put", "SUCCEEDED")]
    assert [each.name for each in watcher.running] == ["b"]
    assert {each.arn: each.status for each in watcher.ended} == {f"{EXECUTION}a": "SUCCEEDED"}


def test_what_ended_before_is_not_told_and_what_starts_and_ends_between_two_looks_is(
    states: FakeStates, watcher: Watcher
) -> None:
    succeed(states.add("old", event("old.html"), START - timedelta(hours=1)), 0)
    states.add("long", event("long.html"), START - timedelta(hours=2))
    watcher.new_steps()
    assert set(watcher.executions) == {f"{EXECUTION}long"}
    succeed(states.add("short", event("short.html"), START + SECOND), 2)
    assert told(watcher) == [("short.html put", "Batch Completed"), ("short.html put", "SUCCEEDED")]


def test_without_from_now_every_execution_is_told(states: FakeStates) -> None:
    succeed(states.add("old", event("old.html"), START - timedelta(days=30)), 0)
    assert ("old.html put", "SUCCEEDED") in told(Watcher(states, MACHINE))


def test_a_long_history_is_read_from_its_end_and_only_as_far_as_is_new(states: FakeStates, watcher: Watcher) -> None:
    ran = states.add("a", event("a.html"))
    for number in range(1_000):
        ran.event("TaskScheduled", START + number * SECOND)
    watcher.new_steps()
    assert len(watcher.executions[f"{EXECUTION}a"].events) == 1_001
    states.calls.clear()
    ran.event("WaitStateEntered", START, name="Wait", input="{}")
    assert told(watcher) == [("a.html put", "Wait")]
    assert states.calls["GetExecutionHistory"] == 1


def test_of_many_executions_some_are_looked_at_each_time_and_all_in_turn(states: FakeStates, watcher: Watcher) -> None:
    for number in range(AT_ONCE * 2 + 10):
        states.add(f"e{number}", event(f"{number}.html")).event(
            "TaskStateEntered", START, name="Join Batch", input="{}"
        )
    steps = [step.subject for _ in range(3) for step in watcher.new_steps()]
    assert len(steps) == len(set(steps)) == AT_ONCE * 2 + 10
    assert states.calls["GetExecutionHistory"] == AT_ONCE * 3


def test_what_was_forgotten_does_not_come_back(states: FakeStates, watcher: Watcher) -> None:
    watcher.new_steps()
    succeed(states.add("a", event("a.html"), START + SECOND), 2)
    watcher.new_steps()
    states.add("b", event("b.html"), START + 200 * SECOND)
    watcher.new_steps()
    watcher.forget(START + 100 * SECOND)
    assert told(watcher) == []
    assert set(watcher.executions) == {f"{EXECUTION}b"}


def test_an_execution_whose_history_has_no_end_ends_with_its_listing(states: FakeStates, watcher: Watcher) -> None:
    ran = states.add("a", event("a.html"))
    watcher.new_steps()
    ran.described |= {"status": "ABORTED", "stopDate": START + SECOND}
    states.now = START + 2 * SECOND
    watcher.new_steps()
    assert {each.arn: each.status for each in watcher.ended} == {f"{EXECUTION}a": "ABORTED"}


def test_the_clock_is_that_of_aws_where_this_machines_is_wrong(watcher: Watcher) -> None:
    watcher.new_steps()
    assert abs(watcher.now() - START) < 3 * SECOND


@pytest.mark.parametrize(
    ("document", "about"),
    [
        (event("a.html"), "a.html put"),
        (event("a.html", "Object Deleted"), "a.html deleted"),
        ([event("a.html")], "a.html put"),
        ([{"body": event("a.html")}], "a.html put"),
        ([event("a.html")] * 1_200, "1,200 changes"),
        ({"bucket": "site", "keys": ["a", "b"]}, "request: 2 keys of site"),
        ({"distributionId": "E1", "paths": ["/*"]}, "request: 1 path of E1"),
        ({"lead": "site"}, "lead site"),
        ({"retryBatch": "20261123T062719Z-0123456789"}, "retry 20261123T062719Z-0123456789"),
        ({"else": 1}, "an input that is not accepted"),
        ("text", "an input that is not accepted"),
        (None, "an input that is not accepted"),
    ],
)
def test_an_execution_is_about_what_its_input_says(document: Any, about: str) -> None:
    assert subject_of(json.dumps(document)) == about


@pytest.mark.parametrize("text", ["", '{"detail', "[" * 100])
def test_an_input_that_was_left_out_or_cut_ends_nothing(text: str) -> None:
    assert subject_of(text) == "an input that is not accepted"


def test_a_reason_is_error_and_cause() -> None:
    assert reason({"executionFailedEventDetails": {"error": "Denied", "cause": "no"}}) == "Denied: no"
    assert reason({"executionAbortedEventDetails": {"cause": "by hand"}}) == "by hand"
    assert reason({"executionSucceededEventDetails": {"output": "{}"}}) == ""


def test_failures_stay_on_the_screen_and_successes_do_not(states: FakeStates, watcher: Watcher) -> None:
    good, bad = states.add("a", event("good.html")), states.add("b", event("bad.html"))
    tally = EndedExecutions()
    tally.take(watcher.new_steps(), watcher)
    succeed(good, 1)
    bad.end("ABORTED", START + SECOND, cause="by hand")
    states.now = START + 60 * SECOND
    tally.take(watcher.new_steps(), watcher)
    text = rendered(screen(watcher, tally, DEFINITION))
    assert "nothing runs" in text
    assert "bad.html" in text
    assert "good.html" not in text
    assert tally.summary() == "2 executions ended meanwhile, 1 failure."


def test_it_ends_when_nothing_has_run_for_long_enough() -> None:
    deadline = Deadline(until_idle=10, timeout=None)
    assert not deadline.ends(something_runs=True)
    deadline.busy -= 11
    assert not deadline.ends(something_runs=True)
    deadline.busy -= 11
    assert deadline.ends(something_runs=False)
    assert not deadline.is_over


def test_it_ends_when_its_time_is_up_which_is_a_failure_only_if_it_waited_for_idleness() -> None:
    for until_idle, is_over in ((None, False), (10, True)):
        deadline = Deadline(until_idle, timeout=5)
        assert not deadline.ends(something_runs=True)
        deadline.began -= 6
        assert deadline.ends(something_runs=True)
        assert deadline.is_over is is_over


def test_once_shows_what_runs_and_ends() -> None:
    world = World()
    assert "nothing runs" in world.run(watch, "--once").output
    world.states.add("a", event(HOSTILE)).event("TaskStateEntered", START, name="Join Batch", input="{}")
    result = world.run(watch, "--once")
    assert result.exit_code == 0
    assert "1 execution running" in result.output
    assert SHOWN_HOSTILE in result.output
    assert "\x1b" not in result.output


def test_where_there_is_no_terminal_each_step_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "POLL_SECONDS", 0.0)
    world = World()
    ran = world.states.add("4d5e6f70-aaaa", event(HOSTILE)).event(
        "TaskStateEntered", START, name="Join Batch", input="{}"
    )
    ran.end("FAILED", START + SECOND, error="Denied", cause="\x1b[31mno")
    ran.described["status"] = "RUNNING"
    result = world.run(watch, "--until-idle", "0")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0] == f"06:00:00.0  4d5e6f70  {SHOWN_HOSTILE} put  Join Batch"
    assert lines[1] == f"06:00:01.0  4d5e6f70  {SHOWN_HOSTILE} put  ● FAILED  Denied: \\x1b[31mno"
    assert lines[2] == "1 execution ended meanwhile, 1 failure."


def test_json_is_a_line_for_each_change_of_state_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "POLL_SECONDS", 0.0)
    world = World()
    ran = world.states.add("run", event(HOSTILE)).event("TaskStateEntered", START, name="Join Batch", input="{}")
    item = json.dumps({"batchId": "b", "distributionId": "E1"})
    ran.event("TaskStateEntered", START, name="Create Invalidation", input=item)
    ran.end("FAILED", START + SECOND, error="Denied", cause="\x1b[31mno")
    ran.described["status"] = "RUNNING"
    result = world.run(watch, "--json", "--until-idle", "0")
    assert result.exit_code == 1
    assert result.stderr == "1 execution ended meanwhile, 1 failure.\n"
    assert "\x1b" not in result.stdout
    common = {"execution": f"{EXECUTION}run", "about": f"{HOSTILE} put"}
    entered = {"at": "2026-11-23T06:00:00.000Z", "type": "Task", "status": None, "why": None}
    end = {"state": None, "type": None, "distributionId": None, "status": "FAILED", "why": "Denied: \x1b[31mno"}
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        common | entered | {"state": "Join Batch", "distributionId": None},
        common | entered | {"state": "Create Invalidation", "distributionId": "E1"},
        common | end | {"at": "2026-11-23T06:00:01.000Z"},
    ]


def test_json_once_tells_what_those_that_run_have_done_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("invalidations_cli.commands.watch.time.sleep", lambda _seconds: pytest.fail("it looks once"))
    world = World()
    assert world.run(watch, "--once", "--json").output == ""
    world.states.add("a", event("a.html")).event("TaskStateEntered", START, name="Join Batch", input="{}")
    told = [json.loads(line) for line in world.run(watch, "--once", "--json").output.splitlines()]
    assert [(each["about"], each["state"]) for each in told] == [("a.html put", "Join Batch")]


def test_help_names_every_field_of_the_json() -> None:
    text = World().run(watch, "--help").output
    step = Step(START, "arn", "a.html put", "Task", "Join Batch")
    assert [name for name in document(step) if name not in text] == []


def test_exit_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "POLL_SECONDS", 0.0)
    world = World()
    assert world.run(watch, "--until-idle", "0").exit_code == 0
    assert world.run(watch, "--timeout", "0").exit_code == 0
    world.states.add("a", event("a.html"))
    assert world.run(watch, "--until-idle", "1", "--timeout", "0").exit_code == 124
    assert world.run(watch, "--until-idle", "-1").exit_code == 2


def test_ctrl_c_ends_it_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("invalidations_cli.commands.watch.time.sleep", interrupt)
    result = World().run(watch)
    assert (result.exit_code, result.output) == (0, "0 executions ended meanwhile.\n")


def test_in_a_terminal_the_screen_is_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    screens = Console(file=out, force_terminal=True, width=120, height=40, markup=False, emoji=False, highlight=False)
    monkeypatch.setattr("invalidations_cli.commands.watch.output.console", lambda: screens)
    monkeypatch.setattr(command, "POLL_SECONDS", 0.0)
    world = World()
    world.states.add("a", event(HOSTILE)).event("TaskStateEntered", START, name="Join Batch", input="{}")
    assert world.run(watch, "--until-idle", "1", "--timeout", "0.1").exit_code == 124
    text = out.getvalue()
    assert text.count("1 execution running") > 1
    assert SHOWN_HOSTILE in text
    assert "\x1b[31m[bold red]" not in text
