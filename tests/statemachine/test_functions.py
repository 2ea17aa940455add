"""What the other tests rely on to notice that a function lacks a variable or a permission."""

from __future__ import annotations

import pytest

from tests.statemachine.functions import allowed_actions, environment, not_allowed, parameters

REFS = {
    **parameters(),
    "BatchTable": "batches",
    "NotificationTopic": "topic",
    "EmailTopic": "email",
    "InvalidationStateMachine": "machine",
}


def test_a_functions_environment_is_the_templates_with_the_parameters_defaults() -> None:
    variables = environment("JoinBatchFunction", REFS)
    assert variables["BATCH_TABLE_NAME"] == "batches"
    assert variables["BATCH_WINDOW_SECONDS"] == "10"
    assert "NOTIFICATION_TOPIC_ARN" not in variables


def test_an_environment_that_refers_to_something_unknown_is_noticed() -> None:
    with pytest.raises(KeyError, match="NotificationTopic"):
        environment("NotifyFunction", {**parameters(), "BatchTable": "batches"})


def test_a_call_that_the_functions_role_does_not_allow_is_noticed() -> None:
    assert "sns:Publish" in allowed_actions("NotifyFunction")
    assert not_allowed([("NotifyFunction", "sns:Publish")]) == []
    assert not_allowed([("NotifyFunction", "dynamodb:PutItem")]) == ["NotifyFunction: dynamodb:PutItem"]
