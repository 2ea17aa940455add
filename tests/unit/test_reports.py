"""What is told of a run: to people in a subject, to machines in a document, and to the Fail state."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invalidation import outcome as reports
from invalidation.batches.model import Outcome, TargetState
from invalidation.errors import MAX_MESSAGE
from invalidation.outcome import Caught, Finished, Run, TargetSummary, caught, failure_of, subject
from tests.outcome_schemas import faults

ARN = "arn:aws:states:eu-central-1:123456789012:execution:site-invalidation:by-hand"
STARTED = datetime(2026, 11, 12, 9, 14, 1, tzinfo=UTC)
RUN = Run(ARN, STARTED, STARTED + timedelta(seconds=9.44))
DONE = TargetSummary("E2QWRUHAPOMQZL", TargetState.COMPLETED, 1, 0, (), ("I1",), 0, "", "", 5)
OWED = TargetSummary("EDFDVBD632BHDS5", TargetState.OWED, 1, 0, (), (), 1, "CloudFrontThrottled", "told", None)
FINISHED = Finished(
    outcome=Outcome.COMPLETED,
    recorded=True,
    batch_id="20261112T091401Z-5f2b8c41d0",
    bucket="my-site",
    changes=2,
    sample=("a", "b"),
    opened=STARTED,
    closed=STARTED,
    finished=STARTED + timedelta(seconds=9),
    targets=(DONE,),
)
FAILED = replace(
    FINISHED, outcome=Outcome.FAILED, error="CloudFrontThrottled", message="told", finished=None, targets=(OWED,)
)
OF_PATHS = replace(FINISHED, bucket="", distribution_id="E2QWRUHAPOMQZL", changes=1)


def test_a_batch_that_completed_is_reported_as_completed() -> None:
    report = reports.of_batch(FINISHED, RUN)
    assert (report["completed"], report["error"], report["cause"]) == (True, "", "")
    assert report["detailType"] == "CloudFront Invalidation Completed"
    assert report["outcome"]["runSeconds"] == 9.4


def test_a_batch_that_failed_is_reported_with_its_error() -> None:
    report = reports.of_batch(FAILED, RUN)
    assert (report["completed"], report["error"], report["cause"]) == (False, "CloudFrontThrottled", "told")
    assert report["detailType"] == "CloudFront Invalidation Failed"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_leads_the_state_machine_to_the_right_end(outcome: Outcome) -> None:
    report = reports.of_batch(replace(FINISHED, outcome=outcome, error=""), RUN)
    assert report["completed"] is outcome.succeeded
    assert bool(report["error"]) is not outcome.succeeded


@pytest.mark.parametrize("error", ["States.Timeout", "States.TaskFailed"])
def test_an_error_that_is_step_functions_own_gets_a_name_that_a_fail_state_may_use(error: str) -> None:
    report = reports.of_batch(replace(FAILED, error=error), RUN)
    assert report["error"] == error.removeprefix("States.")
    assert report["outcome"]["error"] == error


@pytest.mark.parametrize(("error", "outcome"), [("InvalidRequest", "Rejected"), ("BatchNotFound", "Rejected")])
def test_a_request_that_can_never_be_met_is_rejected(error: str, outcome: str) -> None:
    assert reports.without_batch(Caught(error, "told"), RUN)["outcome"]["outcome"] == outcome


def test_a_change_that_could_not_be_accepted_has_failed() -> None:
    report = reports.without_batch(Caught("ChangesNotAccepted", "told"), RUN)
    assert (report["completed"], report["outcome"]["outcome"]) == (False, "Failed")


@pytest.mark.parametrize(
    "report",
    [
        reports.of_batch(FINISHED, RUN),
        reports.of_batch(FAILED, RUN),
        reports.of_batch(OF_PATHS, RUN),
        reports.without_batch(Caught("InvalidRequest", "told"), RUN),
    ],
    ids=["completed", "failed", "of paths", "without a batch"],
)
def test_the_outcome_is_as_its_published_schema_says(report: dict[str, Any]) -> None:
    assert faults("outcome", json.loads(json.dumps(report["outcome"]))) == []


def test_the_console_link_is_that_of_the_region_and_the_partition() -> None:
    assert RUN.console.startswith("https://eu-central-1.console.aws.amazon.com/states/home?region=eu-central-1#/v2/")
    china = Run("arn:aws-cn:states:cn-north-1:123456789012:execution:m:n", STARTED, STARTED)
    assert china.console.startswith("https://cn-north-1.console.amazonaws.cn/states/home?region=cn-north-1#/v2/")


SUBJECTS = [
    (FINISHED, "CloudFront is fresh: my-site, 2 changes"),
    (replace(FINISHED, changes=1), "CloudFront is fresh: my-site, 1 change"),
    (OF_PATHS, "CloudFront is fresh: E2QWRUHAPOMQZL, 1 path"),
    (FAILED, "CloudFront invalidation FAILED: my-site, 2 changes (CloudFrontThrottled)"),
    (
        replace(FAILED, outcome=Outcome.PARTLY_FAILED),
        "CloudFront invalidation PARTLY FAILED: my-site, 2 changes (CloudFrontThrottled)",
    ),
    (
        replace(FAILED, outcome=Outcome.ABANDONED),
        "Abandoned, the edge may be stale: my-site, 2 changes (CloudFrontThrottled)",
    ),
    (replace(FINISHED, outcome=Outcome.NO_DISTRIBUTION), "No distribution serves this: my-site, 2 changes"),
    (replace(FINISHED, outcome=Outcome.NOTHING_TO_INVALIDATE), "Nothing to invalidate: my-site, 2 changes"),
    (replace(FINISHED, outcome=Outcome.DRY_RUN), "Dry run, nothing was sent: my-site, 2 changes"),
    (
        Finished(Outcome.FAILED, recorded=False, batch_id="b", error="BatchContended"),
        "CloudFront invalidation FAILED: by-hand (BatchContended)",
    ),
]


@pytest.mark.parametrize(("finished", "expected"), SUBJECTS)
def test_the_subject_tells_a_person_what_happened_where(finished: Finished, expected: str) -> None:
    assert subject(reports.of_batch(finished, RUN)["outcome"]) == expected


def test_a_rejected_request_is_named_by_its_execution() -> None:
    outcome = reports.without_batch(Caught("InvalidRequest", "told"), RUN)["outcome"]
    assert subject(outcome) == "Request rejected: by-hand (InvalidRequest)"


@settings(deadline=None)
@given(st.sampled_from(Outcome), st.text(), st.text())
def test_a_subject_is_always_one_that_sns_takes(outcome: Outcome, bucket: str, error: str) -> None:
    text = subject(reports.of_batch(replace(FAILED, outcome=outcome, bucket=bucket, error=error), RUN)["outcome"])
    assert 0 < len(text) < 100
    assert text.isascii()
    assert text.isprintable()


def _of_a_function(error: str, message: str) -> dict[str, str]:
    cause = {"errorMessage": message, "errorType": error, "requestId": "x", "stackTrace": ['  File "app.py"\n']}
    return {"Error": error, "Cause": json.dumps(cause)}


CAUGHT = [
    (_of_a_function("AccessDenied", "Grant it"), Caught("AccessDenied", "Grant it")),
    ({"Error": "Lambda.TooManyRequestsException", "Cause": "Rate"}, Caught("Lambda.TooManyRequestsException", "Rate")),
    ({"Error": "States.Timeout", "Cause": ""}, Caught("States.Timeout", "the step did not end within its time limit")),
    ({"Error": "States.Timeout"}, Caught("States.Timeout", "the step did not end within its time limit")),
    ({"Error": "X", "Cause": "[1, 2]"}, Caught("X", "[1, 2]")),
    ({"Error": "X"}, Caught("X", "no cause was given")),
    ({"error": "InvalidRequest", "message": "told"}, Caught("InvalidRequest", "told")),
    ({"distributionId": "E1", "outcome": "Failed", "error": "A", "cause": '{"errorMessage": "m"}'}, Caught("A", "m")),
]


@pytest.mark.parametrize(("failure", "expected"), CAUGHT)
def test_a_failure_is_told_in_plain_words_without_its_trace(failure: dict[str, str], expected: Caught) -> None:
    told = caught(failure)
    assert told.error == expected.error
    assert told.message.startswith(expected.message)
    assert "stackTrace" not in told.message


def test_a_long_cause_is_cut() -> None:
    assert len(caught({"Error": "X", "Cause": "c" * 200_000}).message) == MAX_MESSAGE


def test_a_failure_is_found_where_the_state_machine_has_put_it() -> None:
    failure = _of_a_function("AccessDenied", "Grant it")
    assert failure_of({"batchId": "b", "failure": failure}) == Caught("AccessDenied", "Grant it")
    assert failure_of(failure) == Caught("AccessDenied", "Grant it")
    assert failure_of({"batchId": "b", "results": []}) is None
