"""The board: in which states executions are, for how long, and what they went through."""

import json
from datetime import timedelta

import pytest

from invalidations_cli.commands.watch import board, short_name
from invalidations_cli.follow import Watcher
from tests.fakes.stack import DEFINITION, EXECUTION, MACHINE, START, FakeStates, event, rendered

SECOND = timedelta(seconds=1)


@pytest.fixture
def states() -> FakeStates:
    return FakeStates()


@pytest.fixture
def watcher(states: FakeStates) -> Watcher:
    return Watcher(states, MACHINE, from_now=True)


def test_the_board_shows_the_state_how_long_and_what_came_before(states: FakeStates, watcher: Watcher) -> None:
    states.joined("4d5e6f70-aaaa", event("a.html"), {"role": "leader"}).event(
        "TaskStateEntered", START + SECOND, name="Close Batch", input="{}"
    )
    watcher.new_steps()
    text = rendered(board(watcher.running, DEFINITION, START + 5 * SECOND))
    assert "a.html put Close Batch 4 s 5 s" in text
    assert "4d5e6f70 Join Batch 1 s" in text


def test_inside_a_map_the_board_names_the_distributions() -> None:
    definition = {
        "StartAt": "Invalidate",
        "States": {
            "Invalidate": {
                "Type": "Map",
                "End": True,
                "ItemProcessor": {"StartAt": "Create", "States": {"Create": {"Type": "Task", "End": True}}},
            }
        },
    }
    states = FakeStates()
    ran = states.add("a", event("a.html")).event("MapStateEntered", START, name="Invalidate", input="{}")
    ran.event("MapStateStarted", START)
    for index, distribution in enumerate(("E1", "E2")):
        ran.events.append(
            {"id": 4 + index * 2, "previousEventId": 3, "type": "MapIterationStarted", "timestamp": START}
            | {"mapIterationStartedEventDetails": {"name": "Invalidate", "index": index}}
        )
        ran.event(
            "TaskStateEntered", START, name="Create", input=json.dumps({"batchId": "b", "distributionId": distribution})
        )
    watcher = Watcher(states, MACHINE, from_now=True)
    assert [step.distribution_id for step in watcher.new_steps()] == ["", "E1", "E2"]
    text = rendered(board(watcher.running, definition, START + 5 * SECOND))
    assert "Create E1 5 s" in text
    assert "Create E2 5 s" in text
    assert "Invalidate" not in text


def test_the_board_says_why_an_execution_failed_and_how_many_more_there_are(
    states: FakeStates, watcher: Watcher
) -> None:
    failed = states.add("a", event("a.html"))
    states.add("b", event("b.html"), START + SECOND)
    watcher.new_steps()
    failed.end("FAILED", START + 2 * SECOND, error="AccessDenied", cause="allow it")
    watcher.new_steps()
    executions = [watcher.executions[f"{EXECUTION}{name}"] for name in "ab"]
    text = rendered(board(executions, DEFINITION, START + 3 * SECOND, most=1))
    assert "● FAILED AccessDenied: allow it" in text
    assert "and 1 more" in text


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("4d5e6f70-aaaa-bbbb_cccc", "4d5e6f70"),
        ("sweep-lead-site", "sweep-lead-site"),
        ("retry-20261123T062719Z-0123456789-20261123T070000Z", "retry-20261123T062719Z-…"),
    ],
)
def test_names_are_as_short_as_they_can_be_told_apart(name: str, short: str) -> None:
    assert short_name(name) == short
