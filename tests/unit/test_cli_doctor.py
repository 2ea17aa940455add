"""`invalidations doctor`: check by check, what it comes to, and how it ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from invalidation.batches.head import pause
from invalidation.batches.sweep import note_visit
from invalidations_cli.commands.doctor import doctor
from invalidations_cli.commands.wait import wait
from tests.fakes.chain import FakeChain
from tests.fakes.stack import MACHINE, World


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain(targets=(MACHINE,))


@pytest.fixture
def world(chain: FakeChain) -> World:
    services = ("s3", "events", "lambda", "sqs", "cloudformation")
    made = World(clients=dict.fromkeys(services, chain))
    note_visit(made.table, datetime.now(UTC))
    return made


def test_a_whole_chain_is_said_to_be_whole(world: World) -> None:
    result = world.run(doctor)
    assert (result.exit_code, "Whole: a new change of site is invalidated." in result.output) == (0, True), (
        result.output
    )
    assert not set("✗!?") & set(result.output)


def test_a_cut_is_named_with_its_remedy_and_its_entry_in_the_runbook(world: World, chain: FakeChain) -> None:
    chain.sends_events = False
    result = world.run(doctor)
    assert result.exit_code == 1
    for text in (
        "✗ Bucket sends events: the notification configuration of site does not send to EventBridge",
        *("invalidations bucket enable site", "docs/runbook.md#bucket-sends-events"),
        "Cut: a new change of site is not invalidated.",
    ):
        assert text in result.output


NARROWED: dict[str, Any] = {"detail": {"bucket": {"name": ["site"]}, "object": {"key": [{"prefix": "public/"}]}}}


def test_what_is_not_known_is_said_where_it_says_whole(world: World, chain: FakeChain) -> None:
    chain.pattern, chain.denied = NARROWED, frozenset({"ListTargetsByRule"})
    result = world.run(doctor)
    assert result.exit_code == 0
    assert "Whole as far as could be seen; not known: Rule matches, Rule has its target." in result.output
    assert "Whole: " not in result.output
    told = json.loads(world.run(doctor, "--json").output)["buckets"][0]
    assert (told["whole"], told["unknown"]) == (True, ["Rule matches", "Rule has its target"])


@pytest.mark.parametrize(("key", "exit_code"), [("public/a", 0), ("private/a", 1)])
def test_of_such_a_rule_one_key_is_known(world: World, chain: FakeChain, key: str, exit_code: int) -> None:
    chain.pattern, chain.objects = NARROWED, {key: {}}
    assert world.run(doctor, "--bucket", "site", "--key", key).exit_code == exit_code


def test_what_is_owed_is_shown_and_cuts_nothing(world: World) -> None:
    pause(world.table, "site")
    world.parameters["MaxPathsADay"] = "0"
    result = world.run(doctor)
    assert result.exit_code == 0
    assert "! Bucket is not paused: somebody paused site" in result.output


def test_wait_says_what_it_could_not_ask_and_fails_at_once_where_something_is_cut(
    world: World, chain: FakeChain
) -> None:
    chain.denied = frozenset({"ListTargetsByRule"})
    pause(world.table, "site")  # which ends it at once
    result = world.run(wait, "--bucket", "site", "--json")
    assert "Not known: Rule has its target: needs events:ListTargetsByRule" in result.stderr
    told = json.loads(result.stdout)
    assert (told["result"], told["cut"]) == ("paused", [])
    assert [each["check"] for each in told["unknown"]] == ["Rule has its target"]
    chain.rule_state = "DISABLED"
    result = world.run(wait, "--bucket", "site", "--json")
    assert (result.exit_code, json.loads(result.stdout)["result"]) == (3, "cut")
