"""Existing buckets: a stack lets them send their events, and what else is configured on them stays."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.deploy import DeployProblem
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.settings import REGION
from tests.local import stacks, tools

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]

EVENTS = "EventBridgeConfiguration"
PICTURES = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".jpg"}]}}
Deploy = Callable[..., str]


@pytest.fixture
def aws(local: LocalEnvironment) -> LocalAws:
    return local.aws


@pytest.fixture
def deployed(aws: LocalAws) -> Iterator[Deploy]:
    """Deploy a stack for some buckets, gone after the test; returns its name."""
    names: list[str] = []

    def deployed_for(*buckets: str, **parameters: str) -> str:
        names.append(tools.new_name())
        stacks.create(aws, names[-1], {"BucketNames": ",".join(buckets), **parameters})
        return names[-1]

    yield deployed_for
    for name in names:
        if stacks.settled(aws, name) != "GONE":
            stacks.delete(aws, name)


def new_bucket(aws: LocalAws, configuration: dict[str, Any] | None = None) -> str:
    name, s3 = tools.new_name(), aws.client("s3")
    s3.create_bucket(Bucket=name)
    if configuration:
        s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=configuration)
    return name


def configuration_of(aws: LocalAws, bucket: str) -> Any:
    found = aws.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    return {name: value for name, value in found.items() if name != "ResponseMetadata"}


def sends(aws: LocalAws, bucket: str) -> bool:
    return EVENTS in configuration_of(aws, bucket)


@pytest.fixture
def others(aws: LocalAws) -> dict[str, Any]:
    """A function, a queue and a topic that a bucket notifies, with filters."""
    function = tools.function(aws, "def handler(event, context):\n    return None\n")
    topic = aws.client("sns").create_topic(Name=tools.new_name())["TopicArn"]
    return {
        "LambdaFunctionConfigurations": [
            {"Id": "thumbnails", "LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:*"], "Filter": PICTURES}
        ],
        "QueueConfigurations": [
            {"Id": "archive", "QueueArn": tools.queue(aws)[1], "Events": ["s3:ObjectRemoved:*"], "Filter": PICTURES}
        ],
        "TopicConfigurations": [{"Id": "tell", "TopicArn": topic, "Events": ["s3:ObjectCreated:Put"]}],
    }


def test_a_function_a_queue_and_a_topic_stay_through_creation_update_and_deletion_of_a_stack(
    aws: LocalAws, deployed: Deploy, others: dict[str, Any]
) -> None:
    bucket, another = new_bucket(aws, others), new_bucket(aws)
    before = configuration_of(aws, bucket)
    assert before["LambdaFunctionConfigurations"] == others["LambdaFunctionConfigurations"]
    stack = deployed(bucket)
    assert configuration_of(aws, bucket) == {**before, EVENTS: {}}
    stacks.update(aws, stack, {"BucketNames": f"{bucket},{another}"})
    assert configuration_of(aws, bucket) == {**before, EVENTS: {}}
    assert sends(aws, another)
    stacks.update(aws, stack, {"EnableBucketEvents": "UntilDeleted"})
    stacks.delete(aws, stack)
    assert configuration_of(aws, bucket) == before
    assert not sends(aws, another)


def test_events_stay_on_when_a_bucket_leaves_or_the_stack_goes_because_another_rule_may_rely_on_them(
    aws: LocalAws, deployed: Deploy
) -> None:
    leaves, stays = new_bucket(aws), new_bucket(aws)
    stack = deployed(leaves, stays)
    stacks.update(aws, stack, {"BucketNames": stays})
    assert sends(aws, leaves)
    stacks.delete(aws, stack)
    assert sends(aws, stays)


def test_of_two_stacks_on_one_bucket_only_the_one_that_switched_its_events_on_may_undo_it(
    aws: LocalAws, deployed: Deploy
) -> None:
    bucket = new_bucket(aws)
    first = deployed(bucket, EnableBucketEvents="UntilDeleted")
    second = deployed(bucket, EnableBucketEvents="UntilDeleted")
    stacks.delete(aws, second)
    assert sends(aws, bucket), "the second had found them on"
    stacks.delete(aws, first)
    assert not sends(aws, bucket)


def test_of_the_buckets_that_leave_the_list_only_what_the_stack_switched_on_is_undone(
    aws: LocalAws, deployed: Deploy
) -> None:
    ours, theirs, stays = new_bucket(aws), new_bucket(aws, {EVENTS: {}}), new_bucket(aws)
    stack = deployed(ours, theirs, stays, EnableBucketEvents="UntilDeleted")
    stacks.update(aws, stack, {"BucketNames": stays})
    assert [sends(aws, each) for each in (ours, theirs, stays)] == [False, True, True]


def test_a_stack_can_be_deleted_when_its_bucket_is_gone(aws: LocalAws, deployed: Deploy) -> None:
    bucket = new_bucket(aws)
    stack = deployed(bucket, EnableBucketEvents="UntilDeleted")
    aws.client("s3").delete_bucket(Bucket=bucket)
    stacks.delete(aws, stack)
    assert stacks.settled(aws, stack) == "GONE"


def test_a_bucket_that_is_missing_fails_the_stack_with_its_name_and_what_to_do_and_leaves_nothing_switched_on(
    aws: LocalAws, deployed: Deploy
) -> None:
    bucket = new_bucket(aws)
    with pytest.raises(DeployProblem) as problem:
        deployed(bucket, "there-is-no-such-bucket", EnableBucketEvents="UntilDeleted")
    assert (
        "BucketEvents (Custom::BucketEvents): BucketNotReady: bucket there-is-no-such-bucket does not exist: correct "
        "BucketNames, or create it first"
    ) in str(problem.value)
    assert not sends(aws, bucket), "the roll-back undoes what was done before the failure"


def test_an_update_to_a_bucket_that_is_missing_fails_and_the_others_go_on_sending(
    aws: LocalAws, deployed: Deploy
) -> None:
    bucket = new_bucket(aws)
    stack = deployed(bucket, EnableBucketEvents="UntilDeleted")
    with pytest.raises(DeployProblem, match="bucket there-is-no-such-bucket does not exist"):
        stacks.update(aws, stack, {"BucketNames": "there-is-no-such-bucket"})
    assert stacks.settled(aws, stack) == "UPDATE_ROLLBACK_COMPLETE"
    assert sends(aws, bucket)


def test_a_bucket_of_another_region_is_refused_because_its_events_would_never_come(
    aws: LocalAws, deployed: Deploy
) -> None:
    elsewhere, name = "eu-west-1", tools.new_name()
    far_away: Any = aws.session.client("s3", endpoint_url=aws.endpoint, region_name=elsewhere)
    far_away.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": elsewhere})
    with pytest.raises(DeployProblem) as problem:
        deployed(name)
    assert f"bucket {name} is in {elsewhere}, this stack in {REGION}: its events would never arrive" in str(
        problem.value
    )
    assert not sends(aws, name)


@pytest.mark.parametrize(
    ("permission", "told"),
    [
        (
            "s3:PutBucketNotification",
            "denies s3:PutBucketNotification: grant s3:PutBucketNotification on arn:aws:s3:::",
        ),
        ("dynamodb:UpdateItem", "AccessDeniedException"),
    ],
    ids=["foreseen", "unforeseen"],
)
def test_a_permission_that_lacks_fails_the_stack_at_once_with_what_it_was(
    aws: LocalAws, permission: str, told: str
) -> None:
    template = stacks.template(ROLE_WAIT_SECONDS="0")
    (policy,) = template["Resources"]["EnableBucketEventsFunctionRole"]["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    (statement,) = [each for each in statements if permission in each.get("Action", ())]
    statement["Action"].remove(permission)
    bucket = new_bucket(aws)
    with pytest.raises(DeployProblem) as problem:
        stacks.create(aws, tools.new_name(), {"BucketNames": bucket}, template)
    assert "BucketEvents (Custom::BucketEvents)" in str(problem.value)
    assert told in str(problem.value)


def test_whoever_manages_the_buckets_elsewhere_has_them_left_alone(
    aws: LocalAws, deployed: Deploy, others: dict[str, Any]
) -> None:
    bucket = new_bucket(aws, others)
    before = json.dumps(configuration_of(aws, bucket))
    stack = deployed(bucket, EnableBucketEvents="false")
    assert json.dumps(configuration_of(aws, bucket)) == before
    aws.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={**others, EVENTS: {}}
    )
    stacks.delete(aws, stack)
    assert sends(aws, bucket)
