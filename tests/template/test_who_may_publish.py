"""EventBridge says neither for which account nor for which rule it publishes: a topic or key that asks refuses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.definition import resources


def _statements(kind: str, attribute: str) -> Iterator[dict[str, Any]]:
    for properties in resources(kind).values():
        for statement in properties[attribute]["Statement"]:
            if statement["Principal"] == "*":
                continue
            services = statement["Principal"].get("Service", [])
            if "events.amazonaws.com" in ([services] if isinstance(services, str) else services):
                yield statement


def test_the_policy_of_no_topic_asks_eventbridge_for_nothing_that_it_does_not_say() -> None:
    statements = list(_statements("AWS::SNS::TopicPolicy", "PolicyDocument"))
    assert len(statements) == 2
    assert all("Condition" not in statement for statement in statements)


def test_people_are_told_by_e_mail_of_each_alarm_and_of_executions_that_cannot_tell_of_themselves() -> None:
    for name, alarm in resources("AWS::CloudWatch::Alarm").items():
        assert {"Ref": "EmailTopic"} in alarm["AlarmActions"], name
        text, known = alarm["AlarmDescription"]["Fn::Sub"]
        assert text.endswith(f"${{Runbook}}#{name.lower()}"), "the entry in the runbook"
        assert known == {"Runbook": {"Fn::FindInMap": ["Messages", "Runbook", "Address"]}}
    (rule,) = (
        each for each in resources("AWS::Events::Rule").values() if each["EventPattern"]["source"] == ["aws.states"]
    )
    (target,) = (each for each in rule["Targets"] if each["Arn"] == {"Ref": "EmailTopic"})
    text = target["InputTransformer"]["InputTemplate"]["Fn::Sub"][0]
    assert text[0] == text[-1] == '"', "plain text, no object"
    assert "${Runbook}#aborted" in text


def test_the_keys_policy_asks_eventbridge_only_for_the_topic_that_is_published_to() -> None:
    (statement,) = _statements("AWS::KMS::Key", "KeyPolicy")
    asked = {name for names in statement["Condition"].values() for name in names}
    assert asked == {"kms:EncryptionContext:aws:sns:topicArn"}
