"""What a chat channel shows: only messages in the schema of Amazon Q Developer arrive there at all."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # jsonschema ships no types

from invalidation import outcome as reports
from invalidation.batches.model import Outcome, TargetState
from invalidation.cloudfront.limits import price
from invalidation.outcome import MAX_TARGETS, Finished, Run, TargetSummary, chat_message

STARTED = datetime(2026, 11, 12, 9, 14, 1, tzinfo=UTC)
RUN = Run("arn:aws:states:eu-central-1:123456789012:execution:site-invalidation:by-hand", STARTED, STARTED)
DONE = TargetSummary(
    "E2QWRUHAPOMQZL", TargetState.COMPLETED, 3, 0, (), ("I1",), 0, "", "", 5, ("/<!channel>",), price(3)
)
PARKED = TargetSummary("EDFDVBD632BHDS5", TargetState.PARKED, 1, 0, (), (), 1, "AccessDenied", "Grant it", None)
FINISHED = Finished(
    outcome=Outcome.COMPLETED,
    recorded=True,
    batch_id="20261112T091401Z-5f2b8c41d0",
    bucket="my-site",
    changes=2,
    sample=("<!channel> *bold*.html", "[click](https://evil.example)"),
    opened=STARTED,
    closed=STARTED,
    finished=STARTED + timedelta(seconds=9),
    targets=(DONE,),
)
FAILED = replace(
    FINISHED,
    outcome=Outcome.FAILED,
    error="AccessDenied",
    message="<!here> Grant it",
    finished=None,
    parked=True,
    targets=(PARKED,),
)
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


def _told(finished: Finished) -> dict[str, Any]:
    return chat_message(reports.of_batch(finished, RUN)["outcome"])


def _rejected(error: str) -> dict[str, Any]:
    return chat_message(reports.without_batch(reports.Caught(error, "keys is empty"), RUN)["outcome"])


MESSAGES = {
    **{each.value: _told(replace(FINISHED, outcome=each)) for each in Outcome},
    "parked": _told(FAILED),
    "of paths": _told(replace(FINISHED, bucket="", distribution_id="E2QWRUHAPOMQZL")),
    "many distributions": _told(replace(FINISHED, targets=(DONE,) * 900)),
    "rejected": _rejected("InvalidRequest"),
    "not accepted": _rejected("ChangesNotAccepted"),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_every_outcome_is_told_in_the_schema(message: dict[str, Any]) -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(message)] == []
    assert len(json.dumps(message)) < 5_000


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_every_message_links_to_the_execution_first(message: dict[str, Any]) -> None:
    assert message["content"]["nextSteps"][0] == f"See the execution: {RUN.console}"
    assert message["metadata"]["relatedResources"] == [RUN.arn]


def test_the_messages_of_one_bucket_share_a_thread_and_those_of_another_do_not() -> None:
    threads = [
        _told(each)["metadata"]["threadId"]
        for each in (FINISHED, FAILED, replace(FINISHED, bucket="other-site"), replace(FINISHED, bucket="my-site.x"))
    ]
    assert threads[0] == threads[1] == "cloudfront-auto-invalidation/my-site"
    assert len(set(threads)) == 3


def test_requests_of_paths_share_the_thread_of_their_distribution_and_those_that_are_none_have_their_own() -> None:
    assert MESSAGES["of paths"]["metadata"]["threadId"] == "cloudfront-auto-invalidation/E2QWRUHAPOMQZL"
    assert MESSAGES["rejected"]["metadata"]["threadId"] == "cloudfront-auto-invalidation/requests"


def test_success_says_what_was_done_and_what_it_cost_and_asks_for_nothing() -> None:
    content = _told(FINISHED)["content"]
    assert content["title"] == "CloudFront is fresh: my-site, 2 changes"
    assert content["description"] == (
        "`E2QWRUHAPOMQZL`: COMPLETED, paths: 3\nAt most $0.015, as if the month's free paths were used up."
    )
    assert len(content["nextSteps"]) == 1


def test_what_only_a_person_can_mend_says_how_to_go_on() -> None:
    content = _told(FAILED)["content"]
    assert "Error: `AccessDenied`" in content["description"].splitlines()
    assert content["nextSteps"][1:] == [
        "Find the error in docs/runbook.md",
        "When it is mended: `invalidations retry 20261112T091401Z-5f2b8c41d0`",
    ]


def test_what_is_tried_again_by_itself_says_when() -> None:
    waiting = replace(FAILED, parked=False, next_try_at=STARTED + timedelta(minutes=5))
    assert _told(waiting)["content"]["nextSteps"][-1] == "Nothing to do yet: it is tried again at 2026-11-12 09:19 UTC"


def test_the_distributions_that_are_owed_something_are_listed_first_and_the_rest_is_counted() -> None:
    lines = _told(replace(FAILED, targets=(*[DONE] * MAX_TARGETS, PARKED)))["content"]["description"].splitlines()
    assert lines[0] == "`EDFDVBD632BHDS5`: PARKED, paths: 1"
    assert lines[MAX_TARGETS] == "… and 1 more"


def test_those_that_the_outcome_document_had_no_room_for_are_counted_too() -> None:
    assert "… and 890 more" in MESSAGES["many distributions"]["content"]["description"].splitlines()


@given(st.text(), st.text(), st.text())
def test_what_strangers_have_named_never_reaches_a_channel(key: str, path: str, message: str) -> None:
    """Keys, paths, and messages that quote them: a channel would notify everybody for one that holds <!channel>."""
    hostile = replace(FAILED, sample=(key,), message=message, targets=(replace(PARKED, path_sample=(path,)),))
    assert _told(hostile) == MESSAGES["parked"]


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_no_message_has_mark_up_that_slack_and_teams_read_differently(message: dict[str, Any]) -> None:
    content = message["content"]
    for text in (content["title"], content["description"], *content["nextSteps"], *content["keywords"]):
        assert not set("<>[]*~") & set(text)
