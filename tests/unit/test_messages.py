"""The messages that people get: whoever reads one knows what happened, and what to do next."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # jsonschema ships no types

from invalidation.batches.finish import Failure
from invalidation.batches.model import BatchState, Outcome
from invalidation.batches.targets import PlanSummary
from invalidation.config import Settings
from invalidation.errors import ERRORS
from invalidation.messages import MAX_TARGETS, chat_message, email_text, messages, runbook_entry, subject
from invalidation.outcome import BatchReport, console_page
from tests.definition import ROOT
from tests.fakes.reports import (
    ARN,
    BATCH_ID,
    COMPLETED,
    DONE,
    FAILED,
    OF_PATHS,
    PARKED,
    ended,
    ended_without_batch,
    outcome,
    with_batch,
)

RUNBOOK = "https://wiki.example.com/runbook"
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


PARTLY = with_batch(
    replace(FAILED, targets=(DONE, PARKED), created=COMPLETED.created),
    outcome=Outcome.PARTLY_FAILED,
    changes=12,
    sample=("index.html", "css/site.css"),
    requesters=({"requester": "123456789012", "sourceIp": "192.0.2.1", "changes": 12},),
    error="AccessDenied",
    message="CloudFront refused it: allow cloudfront:CreateInvalidation on distribution EDFDVBD632BHDS5",
    next_try_at=None,
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


def _told(report: BatchReport) -> dict[str, Any]:
    return chat_message(outcome(report), RUNBOOK)


def _rejected(error: str) -> dict[str, Any]:
    return chat_message(ended_without_batch(Failure(error, "keys is empty"))["outcome"], RUNBOOK)


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
    assert content["description"].splitlines() == [
        "Viewers get what the bucket holds.",
        "`E2QWRUHAPOMQZL`: fresh, 3 paths in 5 s",
        "It cost at most $0.015, as if the month's free paths were used up.",
    ]
    assert len(content["nextSteps"]) == 1


def test_what_only_a_person_can_mend_says_how_to_go_on() -> None:
    steps = [
        f"What it means, and what fixes it: {RUNBOOK}#accessdenied",
        f"It waits for you. When the cause is fixed: invalidations retry {BATCH_ID}",
    ]
    content = _told(UNMENDED)["content"]
    assert "`AccessDenied`: here Grant it" in content["description"].splitlines()
    assert content["nextSteps"][1:] == steps
    assert all(step in email_text(outcome(UNMENDED), RUNBOOK) for step in steps)


def test_what_is_tried_again_by_itself_says_when() -> None:
    step = "Nothing to do yet: it is tried again at 2026-11-12 09:19 UTC"
    assert _told(FAILED)["content"]["nextSteps"][-1] == step
    assert f"2. {step}" in email_text(outcome(FAILED), RUNBOOK)


def test_the_distributions_that_are_owed_something_are_listed_first_and_the_rest_is_counted() -> None:
    many = replace(UNMENDED, targets=(*[DONE] * MAX_TARGETS, PARKED))
    lines = _told(many)["content"]["description"].splitlines()
    assert lines[2] == "`EDFDVBD632BHDS5`: NOT fresh: AccessDenied"
    assert "and 1 more distribution" in lines
    assert "  EDFDVBD632BHDS5: NOT fresh: AccessDenied\n" in email_text(outcome(many), RUNBOOK)


def test_those_that_the_outcome_document_had_no_room_for_are_counted_too() -> None:
    assert "and 890 more distributions" in MESSAGES["many distributions"]["content"]["description"].splitlines()


@given(st.text(), st.text())
def test_no_key_and_no_path_reaches_a_channel(key: str, path: str) -> None:
    target = replace(PARKED, plan=PlanSummary(1, 0, 1, (), (path,)))
    hostile = with_batch(replace(UNMENDED, targets=(target,)), sample=(key,))
    assert _told(hostile) == MESSAGES["parked"]


@given(st.text())
def test_an_error_that_quotes_a_key_has_no_mark_up_in_a_channel(message: str) -> None:
    """A channel would notify everybody for one that holds <!channel>, and link to where one leads."""
    told = _told(with_batch(UNMENDED, message=f"{message} <!channel> [x](https://evil.example)"))["content"]
    lines = told["description"].splitlines()
    assert len(lines) == len(MESSAGES["parked"]["content"]["description"].splitlines())
    assert not set("<>[]*~@!|&") & set(told["description"])
    assert "://" not in told["description"]


@given(st.text(), st.text(), st.text())
def test_nothing_that_a_stranger_has_named_begins_a_line_of_an_e_mail(key: str, message: str, requester: str) -> None:
    who = ({"requester": requester, "sourceIp": "192.0.2.1", "changes": 1},)
    hostile = with_batch(UNMENDED, sample=(key, f"{key}\r\nWhat to do next\n"), message=message, requesters=who)
    text = email_text(outcome(hostile), RUNBOOK)
    titles = [line for line in text.splitlines() if line and not line.startswith("  ")]
    assert titles == [
        "CloudFront invalidation FAILED: my-site, 2 changes (AccessDenied)",
        "What failed",
        "What to do next",
        "Distributions",
        "What changed",
        "The execution in the Step Functions console",
    ]
    assert all(character.isprintable() or character == "\n" for character in text)


def _published(report: BatchReport, **settings: Any) -> dict[str, dict[str, Any]]:
    """Topic -> what Notify publishes there."""
    topics = Settings(notification_topic_arn="machines", email_topic_arn="email", chat_topic_arn="chat", **settings)
    return {each["TopicArn"]: each for each in messages(ended(report), topics)}


def test_machines_are_told_of_everything_and_people_of_failures() -> None:
    assert set(_published(COMPLETED)) == {"machines"}
    assert set(_published(FAILED)) == {"machines", "email", "chat"}
    assert set(_published(COMPLETED, notify_on="All")) == {"machines", "email", "chat"}


def test_machines_get_the_document_and_attributes_to_filter_by() -> None:
    told = _published(FAILED)["machines"]
    assert json.loads(told["Message"]) == outcome(FAILED)
    attributes = {name: each["StringValue"] for name, each in told["MessageAttributes"].items()}
    assert attributes == {"outcome": "Failed", "bucket": "my-site"}


def test_an_e_mail_is_plain_text_under_the_subject() -> None:
    told = _published(FAILED, runbook_url=RUNBOOK)["email"]
    assert told["Subject"] == "CloudFront invalidation FAILED: my-site, 2 changes (CloudFrontThrottled)"
    assert told["Message"] == email_text(outcome(FAILED), RUNBOOK)


@pytest.mark.parametrize("kind", Outcome)
def test_every_outcome_has_an_e_mail_that_says_what_it_means_and_links_to_the_execution(kind: Outcome) -> None:
    text = email_text(outcome(with_batch(FAILED, outcome=kind)), RUNBOOK)
    assert text.splitlines()[1].startswith("  ")
    assert console_page(ARN) in text
    assert (f"{RUNBOOK}#cloudfrontthrottled" in text) is not kind.succeeded
    assert max(map(len, text.splitlines())) < 1_000


def test_a_run_without_a_batch_has_an_e_mail_too() -> None:
    text = email_text(ended_without_batch(Failure("InvalidRequest", "keys is empty"))["outcome"], RUNBOOK)
    assert text.startswith("Request rejected: by-hand (InvalidRequest)\n")
    assert "  InvalidRequest: keys is empty\n" in text


@pytest.mark.parametrize("error", [*ERRORS, "States.Timeout", "States.Runtime", "Lambda.Unknown", "Something.Else", ""])
def test_each_error_links_to_an_entry_that_the_runbook_has(error: str) -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    anchors = {heading.lower().replace(".", "").replace(" ", "-") for heading in headings}
    address, _, anchor = runbook_entry(RUNBOOK, error).partition("#")
    assert address == RUNBOOK
    assert anchor in anchors


def test_the_page_on_messages_shows_what_is_sent() -> None:
    """docs/messages.md has each as a block of text; tools that quote it need not guess."""
    page = (ROOT / "docs" / "messages.md").read_text()
    blocks = re.findall(r"^```(?:text|json)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    runbook = "https://github.com/example/cloudfront-auto-invalidation/blob/main/docs/runbook.md"
    email = email_text(outcome(PARTLY), runbook)
    chat = json.dumps(chat_message(outcome(PARTLY), runbook), indent=2, ensure_ascii=False) + "\n"
    assert blocks[:2] == [email, chat]


def test_the_readme_shows_parts_of_what_is_sent() -> None:
    page = (ROOT / "README.md").read_text()
    (email,) = re.findall(r"^```text\n(CloudFront .*?)^```$", page, re.MULTILINE | re.DOTALL)
    chat = re.findall(r"^> (.+?)(?:<br>)?$", page, re.MULTILINE)
    runbook = "https://github.com/example/cloudfront-auto-invalidation/blob/main/docs/runbook.md"
    sent = [line for line in email_text(outcome(PARTLY), runbook).splitlines() if line]
    assert email.splitlines() == sent[: len(email.splitlines())]
    shown = chat_message(outcome(PARTLY), runbook)["content"]
    assert chat == [f"**{shown['title']}**", *shown["description"].splitlines()[: len(chat) - 1]]
    assert len(chat) > 3


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_no_message_has_mark_up_that_slack_and_teams_read_differently(message: dict[str, Any]) -> None:
    content = message["content"]
    for text in (content["title"], content["description"], *content["nextSteps"], *content["keywords"]):
        assert not set("<>[]*~") & set(text)
