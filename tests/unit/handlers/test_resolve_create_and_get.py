"""Resolve Distributions, Create Invalidation and Get Invalidation: run twice, they pay for no path twice."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from invalidation.batches.targets import Target
from invalidation.cloudfront.tags import TagReader
from invalidation.errors import (
    AccessDenied,
    CloudFrontThrottled,
    InvalidationTimedOut,
    NoRoomInTime,
    NoSuchDistribution,
    NoSuchInvalidation,
    TooManyInvalidationsInProgress,
)
from tests.definition import REGION
from tests.statemachine.site import Site
from tests.statemachine.stack import Stack
from tests.unit.handlers.invoking import Invoke

CREATE, GET = "cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"


@pytest.fixture
def joined(site: Site, invoke: Invoke) -> dict[str, Any]:
    """A resolved batch of one key, by hand."""
    answer: dict[str, Any] = invoke.join({"bucket": site.bucket, "keys": ["a.html"]})
    invoke.resolve(answer)
    return answer


def test_the_distributions_that_serve_a_bucket_are_found_once_and_kept(site: Site, invoke: Invoke) -> None:
    joined = invoke.join({"bucket": site.bucket, "keys": ["a.html"]})
    resolved = invoke.resolve(joined)
    assert resolved["targets"] == [{"distributionId": site.distribution}]
    assert resolved["count"] == 1
    site.stack.distribution(site.bucket)
    site.stack.functions.module("ResolveDistributionsFunction").CLOUDFRONT._serving._values.clear()
    assert invoke.resolve(joined)["targets"] == resolved["targets"]


def test_no_distribution_is_a_decision_as_well(stack: Stack, invoke: Invoke) -> None:
    joined = invoke.join({"bucket": "served-by-nobody", "keys": ["a.html"]})
    assert (invoke.resolve(joined)["count"], invoke.resolve(joined)["targets"]) == (0, [])
    assert stack.edge.created == [] or all("served-by-nobody" not in each.caller_ref for each in stack.edge.created)


def test_named_distributions_are_taken_without_listing(site: Site, invoke: Invoke) -> None:
    named = site.stack.distribution("another-name-for-it")
    site.stack.functions.refuse("cloudfront:ListDistributions", "AccessDenied", 403)
    with site.stack.functions.with_environment("ResolveDistributionsFunction", DISTRIBUTION_IDS=named):
        resolved = invoke.resolve(invoke.join({"bucket": site.bucket, "keys": ["a.html"]}))
    site.stack.functions.forgive()
    assert resolved["targets"] == [{"distributionId": named}]


def test_a_distribution_that_does_not_exist_is_named(invoke: Invoke) -> None:
    joined = invoke.join({"distributionId": "E2QWRUHAPOMQZL", "paths": ["/a"]})
    with pytest.raises(NoSuchDistribution, match="E2QWRUHAPOMQZL"):
        invoke.resolve(joined)


def test_a_request_for_a_distribution_that_the_stack_does_not_name_is_denied_with_what_to_do(
    site: Site, invoke: Invoke
) -> None:
    joined = invoke.join({"distributionId": site.distribution, "paths": ["/a"]})
    with (
        site.stack.functions.with_environment("ResolveDistributionsFunction", DISTRIBUTION_IDS="E1AAAAAAAAAAAA"),
        pytest.raises(AccessDenied, match="DistributionIds names E1AAAAAAAAAAAA"),
    ):
        invoke.resolve(joined)
    assert invoke.resolve(joined)["count"] == 1


def test_creating_twice_creates_one_invalidation(site: Site, invoke: Invoke, joined: dict[str, Any]) -> None:
    one, other = invoke.create(joined, site.distribution), invoke.create(joined, site.distribution)
    assert one["invalidations"] == other["invalidations"]
    assert (one["status"], site.invalidated) == ("InProgress", [["/a.html"]])


def test_a_retry_after_a_stale_edge_sends_the_same_paths_anew_and_only_once(
    site: Site, invoke: Invoke, joined: dict[str, Any]
) -> None:
    invoke.create(joined, site.distribution)
    stale = {"distributionId": site.distribution, "outcome": "Failed", "Error": "EdgeStillStale", "Cause": "old"}
    invoke.finish({**joined, "results": [stale]}, joined["leader"])
    retried = invoke.join({"retryBatch": joined["batchId"]})
    for _ in range(2):
        invoke.create(retried, site.distribution)
    assert site.invalidated == [["/a.html"], ["/a.html"]]


def test_an_invalidation_that_was_created_and_not_recorded_is_found_again(
    site: Site, invoke: Invoke, joined: dict[str, Any]
) -> None:
    site.stack.functions.refuse("dynamodb:PutItem", "AccessDeniedException", about="INVALIDATION")
    with pytest.raises(Exception, match="AccessDeniedException"):
        invoke.create(joined, site.distribution)
    invoke.create(joined, site.distribution)
    assert site.invalidated == [["/a.html"]]


REFUSALS: dict[str, tuple[int, type[Exception]]] = {
    "Throttling": (400, CloudFrontThrottled),
    "TooManyInvalidationsInProgress": (400, TooManyInvalidationsInProgress),
    "AccessDenied": (403, AccessDenied),
    "NoSuchDistribution": (404, NoSuchDistribution),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_what_cloudfront_refuses_has_a_name_of_ours(
    site: Site, invoke: Invoke, joined: dict[str, Any], code: str
) -> None:
    status, error = REFUSALS[code]
    site.stack.functions.refuse(CREATE, code, status, about=site.distribution)
    with pytest.raises(error, match=site.distribution):
        invoke.create(joined, site.distribution)


@pytest.mark.parametrize("code", ["Throttling", "TooManyInvalidationsInProgress"])
def test_after_the_deadline_no_room_is_no_room_in_time(
    site: Site, invoke: Invoke, joined: dict[str, Any], code: str
) -> None:
    site.stack.functions.refuse(CREATE, code, about=site.distribution)
    patience = {"since": "2001-01-01T00:00:00+00:00"}
    Target.read(site.stack.table, joined["batchId"], site.distribution).update(site.stack.table, {"pace": patience}, {})
    with pytest.raises(NoRoomInTime, match=r"waits no longer.*last word: .*" + code):
        invoke.create(joined, site.distribution, room_until="2001-01-01T00:00:00+00:00")


def test_a_dry_run_records_its_plan_and_calls_nobody(site: Site, invoke: Invoke) -> None:
    joined = invoke.join({"bucket": site.bucket, "keys": ["a.html"], "dryRun": True})
    invoke.resolve(joined)
    assert invoke.create(joined, site.distribution)["status"] == "DryRun"
    assert site.invalidated == []


def test_an_objects_tags_are_read_and_one_that_is_gone_has_none(stack: Stack) -> None:
    bucket = "site-with-tags"
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a.html", Metadata={"tags": "blog, front"})
    module = stack.functions.module("CreateInvalidationFunction")
    tags = TagReader(module.s3(), bucket, "tags")
    assert (tags("a.html"), tags("gone.html")) == ("blog, front", "")


def test_a_lone_change_needs_no_client_for_s3(site: Site, invoke: Invoke, joined: dict[str, Any]) -> None:
    module = site.stack.functions.module("CreateInvalidationFunction")
    module.s3.cache_clear()
    invoke.create(joined, site.distribution)
    assert module.s3.cache_info().currsize == 0


def test_a_storm_is_planned_for_all_distributions_with_one_listing_of_the_bucket(site: Site, invoke: Invoke) -> None:
    module = site.stack.functions.module("CreateInvalidationFunction")
    s3, listings = module.s3(), list[str]()
    s3.meta.events.register("before-call.s3.ListObjectsV2", lambda params, **_: listings.append(params["url_path"]))
    s3.create_bucket(Bucket=site.bucket)
    changed = [f"{folder}/{at:02}.html" for folder in ("docs", "new") for at in range(100)]
    for key in (*changed[:150], "docs/old.html"):
        s3.put_object(Bucket=site.bucket, Key=key)
    distributions = [site.distribution, site.stack.distribution(site.bucket)]
    joined = invoke.join({"bucket": site.bucket, "keys": changed})
    invoke.resolve(joined)
    for distribution in distributions:
        invoke.create(joined, distribution)
        plan = Target.read(site.stack.table, joined["batchId"], distribution).plan
        assert plan is not None
        assert {each.unchanged for each in plan.widened} == {0}
        assert plan.paid <= 75, "half of the 150 that a batch may have"
    assert len(listings) == 1


def test_a_poll_tells_whether_the_edge_is_fresh(site: Site, invoke: Invoke, joined: dict[str, Any]) -> None:
    created = invoke.create(joined, site.distribution)
    first = invoke.poll(joined, site.distribution, created)
    second = invoke.poll(joined, site.distribution, first)
    assert [(each["status"], each["polls"]) for each in (first, second)] == [("InProgress", 1), ("Completed", 2)]
    assert second["invalidations"][0]["completed"] is True


def test_what_was_completed_at_an_earlier_poll_is_not_asked_for_again(
    site: Site, invoke: Invoke, joined: dict[str, Any]
) -> None:
    site.stack.edge.polls = 0
    done = invoke.poll(joined, site.distribution, invoke.create(joined, site.distribution))
    site.stack.functions.refuse(GET, "AccessDenied", 403)
    assert invoke.poll(joined, site.distribution, done)["status"] == "Completed"
    site.stack.functions.forgive()


def test_a_poll_after_the_deadline_gives_up(site: Site, invoke: Invoke, joined: dict[str, Any]) -> None:
    created = invoke.create(joined, site.distribution)
    late = {**created, "completeBy": "2001-01-01T00:00:00+00:00"}
    with pytest.raises(InvalidationTimedOut, match=site.distribution):
        invoke.poll(joined, site.distribution, late)


def test_a_poll_for_an_invalidation_that_is_unknown_is_named(
    site: Site, invoke: Invoke, joined: dict[str, Any]
) -> None:
    created = invoke.create(joined, site.distribution)
    unknown = {**created, "invalidations": [{"target": site.distribution, "id": "I0", "completed": False}]}
    with pytest.raises(NoSuchInvalidation, match="GetInvalidation"):
        invoke.poll(joined, site.distribution, unknown)
