"""Who may reach queues and topics, what each role is for, and in which order the stack is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.definition import ROOT, resources, template
from tools.rendering import rendered, translated

SOURCE = translated(ROOT / "template.yaml")
PLAIN = {"BucketNames": "my-site"}
EVERYTHING = {"BucketNames": "my-site", "Intake": "Buffered", "NotificationEmail": "a@b.cc", "Observability": "Full"}


def made(**parameters: str) -> dict[str, dict[str, Any]]:
    """Logical id -> resource, as CloudFormation makes them with these parameters."""
    found: dict[str, dict[str, Any]] = rendered(SOURCE, {**PLAIN, **parameters})["Resources"]
    return found


def statements(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        yield from document.get("Statement", [])
        document = list(document.values())
    if isinstance(document, list):
        for each in document:
            yield from statements(each)


@pytest.mark.parametrize(
    ("queue", "policy"), [("AWS::SQS::Queue", "AWS::SQS::QueuePolicy"), ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy")]
)
def test_each_queue_and_topic_refuses_what_does_not_come_over_tls(queue: str, policy: str) -> None:
    refusing = set()
    for properties in resources(policy).values():
        (denied,) = [each for each in properties["PolicyDocument"]["Statement"] if each["Effect"] == "Deny"]
        assert (denied["Principal"], denied["Condition"]) == ("*", {"Bool": {"aws:SecureTransport": "false"}})
        (of,) = [each["Ref"] for each in properties.get("Queues", []) + properties.get("Topics", [])]
        assert of in str(denied["Resource"])
        refusing.add(of)
    assert refusing == set(resources(queue))


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        ("AWS::SNS::Topic", "KmsMasterKeyId"),
        ("AWS::SQS::Queue", "SqsManagedSseEnabled"),
        ("AWS::DynamoDB::Table", "SSESpecification"),
    ],
)
def test_whatever_is_kept_is_encrypted_at_rest(kind: str, setting: str) -> None:
    kept = [each["Properties"] for each in made(Intake="Buffered").values() if each["Type"] == kind]
    assert kept
    assert all(each[setting] not in (None, False, "", {"SSEEnabled": False}) for each in kept)


def test_no_other_queue_may_move_messages_into_ours() -> None:
    queues = {name: each["Properties"] for name, each in made().items() if each["Type"] == "AWS::SQS::Queue"}
    intake, dead = queues["IntakeQueue"], queues["DeadLetterQueue"]
    assert intake["RedriveAllowPolicy"] == {"redrivePermission": "denyAll"}
    (source,) = dead["RedriveAllowPolicy"]["sourceQueueArns"]
    assert dead["RedriveAllowPolicy"]["redrivePermission"] == "byQueue"
    assert source.rpartition(":")[2] == intake["QueueName"]
    assert set(queues) == {"IntakeQueue", "DeadLetterQueue"}


def test_the_alarm_tells_of_a_broken_pipe_before_messages_are_given_up() -> None:
    found = made(Intake="Buffered")
    queue, alarm = found["IntakeQueue"]["Properties"], found["IntakeAlarm"]["Properties"]
    given_up = queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"]
    assert alarm["Threshold"] < 3 * queue["VisibilityTimeout"], "SQS leaves out what was received three times"
    assert alarm["Threshold"] + alarm["Period"] < given_up <= 3_600
    assert made()["IntakeAlarm"] == found["IntakeAlarm"], "after a switch it still has to drain"


def test_every_rule_keeps_what_it_cannot_deliver() -> None:
    found = made()
    dead = found["DeadLetterQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
    allowed = dead["Condition"]["ArnEquals"]["aws:SourceArn"]
    rules = {name: each["Properties"] for name, each in found.items() if each["Type"] == "AWS::Events::Rule"}
    assert len(allowed) == len(rules) == 3
    for name, rule in rules.items():
        assert any(arn.endswith(f"/{name}") for arn in allowed)
        assert all(target["DeadLetterConfig"]["Arn"].endswith("DeadLetterQueue") for target in rule["Targets"]), name


def test_roles_and_policies_of_services_name_the_account_and_the_very_resource() -> None:
    for name, resource in made(**EVERYTHING).items():
        for each in statements(resource.get("Properties", {})):
            service = each.get("Principal", {}).get("Service", "") if each["Effect"] == "Allow" else ""
            keys = {key for operator in each.get("Condition", {}).values() for key in operator}
            if service in {"states.amazonaws.com", "pipes.amazonaws.com"} or name == "ChangeRuleRole":
                assert {"aws:SourceAccount", "aws:SourceArn"} <= keys or "Principal" not in each, name
            if service == "cloudwatch.amazonaws.com" and resource["Type"] == "AWS::SNS::TopicPolicy":
                assert {"aws:SourceAccount", "aws:SourceArn"} == keys, name


def test_events_of_other_accounts_start_nothing() -> None:
    assert made()["ChangeRule"]["Properties"]["EventPattern"]["account"] == ["123456789012"]


def test_the_state_machine_announces_in_its_own_name_only() -> None:
    (allowed,) = [
        each for each in statements(made()["InvalidationStateMachineRole"]) if "events:PutEvents" in each["Action"]
    ]
    assert allowed["Condition"] == {"StringEquals": {"events:source": "cloudfront-auto-invalidation"}}
    tasks = (ROOT / "statemachine" / "invalidation.asl.json").read_text()
    assert '"Source": "cloudfront-auto-invalidation"' in tasks


def test_with_named_distributions_only_these_may_be_invalidated() -> None:
    def allowed(**parameters: str) -> Any:
        found = statements(made(**parameters)["CreateInvalidationFunctionRole"])
        return next(each["Resource"] for each in found if "cloudfront:CreateInvalidation" in each["Action"])

    assert allowed(DistributionIds="E2QWRUHAPOMQZL,E1AAAAAAAAAAAA") == [
        "arn:*:cloudfront::123456789012:distribution/E2QWRUHAPOMQZL",
        "arn:*:cloudfront::*:distribution/E1AAAAAAAAAAAA",
    ]
    assert allowed().endswith(":distribution/*")


def _needed_by(value: Any) -> Iterator[str]:
    """The resources that a part of the template refers to."""
    if isinstance(value, list):
        for each in value:
            yield from _needed_by(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            match key, each:
                case "Ref", str(name):
                    yield name
                case "Fn::GetAtt", [str(name), *_]:
                    yield name
                case "Fn::Sub", str(text) | [str(text), *_]:
                    yield from (part.partition("}")[0].partition(".")[0] for part in text.split("${")[1:])
            yield from _needed_by(each)


def test_the_buckets_events_are_switched_on_when_all_else_is_there() -> None:
    found: dict[str, Any] = SOURCE["Resources"]
    before = {
        name: set(_needed_by(each))
        | set([each["DependsOn"]] if isinstance(each.get("DependsOn"), str) else each.get("DependsOn", []))
        for name, each in found.items()
    }
    reached, left = set(), ["BucketEvents"]
    while left:
        name = left.pop()
        if name in found and name not in reached:
            reached.add(name)
            left += before[name]
    assert set(found) - reached == {
        # Nothing that a creation fails with: their names are the stack's own, and what they read is there.
        *(
            "SweepFailedAlarm",
            "FailuresQuery",
            "SweepQuery",
            "SlowestQuery",
            "OutcomesQuery",
            "RetriesQuery",
        ),
        # SAM's own permission for the schedule.
        "SweepFunctionEveryFiveMinutesPermission",
    }


def test_roles_that_services_check_at_once_are_made_early() -> None:
    """What needs no other resource is made first; a role takes seconds to act (aws/aws-cdk#37675)."""
    for role in ("ChangeRuleRole", "IntakePipeRole"):
        needed = set(_needed_by(template()["Resources"][role])) & set(template()["Resources"])
        assert needed == set(), role
