"""`invalidations retry`: what is started for a batch, for an execution, and when nothing is."""

import json
from datetime import timedelta
from typing import Any

import pytest

from invalidation.batches.finish import Failure
from invalidation.batches.head import Execution, Window, pause
from invalidation.batches.join import join
from invalidation.batches.replay import Ended
from invalidation.events import Change
from invalidations_cli.commands import request
from invalidations_cli.commands.retry import retry
from tests.fakes.stack import EXECUTION, START, FakeStates, World, event

DENIED = Failure("AccessDenied", "CloudFront refused it")
REPLAY = Ended(f"{EXECUTION}lost", "lost", START).replay_name


@pytest.fixture
def world() -> World:
    return World()


def new(world: World, before: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    return [(name, document) for name, document in world.states.started().items() if name not in before]


def test_a_parked_batch_is_started_again(world: World) -> None:
    identity = world.batch(failure=DENIED)
    result = world.run(retry, identity)
    assert result.exit_code == 0
    ((name, document),) = new(world)
    assert document == {"retryBatch": identity}
    assert name.startswith(f"retry-{identity}-")
    assert len(name) <= 80
    assert f"Started {name} for batch {identity} (1 change)" in result.output


def test_the_invalidation_that_was_created_for_a_batch_names_it_as_well(world: World) -> None:
    identity = world.batch(ends=False)
    assert world.run(retry, "I0000000000001").exit_code == 0
    assert [document for _, document in new(world)] == [{"retryBatch": identity}]


def test_a_batch_that_has_ended_owes_nothing(world: World) -> None:
    result = world.run(retry, world.batch())
    assert result.exit_code == 0
    assert "Nothing is left to do for batch" in result.output
    assert "Completed, 2026-11-23 06:00:12 UTC" in result.output
    assert new(world) == []


def test_a_batch_that_is_worked_on_is_left_alone(world: World) -> None:
    identity = world.batch(ends=False)
    world.states.add("run-1", event("a.html"))
    assert "run-1 works on batch" in world.run(retry, identity).output
    assert len(new(world)) == 1


def test_all_that_is_parked_is_started_again(world: World) -> None:
    assert world.run(retry, "--parked").output == "Nothing is parked.\n"
    parked = {world.batch(failure=DENIED, at=START + timedelta(hours=hour)) for hour in range(3)}
    world.batch()
    assert world.run(retry, "--parked").exit_code == 0
    assert {document["retryBatch"] for _, document in new(world)} == parked


@pytest.mark.parametrize("arguments", [[], ["--parked", "run-1"], ["run-1", "--timeout", "-1"]])
def test_wrong_usage_ends_with_2(world: World, arguments: list[str]) -> None:
    assert world.run(retry, *arguments).exit_code == 2


def test_what_nobody_knows_cannot_be_tried_again(world: World) -> None:
    result = world.run(retry, "nobody")
    assert result.exit_code == 1
    assert "nobody is no execution, batch or invalidation" in result.output


def test_an_execution_that_runs_is_left_alone(world: World) -> None:
    world.states.add("run", event("a.html"))
    result = world.run(retry, "run")
    assert (result.exit_code, "still running" in result.output, len(new(world))) == (0, True, 1)


def test_an_execution_whose_change_was_not_accepted_is_replayed_under_the_sweeps_name(world: World) -> None:
    world.states.add("lost", event("a.html")).end("FAILED", START, error="ChangesNotAccepted", cause="no")
    assert world.run(retry, "lost").exit_code == 0
    assert new(world, ("lost",)) == [(REPLAY, event("a.html"))]


def test_a_caught_failure_of_join_batch_is_no_answer(world: World) -> None:
    failure = {"Error": "ChangesNotAccepted", "Cause": "no"}
    world.states.joined("lost", event("a.html"), failure).end("FAILED", START, error="ChangesNotAccepted")
    world.run(retry, "lost")
    assert [name for name, _ in new(world, ("lost",))] == [REPLAY]


def test_a_replay_that_runs_is_not_started_twice(world: World) -> None:
    world.states.add("lost", event("a.html")).end("ABORTED", START)
    world.run(retry, "lost")
    result = world.run(retry, "lost")
    assert f"replayed already, as {REPLAY}" in result.output
    assert len(new(world)) == 2


def test_a_replay_that_failed_as_well_is_followed_by_the_next(world: World) -> None:
    world.states.add("lost", event("a.html")).end("ABORTED", START)
    world.states.add(REPLAY, event("a.html")).end("FAILED", START, error="ChangesNotAccepted")
    world.run(retry, "lost")
    second = Ended("", REPLAY, START).replay_name
    assert new(world, ("lost", REPLAY)) == [(second, event("a.html"))]
    assert second.startswith("replay-2-")


def test_a_replay_that_was_accepted_leads_to_its_batch(world: World) -> None:
    identity = world.batch(failure=DENIED)
    world.states.add("lost", event("a.html")).end("ABORTED", START)
    world.states.joined(REPLAY, event("a.html"), {"role": "leader", "batchId": identity}).end("FAILED", START)
    world.run(retry, "lost")
    assert [document for _, document in new(world, ("lost", REPLAY))] == [{"retryBatch": identity}]


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_an_execution_whose_change_was_accepted_is_tried_again_through_its_batch(world: World, role: str) -> None:
    identity = world.batch(failure=DENIED)
    world.states.joined("run", event("a.html"), {"role": role, "batchId": identity, "bucket": "site"}).end(
        "FAILED", START
    )
    world.run(retry, "run")
    assert [document for _, document in new(world, ("run",))] == [{"retryBatch": identity}]


def test_an_input_that_is_not_accepted_is_not_sent_again(world: World) -> None:
    answer = {"role": "rejected", "failure": {"error": "InvalidRequest", "message": "keys is empty\x1b"}}
    world.states.joined("run", {"keys": []}, answer).end("FAILED", START)
    result = world.run(retry, "run")
    assert result.exit_code == 1
    assert r"keys is empty\x1b" in result.output
    assert "invalidations request" in result.output
    assert len(new(world)) == 1


def test_an_event_that_changed_nothing_needs_nothing(world: World) -> None:
    world.states.joined("run", event("a.html"), {"role": "ignored", "reason": "nothing"}).end("SUCCEEDED", START)
    result = world.run(retry, "run")
    assert (result.exit_code, len(new(world))) == (0, 1)


def accepted_but_not_frozen(world: World) -> None:
    """An execution that joined and was stopped before its batch was closed, long ago."""
    change = Change("site", "a.html", "event")
    execution = Execution(f"{EXECUTION}run", START - timedelta(hours=1))
    joined = join(world.table, "site", [change], execution, Window(), lambda: START - timedelta(hours=1), "1")
    world.states.joined("run", event("a.html"), joined.to_document()).end("ABORTED", START)


def test_changes_that_wait_without_a_leader_get_one(world: World) -> None:
    accepted_but_not_frozen(world)
    result = world.run(retry, "run")
    ((name, document),) = new(world, ("run",))
    assert document == {"lead": "site"}
    assert name.startswith("lead-site-")
    assert f"Started {name}" in result.output


def test_changes_of_a_paused_bucket_go_on_waiting(world: World) -> None:
    accepted_but_not_frozen(world)
    pause(world.table, "site")
    assert "the bucket is paused" in world.run(retry, "run").output
    assert len(new(world)) == 1


def test_changes_that_another_batch_took_need_nothing(world: World) -> None:
    world.states.joined("run", event("a.html"), {"role": "leader", "batchId": "gone", "bucket": "site"}).end(
        "ABORTED", START
    )
    assert "another batch has taken" in world.run(retry, "run").output
    assert len(new(world)) == 1


class Ending(FakeStates):
    """Executions that are started go through their whole life at once."""

    def __init__(self, status: str = "SUCCEEDED", outcome: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.status = status
        self.outcome = outcome if outcome is not None else {"outcome": "Completed", "changes": 1, "bucket": "site"}

    def start_execution(self, **request: Any) -> Any:
        answer = super().start_execution(**request)
        ran = self.executions[answer["executionArn"]].event("TaskStateEntered", START, name="Join Batch", input="{}")
        if self.status == "FAILED":
            ran.event("FailStateEntered", START, name="Failed", input=json.dumps({"outcome": self.outcome}))
            ran.end("FAILED", START, error="AccessDenied", cause="allow it")
        elif self.status == "SUCCEEDED":
            ran.end("SUCCEEDED", START, output=json.dumps({"outcome": self.outcome}))
        return answer


@pytest.mark.parametrize(
    ("status", "code", "said"), [("SUCCEEDED", 0, "Fresh"), ("FAILED", 1, "AccessDenied: allow it")]
)
def test_waiting_tells_the_end_and_its_exit_code_is_that_of_the_execution(status: str, code: int, said: str) -> None:
    outcome = {"outcome": "Completed" if code == 0 else "Failed", "changes": 1, "bucket": "site"}
    world = World(states=Ending(status, outcome))
    result = world.run(retry, world.batch(failure=DENIED), "--wait")
    assert result.exit_code == code
    assert said in result.output


def test_waiting_ends_with_124_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "POLL_SECONDS", 0.0)
    world = World(states=Ending("RUNNING"))
    result = world.run(retry, world.batch(failure=DENIED), "--wait", "--timeout", "0.05")
    assert result.exit_code == 124
    assert "goes on. To see what happens" in result.output


def test_nothing_to_do_is_nothing_to_wait_for(world: World) -> None:
    assert world.run(retry, world.batch(), "--wait").exit_code == 0


def test_waiting_goes_on_with_the_execution_that_leads() -> None:
    world = World(states=Ending("RUNNING"))
    identity = world.batch(failure=DENIED)
    leader = world.states.add("leader", {"retryBatch": identity})
    leader.end("FAILED", START, error="AccessDenied", cause="still")
    world.states.add("lost", event("a.html")).end("ABORTED", START)
    world.run(retry, "lost")
    replay = world.states.executions[EXECUTION + REPLAY]
    answer = {"role": "follower", "batchId": identity, "leader": f"{EXECUTION}leader"}
    replay.event("TaskStateExited", START, name="Join Batch", output=json.dumps(answer)).end(
        "SUCCEEDED", START, output="{}"
    )
    replay.described["status"] = "RUNNING"
    result = world.run(retry, "lost", "--wait")
    assert "It joined the batch that leader leads." in result.output
    assert "AccessDenied: still" in result.output
    assert result.exit_code == 1


def test_a_machine_is_told_what_was_done_for_each_name(world: World) -> None:
    owed, done = world.batch(failure=DENIED), world.batch()
    lines = [json.loads(line) for line in world.run(retry, owed, done, "--json").output.splitlines()]
    assert [each["name"] for each in lines] == [owed, done]
    assert lines[0]["execution"] in world.states.executions
    assert lines[1]["execution"] is None
    assert lines[1]["said"].startswith("Nothing is left to do for batch")


def test_a_machine_is_told_how_each_execution_ended() -> None:
    world = World(states=Ending("SUCCEEDED"))
    result = world.run(retry, world.batch(failure=DENIED), "--wait", "--json")
    started, ended = [json.loads(line) for line in result.stdout.splitlines()]
    assert (ended["execution"], ended["status"]) == (started["execution"], "SUCCEEDED")


def test_nothing_is_printed_for_a_machine_where_nothing_is_parked() -> None:
    result = World().run(retry, "--parked", "--json")
    assert (result.exit_code, result.output) == (0, "")
