"""`invalidations selftest` on the local AWS: whole, and with each link of the chain cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pytest
from click.testing import Result

from invalidations_cli.canaries import NAMES, CanaryBucket
from invalidations_cli.local.environment import LocalEnvironment
from tests.local.instruments import control
from tests.local.test_local_health import events_off, rule_disabled, sweep
from tests.local.test_local_operate import invalidations

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]

ARGUMENTS = ("--yes", "--json", "--timeout", "60")


def selftest(there: LocalEnvironment, *options: str) -> tuple[Result, dict[str, Any]]:
    result = invalidations(there, "selftest", "--bucket", there.bucket, *ARGUMENTS, *options)
    return result, json.loads(result.stdout)


def fails(report: dict[str, Any]) -> list[str]:
    return [each["name"] for each in report["tried"] if each["answer"] == "fails"]


def left(there: LocalEnvironment) -> list[str]:
    listed = there.aws.client("s3").list_objects_v2(Bucket=there.bucket, Prefix="invalidations-selftest/")
    return [each["Key"] for each in listed.get("Contents", [])]


@contextmanager
def sweep_comes_at_once(there: LocalEnvironment) -> Iterator[None]:
    """The sweep, which the local AWS runs every five minutes as AWS does, comes as soon as an execution was stopped."""
    over, states = Event(), there.aws.client("stepfunctions")

    def aborted() -> int:
        listed = states.list_executions(stateMachineArn=there.state_machine_arn, statusFilter="ABORTED")
        return len(listed["executions"])

    def come(before: int) -> None:
        while not over.wait(0.2):
            if (stopped := aborted()) > before:
                before = stopped
                sweep(there)

    waiting = Thread(target=come, args=(aborted(),))
    waiting.start()
    try:
        yield
    finally:
        over.set()
        waiting.join()


def test_a_whole_chain_is_followed_to_the_edge_for_every_kind_of_key_and_nothing_is_left(
    local: LocalEnvironment,
) -> None:
    queues = local.aws.client("sqs").list_queues()["QueueUrls"]
    with sweep_comes_at_once(local):
        result, report = selftest(local, "--thorough")
    assert (result.exit_code, fails(report)) == (0, []), result.output
    works = {each["name"] for each in report["tried"] if each["answer"] == "works"}
    assert {"The outcome is told", "An alarm is told", "Dead letters are found", "What /?* purges"} <= works
    assert {"A stopped execution is told", "A stopped execution is gone on with"} <= works
    assert {f"What one path purges: {kind}" for kind in list(NAMES)[1:]} <= works
    assert report["works"]
    puts = [each for each in report["changes"] if each["change"] == "put"]
    assert all(each["keyInEvent"] == each["key"] for each in puts)
    seconds = [each["seconds"] for each in report["changes"] if "edge" in each["seconds"]]
    assert len(seconds) == 14
    for each in seconds:
        assert each["event"] <= each["execution"] <= each["invalidation"] <= each["completion"] <= each["edge"]
    assert left(local) == []
    assert local.aws.client("sqs").list_queues()["QueueUrls"] == queues


@pytest.mark.parametrize(
    ("cut", "name"), [(rule_disabled, "Rule is enabled"), (events_off, "Bucket sends events")], ids=["rule", "events"]
)
def test_a_cut_chain_is_named_before_anything_is_written(
    local: LocalEnvironment, cut: Callable[[LocalEnvironment], Any], name: str
) -> None:
    with cut(local):
        result, report = selftest(local)
    assert (result.exit_code, fails(report), report["changes"]) == (1, [name], [])


def test_a_distribution_that_does_not_serve_the_bucket_is_named(local: LocalEnvironment) -> None:
    result, report = selftest(local, "--distribution", "E0000000000000")
    assert (result.exit_code, fails(report)) == (1, ["The distribution serves the bucket"])
    (wrong,) = [each for each in report["tried"] if each["answer"] == "fails"]
    assert wrong["remedy"] == f"--distribution {local.distribution_id}"
    assert report["changes"] == []


def test_what_cloudfront_denies_is_told_with_its_error_and_the_objects_are_removed(denied: LocalEnvironment) -> None:
    result, report = selftest(denied, "--stack", "denied")
    assert result.exit_code == 1
    assert "New objects are invalidated" in fails(report)
    assert any("AccessDenied" in each["evidence"] for each in report["tried"] if each["answer"] == "fails")
    assert left(denied) == []


def test_keys_that_are_encoded_in_events_are_found_out_by_the_event_and_by_the_edge(local: LocalEnvironment) -> None:
    control.tell(local.endpoint, "encoded-keys", {"on": True})
    try:
        result, report = selftest(local)
    finally:
        control.tell(local.endpoint, "encoded-keys", {"on": False})
    assert result.exit_code == 1
    encoded = {"space", "plus", "percent", "umlaut", "%20 as text", "parenthesis"}
    assert {f"Key in the event: {kind}" for kind in encoded} <= set(fails(report))
    assert "Key in the event: plain" not in fails(report)
    assert "Edge shows the change: plain" not in fails(report)
    assert "Edge shows the change: umlaut" in fails(report)


def test_an_interruption_removes_what_was_written(local: LocalEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    put = CanaryBucket.put

    def put_and_interrupt(objects: CanaryBucket, canary: Any, body: str) -> Any:
        made = put(objects, canary, body)
        if body == "second":
            raise KeyboardInterrupt
        return made

    monkeypatch.setattr(CanaryBucket, "put", put_and_interrupt)
    interrupted = invalidations(local, "selftest", "--bucket", local.bucket, *ARGUMENTS)
    assert interrupted.exit_code == 130
    assert left(local) == []


def test_nothing_is_written_where_nobody_agrees(local: LocalEnvironment) -> None:
    asked = invalidations(local, "selftest", "--bucket", local.bucket)
    assert asked.exit_code == 2
    assert "add --yes" in asked.output
    assert left(local) == []


def test_a_stack_elsewhere_cannot_be_asked(local: LocalEnvironment) -> None:
    asked = invalidations(local, "selftest", "--bucket", local.bucket, "--yes", "--stack", "nowhere")
    assert asked.exit_code == 4
