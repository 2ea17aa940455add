"""The messages that people get: whoever reads one knows what happened, and what to do next."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # jsonschema ships no types

from invalidation.batches.finish import Failure
from invalidation.batches.model import BatchState, Outcome
from invalidation.batches.targets import PlanSummary
from invalidation.messages import MAX_TARGETS, chat_message, subject
from invalidation.outcome import BatchReport, console_page
from tests.fakes.reports import (
    ARN,
    COMPLETED,
    DONE,
    FAILED,
    OF_PATHS,
    PARKED,
    ended_without_batch,
    outcome,
    with_batch,
)

UNMENDED = with_batch(
    replace(FAILED, targets=(PARKED,)),
    state=BatchState.PARKED,
    error="AccessDenied",
    message="<!here> Grant it",
    next_try_at=None,
)
SUBJECTS = [
    (COMPLETED, "CloudFront is fresh: my-site, 2 changes"),
    (with_batch(COMPLETED, changes=1), "CloudFront is fresh: my-site, 1 change"),
    (OF_PATHS, "CloudFront is fresh: E2QWRUHAPOMQZL, 1 path"),
    (FAILED, "CloudFront invalidation FAILED: my-site, 2 changes (CloudFrontThrottled)"),
    (
        with_batch(FAILED, outcome=Outcome.PARTLY_FAILED),
        "CloudFront invalidation PARTLY FAILED: my-site, 2 changes (CloudFrontThrottled)",
    ),
    (
        with_batch(FAILED, outcome=Outcome.ABANDONED),
        "Abandoned, the edge may be stale: my-site, 2 changes (CloudFrontThrottled)",
    ),
    (with_batch(COMPLETED, outcome=Outcome.NO_DISTRIBUTION), "No distribution serves this: my-site, 2 changes"),
    (with_batch(COMPLETED, outcome=Outcome.NOTHING_TO_INVALIDATE), "Nothing to invalidate: my-site, 2 changes"),
    (with_batch(COMPLETED, outcome=Outcome.DRY_RUN), "Dry run, nothing was sent: my-site, 2 changes"),
]


@pytest.mark.parametrize(("report", "expected"), SUBJECTS)
def test_the_subject_tells_a_person_what_happened_where(report: BatchReport, expected: str) -> None:
    assert subject(outcome(report)) == expected


def test_a_rejected_request_is_named_by_its_execution() -> None:
    document = ended_without_batch(Failure("InvalidRequest", "told"))["outcome"]
    assert subject(document) == "Request rejected: by-hand (InvalidRequest)"


@settings(deadline=None)
@given(st.sampled_from(Outcome), st.text(), st.text())
def test_a_subject_is_always_one_that_sns_takes(kind: Outcome, bucket: str, error: str) -> None:
    text = subject(outcome(with_batch(FAILED, outcome=kind, bucket=bucket, error=error)))
    assert 0 < len(text) < 100
    assert text.isascii()
    assert text.isprintable()


TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT}
SCHEMA = {
    "$comment": "Amazon Q Developer in chat applications Administrator Guide, Custom notifications: Event schema",
    "type": "object",
    "required": ["version", "source", "content"],
    "additionalProperties": False,
    "properties": {
        "version": {"const": "1.0"},
        "source": {"const": "custom"},
        "id": TEXT,
        "content": {
            "type": "object",
            "required": ["description"],
            "additionalProperties": False,
            "properties": {
                "textType": {"const": "client-markdown"},
                "title": TEXT,
                "description": TEXT,
                "nextSteps": TEXTS,
                "keywords": TEXTS,
            },
        },
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "threadId": TEXT,
                "summary": TEXT,
                "eventType": TEXT,
                "relatedResources": TEXTS,
                "additionalContext": {"type": "object", "additionalProperties": TEXT},
            },
        },
    },
}


def _told(report: BatchReport) -> dict[str, Any]:
    return chat_message(outcome(report))


def _rejected(error: str) -> dict[str, Any]:
    return chat_message(ended_without_batch(Failure(error, "keys is empty"))["outcome"])


MESSAGES = {
    **{each.value: _told(with_batch(COMPLETED, outcome=each)) for each in Outcome},
    "parked": _told(UNMENDED),
    "of paths": _told(OF_PATHS),
    "many distributions": _told(replace(COMPLETED, targets=(DONE,) * 900)),
    "rejected": _rejected("InvalidRequest"),
    "not accepted": _rejected("ChangesNotAccepted"),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_every_outcome_is_told_in_the_schema(message: dict[str, Any]) -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(message)] == []
    assert len(json.dumps(message)) < 5_000


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_every_message_links_to_the_execution_first(message: dict[str, Any]) -> None:
    assert message["content"]["nextSteps"][0] == f"See the execution: {console_page(ARN)}"
    assert message["metadata"]["relatedResources"] == [ARN]


def test_the_messages_of_one_bucket_share_a_thread_and_those_of_another_do_not() -> None:
    threads = [
        _told(each)["metadata"]["threadId"]
        for each in (
            COMPLETED,
            UNMENDED,
            with_batch(COMPLETED, bucket="other-site"),
            with_batch(COMPLETED, bucket="my-site.x"),
        )
    ]
    assert threads[0] == threads[1] == "cloudfront-auto-invalidation/my-site"
    assert len(set(threads)) == 3


def test_requests_of_paths_share_the_thread_of_their_distribution_and_those_that_are_none_have_their_own() -> None:
    assert MESSAGES["of paths"]["metadata"]["threadId"] == "cloudfront-auto-invalidation/E2QWRUHAPOMQZL"
    assert MESSAGES["rejected"]["metadata"]["threadId"] == "cloudfront-auto-invalidation/requests"


def test_success_says_what_was_done_and_what_it_cost_and_asks_for_nothing() -> None:
    content = _told(COMPLETED)["content"]
    assert content["title"] == "CloudFront is fresh: my-site, 2 changes"
    assert content["description"] == (
        "`E2QWRUHAPOMQZL`: COMPLETED, paths: 3\nAt most $0.015, as if the month's free paths were used up."
    )
    assert len(content["nextSteps"]) == 1


def test_what_only_a_person_can_mend_says_how_to_go_on() -> None:
    content = _told(UNMENDED)["content"]
    assert "Error: `AccessDenied`" in content["description"].splitlines()
    assert content["nextSteps"][1:] == [
        "Find the error in docs/runbook.md",
        "When it is mended: `invalidations retry 20261112T091401Z-5f2b8c41d0`",
    ]


def test_what_is_tried_again_by_itself_says_when() -> None:
    waiting = FAILED
    assert _told(waiting)["content"]["nextSteps"][-1] == "Nothing to do yet: it is tried again at 2026-11-12 09:19 UTC"


def test_the_distributions_that_are_owed_something_are_listed_first_and_the_rest_is_counted() -> None:
    lines = _told(replace(UNMENDED, targets=(*[DONE] * MAX_TARGETS, PARKED)))["content"]["description"].splitlines()
    assert lines[0] == "`EDFDVBD632BHDS5`: PARKED, paths: 1"
    assert lines[MAX_TARGETS] == "… and 1 more"


def test_those_that_the_outcome_document_had_no_room_for_are_counted_too() -> None:
    assert "… and 890 more" in MESSAGES["many distributions"]["content"]["description"].splitlines()


@given(st.text(), st.text(), st.text())
def test_what_strangers_have_named_never_reaches_a_channel(key: str, path: str, message: str) -> None:
    """Keys, paths, and messages that quote them: a channel would notify everybody for one that holds <!channel>."""
    hostile = with_batch(
        replace(UNMENDED, targets=(replace(PARKED, plan=PlanSummary(1, 0, 1, (), (path,))),)),
        sample=(key,),
        message=message,
    )
    assert _told(hostile) == MESSAGES["parked"]


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_no_message_has_mark_up_that_slack_and_teams_read_differently(message: dict[str, Any]) -> None:
    content = message["content"]
    for text in (content["title"], content["description"], *content["nextSteps"], *content["keywords"]):
        assert not set("<>[]*~") & set(text)
