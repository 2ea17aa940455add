"""Each Retry of the definition, tried out: it gives up after its attempts and no sooner, and waits as it says."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from invalidation.errors import ERRORS
from tests.definition import rendered, states
from tests.statemachine.machine import MockedMachine, responses_of
from tests.statemachine.moto_seams import Responses

TASKS = {name: state for name, state in states(rendered()) if state["Type"] == "Task"}
NOT_RETRIED = {
    "NoRoomInTime": "the batch has waited as long as its parameter allows; the sweep tries again",
    "InvalidationTimedOut": "likewise",
    "TooManyInvalidationsInProgress": "waits for room, through a Catch",
    "ConcurrentBucketChange": "of the custom resource, which is no part of the state machine",
    "SweepIncomplete": "of the sweep, which Lambda runs again",
}


@dataclass(frozen=True)
class Retrier:
    """One retrier of a Task, with as many of its errors, in turn, as it has attempts."""

    state: str
    errors: tuple[str, ...]
    longest: float


def _retriers() -> Iterator[Retrier]:
    """Each retrier, several times where it has more error names than attempts."""
    for state, definition in TASKS.items():
        for retrier in definition["Retry"]:
            attempts = retrier["MaxAttempts"]
            # moto takes an error called States.… for its own only when it has raised it: mocked, it is a custom name,
            # which the specification forbids. test_a_step_takes_too_long.py has a real one.
            names = [name for name in retrier["ErrorEquals"] if not name.startswith("States.")]
            for first in range(0, len(names), attempts):
                some = tuple(itertools.islice(itertools.cycle(names[first:]), attempts))
                yield Retrier(state, some, retrier["MaxDelaySeconds"])


def _throw(error: str) -> dict[str, Any]:
    cause = json.dumps({"errorMessage": "told", "errorType": error}) if error in ERRORS else "told"
    return {"Throw": {"Error": error, "Cause": cause}}


def _failing(state: str, *errors: str) -> dict[str, Responses]:
    """The happy path, proof at the edge and all, but for one state that fails with these errors before it answers."""
    happy = responses_of("VerifiedAtEdge")
    (answer,) = happy[state].values()
    failures = {str(number): _throw(error) for number, error in enumerate(errors)}
    return {**happy, state: {**failures, str(len(errors)): answer}}


@pytest.mark.parametrize("retrier", list(_retriers()), ids=lambda retrier: f"{retrier.state}-{retrier.errors[0]}")
def test_errors_that_pass_within_the_attempts_are_not_noticed(mocked: MockedMachine, retrier: Retrier) -> None:
    execution = mocked.run_with(_failing(retrier.state, *retrier.errors))
    assert (execution.status, execution.errors(retrier.state)) == ("SUCCEEDED", retrier.errors)
    pauses = execution.waited_in(retrier.state)
    assert len(pauses) == len(retrier.errors)
    assert max(pauses) <= retrier.longest


def test_every_error_name_of_every_retry_is_tried_out() -> None:
    declared = {
        (state, error) for state, task in TASKS.items() for each in task["Retry"] for error in each["ErrorEquals"]
    }
    tried = {(each.state, error) for each in _retriers() for error in each.errors}
    assert {error for _, error in declared - tried} == {"States.Timeout", "States.TaskFailed"}


def test_every_transient_error_of_ours_is_retried_or_has_a_way_of_its_own() -> None:
    retried = {error for each in _retriers() for error in each.errors}
    transient = {name for name, error in ERRORS.items() if error.transient}
    assert transient - retried == set(NOT_RETRIED)
