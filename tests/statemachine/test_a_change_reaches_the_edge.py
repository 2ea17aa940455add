"""The real definition with the real handlers: from an S3 event to a fresh edge, and all that is written on the way."""

from __future__ import annotations

import pytest

from tests.outcome_schemas import faults
from tests.statemachine.events import changed, sample
from tests.statemachine.machine import ARN
from tests.statemachine.recorded_execution import RecordedExecution
from tests.statemachine.site import Site
from tests.statemachine.stack import Stack

POLL = ("Wait For Invalidation", "Get Invalidation", "Invalidation Completed?")
WHOLE_STORY = (
    "Join Batch",
    "Leads The Batch?",
    "Resolve Distributions",
    "Invalidate Distributions",
    "Create Invalidation",
    "Anything To Invalidate?",
    *POLL,
    *POLL,
    "Distribution Invalidated",
    "Finish Batch",
    "Announce Outcome",
    "Notify",
    "All Completed?",
    "Batch Completed",
)


@pytest.fixture(scope="module", name="hello")
def a_put_object(stack: Stack) -> tuple[Site, RecordedExecution]:
    """One object put into a quiet bucket, looked at by several tests."""
    site = Site.create(stack)
    return site, site.put("blog/2026/hello-world.html")


Hello = tuple[Site, RecordedExecution]


def test_a_put_object_ends_as_one_completed_invalidation_of_just_its_path(hello: Hello) -> None:
    site, execution = hello
    assert (execution.status, execution.states) == ("SUCCEEDED", WHOLE_STORY)
    assert site.invalidated == [["/blog/2026/hello-world.html"]]
    assert [execution.errors(state) for state in WHOLE_STORY] == [()] * len(WHOLE_STORY)


def test_the_first_change_of_a_quiet_bucket_waits_for_nothing_but_the_invalidation(hello: Hello) -> None:
    _, execution = hello
    assert execution.waited_in("Wait For Invalidation") == [5, 5]
    assert len(execution.waits) == 2


def test_the_batch_record_tells_what_was_covered_and_how_it_ended(hello: Hello) -> None:
    site, execution = hello
    batch = site.stack.batch(execution)
    assert (batch.state, batch.outcome) == ("ENDED", "Completed")
    assert (batch.bucket, batch.changes, batch.sample) == (site.bucket, 1, ("blog/2026/hello-world.html",))
    assert (batch.owner, batch.executions) == (execution.arn, (execution.arn,))
    assert batch.requesters == ({"requester": "123456789012", "sourceIp": "203.0.113.7", "changes": 1},)
    assert site.pending == 0


def test_the_notification_is_one_that_people_and_machines_can_read(hello: Hello) -> None:
    site, execution = hello
    (told,) = site.stack.notifications(execution)
    assert told["subject"] == f"CloudFront is fresh: {site.bucket}, 1 change"
    assert told["attributes"]["outcome"]["Value"] == "Completed"
    assert told["attributes"]["bucket"]["Value"] == site.bucket
    body = told["body"]
    assert body == execution.output["outcome"]
    assert faults("outcome", body) == []
    assert (body["version"], body["outcome"], body["bucket"], body["changes"]) == (1, "Completed", site.bucket, 1)
    (target,) = body["targets"]
    assert (target["distributionId"], target["state"], target["paths"]) == (site.distribution, "COMPLETED", 1)
    assert target["invalidationIds"] == site.stack.edge.ids(site.distribution)
    assert 10 <= target["seconds"] <= body["seconds"] <= 30
    assert body["console"].endswith(f"#/v2/executions/details/{execution.arn}")


def test_the_outcome_is_announced_on_the_default_bus_with_the_execution_among_its_resources(hello: Hello) -> None:
    site, execution = hello
    (event,) = site.stack.announcements(execution)
    assert (event["source"], event["detail-type"]) == (
        "cloudfront-auto-invalidation",
        "CloudFront Invalidation Completed",
    )
    assert event["detail"] == execution.output["outcome"]
    assert faults("event", event) == []
    assert sorted(event["resources"]) == [execution.arn, ARN]


def test_the_caller_reference_leads_from_the_cloudfront_console_to_the_batch(hello: Hello) -> None:
    site, execution = hello
    (reference,) = site.stack.edge.caller_references(site.distribution)
    assert reference.startswith(f"{site.stack.batch(execution).batch_id}.{site.distribution}.0.")


def test_a_slow_invalidation_is_polled_with_growing_waits_until_it_is_completed(site: Site) -> None:
    site.stack.edge.polls = 4
    execution = site.put("a.html")
    assert execution.status == "SUCCEEDED"
    assert execution.waited_in("Wait For Invalidation") == [5, 5, 10, 20, 30]
    assert 70 <= execution.output["outcome"]["seconds"] <= 90


def test_the_default_root_object_is_invalidated_as_the_root_too(site: Site) -> None:
    site.put("index.html")
    assert site.invalidated == [["/", "/index.html"]]


def test_keys_reach_cloudfront_as_they_are_in_the_bucket(site: Site) -> None:
    paths = {
        "object-created-key-with-plus": "/c++/a+b.html",
        "object-created-key-with-percent": "/reports/100%2525%20done.html",
        "object-created-key-with-spaces": "/about%20us/our%20team.html",
        "object-created-key-with-unicode": "/%C3%BCber/%E6%97%A5%E6%9C%AC%E8%AA%9E%20%F0%9F%8E%89.html",
    }
    keys = {name: sample(name)["detail"]["object"]["key"] for name in paths}
    site.stack.run([changed(site.bucket, key, like=name) for name, key in keys.items()])
    (sent,) = site.invalidated
    assert set(paths.values()) <= set(sent)
    assert not any("*" in path for path in sent)


def test_deleted_objects_are_invalidated_as_well(site: Site) -> None:
    names = ["object-deleted", "object-deleted-delete-marker", "object-deleted-lifecycle"]
    execution = site.stack.run([changed(site.bucket, f"{name}.html", like=name) for name in names])
    assert site.invalidated == [sorted(f"/{name}.html" for name in names)]
    assert (execution.output["outcome"]["changes"], execution.output["outcome"]["deleted"]) == (3, 3)


def test_an_event_that_leaves_what_viewers_see_ends_at_once_and_costs_nothing(site: Site) -> None:
    execution = site.stack.run(changed(site.bucket, "index.html", like="object-deleted-lifecycle-noncurrent"))
    assert (execution.status, execution.states[-1]) == ("SUCCEEDED", "Change Ignored")
    assert (site.invalidated, site.pending) == ([], 0)


def test_a_bucket_that_no_distribution_serves_has_a_named_outcome(stack: Stack) -> None:
    execution = stack.run(changed("nobody-serves-this", "a.html"))
    assert (execution.status, execution.output["outcome"]["outcome"]) == ("SUCCEEDED", "NoDistribution")
    assert "Create Invalidation" not in execution.states
    assert stack.batch(execution).state == "ENDED"


def test_a_key_outside_a_distributions_origin_path_is_skipped_there(stack: Stack) -> None:
    bucket = "site-with-origin-path"
    origin = {
        "Id": "bucket",
        "DomainName": f"{bucket}.s3.amazonaws.com",
        "OriginPath": "/public",
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }
    distribution = stack.distribution(bucket, Origins={"Quantity": 1, "Items": [origin]})
    execution = stack.run(changed(bucket, "private/a.html"))
    assert execution.output["outcome"]["outcome"] == "NothingToInvalidate"
    assert execution.iterations == (("Create Invalidation", "Anything To Invalidate?", "Distribution Skipped"),)
    stack.run(changed(bucket, "public/a.html"))
    assert stack.edge.paths(distribution) == [["/a.html"]]


def test_all_distributions_of_a_bucket_are_invalidated(site: Site) -> None:
    other = site.stack.distribution(site.bucket)
    execution = site.put("a.html")
    assert len(execution.iterations) == 2
    assert site.invalidated == site.stack.edge.paths(other) == [["/a.html"]]
    assert len(execution.output["outcome"]["targets"]) == 2


def test_a_request_for_keys_is_a_batch_of_its_own_that_does_not_wait(site: Site) -> None:
    site.put("before.html")
    execution = site.stack.run({"bucket": site.bucket, "keys": ["a b.html", "c.html"]})
    assert "Wait For Batch To Close" not in execution.states
    assert {"/a%20b.html", "/c.html"} <= set(site.invalidated[-1])
    assert execution.output["outcome"]["byHand"] is True


def test_a_request_for_paths_of_a_distribution_sends_them_as_they_are(site: Site) -> None:
    execution = site.stack.run({"distributionId": site.distribution, "paths": ["/images/*", "/a.html"]})
    assert execution.status == "SUCCEEDED"
    assert site.invalidated == [["/a.html", "/images/*"]]
    (told,) = site.stack.notifications(execution)
    assert told["subject"] == f"CloudFront is fresh: {site.distribution}, 2 paths"
    assert told["attributes"]["bucket"]["Value"] == "-"


def test_a_dry_run_tells_what_it_would_invalidate_and_sends_nothing(site: Site) -> None:
    execution = site.stack.run({"bucket": site.bucket, "keys": ["a.html"], "dryRun": True})
    assert (execution.status, execution.output["outcome"]["outcome"]) == ("SUCCEEDED", "DryRun")
    assert execution.output["outcome"]["targets"][0]["paths"] == 1
    assert site.invalidated == []


def test_a_stack_in_dry_run_sends_nothing_for_changes_either(site: Site) -> None:
    with site.stack.functions.with_environment("CreateInvalidationFunction", DRY_RUN="true"):
        execution = site.put("a.html")
    assert (execution.status, execution.output["outcome"]["outcome"]) == ("SUCCEEDED", "DryRun")
    assert (site.invalidated, site.stack.batch(execution).state) == ([], "ENDED")
