"""`invalidations show`: the whole story of an execution, a batch or an invalidation, and what is left of it later."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from invalidation.batches.finish import Failure
from invalidation.batches.head import Execution
from invalidation.batches.join import open_paths_batch
from invalidation.batches.snapshot import chunk_key
from invalidation.cloudfront.rules import Widening
from invalidations_cli.commands.show import show
from invalidations_cli.history import read_history
from invalidations_cli.recording import load
from tests.fakes.stack import EXECUTION, HOSTILE, SHOWN_HOSTILE, START, World, event
from tests.outcome_schemas import faults

SECOND = timedelta(seconds=1)
DENIED = Failure("AccessDenied", "CloudFront refused it: allow cloudfront:CreateInvalidation")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def batch(world: World) -> str:
    """A batch of `run-1`, which Step Functions still has, with an invalidation whose paths CloudFront tells."""
    identity = world.batch(["a.html", HOSTILE], paths=12, widened=(Widening("/css/*", 120),))
    answer = {"role": "leader", "batchId": identity, "leader": f"{EXECUTION}run-1", "bucket": "site"}
    ran = world.states.joined("run-1", event("a.html"), answer)
    ran.event("TaskStateEntered", START + SECOND, name="Close Batch", input="{}")
    ran.event("TaskStateExited", START + 11 * SECOND, name="Close Batch", output="{}")
    ran.event("SucceedStateEntered", START + 11 * SECOND, name="Batch Completed", input="{}")
    ran.end("SUCCEEDED", START + 12 * SECOND, output="{}")
    world.cloudfront.paths["I0000000000001"] = [f"/{number:02}.html" for number in range(11)] + ["/css/*"]
    return identity


def told(world: World, *arguments: str) -> dict[str, Any]:
    result = world.run(show, *arguments, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_a_batch_an_invalidation_and_an_execution_lead_to_the_same_story(world: World, batch: str) -> None:
    stories = [told(world, what) for what in (batch, "I0000000000001", f"{EXECUTION}run-1", "run-1")]
    assert {story["batch"]["batchId"] for story in stories} == {batch}
    assert {story["execution"]["name"] for story in stories} == {"run-1"}


def test_the_story_for_machines_is_complete(world: World, batch: str) -> None:
    story = told(world, batch)
    assert [change["key"] for change in story["changes"]] == ["a.html", HOSTILE]
    assert story["changes"][0]["requester"] == "111122223333"
    assert story["changes"][0]["source_ip"] == "192.0.2.7"
    assert story["changesOmitted"] == 0
    (target,) = story["batch"]["targets"]
    assert target["invalidations"][0]["items"] == world.cloudfront.paths["I0000000000001"]
    execution = story["execution"]
    assert (execution["status"], execution["stopped"]) == ("SUCCEEDED", "2026-11-23T06:00:12+00:00")
    states = [(state["name"], state["seconds"], state["status"]) for state in execution["states"]]
    assert states == [
        ("Join Batch", 1.0, "succeeded"),
        ("Close Batch", 10.0, "succeeded"),
        ("Batch Completed", 0.0, "succeeded"),
    ]


def test_people_see_the_story(world: World, batch: str) -> None:
    result = world.run(show, batch)
    assert result.exit_code == 0
    for text in (
        *(f"Batch {batch}  Completed", "2026-11-23 06:00:12 UTC, after 12 s", "12 paths: at most $0.060"),
        *("a.html", SHOWN_HOSTILE, "111122223333", "192.0.2.7", "2026-11-23 06:00:00"),
        *(
            "E1AAAAAAAAAAAA  completed in 9 s",
            "/css/* for 120 paths; unchanged objects with it not counted",
            "I0000000000001  12 paths (1 wildcard)",
        ),
        *("/00.html", "/09.html", "and 2 more; --json lists what is known"),
        *("Execution run-1  SUCCEEDED", "Close Batch", "06:00:01", "10 s", "invalidations graph run-1"),
    ):
        assert text in result.output
    assert "\x1b" not in result.output


def test_of_many_changes_some_are_listed(world: World) -> None:
    identity = world.batch([f"{number}.html" for number in range(30)])
    assert "and 10 more: --changes 0 lists all" in world.run(show, identity).output
    assert told(world, identity)["changesOmitted"] == 10
    assert len(told(world, identity, "--changes", "0")["changes"]) == 30


def test_after_90_days_the_batch_is_told_without_its_execution(world: World) -> None:
    identity = world.batch()
    assert told(world, identity)["execution"] is None
    assert "Step Functions has the execution no more" in world.run(show, identity).output


def test_a_list_that_has_expired_is_replaced_by_the_sample(world: World) -> None:
    identity = world.batch([f"{number}.html" for number in range(30)])
    world.table.delete_all([chunk_key(identity, "1", 1)])
    assert told(world, identity)["changes"][0] == {"path": "0.html"}


def test_an_invalidation_that_cloudfront_does_not_tell_of_says_why(world: World) -> None:
    identity = world.batch()
    output = world.run(show, identity).output
    assert "CloudFront does not tell its paths: NoSuchInvalidation" in output
    assert "planned were, for this distribution:\n      /0.html\n" in output
    batch = told(world, identity)["batch"]
    assert "items" not in batch["targets"][0]["invalidations"][0]
    assert faults("outcome", batch) == []


def test_a_dry_run_says_what_would_have_been_sent(world: World) -> None:
    identity = world.batch(dry_run=True, paths=3)
    output = world.run(show, identity).output
    assert "3 paths planned, nothing sent\n      /0.html\n      /1.html\n      /2.html\n" in output
    assert told(world, identity)["batch"]["targets"][0]["pathSample"] == ["/0.html", "/1.html", "/2.html"]


def test_a_parked_batch_says_what_is_wrong_and_what_to_do(world: World) -> None:
    identity = world.batch(failure=DENIED)
    output = world.run(show, identity).output
    assert "E1AAAAAAAAAAAA  parked" in output
    assert "1 try failed" in output
    assert "AccessDenied: CloudFront refused it: allow cloudfront:CreateInvalidation" in output
    assert f"When the cause is fixed:\n  invalidations retry {identity}\n" in output


def test_what_a_function_raised_is_told_without_its_trace_and_an_accepted_change_is_not_called_lost(
    world: World,
) -> None:
    identity = world.batch(failure=DENIED)
    cause = json.dumps({"errorMessage": "in plain words", "errorType": "KeyError", "trace": ["line 1"]})
    ran = world.states.joined("run-1", event("a.html"), {"role": "leader", "batchId": identity})
    ran.end("FAILED", START + SECOND, error="KeyError", cause=cause)
    output = world.run(show, identity).output
    assert "KeyError: in plain words" in output
    assert "trace" not in output
    assert "not accepted" not in output


def test_a_request_of_paths_lists_its_paths(world: World) -> None:
    execution = Execution(f"{EXECUTION}by-hand", START)
    joined = open_paths_batch(world.table, "E2BBBBBBBBBBBB", ["/a", "/b\x1b"], execution, lambda: START, "1")
    output = world.run(show, joined.batch_id).output
    for text in ("E2BBBBBBBBBBBB", "a request, not an event of S3", "2 paths", "/b\\x1b", "not found out yet"):
        assert text in output


def test_a_follower_says_who_leads(world: World, batch: str) -> None:
    answer = {"role": "follower", "batchId": batch, "leader": f"{EXECUTION}run-1"}
    world.states.joined("follower", event("a.html"), answer).end("SUCCEEDED", START, output="{}")
    output = world.run(show, "follower").output
    assert "its change is in a batch that another execution leads" in output
    assert "led by" in output
    assert f"Batch {batch}" in output
    assert f"invalidations graph {batch}" in output


def test_an_execution_whose_batch_is_not_frozen_yet_is_told_alone(world: World) -> None:
    world.states.joined("early", event("a.html"), {"role": "leader", "batchId": "20261123T060000Z-ffffffffff"})
    result = world.run(show, "early")
    assert result.exit_code == 0
    assert "There is no record of batch 20261123T060000Z-ffffffffff" in result.output
    assert told(world, "early")["batch"] is None


def test_an_execution_whose_change_was_not_accepted_says_how_to_replay_it(world: World) -> None:
    world.states.add("lost", event("a.html")).end("ABORTED", START, cause="by hand")
    assert "Its change was not accepted. Replay it:\n  invalidations retry lost\n" in world.run(show, "lost").output


@pytest.mark.parametrize(
    "what", ["nobody", "20261123T060000Z-0000000000", "I0000000000009", f"{EXECUTION}gone", "a b", "x" * 200, HOSTILE]
)
def test_what_nobody_knows_is_a_failure_that_says_where_to_look(world: World, what: str) -> None:
    result = world.run(show, what)
    assert result.exit_code == 1
    assert "To list them:\n  invalidations audit\n" in result.output
    assert "400 days" in result.output
    assert "\x1b" not in result.output


def test_what_is_saved_can_be_drawn(world: World, batch: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    assert world.run(show, batch, "--save", str(path)).exit_code == 0
    saved = load(path)
    assert set(json.loads(path.read_text())) == {"definition", "execution", "events"}
    assert read_history(saved.definition, saved.execution, saved.events).visits[0].state == "Join Batch"


def test_what_is_gone_or_cannot_be_written_is_said(world: World, batch: str, tmp_path: Path) -> None:
    gone = world.batch(at=START - timedelta(days=100))
    result = world.run(show, gone, "--save", str(tmp_path / "run.json"))
    assert result.exit_code == 1
    assert "nothing to save" in result.output
    assert not list(tmp_path.iterdir())
    assert world.run(show, batch, "--save", str(tmp_path / "no" / "folder")).exit_code == 1


def test_a_file_that_is_there_already_is_kept_unless_force_is_said(world: World, batch: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("mine")
    refused = world.run(show, batch, "--save", str(path))
    assert (refused.exit_code, path.read_text()) == (2, "mine")
    assert world.run(show, batch, "--save", str(path), "--force").exit_code == 0
    assert load(path).events


def test_names_of_executions_are_whole_on_a_narrow_terminal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    identity = world.batch()
    assert "  execution  run-1\n" in world.run(show, identity).output
    assert identity in world.run(show, identity).output


def test_keys_are_whole_on_a_narrow_terminal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    key = "a/key/that/is/longer/than/eighty/columns/" + "x" * 60 + ".html"
    lines = world.run(show, world.batch([key])).output.splitlines()
    (place,) = [number for number, each in enumerate(lines) if each == f"  {key}"]
    assert lines[place + 1].startswith("    put 2026-11-23 ")
