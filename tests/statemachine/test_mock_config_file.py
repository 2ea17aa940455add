"""``MockConfigFile.json`` is what Step Functions Local takes, and its answers are such as the real functions give."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from invalidation.batches.finish import Failure
from invalidation.batches.head import Closed, ClosedStatus, Joined, Role
from invalidation.batches.model import Batch, Outcome
from invalidation.batches.targets import PlanSummary, Target, TargetState
from invalidation.cloudfront.progress import Progress
from invalidation.cloudfront.rules import Status, Widening
from invalidation.errors import ERRORS
from invalidation.outcome import BatchReport
from tests.definition import rendered, states
from tests.fakes.reports import ARN, COMPLETED, CREATED, ended_without_batch, outcome
from tests.outcome_schemas import faults
from tests.statemachine.machine import NAME, mock_config

TASKS = {name for name, state in states(rendered()) if state["Type"] == "Task"}
CASES: dict[str, dict[str, str]] = mock_config()["StateMachines"][NAME]["TestCases"]
RESPONSES: dict[str, dict[str, Any]] = mock_config()["MockedResponses"]
EPOCH = datetime.fromtimestamp(0, UTC)
LOOK = {"path": "/", "verdict": "Fresh", "stored": "a", "served": "a"}
TARGET = Target(
    "b",
    "E1",
    {},
    TargetState.COMPLETED,
    1,
    "",
    "AccessDenied",
    "told",
    5,
    PlanSummary(1, 1, 1, (Widening("/*", 2, 1),)),
    edge=(LOOK,),
)
BARE = BatchReport(Batch("b", ARN, "a", 1, 0, EPOCH, EPOCH, resolved=(), outcome=Outcome.COMPLETED), (), ())
FULL = replace(
    COMPLETED,
    batch=replace(
        COMPLETED.batch,
        distribution_id="E1",
        by_hand=True,
        dry_run=True,
        deleted=1,
        tries=1,
        next_try_at=EPOCH,
        requesters=({"requester": "r", "sourceIp": "s", "changes": 1},),
    ),
    targets=(TARGET,) * 2_000,
)


def _answers(*states: str) -> Iterator[tuple[str, Any]]:
    """(response's name, payload) of everything that functions of these states answer in the file."""
    names = dict.fromkeys(name for case in CASES.values() for state, name in case.items() if state in states)
    for name in names:
        for response in RESPONSES[name].values():
            if "Return" in response:
                yield name, response["Return"]["Payload"]


def test_the_file_has_the_two_sections_and_nothing_else() -> None:
    assert set(mock_config()) == {"StateMachines", "MockedResponses"}
    assert set(mock_config()["StateMachines"]) == {NAME}
    assert set(mock_config()["StateMachines"][NAME]) == {"TestCases"}


def test_each_case_names_task_states_and_responses_that_exist() -> None:
    assert {state for case in CASES.values() for state in case} == TASKS
    assert {name for case in CASES.values() for name in case.values()} == set(RESPONSES)


@pytest.mark.parametrize("name", RESPONSES)
def test_the_invocations_of_a_response_are_numbered_without_a_gap_from_0(name: str) -> None:
    following = 0
    for numbers in RESPONSES[name]:
        assert re.fullmatch(r"\d+(-\d+)?", numbers)
        first, _, last = numbers.partition("-")
        assert int(first) == following
        following = int(last or first) + 1
        assert following > int(first)


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_either_returns_or_throws(name: str) -> None:
    for response in RESPONSES[name].values():
        assert list(response) in (["Return"], ["Throw"])
        if "Throw" in response:
            assert set(response["Throw"]) == {"Error", "Cause"}


def test_functions_answer_in_lambdas_envelope_and_eventbridge_in_its_own() -> None:
    for case in CASES.values():
        for state, name in case.items():
            returned = [each["Return"] for each in RESPONSES[name].values() if "Return" in each]
            envelope = {"Entries", "FailedEntryCount"} if state == "Announce Outcome" else {"StatusCode", "Payload"}
            assert all(set(each) == envelope for each in returned), name


def test_what_a_function_throws_is_one_of_our_errors_as_lambda_reports_it_or_lambdas_own() -> None:
    for name, responses in RESPONSES.items():
        for response in responses.values():
            error = response.get("Throw", {}).get("Error", "")
            if error in ERRORS:
                cause = json.loads(response["Throw"]["Cause"])
                assert cause["errorType"] == error, name
                assert set(cause) == {"errorMessage", "errorType", "requestId", "stackTrace"}
            else:
                assert error.startswith(("Lambda.", "EventBridge.")) or not error, name


def test_join_batch_answers_as_the_function_does() -> None:
    for name, payload in _answers("Join Batch"):
        role = payload["role"]
        closed = Closed(ClosedStatus.FROZEN) if "closed" in payload else None
        document = set(Joined(Role.LEADER, "b", "id", "arn", EPOCH, closed=closed).to_document())
        expected = {"ignored": {"role", "reason"}, "rejected": {"role", "failure"}}.get(role, document)
        assert set(payload) == expected, name
        assert role in {"ignored", "rejected", *(each.value for each in Role)}


def test_close_batch_answers_as_the_function_does() -> None:
    answers = list(_answers("Close Batch"))
    assert {payload["status"] for _, payload in answers} == {each.value for each in ClosedStatus}
    assert all(set(payload) == set(Closed(ClosedStatus.FROZEN).to_document()) for _, payload in answers)


def test_resolve_distributions_answers_as_the_function_does() -> None:
    for name, payload in _answers("Resolve Distributions"):
        assert set(payload) == {"count", "targets", "roomUntil", "verifyAtEdge"}, name
        assert payload["count"] == len(payload["targets"])
        assert all(set(each) == {"distributionId"} for each in payload["targets"])


def test_create_and_get_invalidation_answer_as_the_functions_do() -> None:
    for name, payload in _answers("Create Invalidation", "Get Invalidation"):
        assert Progress.from_document(payload).to_document().keys() == payload.keys(), name
        finished = {each["completed"] for each in payload["invalidations"]} <= {True}
        assert (Status(payload["status"]) in {Status.SENDING, Status.IN_PROGRESS}) != finished, name


def test_finish_batch_and_notify_answer_as_the_functions_do() -> None:
    always = set(outcome(BARE)) - {"opened", "closed"}  # of a batch without a record
    ever = set(outcome(FULL)) | {"announceError", "announceMessage"}
    without_batch = set(ended_without_batch(Failure("InvalidRequest", "told"))["outcome"])
    for name, payload in _answers("Finish Batch", "Notify"):
        told = {"completed", "error", "cause", "outcome"}
        assert set(payload) == (told | {"detailType"} if name.startswith("Finish_") else told), name
        document = payload["outcome"]
        assert always <= set(document) <= ever if "batchId" in document else set(document) == without_batch, name
        assert payload["completed"] == Outcome(document["outcome"]).succeeded or "announceError" in document, name


def test_the_distributions_of_an_outcome_are_told_as_the_function_tells_them() -> None:
    whole = replace(FULL, targets=(TARGET,), created=(("E1", CREATED[0][1]),))
    (ever,) = (set(each) for each in outcome(whole)["targets"])
    always = {"distributionId", "state", "paths", "wildcards"}
    for name, payload in _answers("Finish Batch", "Notify"):
        for target in payload["outcome"].get("targets", []):
            assert always <= set(target) <= ever | {"pathSample"}, name


def test_every_outcome_is_as_its_published_schema_says() -> None:
    for name, payload in _answers("Finish Batch", "Notify"):
        assert faults("outcome", payload["outcome"]) == [], name
