"""EventBridge says neither for which account nor for which rule it publishes: a topic or key that asks refuses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.definition import resources


def _statements(kind: str, attribute: str) -> Iterator[dict[str, Any]]:
    for properties in resources(kind).values():
        for statement in properties[attribute]["Statement"]:
            services = statement["Principal"].get("Service", [])
            if "events.amazonaws.com" in ([services] if isinstance(services, str) else services):
                yield statement


def test_the_topics_policy_asks_eventbridge_for_nothing_that_it_does_not_say() -> None:
    (statement,) = _statements("AWS::SNS::TopicPolicy", "PolicyDocument")
    assert "Condition" not in statement


def test_the_keys_policy_asks_eventbridge_only_for_the_topic_that_is_published_to() -> None:
    (statement,) = _statements("AWS::KMS::Key", "KeyPolicy")
    asked = {name for names in statement["Condition"].values() for name in names}
    assert asked == {"kms:EncryptionContext:aws:sns:topicArn"}
