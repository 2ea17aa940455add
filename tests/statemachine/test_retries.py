"""Each Retry of the definition, tried out: it gives up after its attempts and no sooner, and waits as it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
}


def _retriers() -> Iterator[tuple[str, str, int, float]]:
    """(state, error, attempts, the longest wait) of each error name of each Retry."""
    for state, definition in TASKS.items():
        for retrier in definition["Retry"]:
            for error in retrier["ErrorEquals"]:
                yield state, error, retrier["MaxAttempts"], retrier["MaxDelaySeconds"]


def _throw(error: str) -> dict[str, Any]:
    cause = json.dumps({"errorMessage": "told", "errorType": error}) if error in ERRORS else "told"
    return {"Throw": {"Error": error, "Cause": cause}}


def _failing(state: str, error: str, times: int) -> dict[str, Responses]:
    """The happy path, but for one state that fails some times before it answers."""
    happy = responses_of("HappyPath")
    (answer,) = happy[state].values()
    return {**happy, state: {f"0-{times - 1}" if times > 1 else "0": _throw(error), str(times): answer}}


# moto takes an error called States.… for its own only when it has raised it: mocked, it is a custom name, which the
# specification forbids. What follows a time-out is in the tests of the time-outs.
MOCKABLE = [each for each in _retriers() if not each[1].startswith("States.")]
each_retrier = pytest.mark.parametrize(("state", "error", "attempts", "longest"), MOCKABLE)


@each_retrier
def test_an_error_that_passes_within_the_attempts_is_not_noticed(
    mocked: MockedMachine, state: str, error: str, attempts: int, longest: float
) -> None:
    ran = mocked.run_with(_failing(state, error, attempts))
    assert (ran.status, ran.tries(state)) == ("SUCCEEDED", attempts + 1)
    assert ran.errors(state) == (error,) * attempts
    pauses = ran.waited_in(state)
    assert len(pauses) == attempts
    assert max(pauses) <= longest


def test_every_transient_error_of_ours_is_retried_or_has_a_way_of_its_own() -> None:
    retried = {error for _, error, _, _ in _retriers()}
    transient = {name for name, error in ERRORS.items() if error.transient}
    assert transient - retried == set(NOT_RETRIED)
