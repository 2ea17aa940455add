"""Each way to cut the chain on the local AWS: doctor names it, wait does not end with 0, the sweep tells of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from click.testing import Result

from invalidations_cli.local import readings, site
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.deploy import STACK
from invalidations_cli.local.environment import LocalEnvironment
from tests.local import stacks, tools
from tests.local.test_local_operate import invalidations

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]


def rule_of(there: LocalEnvironment) -> str:
    found = there.aws.client("events").list_rules()["Rules"]
    return str(next(each["Name"] for each in found if f"{STACK}-ChangeRule" in each["Name"]))


@contextmanager
def events_off(there: LocalEnvironment) -> Iterator[None]:
    s3, bucket = there.aws.client("s3"), there.bucket
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    try:
        yield
    finally:
        on: Any = {"EventBridgeConfiguration": {}}
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=on)


@contextmanager
def rule_disabled(there: LocalEnvironment) -> Iterator[None]:
    events, name = there.aws.client("events"), rule_of(there)
    events.disable_rule(Name=name)
    try:
        yield
    finally:
        events.enable_rule(Name=name)


@contextmanager
def another_pattern(there: LocalEnvironment) -> Iterator[None]:
    events, name = there.aws.client("events"), rule_of(there)
    before = events.describe_rule(Name=name)["EventPattern"]
    pattern = json.loads(before)
    pattern["detail"]["bucket"]["name"] = ["another-site"]
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    try:
        yield
    finally:
        events.put_rule(Name=name, EventPattern=before)


@contextmanager
def no_target(there: LocalEnvironment) -> Iterator[None]:
    events, name = there.aws.client("events"), rule_of(there)
    targets = events.list_targets_by_rule(Rule=name)["Targets"]
    events.remove_targets(Rule=name, Ids=[each["Id"] for each in targets])
    try:
        yield
    finally:
        events.put_targets(Rule=name, Targets=targets)


@contextmanager
def distribution_disabled(there: LocalEnvironment) -> Iterator[None]:
    switch(there.aws, there.distribution_id, on=False)
    try:
        yield
    finally:
        switch(there.aws, there.distribution_id, on=True)


def switch(aws: LocalAws, distribution_id: str, *, on: bool) -> None:
    cloudfront = aws.client("cloudfront")
    found = cloudfront.get_distribution_config(Id=distribution_id)
    config = found["DistributionConfig"] | {"Enabled": on}
    cloudfront.update_distribution(Id=distribution_id, IfMatch=found["ETag"], DistributionConfig=config)


@contextmanager
def schedule_disabled(there: LocalEnvironment) -> Iterator[None]:
    events = there.aws.client("events")
    name = next(each["Name"] for each in events.list_rules()["Rules"] if f"{STACK}-Sweep" in each["Name"])
    events.disable_rule(Name=name)
    try:
        yield
    finally:
        events.enable_rule(Name=name)


CUTS = {
    "Bucket sends events": events_off,
    "Rule is enabled": rule_disabled,
    "Rule matches": another_pattern,
    "Rule has its target": no_target,
    "A distribution serves the bucket": distribution_disabled,
    "Schedule is enabled": schedule_disabled,
}


@pytest.fixture(scope="module")
def listening(local: LocalEnvironment) -> Iterator[LocalEnvironment]:
    """With a queue of its own on the topic.

    The emulator knows no resource of ListTargetsByRule, so that what allows the sweep to ask for the rule's denies it
    there: it is allowed to ask for any.
    """
    iam, cloudformation = local.aws.client("iam"), local.aws.client("cloudformation")
    described = cloudformation.describe_stack_resource(StackName=STACK, LogicalResourceId="SweepFunctionRole")
    role = {"RoleName": described["StackResourceDetail"]["PhysicalResourceId"], "PolicyName": "AskTargets"}
    statement = {"Effect": "Allow", "Action": "events:ListTargetsByRule", "Resource": "*"}
    iam.put_role_policy(**role, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    yield replace(local, queue_url=site.subscribe_queue(local.aws, local.topic_arn, tools.new_name()))
    iam.delete_role_policy(**role)


@pytest.mark.parametrize(("name", "cut"), CUTS.items(), ids=CUTS)
def test_doctor_names_what_is_cut_wait_ends_with_3_and_the_sweep_tells_it_once_and_when_it_is_whole(
    listening: LocalEnvironment, name: str, cut: Callable[[LocalEnvironment], Any]
) -> None:
    local, bucket = listening, ("--bucket", listening.bucket)
    with cut(local):
        looked = invalidations(local, "doctor", *bucket, "--json")
        waited = invalidations(local, "wait", *bucket, "--timeout", "60", "--json")
        status = invalidations(local, "status", "--json")
        for _ in range(2):
            sweep(local)
    sweep(local)
    assert (looked.exit_code, cut_checks(looked)) == (1, [name])
    told = json.loads(waited.stdout)
    assert (waited.exit_code, told["result"], [each["check"] for each in told["cut"]]) == (3, "cut", [name])
    assert status.exit_code == 1
    fixed = invalidations(local, "doctor", *bucket)
    assert fixed.exit_code == 0, fixed.output
    # Its alarm tells of a sweep that does not run: nobody is there to notice.
    news = [] if cut is schedule_disabled else chain_news(local, 2)
    assert [(each["whole"], [check["check"] for check in each["checks"]]) for each in news] == (
        [(False, [name]), (True, [])] if news else []
    )


def test_a_key_that_is_excluded_is_named_where_it_is_asked_for(local: LocalEnvironment) -> None:
    events, name = local.aws.client("events"), rule_of(local)
    before = events.describe_rule(Name=name)["EventPattern"]
    pattern = json.loads(before)
    pattern["detail"]["object"] = {"key": [{"anything-but": {"wildcard": ["logs/*"]}}]}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    try:
        looked = [invalidations(local, "doctor", "--bucket", local.bucket, "--key", key) for key in ("logs/a", "a")]
        waited = invalidations(local, "wait", "--bucket", local.bucket, "--key", "logs/a", "--timeout", "60")
    finally:
        events.put_rule(Name=name, EventPattern=before)
    assert [each.exit_code for each in looked] == [1, 0]
    assert "ExcludeKeys leaves logs/a out" in looked[0].output
    assert waited.exit_code == 3


def test_a_paused_bucket_is_shown_and_is_no_cut(local: LocalEnvironment) -> None:
    bucket = ("--bucket", local.bucket)
    invalidations(local, "pause", local.bucket)
    looked = invalidations(local, "doctor", *bucket)
    waited = invalidations(local, "wait", *bucket, "--timeout", "60")
    invalidations(local, "resume", local.bucket)
    assert (looked.exit_code, waited.exit_code) == (0, 1)
    assert f"somebody paused {local.bucket}" in looked.output
    assert f"invalidations resume {local.bucket}" in looked.output


def test_a_stopped_pipe_cuts_a_buffered_intake_and_another_region_cuts_a_bucket(local: LocalEnvironment) -> None:
    name, bucket, abroad = tools.new_name(), tools.new_name(), tools.new_name()
    site.create_bucket(local.aws, bucket)
    elsewhere = local.aws.session.client("s3", "us-east-2", endpoint_url=local.endpoint)
    elsewhere.create_bucket(Bucket=abroad, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    for where, each in ((local.aws.client("s3"), bucket), (elsewhere, abroad)):
        on: Any = {"EventBridgeConfiguration": {}}
        where.put_bucket_notification_configuration(Bucket=each, NotificationConfiguration=on)
    parameters = {"BucketNames": f"{bucket},{abroad}", "EnableBucketEvents": "false", "Intake": "Buffered"}
    outputs = stacks.create(local.aws, name, parameters)
    there = replace(local, queue_url=site.subscribe_queue(local.aws, outputs["NotificationTopicArn"], tools.new_name()))
    for each in (bucket, abroad):
        site.create_distribution(local.aws, each)
    (pipe,) = (each["Name"] for each in local.aws.client("pipes").list_pipes()["Pipes"] if name in each["Name"])
    at_home, far = (("--bucket", each, "--stack", name) for each in (bucket, abroad))
    before = invalidations(local, "doctor", *at_home)
    found = {"Bucket exists": cut_checks(invalidations(local, "doctor", *far, "--json"))}
    waited = [invalidations(local, "wait", *far, "--timeout", "60")]
    sweep(local, name)
    local.aws.client("pipes").stop_pipe(Name=pipe)
    found["Pipe runs"] = cut_checks(invalidations(local, "doctor", *at_home, "--json"))
    waited.append(invalidations(local, "wait", *at_home, "--timeout", "60"))
    sweep(local, name)
    local.aws.client("pipes").start_pipe(Name=pipe)
    sweep(local, name)
    news = chain_news(there, 4)
    stacks.delete(local.aws, name)
    assert before.exit_code == 0, before.output
    assert found == {each: [each] for each in found}
    assert f"{abroad} is in us-east-2, the stack in" in waited[0].output
    assert [each.exit_code for each in waited] == [3, 3]
    assert {(each["bucket"], *(check["check"] for check in each["checks"])) for each in news} == {
        (abroad, "Bucket exists"),
        (abroad, "Bucket exists", "Pipe runs"),
        (bucket, "Pipe runs"),
        (bucket,),
    }


def cut_checks(looked: Result) -> list[str]:
    (chain,) = json.loads(looked.stdout)["buckets"]
    return [each["check"] for each in chain["checks"] if each["verdict"] == "cut"]


def sweep(there: LocalEnvironment, stack: str = STACK) -> None:
    """A visit of the sweep at the full hour."""
    functions = there.aws.client("lambda")
    name = next(
        each["FunctionName"]
        for page in functions.get_paginator("list_functions").paginate()
        for each in page["Functions"]
        if each["FunctionName"].startswith(f"{stack}-SweepFunction")
    )
    answer = functions.invoke(FunctionName=name, Payload=json.dumps({"time": "2026-11-28T12:00:00Z"}))
    assert "FunctionError" not in answer, answer["Payload"].read()


def chain_news(there: LocalEnvironment, number: int) -> list[dict[str, Any]]:
    """So many of the sweep's notifications, oldest first; each is taken out of the queue."""
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        messages = (json.loads(each.message) for each in readings.notifications(there) if each.message.startswith("{"))
        found.extend(each for each in messages if each.get("kind") == "ChainHealth")
        return len(found) >= number

    assert tools.eventually(enough, 30), found
    return sorted(found, key=lambda each: str(each["whole"]))


def test_before_a_deploy_the_bucket_its_distribution_and_the_services_are_looked_at(local: LocalEnvironment) -> None:
    ready = invalidations(local, "doctor", "--pre", "--bucket", local.bucket, "--json")
    assert ready.exit_code == 0, ready.output
    told = {each["check"]: each["verdict"] for each in json.loads(ready.stdout)["checks"]}
    assert (told["Bucket exists"], told["A distribution serves the bucket"]) == ("ok", "ok")
    missing = invalidations(local, "doctor", "--pre", "--bucket", "no-such-web-site")
    assert missing.exit_code == 1
    assert "there is no bucket no-such-web-site" in missing.stdout
