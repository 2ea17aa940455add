"""The real definition with the real handlers, when AWS refuses, stumbles or forgets."""

from __future__ import annotations

import pytest

from invalidation.errors import NotificationFailed
from tests.statemachine.site import Site

CREATE, GET = "cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"
NO_ROOM = ("Create Invalidation", "Back Off", "Wait For Room")
LAMBDA_TASKS = {
    "Join Batch": "JoinBatchFunction",
    "Resolve Distributions": "ResolveDistributionsFunction",
    "Create Invalidation": "CreateInvalidationFunction",
    "Get Invalidation": "GetInvalidationFunction",
    "Finish Batch": "FinishBatchFunction",
    "Notify": "NotifyFunction",
}


class Gone(Exception):
    """A worker that died before it could answer."""


Gone.__name__ = "Lambda.Unknown"


@pytest.mark.parametrize(("state", "function"), LAMBDA_TASKS.items())
def test_a_lost_answer_makes_no_second_invalidation_and_loses_none(site: Site, state: str, function: str) -> None:
    site.stack.functions.lose_answers(function, Gone("no answer"))
    execution = site.put("a.html")
    assert execution.errors(state) == ("Lambda.Unknown",)
    assert (execution.status, site.invalidated, site.pending) == ("SUCCEEDED", [["/a.html"]], 0)


def test_a_lost_answer_of_a_batch_that_has_waited_loses_nothing_either(site: Site) -> None:
    site.has_just_changed()
    site.stack.functions.lose_answers("CloseBatchFunction", Gone("no answer"))
    execution = site.put("a.html")
    assert execution.errors("Close Batch") == ("Lambda.Unknown",)
    assert (execution.status, site.invalidated[1:], site.pending) == ("SUCCEEDED", [["/a.html"]], 0)


def test_what_join_batch_cannot_freeze_it_leaves_to_close_batch(site: Site) -> None:
    site.stack.functions.refuse("dynamodb:Query", "ThrottlingException", times=1, about=f"PENDING#{site.bucket}")
    execution = site.put("a.html")
    assert execution.states[:4] == ("Join Batch", "Leads The Batch?", "Wait For Batch To Close", "Close Batch")
    assert (execution.waited_in("Wait For Batch To Close"), execution.errors("Join Batch")) == ([0], ())
    assert (execution.status, site.invalidated, site.pending) == ("SUCCEEDED", [["/a.html"]], 0)


def test_a_throttled_cloudfront_is_asked_again(site: Site) -> None:
    site.stack.functions.refuse(CREATE, "Throttling", times=2, about=site.distribution)
    site.stack.functions.refuse(GET, "ServiceUnavailable", 503, about=site.distribution)
    execution = site.put("a.html")
    assert execution.errors("Create Invalidation") == ("CloudFrontThrottled",) * 2
    assert execution.errors("Get Invalidation") == ("CloudFrontUnavailable",)
    assert (execution.status, len(site.invalidated)) == ("SUCCEEDED", 1)


def test_listing_distributions_is_tried_again_as_well(site: Site) -> None:
    site.stack.functions.module("ResolveDistributionsFunction").CLOUDFRONT._serving._values.clear()
    site.stack.functions.refuse("cloudfront:ListDistributions", "Throttling")
    execution = site.put("a.html")
    assert execution.errors("Resolve Distributions") == ("CloudFrontThrottled",)
    assert execution.status == "SUCCEEDED"


def test_too_many_in_progress_waits_for_room_and_then_goes_on(site: Site) -> None:
    site.stack.functions.refuse(CREATE, "TooManyInvalidationsInProgress", times=2, about=site.distribution)
    execution = site.put("a.html")
    assert execution.iterations[0][:6] == NO_ROOM * 2
    assert (execution.status, len(site.invalidated)) == ("SUCCEEDED", 1)


def test_no_room_until_the_deadline_leaves_the_batch_to_the_sweep(site: Site) -> None:
    site.stack.functions.refuse(CREATE, "TooManyInvalidationsInProgress", times=1_000, about=site.distribution)
    with site.stack.functions.with_environment("ResolveDistributionsFunction", ROOM_TIMEOUT_MINUTES="3"):
        execution = site.put("a.html")
    assert (execution.status, execution.error) == ("FAILED", "NoRoomInTime")
    assert "waits no longer" in execution.cause
    assert 180 <= sum(execution.waited_in("Wait For Room")) <= 180 + max(execution.waited_in("Wait For Room"))
    batch = site.stack.batch(execution)
    assert (batch.state, batch.tries) == ("FROZEN", 1)
    assert batch.next_try_at is not None
    site.stack.functions.forgive()


def test_access_denied_is_parked_and_told_with_what_to_grant(site: Site) -> None:
    site.stack.functions.refuse(CREATE, "AccessDenied", 403, about=site.distribution)
    execution = site.put("a.html")
    assert (execution.status, execution.error, execution.tries("Create Invalidation")) == ("FAILED", "AccessDenied", 1)
    assert "cloudfront:CreateInvalidation" in execution.cause
    assert site.stack.batch(execution).state == "PARKED"
    (told,) = site.stack.notifications(execution)
    assert told["subject"] == f"CloudFront invalidation FAILED: {site.bucket}, 1 change (AccessDenied)"
    assert told["body"]["parked"] is True


def test_what_was_parked_is_done_when_somebody_asks_for_it_again(site: Site) -> None:
    site.stack.functions.refuse(CREATE, "AccessDenied", 403, about=site.distribution)
    failed = site.put("a.html")
    retried = site.stack.run({"retryBatch": site.stack.batch(failed).batch_id})
    assert (retried.status, site.invalidated) == ("SUCCEEDED", [["/a.html"]])
    assert site.stack.batch(failed).executions == (failed.arn, retried.arn)
    again = site.stack.run({"retryBatch": site.stack.batch(failed).batch_id})
    assert (again.status, again.states[-1]) == ("SUCCEEDED", "Nothing Owed")


def test_one_of_two_distributions_failing_is_told_and_only_it_is_tried_again(site: Site) -> None:
    other = site.stack.distribution(site.bucket)
    site.stack.functions.refuse(CREATE, "AccessDenied", 403, about=other)
    execution = site.put("a.html")
    assert (execution.status, execution.error) == ("FAILED", "AccessDenied")
    assert sorted(iteration[-1] for iteration in execution.iterations) == [
        "Distribution Failed",
        "Distribution Invalidated",
    ]
    (told,) = site.stack.notifications(execution)
    assert told["body"]["outcome"] == "PartlyFailed"
    assert {each["distributionId"]: each["state"] for each in told["body"]["targets"]} == {
        site.distribution: "COMPLETED",
        other: "PARKED",
    }
    retried = site.stack.run({"retryBatch": site.stack.batch(execution).batch_id})
    assert (retried.status, len(retried.iterations)) == ("SUCCEEDED", 1)
    assert site.invalidated == site.stack.edge.paths(other) == [["/a.html"]]


def test_a_distribution_that_is_gone_is_told_by_name(site: Site) -> None:
    execution = site.stack.run({"distributionId": "E2QWRUHAPOMQZL", "paths": ["/a.html"]})
    assert (execution.status, execution.error) == ("FAILED", "NoSuchDistribution")
    (told,) = site.stack.notifications(execution)
    assert told["subject"] == "CloudFront invalidation FAILED: E2QWRUHAPOMQZL, 1 path (NoSuchDistribution)"


def test_an_invalidation_that_never_completes_is_given_up_after_the_parameters_time_in_a_short_history(
    site: Site,
) -> None:
    site.stack.edge.polls = 1_000
    execution = site.put("a.html")
    assert (execution.status, execution.error) == ("FAILED", "InvalidationTimedOut")
    waits = execution.waited_in("Wait For Invalidation")
    assert 30 * 60 <= sum(waits) <= 30 * 60 + max(waits)
    assert len(execution.history) < 600
    batch = site.stack.batch(execution)
    assert (batch.state, batch.tries) == ("FROZEN", 1)


def test_a_notification_that_sns_does_not_take_fails_the_run_though_the_edge_is_fresh(site: Site) -> None:
    site.stack.functions.refuse("sns:Publish", "KMSDisabled", times=6)
    execution = site.put("a.html")
    assert (execution.status, execution.error, execution.tries("Notify")) == ("FAILED", NotificationFailed.__name__, 6)
    assert execution.states[-1] == "Notification Failed"
    assert site.stack.batch(execution).outcome == "Completed"


def test_an_event_that_the_bus_does_not_take_is_told_in_the_notification(site: Site) -> None:
    never = {"0-5": {"Throw": {"Error": "EventBridge.FailedEntry", "Cause": "InternalFailure"}}}
    execution = site.put("a.html", mocked={"Announce Outcome": never})
    assert (execution.status, execution.error) == ("FAILED", "EventBridge.FailedEntry")
    (told,) = site.stack.notifications(execution)
    assert (told["body"]["outcome"], told["body"]["announceError"]) == ("Completed", "EventBridge.FailedEntry")
    assert site.stack.batch(execution).outcome == "Completed"
