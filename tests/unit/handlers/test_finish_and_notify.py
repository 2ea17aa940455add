"""Finish Batch and Notify: whatever the state machine hands them, the outcome is written and told."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from invalidation.errors import BatchTableUnavailable, NotificationFailed
from tests.definition import REGION
from tests.outcome_schemas import faults
from tests.statemachine.site import Site
from tests.statemachine.stack import Stack
from tests.unit.handlers.invoking import Invoke

CAUSE = json.dumps({"errorMessage": "Grant it", "errorType": "AccessDenied", "requestId": "x", "stackTrace": ["File"]})
DENIED = {"Error": "AccessDenied", "Cause": CAUSE}


@pytest.fixture
def state(site: Site, invoke: Invoke) -> dict[str, Any]:
    """The state machine's state before its Map has ended: a resolved batch of one key."""
    joined = invoke.join({"bucket": site.bucket, "keys": ["a.html"]})
    return {**joined, "closed": invoke.close(joined), "resolved": invoke.resolve(joined)}


def _results(site: Site, outcome: str, **more: Any) -> list[dict[str, Any]]:
    return [{"distributionId": site.distribution, "outcome": outcome, **more}]


BECOMES: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"outcome": "Invalidated", "seconds": 11.2}, ("Completed", "COMPLETED")),
    ({"outcome": "NothingToInvalidate"}, ("NothingToInvalidate", "SKIPPED")),
    ({"outcome": "DryRun"}, ("DryRun", "SKIPPED")),
    ({"outcome": "Failed", "error": "AccessDenied", "cause": CAUSE}, ("Failed", "PARKED")),
    ({"outcome": "Failed", "error": "CloudFrontThrottled", "cause": "Rate exceeded"}, ("Failed", "OWED")),
    ({"outcome": "Failed", "error": "States.Timeout", "cause": ""}, ("Failed", "OWED")),
]


@pytest.mark.parametrize(("result", "expected"), BECOMES)
def test_what_the_map_returned_for_a_distribution_becomes_its_state(
    site: Site, invoke: Invoke, state: dict[str, Any], result: dict[str, Any], expected: tuple[str, str]
) -> None:
    report = invoke.finish({**state, "results": _results(site, **result)})
    (target,) = report["outcome"]["targets"]
    assert (report["outcome"]["outcome"], target["state"]) == expected
    assert faults("outcome", report["outcome"]) == []
    assert "File" not in report["cause"]


def test_finishing_twice_tells_the_same(site: Site, invoke: Invoke, state: dict[str, Any]) -> None:
    ended = {**state, "results": _results(site, "Failed", error="CloudFrontThrottled", cause="Rate exceeded")}
    one, other = invoke.finish(ended), invoke.finish(ended)
    one["outcome"].pop("runSeconds"), other["outcome"].pop("runSeconds")
    assert one == other
    assert one["outcome"]["tries"] == 1


@pytest.mark.parametrize("extra", [{"failure": DENIED}, {"failure": {"Error": "States.Timeout", "Cause": ""}}])
def test_a_failure_outside_the_map_is_that_of_every_distribution(
    invoke: Invoke, state: dict[str, Any], extra: dict[str, Any]
) -> None:
    report = invoke.finish({**state, **extra})
    assert (report["completed"], report["outcome"]["outcome"]) == (False, "Failed")
    assert report["outcome"]["error"] == extra["failure"]["Error"]
    assert not report["error"].startswith("States.")


def test_a_join_that_failed_leaves_no_batch_and_is_told(invoke: Invoke) -> None:
    report = invoke.finish(DENIED)
    assert (report["error"], report["cause"], report["outcome"]["outcome"]) == ("AccessDenied", "Grant it", "Failed")
    assert "batchId" not in report["outcome"]
    assert faults("outcome", report["outcome"]) == []


def test_a_state_that_tells_no_reason_is_a_failure_all_the_same(invoke: Invoke) -> None:
    report = invoke.finish({"role": "something new"})
    assert (report["completed"], report["error"]) == (False, "Unknown")


def test_a_table_that_is_busy_is_a_transient_error(site: Site, invoke: Invoke, state: dict[str, Any]) -> None:
    site.stack.functions.refuse("dynamodb:GetItem", "ThrottlingException")
    with pytest.raises(BatchTableUnavailable):
        invoke.finish({**state, "results": _results(site, "Invalidated", seconds=1.0)})


@pytest.fixture
def report(site: Site, invoke: Invoke, state: dict[str, Any]) -> dict[str, Any]:
    """What Finish Batch hands to Notify."""
    answer: dict[str, Any] = invoke.finish({**state, "results": _results(site, "Invalidated", seconds=1.0)})
    return answer


def test_notify_hands_the_outcome_on_and_nothing_else(invoke: Invoke, report: dict[str, Any]) -> None:
    told = invoke.notify(report)
    assert told == {name: report[name] for name in ("completed", "error", "cause", "outcome")}


def test_an_event_that_was_not_taken_fails_a_batch_that_completed(invoke: Invoke, report: dict[str, Any]) -> None:
    told = invoke.notify({**report, "announceFailure": {"Error": "EventBridge.FailedEntry", "Cause": "no"}})
    assert (told["completed"], told["error"]) == (False, "EventBridge.FailedEntry")
    assert told["cause"] == "the batch ended as Completed, but its event was not taken: no"
    assert told["outcome"]["announceError"] == "EventBridge.FailedEntry"
    assert faults("outcome", told["outcome"]) == []


def test_an_event_that_timed_out_has_a_name_that_a_fail_state_may_use(invoke: Invoke, report: dict[str, Any]) -> None:
    told = invoke.notify({**report, "announceFailure": {"Error": "States.Timeout", "Cause": ""}})
    assert told["error"] == "Timeout"


def test_when_finishing_failed_the_failure_is_told(invoke: Invoke, state: dict[str, Any]) -> None:
    told = invoke.notify({**state, "failure": DENIED})
    assert (told["completed"], told["error"], told["cause"]) == (False, "AccessDenied", "Grant it")


@pytest.mark.parametrize("code", ["KMSDisabled", "AuthorizationError", "NotFound"])
def test_what_sns_does_not_take_is_a_notification_failed(
    stack: Stack, invoke: Invoke, report: dict[str, Any], code: str
) -> None:
    stack.functions.refuse("sns:Publish", code)
    with pytest.raises(NotificationFailed, match=code) as raised:
        invoke.notify(report)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_people_are_told_of_failures_each_topic_in_its_own_form(
    stack: Stack, invoke: Invoke, state: dict[str, Any], report: dict[str, Any]
) -> None:
    sns = boto3.client("sns", region_name=REGION)
    email, chat = (sns.create_topic(Name=name)["TopicArn"] for name in ("email", "chat"))
    published: list[dict[str, Any]] = []
    with stack.functions.with_environment("NotifyFunction", EMAIL_TOPIC_ARN=email, CHAT_TOPIC_ARN=chat):
        client = stack.functions.module("NotifyFunction").SNS
        client.meta.events.register("provide-client-params.sns.Publish", lambda params, **_: published.append(params))
        invoke.notify(report)
        assert [each["TopicArn"] for each in published if each["TopicArn"] in {email, chat}] == []
        told = invoke.notify({**state, "failure": DENIED})
    machines, by_mail, in_chat = published[1:]
    assert json.loads(machines["Message"]) == told["outcome"]
    assert by_mail["TopicArn"] == email
    assert by_mail["Message"].startswith(by_mail["Subject"])
    assert (in_chat["TopicArn"], json.loads(in_chat["Message"])["source"]) == (chat, "custom")
