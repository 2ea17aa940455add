"""The real definition with the real handlers: bad input has a named outcome, and no traceback to decode."""

from __future__ import annotations

from typing import Any

import pytest

from tests.statemachine.events import changed, sample
from tests.statemachine.site import Site
from tests.statemachine.stack import Stack


def _without(field: str) -> Any:
    event = sample("object-created-put")
    del event["detail"][field]
    return event


BAD = {
    "another source": ({**sample("object-created-put"), "source": "aws.ec2"}, "source is 'aws.ec2'"),
    "without bucket": (_without("bucket"), "detail.bucket is missing"),
    "without key": (_without("object"), "detail.object is missing"),
    "of the wrong type": ({**sample("object-created-put"), "detail": "text"}, "detail is a string"),
    "empty": ({}, "none of the fields"),
    "an empty list": ([], "the list of events is empty"),
    "huge": ({"bucket": "my-site", "keys": ["k" * 200_000]}, "keys[0] is longer than the 1024 bytes"),
}


@pytest.mark.parametrize(("document", "told"), BAD.values(), ids=BAD)
def test_bad_input_ends_in_the_fail_state_as_an_invalid_request(stack: Stack, document: object, told: str) -> None:
    execution = stack.run(document)
    assert (execution.status, execution.error, execution.states[-1]) == ("FAILED", "InvalidRequest", "Batch Failed")
    assert told in execution.cause
    assert "Traceback" not in execution.cause
    assert len(execution.cause) < 1_000
    assert execution.errors("Join Batch") == ()


def test_a_rejected_request_is_notified_and_announced(stack: Stack) -> None:
    execution = stack.run({"nonsense": True}, name="by-mistake")
    (told,) = stack.notifications(execution)
    assert told["subject"] == "Request rejected: by-mistake (InvalidRequest)"
    assert told["body"]["outcome"] == "Rejected"
    (event,) = stack.announcements(execution)
    assert event["detail-type"] == "CloudFront Invalidation Failed"


def test_one_wrong_event_of_a_list_is_told_and_the_others_go_on_in_an_execution_of_their_own(site: Site) -> None:
    before = set(site.stack.machine.executions())
    execution = site.stack.run([changed(site.bucket, "a.html"), {"source": "aws.s3"}, changed(site.bucket, "b.html")])
    (others,) = set(site.stack.machine.executions()) - before - {execution.arn}
    assert (execution.status, execution.error) == ("FAILED", "InvalidRequest")
    assert execution.cause.startswith("event 2 of 3: detail-type is missing")
    assert others.rsplit(":", 1)[-1] in execution.cause
    assert site.stack.machine.end(others).status == "SUCCEEDED"
    assert site.invalidated == [["/a.html", "/b.html"]]
