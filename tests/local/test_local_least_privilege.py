"""Least privilege: with every feature used, no call is denied, and nothing is granted that is not used."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pytest

from invalidations_cli.local import server
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.package import lambda_interpreter
from invalidations_cli.local.settings import ACCOUNT, REGION, LocalSettings
from tests.definition import states
from tests.local import privileges
from tests.local.features import STACK, Everything
from tests.local.instruments.control import INSTRUMENTS
from tests.local.privileges import Call, Grant

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("privileges")]

BY_LAMBDA = "Lambda itself does this in the function's name, where the emulator's Lambda needs no permission"
BY_SNS = "SNS asks KMS in the publisher's name (KMS condition kms:ViaService); the emulator's SNS encrypts nothing"
BY_S3 = "no call: whoever may list a bucket is told that an object is not there, and else that it is forbidden"
BY_RESOURCE = "the emulator asks for permission on *, AWS on the rule or function (Service Authorization Reference)"
BY_CONTROL = "the emulator has no S3 Control"
MISTAKEN = {"lambda:PutFunctionConcurrency"}
"""What the emulator takes GetFunctionConcurrency for."""
UNSEEN = {
    ("*", "logs:CreateLogStream"): BY_LAMBDA,
    ("*", "logs:PutLogEvents"): BY_LAMBDA,
    ("*", "xray:PutTraceSegments"): BY_LAMBDA,
    ("*", "xray:PutTelemetryRecords"): BY_LAMBDA,
    ("*-NotifyFunctionRole-*", "kms:Decrypt"): BY_SNS,
    ("*-NotifyFunctionRole-*", "kms:GenerateDataKey*"): BY_SNS,
    ("*-VerifyAtEdgeFunctionRole-*", "s3:ListBucket"): BY_S3,
    ("*-ResolveDistributionsFunctionRole-*", "s3:ListAccessPoints"): BY_CONTROL,
    ("*-ResolveDistributionsFunctionRole-*", "s3:ListMultiRegionAccessPoints"): BY_CONTROL,
    ("*-SweepFunctionRole-*", "events:ListTargetsByRule"): BY_RESOURCE,
    ("*-SweepFunctionRole-*", "lambda:GetFunctionConcurrency"): BY_RESOURCE,
    ("*-SweepFunctionRole-*", "kms:Decrypt"): BY_SNS,
    ("*-SweepFunctionRole-*", "kms:GenerateDataKey*"): BY_SNS,
}
"""Roles and actions that are granted, and that no call on the emulator can need → why AWS needs them."""

WIDE = {
    "*": "CloudWatch's metrics, X-Ray, and CloudFront's lists have no resources",
    "arn:aws:cloudfront::*:distribution/*": "any distribution may come to serve the bucket",
    "arn:aws:cloudfront::*:distribution-tenant/*": "likewise",
    "arn:aws:cloudfront::*:cache-policy/*": "likewise",
    "arn:aws:events:*:rule/*everything-ChangeRule-": "the rule itself; some name its bus in its ARN, and some do not",
    "arn:aws:lambda:*:function:everything-*": "the stack's own functions, which the definition names",
    "arn:aws:logs:*:log-group:/aws/lambda/everything:*": "streams of the stack's own log group",
    "arn:aws:s3:::*-site/*": "objects of the watched buckets, where tags are read",
    "arn:aws:s3:::*": "EnableBucketEvents=UntilDeleted: a bucket that has left BucketNames is in no parameter any more",
    "arn:aws:states:*:execution:everything-invalidation:*": "executions of the stack's own state machine",
}
"""Resources with a wildcard, accounts and regions apart → why it is not narrower."""

LOG_DELIVERY_AND_TRACES = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
"""What a state machine that logs and is traced needs on `*` (Step Functions Developer Guide, "Using CloudWatch Logs to
log execution history", "Trace Step Functions request data in AWS X-Ray")."""


@dataclass(frozen=True, slots=True)
class Used:
    """What was granted at any time, and what was called."""

    aws: LocalAws
    granted: set[Grant]
    calls: list[Call]
    resources: Mapping[str, str]
    state_machine_arn: str

    def granted_to(self, logical_id: str) -> set[tuple[str, str]]:
        """Pairs of action and resource that one role is allowed."""
        role = self.resources[logical_id]
        return {(grant.action, grant.resource) for grant in privileges.grants(self.aws, role)}


@pytest.fixture(scope="module")
def used() -> Iterator[Used]:
    settings = LocalSettings(
        wait_scale=0.1,
        invalidation_seconds=0.5,
        lambda_python=str(lambda_interpreter()),
        extra_patches=INSTRUMENTS,
    )
    with server.running(settings, server.free_port()) as emulator:
        everything = Everything(LocalAws(emulator.endpoint))
        everything.set_up()
        granted = everything.granted()
        everything.use()
        everything.use_another_account()
        yield Used(
            aws=everything.aws,
            granted=granted | everything.granted(),
            calls=privileges.calls(everything.aws),
            resources=privileges.resources(everything.aws, STACK),
            state_machine_arn=everything.outputs["StateMachineArn"],
        )


def test_with_every_feature_used_no_call_is_denied(used: Used) -> None:
    mistaken = {action for (_role, action), why in UNSEEN.items() if why is BY_RESOURCE} | MISTAKEN
    denied = [each for each in used.calls if not each.allowed and each.action not in mistaken]
    print(f"denied, of {len(used.calls)} different calls: {denied}")  # noqa: T201 - the test's other result
    assert denied == []
    assert {call.role for call in used.calls} >= {grant.role for grant in used.granted}, "each function was to be used"


def test_nothing_is_granted_that_is_never_used(used: Used) -> None:
    unused = privileges.unused(used.granted, used.calls)
    excepted = {each: [grant for grant in unused if is_for(grant, *each)] for each in UNSEEN}
    beyond = [grant for grant in unused if not any(grant in grants for grants in excepted.values())]
    print(f"granted and not used, of {len(used.granted)} grants: {beyond}, and for others to use:")  # noqa: T201 - likewise
    for (_role, action), grants in excepted.items():
        print(f"  {action}, {len(grants)} times: {UNSEEN[_role, action]}")  # noqa: T201 - likewise
    assert beyond == []
    assert all(excepted.values()), "an exception is needed no more"


def is_for(grant: Grant, role: str, action: str) -> bool:
    return grant.action == action and fnmatchcase(grant.role, role)


def test_no_action_is_granted_with_a_wildcard_and_no_wider_resource_than_must_be(used: Used) -> None:
    assert {grant.action for grant in used.granted if "*" in grant.action} == {"kms:GenerateDataKey*"}
    # A partition is no more than where the role itself is: the list of buckets cannot name it.
    resources = {each.resource.replace("arn:*:", "arn:aws:", 1) for each in used.granted}
    wide = {re.sub(f":([a-z0-9-]+:)?{ACCOUNT}:", ":*:", each) for each in resources if "*" in each}
    without_suffix = {re.sub("(ChangeRule-)[A-Z0-9]+$", r"\1", each) for each in wide}
    assert {re.sub(":::(other-)?web-site/", ":::*-site/", resource) for resource in without_suffix} == set(WIDE)


def test_the_state_machine_may_do_exactly_what_its_states_do(used: Used) -> None:
    described = used.aws.client("stepfunctions").describe_state_machine(stateMachineArn=used.state_machine_arn)
    tasks = [state for _name, state in states(json.loads(described["definition"])) if state["Type"] == "Task"]
    functions = {state["Parameters"]["FunctionName"] for state in tasks if "lambda" in state["Resource"]}
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    others = {state["Resource"] for state in tasks if "lambda" not in state["Resource"]}
    started_otherwise = {used.resources[name] for name in ("SweepFunction", "EnableBucketEventsFunction")}
    all_functions = {name for each, name in used.resources.items() if each.endswith("Function")}
    assert {arn.rpartition(":")[2] for arn in functions} == all_functions - started_otherwise
    assert others == {"arn:aws:states:::events:putEvents"}
    needed = {("lambda:InvokeFunction", arn) for arn in functions} | {("events:PutEvents", bus)}
    beside = {(action, "*") for action in LOG_DELIVERY_AND_TRACES}
    assert used.granted_to("InvalidationStateMachineRole") == needed | beside


def test_the_rule_may_only_start_the_state_machine(used: Used) -> None:
    (target,) = used.aws.client("events").list_targets_by_rule(Rule=used.resources["ChangeRule"])["Targets"]
    assert target["RoleArn"].endswith(f"/{used.resources['ChangeRuleRole']}")
    assert used.granted_to("ChangeRuleRole") == {("states:StartExecution", target["Arn"])}


def test_the_pipe_may_only_empty_its_queue_and_start_the_state_machine(used: Used) -> None:
    sqs, url = used.aws.client("sqs"), used.resources["IntakeQueue"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    reading = {(f"sqs:{each}", queue) for each in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")}
    assert used.granted_to("IntakePipeRole") == reading | {("states:StartExecution", used.state_machine_arn)}


@pytest.mark.parametrize(
    ("role", "service"),
    [("InvalidationStateMachineRole", "states"), ("ChangeRuleRole", "events"), ("IntakePipeRole", "pipes")],
)
def test_a_service_assumes_its_role_for_this_account_only(role: str, service: str, used: Used) -> None:
    found = used.aws.client("iam").get_role(RoleName=used.resources[role])["Role"]["AssumeRolePolicyDocument"]
    (statement,) = found["Statement"]
    assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    assert re.fullmatch(
        f"arn:aws:{service}:{REGION}:{ACCOUNT}:(stateMachine:{STACK}-invalidation|rule/{STACK}-\\*|pipe/\\*)",
        statement["Condition"]["ArnLike"]["aws:SourceArn"],
    )


@pytest.mark.parametrize(
    ("call", "relies_on_it"),
    [
        (Call("role", "sns:Publish", "arn:topic/one", allowed=True), True),
        (Call("role", "sns:Publish", "arn:topic/one", allowed=False), False),
        (Call("role", "sns:Subscribe", "arn:topic/one", allowed=True), False),
        (Call("role", "sns:Publish", "arn:queue/one", allowed=True), False),
        (Call("another", "sns:Publish", "arn:topic/one", allowed=True), False),
    ],
    ids=["used", "denied", "another action", "another resource", "another role"],
)
def test_a_grant_counts_as_used_only_if_its_role_was_allowed_that_very_action_there(
    call: Call, relies_on_it: bool
) -> None:
    grant = Grant("role", "sns:Publish", "arn:topic/*")
    assert privileges.unused([grant], [call]) == ([] if relies_on_it else [grant])
