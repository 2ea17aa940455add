"""Machines and people are told when the chain is cut, and when it is whole again: each once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from invalidation.batches.sweep import note_visit
from invalidation.cloudfront.client import CloudFront
from invalidation.config import Settings
from invalidation.health import Chain, ChainHealth, cut
from invalidation.health_changes import change_of_health, notify_of_changes
from tests.fakes.chain import MACHINE, FakeChain, error
from tests.fakes.memory_table import MemoryTable
from tests.outcome_schemas import faults
from tests.unit.test_health import NOW, looked_at


def test_each_change_of_the_chain_is_told_once() -> None:
    table = MemoryTable()
    broken = cut(list(looked_at(FakeChain(sends_events=False)).values()))
    assert change_of_health(table, "site", [], NOW) is None
    told = change_of_health(table, "site", broken, NOW)
    assert told is not None
    assert (told["whole"], told["since"], [each["check"] for each in told["checks"]]) == (
        False,
        "2026-11-24T00:00:00.000000Z",
        ["Bucket sends events"],
    )
    assert change_of_health(table, "site", broken, NOW + timedelta(hours=1)) is None
    worse = cut(list(looked_at(FakeChain(sends_events=False, rule_state="DISABLED")).values()))
    again = change_of_health(table, "site", worse, NOW + timedelta(hours=2))
    assert again is not None
    assert again["since"] == told["since"]
    fixed = change_of_health(table, "site", [], NOW + timedelta(hours=3))
    assert fixed is not None
    assert (fixed["whole"], fixed["checks"]) == (True, [])
    assert change_of_health(table, "site", [], NOW + timedelta(hours=4)) is None


class Topic(FakeChain):
    """The chain's AWS, and SNS, which may refuse."""

    def __init__(self, **cut_pieces: Any) -> None:
        super().__init__(**cut_pieces)
        self.published: list[dict[str, Any]] = []
        self.refuses = False

    def publish(self, **message: Any) -> None:
        if self.refuses:
            raise error("KMSDisabled", "Publish")
        self.published.append(message)


def told_by_the_sweep(aws: Topic, table: MemoryTable, email: str = "", chat: str = "") -> int:
    note_visit(table, NOW)
    stack = Chain("eu-west-1", MACHINE, ("site-rule",), ("site",), (), "https://queue/intake", "https://queue/dead")
    health = ChainHealth(stack, aws, table, CloudFront(aws), lambda: NOW)  # type: ignore[arg-type] # a fake client
    told = Settings(
        notification_topic_arn="machines",
        email_topic_arn=email,
        chat_topic_arn=chat,
        runbook_url="https://wiki.example.com/runbook",
    )
    return notify_of_changes(health, told)


def test_machines_and_people_are_told_what_is_cut_and_how_to_mend_it_and_when_it_is_whole() -> None:
    aws, table = Topic(sends_events=False), MemoryTable()
    assert told_by_the_sweep(aws, table, email="people") == 1
    assert told_by_the_sweep(aws, table, email="people") == 1
    machines, people = aws.published
    assert machines["TopicArn"] == "machines"
    assert machines["MessageAttributes"]["outcome"]["StringValue"] == "ChainCut"
    assert json.loads(machines["Message"])["checks"][0]["remedy"] == "invalidations bucket enable site"
    assert people["Subject"] == "CloudFront is NOT kept fresh: site"
    assert "invalidations bucket enable site" in people["Message"]
    aws.sends_events = True
    assert told_by_the_sweep(aws, table, email="people") == 0
    machines, people = aws.published[2:]
    assert json.loads(machines["Message"])["whole"] is True
    assert [faults("chain-health", json.loads(each["Message"])) for each in aws.published[::2]] == [[], []]
    assert "\n  invalidations request --bucket site KEY\n" in people["Message"]


def test_chat_is_told_the_same_and_all_of_them_name_the_runbook_s_entry() -> None:
    aws, table = Topic(sends_events=False), MemoryTable()
    told_by_the_sweep(aws, table, email="people", chat="channel")
    _, people, channel = aws.published
    content = json.loads(channel["Message"])["content"]
    assert (channel["TopicArn"], content["title"]) == ("channel", "CloudFront is NOT kept fresh: site")
    assert content["description"].endswith("the notification configuration of site does not send to EventBridge")
    assert content["nextSteps"][:2] == [
        "To fix it: invalidations bucket enable site",
        "More: https://wiki.example.com/runbook#bucket-sends-events",
    ]
    assert all(f"\n  {step}" in people["Message"] for step in content["nextSteps"][:2])


def test_what_sns_did_not_take_is_told_again() -> None:
    aws, table = Topic(sends_events=False), MemoryTable()
    aws.refuses = True
    with pytest.raises(ClientError):
        told_by_the_sweep(aws, table)
    aws.refuses = False
    told_by_the_sweep(aws, table)
    assert [each["TopicArn"] for each in aws.published] == ["machines"]
    aws.sends_events, aws.refuses = True, True
    with pytest.raises(ClientError):
        told_by_the_sweep(aws, table)
    aws.refuses = False
    told_by_the_sweep(aws, table)
    assert [json.loads(each["Message"])["whole"] for each in aws.published] == [False, True]


def test_what_was_cut_and_cannot_be_asked_now_is_not_told_to_be_whole() -> None:
    aws, table = Topic(targets=()), MemoryTable()
    assert told_by_the_sweep(aws, table) == 1
    aws.targets, aws.denied = (MACHINE,), frozenset({"ListTargetsByRule"})
    assert told_by_the_sweep(aws, table) == 1
    aws.denied = frozenset()
    assert told_by_the_sweep(aws, table) == 0
    assert [json.loads(each["Message"])["whole"] for each in aws.published] == [False, True]
