"""Step Functions' own limits, at the worst that can happen to an execution (SFD, "Quotas")."""

from __future__ import annotations

import json
from typing import Any

from invalidation.cloudfront.limits import MAX_TARGETS_AT_ONCE
from invalidation.cloudfront.progress import POLL_SECONDS
from invalidation.errors import MAX_MESSAGE
from tests.definition import rendered
from tests.statemachine.machine import MockedMachine, responses_of

MAX_STATE_BYTES = 262_144
MAX_EVENTS = 25_000
STACK_TRACE = ['  File "/var/task/create_invalidation/app.py", line 79, in handler\n' * 4] * 10
"""Longer than any that the handlers leave: they raise what they have translated without its cause."""


def test_with_every_distribution_failing_in_its_own_words_the_state_stays_within_its_limit(
    mocked: MockedMachine,
) -> None:
    words = {"errorMessage": "m" * MAX_MESSAGE, "errorType": "AccessDenied", "stackTrace": STACK_TRACE}
    denied = {"Throw": {"Error": "AccessDenied", "Cause": json.dumps(words)}}
    everything: Any = responses_of("AccessDenied")
    resolved = json.loads(json.dumps(everything["Resolve Distributions"]))
    payload = resolved["0"]["Return"]["Payload"]
    payload["targets"] = [{"distributionId": f"E{number:031}"} for number in range(MAX_TARGETS_AT_ONCE)]
    payload["count"] = MAX_TARGETS_AT_ONCE
    create = {f"0-{MAX_TARGETS_AT_ONCE - 1}": denied}
    execution = mocked.run_with({**everything, "Resolve Distributions": resolved, "Create Invalidation": create})
    (handed_over,) = execution.payloads("Finish Batch")
    assert len(handed_over["state"]["results"]) == MAX_TARGETS_AT_ONCE
    assert len(json.dumps(handed_over)) < MAX_STATE_BYTES
    assert (execution.status, execution.error) == ("FAILED", "AccessDenied")


def test_an_execution_reaches_its_time_limit_before_its_history_is_full(mocked: MockedMachine) -> None:
    machine = rendered()
    polled, polled_once = mocked.run("SlowCompletion"), mocked.run("HappyPath")
    events_of_a_poll = (len(polled.history) - len(polled_once.history)) / 3
    at_once = machine["States"]["Invalidate Distributions"]["MaxConcurrency"]
    polls = at_once * machine["TimeoutSeconds"] / POLL_SECONDS[-1]
    assert 5 <= events_of_a_poll <= 12
    assert polls * events_of_a_poll < MAX_EVENTS * 0.9
