"""Executions: started once, found again, and replayed when their changes were never accepted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from invalidation.batches.replay import Ended
from invalidation.executions import Executions

MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:m"
NOW = datetime(2026, 11, 12, 12, 0, tzinfo=UTC)


def _arn(name: str) -> str:
    return f"arn:aws:states:eu-central-1:123456789012:execution:m:{name}"


class FakeStepFunctions:
    """Executions that have ended, with the states that each entered and left; pages of two."""

    class exceptions:  # noqa: N801 # as botocore's clients have it
        ExecutionAlreadyExists = type("ExecutionAlreadyExists", (Exception,), {})
        ExecutionDoesNotExist = type("ExecutionDoesNotExist", (Exception,), {})

    def __init__(self) -> None:
        self.ended: dict[str, tuple[str, datetime, list[str]]] = {}
        self.histories = 0

    def end(self, name: str, status: str, states: list[str], started: datetime = NOW - timedelta(minutes=10)) -> None:
        self.ended[name] = (status, started, states)

    def get_paginator(self, operation: str) -> FakeStepFunctions:
        assert operation == "list_executions"
        return self

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:
        assert asked["PaginationConfig"] == {"PageSize": 1_000}
        assert asked["stateMachineArn"] == MACHINE
        listed: list[dict[str, Any]] = [
            {"executionArn": _arn(name), "name": name, "startDate": started, "stopDate": started + timedelta(minutes=1)}
            for name, (status, started, _) in self.ended.items()
            if status == asked["statusFilter"]
        ]
        newest_first = sorted(listed, key=lambda each: each["startDate"], reverse=True)
        return [{"executions": newest_first[at : at + 2]} for at in range(0, len(newest_first), 2)]

    def get_execution_history(self, **asked: Any) -> dict[str, Any]:
        self.histories += 1
        states = self.ended[asked["executionArn"].rsplit(":", 1)[-1]][2]
        events: list[dict[str, Any]] = []
        for position, name in enumerate(states):
            events.append({"stateEnteredEventDetails": {"name": name}})
            if position + 1 < len(states):
                events.append({"stateExitedEventDetails": {"name": name}})
        return {"events": events[: asked["maxResults"]]}


def _unrecorded(client: Any, since: datetime = NOW - timedelta(days=1)) -> list[str]:
    return [each.name for each in Executions(client, MACHINE).unrecorded(since)]


@pytest.mark.parametrize("status", ["FAILED", "ABORTED", "TIMED_OUT"])
def test_an_execution_that_ended_within_join_batch_is_not_accepted(status: str) -> None:
    client = FakeStepFunctions()
    client.end("lost", status, ["Join Batch"])
    client.end("never begun", status, [])
    assert sorted(_unrecorded(client)) == ["lost", "never begun"]


def test_an_execution_whose_join_was_caught_is_not_accepted() -> None:
    client = FakeStepFunctions()
    client.end("caught", "FAILED", ["Join Batch", "Finish Batch", "Announce Outcome", "Notify"])
    assert _unrecorded(client) == ["caught"]


@pytest.mark.parametrize(
    "states",
    [
        ["Join Batch", "Leads The Batch?", "Finish Batch"],
        ["Join Batch", "Leads The Batch?", "Wait For Batch To Close", "Close Batch"],
    ],
)
def test_an_execution_that_failed_after_join_batch_is_the_batchs_business(states: list[str]) -> None:
    client = FakeStepFunctions()
    client.end("failed later", "FAILED", states)
    assert _unrecorded(client) == []


def test_only_executions_since_then_are_looked_at_on_all_pages() -> None:
    client = FakeStepFunctions()
    for minutes in range(5):
        client.end(f"lost-{minutes}", "FAILED", ["Join Batch"], NOW - timedelta(minutes=minutes))
    client.end("long ago", "FAILED", ["Join Batch"], NOW - timedelta(days=2))
    assert sorted(_unrecorded(client)) == [f"lost-{minutes}" for minutes in range(5)]


def test_what_was_accepted_is_asked_for_once() -> None:
    client = FakeStepFunctions()
    client.end("failed later", "FAILED", ["Join Batch", "Leads The Batch?", "Close Batch"])
    executions: Any = Executions(client, MACHINE)  # type: ignore[arg-type] # a fake
    assert list(executions.unrecorded(NOW - timedelta(days=1))) == []
    assert list(executions.unrecorded(NOW - timedelta(days=1))) == []
    assert client.histories == 1


def test_the_replays_of_an_execution_are_counted_in_their_names_and_keep_its_origin() -> None:
    names = []
    lost = Ended(_arn("original"), "original", NOW)
    for _ in range(3):
        names.append(lost.replay_name)
        lost = Ended(_arn(lost.replay_name), lost.replay_name, NOW)
    assert [name.split("-")[:2] for name in names] == [["replay", "1"], ["replay", "2"], ["replay", "3"]]
    assert len({name.split("-")[2] for name in names}) == 1
    assert all(len(name) <= 80 for name in names)
    assert Ended(_arn("another"), "another", NOW).replay_name not in names


def test_replays_come_after_growing_times_and_then_no_more() -> None:
    stopped = NOW
    for replays, minutes in enumerate((0, 10, 40, 130, 400)):
        name = f"replay-{replays}-{'0' * 32}" if replays else "original"
        lost = Ended(_arn(name), name, stopped)
        assert lost.due == stopped + timedelta(minutes=minutes)


def test_an_execution_of_a_name_is_started_once() -> None:
    with mock_aws():
        client = boto3.client("stepfunctions", region_name="eu-central-1")
        role = "arn:aws:iam::123456789012:role/r"
        definition = '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
        arn = client.create_state_machine(name="m", definition=definition, roleArn=role)["stateMachineArn"]
        executions = Executions(client, arn)
        assert executions.start("once", {"lead": "my-site"}) is True
        assert executions.start("once", {"lead": "another"}) is False
        started = client.list_executions(stateMachineArn=arn)["executions"][0]["executionArn"]
        assert executions.is_running(started) is True
        assert executions.input_of(started) == {"lead": "my-site"}
        client.stop_execution(executionArn=started)
        assert executions.is_running(started) is False
        assert executions.is_running(_arn("unknown")) is False
