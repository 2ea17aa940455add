"""The demo tells what the leader does step by step, and all that only joined its batch in one line."""

from __future__ import annotations

from datetime import timedelta

from invalidations_cli.follow import Step
from invalidations_cli.local.demo import Followers
from tests.fakes.stack import START


def step(arn: str, name: str, second: float = 0, kind: str = "Task") -> Step:
    return Step(START + timedelta(seconds=second), arn, f"{arn}.html put", kind, name)


def test_a_leader_is_told_from_its_first_step_on_once_it_leads() -> None:
    followers = Followers()
    join, choice, wait = (step("a", name) for name in ("Join Batch", "Leads The Batch?", "Wait For Batch To Close"))
    assert [followers.take(each) for each in (join, choice)] == [[], []]
    assert followers.take(wait) == [join, choice, wait]
    assert followers.take(step("a", "SUCCEEDED", kind="Ended")) != []
    assert followers.summary(START.timestamp()) == []


def test_those_that_joined_are_told_in_one_line() -> None:
    followers = Followers()
    for arn in ("a", "b"):
        for name in ("Join Batch", "Leads The Batch?", "Joined Open Batch", "SUCCEEDED"):
            assert followers.take(step(arn, name, 1.5)) == []
    assert followers.summary(START.timestamp()) == [
        "    1.5 s  2 executions joined the batch, and ended: a.html put, b.html put"
    ]


def test_one_that_fails_before_it_is_known_is_told() -> None:
    followers = Followers()
    join, failed = step("a", "Join Batch"), step("a", "FAILED", kind="Ended")
    assert followers.take(join) == []
    assert followers.take(failed) == [join, failed]
