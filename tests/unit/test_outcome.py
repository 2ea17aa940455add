"""What is told of a run: one document, as its published schema says, and the end of the state machine."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # jsonschema ships no types

from invalidation.batches.finish import Failure
from invalidation.batches.model import Outcome
from invalidation.batches.targets import PlanSummary, TargetState
from invalidation.cloudfront.rules import Widening
from invalidation.errors import MAX_MESSAGE
from invalidation.outcome import (
    COMPLETED_EVENT,
    FAILED_EVENT,
    IN_PROGRESS,
    BatchReport,
    console_page,
    failure_in,
    failure_of,
)
from tests.fakes.reports import (
    ARN,
    BATCH,
    COMPLETED,
    DONE,
    FAILED,
    NOW,
    OF_PATHS,
    PARKED,
    ended,
    ended_without_batch,
    outcome,
    with_batch,
)
from tests.outcome_schemas import faults, schema

PARTS: dict[str, Any] = {
    "deleted": 1,
    "sample": ("\x1b[31m", "ü"),
    "requesters": ({"requester": "123456789012", "sourceIp": "192.0.2.1", "changes": 41},),
}
WIDENED = replace(DONE, plan=PlanSummary(3, 1, 1, (Widening("/a/*", 40, 12),), ("/b", "/a/*")))
SKIPPED = replace(WIDENED, distribution_id="E2", state=TargetState.SKIPPED, seconds=None)
FULL = with_batch(replace(COMPLETED, targets=(WIDENED, SKIPPED)), **PARTS)
GIVEN_UP: dict[str, Any] = {"outcome": Outcome.ABANDONED, "finished": NOW, "next_try_at": None}
SAMPLES = {
    "completed": FULL,
    "nothing to invalidate": with_batch(FULL, outcome=Outcome.NOTHING_TO_INVALIDATE),
    "no distribution": with_batch(BatchReport(BATCH, (), ()), outcome=Outcome.NO_DISTRIBUTION),
    "dry run": with_batch(FULL, outcome=Outcome.DRY_RUN, dry_run=True, by_hand=True),
    "paths": OF_PATHS,
    "partly failed": with_batch(replace(FAILED, targets=(DONE, PARKED)), outcome=Outcome.PARTLY_FAILED),
    "failed, tried again": FAILED,
    "stale at the edge": with_batch(FAILED, outcome=Outcome.STALE_AT_EDGE, error="EdgeStillStale"),
    "given up before it was told": with_batch(replace(FAILED, targets=(PARKED,)), **GIVEN_UP),
    "many distributions": replace(FULL, targets=tuple(replace(WIDENED, distribution_id=f"E{n}") for n in range(900))),
}


def test_a_batch_that_completed_is_reported_as_completed() -> None:
    report = ended(COMPLETED)
    assert (report["completed"], report["error"], report["cause"]) == (True, "", "")
    assert report["detailType"] == "CloudFront Invalidation Completed"
    assert report["outcome"]["runSeconds"] == 9.4


def test_a_batch_that_failed_is_reported_with_its_error() -> None:
    report = ended(FAILED)
    assert (report["completed"], report["error"], report["cause"]) == (False, "CloudFrontThrottled", "told")
    assert report["detailType"] == "CloudFront Invalidation Failed"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_leads_the_state_machine_to_the_right_end(outcome: Outcome) -> None:
    report = ended(with_batch(COMPLETED, outcome=outcome, error=""))
    assert report["completed"] is outcome.succeeded
    assert bool(report["error"]) is not outcome.succeeded


@pytest.mark.parametrize("error", ["States.Timeout", "States.TaskFailed"])
def test_an_error_that_is_step_functions_own_gets_a_name_that_a_fail_state_may_use(error: str) -> None:
    report = ended(with_batch(FAILED, error=error))
    assert report["error"] == error.removeprefix("States.")
    assert report["outcome"]["error"] == error


@pytest.mark.parametrize(("error", "outcome"), [("InvalidRequest", "Rejected"), ("BatchNotFound", "Rejected")])
def test_a_request_that_can_never_be_met_is_rejected(error: str, outcome: str) -> None:
    assert ended_without_batch(Failure(error, "told"))["outcome"]["outcome"] == outcome


def test_a_change_that_could_not_be_accepted_has_failed() -> None:
    report = ended_without_batch(Failure("ChangesNotAccepted", "told"))
    assert (report["completed"], report["outcome"]["outcome"]) == (False, "Failed")


def test_the_console_link_is_that_of_the_region_and_the_partition() -> None:
    assert console_page(ARN).startswith(
        "https://eu-central-1.console.aws.amazon.com/states/home?region=eu-central-1#/v2/"
    )
    china = console_page("arn:aws-cn:states:cn-north-1:123456789012:execution:m:n")
    assert china.startswith("https://cn-north-1.console.amazonaws.cn/states/home?region=cn-north-1#/v2/")


def _of_a_function(error: str, message: str) -> dict[str, str]:
    cause = {"errorMessage": message, "errorType": error, "requestId": "x", "stackTrace": ['  File "app.py"\n']}
    return {"Error": error, "Cause": json.dumps(cause)}


CAUGHT = [
    (_of_a_function("AccessDenied", "Grant it"), Failure("AccessDenied", "Grant it")),
    ({"Error": "Lambda.TooManyRequestsException", "Cause": "Rate"}, Failure("Lambda.TooManyRequestsException", "Rate")),
    ({"Error": "States.Timeout", "Cause": ""}, Failure("States.Timeout", "the step did not end within its time limit")),
    ({"Error": "States.Timeout"}, Failure("States.Timeout", "the step did not end within its time limit")),
    ({"Error": "X", "Cause": "[1, 2]"}, Failure("X", "[1, 2]")),
    ({"Error": "X"}, Failure("X", "no cause was given")),
    ({"error": "InvalidRequest", "message": "told"}, Failure("InvalidRequest", "told")),
    ({"distributionId": "E1", "outcome": "Failed", "error": "A", "cause": '{"errorMessage": "m"}'}, Failure("A", "m")),
]


@pytest.mark.parametrize(("failure", "expected"), CAUGHT)
def test_a_failure_is_told_in_plain_words_without_its_trace(failure: dict[str, str], expected: Failure) -> None:
    told = failure_in(failure)
    assert told.error == expected.error
    assert told.message.startswith(expected.message)
    assert "stackTrace" not in told.message


def test_a_long_cause_is_cut() -> None:
    assert len(failure_in({"Error": "X", "Cause": "c" * 200_000}).message) == MAX_MESSAGE


def test_a_failure_is_found_where_the_state_machine_has_put_it() -> None:
    failure = _of_a_function("AccessDenied", "Grant it")
    assert failure_of({"batchId": "b", "failure": failure}) == Failure("AccessDenied", "Grant it")
    assert failure_of(failure) == Failure("AccessDenied", "Grant it")
    assert failure_of({"batchId": "b", "results": []}) is None


@pytest.mark.parametrize("report", SAMPLES.values(), ids=SAMPLES)
def test_what_is_told_of_a_batch_fits_the_schemas(report: BatchReport) -> None:
    told = ended(report)
    assert faults("outcome", told["outcome"]) == []
    assert faults("event", sent(told)) == []
    detail_type = told.pop("detailType")
    assert (faults("output", told) == []) == (detail_type == COMPLETED_EVENT)


@pytest.mark.parametrize("report", SAMPLES.values(), ids=SAMPLES)
def test_what_the_command_line_prints_of_a_batch_is_the_same_document(report: BatchReport) -> None:
    printed, told = json.loads(json.dumps(report.to_document())), outcome(report)
    assert faults("outcome", printed) == []
    assert (
        printed.items()
        >= {name: told[name] for name in told.keys() - {"runSeconds", "targets", "targetsOmitted"}}.items()
    )


def test_a_batch_that_nobody_has_finished_yet_is_in_progress_and_no_event_can_say_so() -> None:
    printed = json.loads(json.dumps(with_batch(FAILED, outcome=None, error="", message="").to_document()))
    assert (printed["outcome"], printed["succeeded"]) == ("InProgress", False)
    assert faults("outcome", printed) == []
    event = {"source": "cloudfront-auto-invalidation", "detail-type": FAILED_EVENT, "resources": [ARN]}
    assert faults("event", event | {"detail": printed | {"runSeconds": 1}}) != []


@pytest.mark.parametrize("error", ["InvalidRequest", "ChangesNotAccepted", "States.Timeout"])
def test_what_is_told_of_a_run_without_a_batch_fits_them_too(error: str) -> None:
    report = ended_without_batch(Failure(error, "why"))
    assert faults("outcome", report["outcome"]) == []
    assert faults("event", sent(report)) == []


def test_an_event_that_was_not_taken_is_told_of_in_the_notification() -> None:
    document = outcome(COMPLETED) | {"announceError": "States.Timeout", "announceMessage": "why"}
    assert faults("outcome", document) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outcome": "Perhaps"}, "is not one of"),
        ({"version": 2}, "1 was expected"),
        ({"error": "AccessDenied"}, "'' was expected"),
        ({"outcome": "Failed"}, "should be non-empty"),
        ({"opened": "yesterday"}, "does not match"),
        ({"targets": [{}]}, "'distributionId' is a required property"),
        ({"surprise": 1}, "'surprise' was unexpected"),
        ({"changes": -1}, "less than the minimum"),
    ],
)
def test_what_is_wrong_does_not_fit(change: dict[str, Any], said: str) -> None:
    document = outcome(COMPLETED) | change
    assert any(said in fault for fault in faults("outcome", document))


def test_an_event_s_type_and_its_outcome_say_the_same() -> None:
    event = sent(ended(COMPLETED)) | {"detail-type": FAILED_EVENT}
    assert faults("event", event) != []


@pytest.mark.parametrize("name", ["outcome", "event", "output"])
def test_the_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))


def test_the_schema_s_list_of_outcomes_is_the_code_s() -> None:
    assert set(schema("outcome")["$defs"]["outcome"]["enum"]) == {each.value for each in Outcome} | {IN_PROGRESS}


def sent(report: dict[str, Any]) -> dict[str, Any]:
    """As Announce Outcome puts it on the bus."""
    return {
        "source": "cloudfront-auto-invalidation",
        "detail-type": report["detailType"],
        "resources": [ARN],
        "detail": report["outcome"],
    }
