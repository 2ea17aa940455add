"""`invalidations abandon`: what it gives up, what it leaves alone, how it asks, and who sees it afterwards."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from invalidation.batches.finish import Failure
from invalidation.batches.model import Batch, Outcome, epoch_seconds
from invalidation.batches.queries import unfinished_batches
from invalidation.errors import MAX_MESSAGE
from invalidations_cli.backlog import StackStatus
from invalidations_cli.commands.abandon import abandon
from invalidations_cli.commands.audit import audit
from invalidations_cli.commands.retry import retry
from invalidations_cli.commands.show import show
from tests.fakes.stack import HOSTILE, SHOWN_HOSTILE, START, World

DENIED = Failure("AccessDenied", "CloudFront refused it")
ANA = "arn:aws:sts::123456789012:assumed-role/Operator/ana"
WHY = ("--reason", "the site was taken down")


@pytest.fixture
def world() -> World:
    return World(clients={"sts": SimpleNamespace(get_caller_identity=lambda: {"Arn": ANA})})


def run(world: World, command: click.Command, *arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(command, list(arguments), obj=world.stack(), input=answer, catch_exceptions=False)


def test_a_parked_batch_is_given_up_and_the_record_says_who_did_it_and_why(world: World) -> None:
    identity = world.batch(failure=DENIED)
    result = run(world, abandon, identity, *WHY, "--yes")
    assert (result.exit_code, result.output) == (
        0,
        f"Batch {identity} (1 change of site) is abandoned: nothing is invalidated for it any more.\n",
    )
    batch = Batch.read(world.table, identity)
    assert batch.outcome is Outcome.ABANDONED
    assert batch.message == f"abandoned by {ANA}: the site was taken down (it had failed: CloudFront refused it)"


def test_the_audit_and_the_story_tell_it(world: World) -> None:
    identity = world.batch(failure=DENIED)
    run(world, abandon, identity, *WHY, "--yes")
    for result in (run(world, audit, "--outcome", "Abandoned"), run(world, show, identity)):
        for text in (identity, "Abandoned", "given up", f"abandoned by {ANA}:", "AccessDenied"):
            assert text in result.output
        assert "parked" not in result.output


def test_it_is_not_listed_as_parked_any_more_and_a_retry_says_that_it_was_given_up(world: World) -> None:
    identity = world.batch(failure=DENIED)
    run(world, abandon, identity, *WHY, "--yes")
    assert run(world, retry, "--parked").output == "Nothing is parked.\n"
    result = run(world, retry, identity)
    assert "Nothing is left to do for batch" in result.output
    assert "Abandoned, " in result.output
    assert "given up permanently: ask for what is needed after all with `invalidations request`" in result.output
    assert world.states.started() == {}


def test_it_is_kept_as_long_as_the_stack_keeps_records(world: World) -> None:
    identity = world.batch(failure=DENIED)
    world.parameters["AuditRetentionDays"] = "30"
    run(world, abandon, identity, *WHY, "--yes")
    (meta,) = (item for item in world.table.partitions[f"BATCH#{identity}"].values() if item["sk"] == "META")
    ended = Batch.read(world.table, identity).finished
    assert ended is not None
    assert abs(meta["expiresAt"] - epoch_seconds(ended + timedelta(days=30))) < 5
    del world.parameters["AuditRetentionDays"]
    assert world.stack().settings.audit_retention == timedelta(days=400)


@pytest.mark.parametrize(("answer", "given_up"), [("y\n", True), ("n\n", False), ("\n", False), ("", False)])
def test_it_asks_first_and_says_what_is_given_up(world: World, answer: str, given_up: bool) -> None:
    identity = world.batch([HOSTILE, *(f"{number}.html" for number in range(19))], failure=DENIED)
    result = run(world, abandon, identity, *WHY, answer=answer)
    assert (Batch.read(world.table, identity).outcome is Outcome.ABANDONED) == given_up
    assert result.exit_code == (0 if given_up else 2)
    for text in ("(20 changes of site) is parked: AccessDenied", f"  {SHOWN_HOSTILE}", "and 10 more", "Give it up"):
        assert text in result.stderr
    assert ("Nothing was changed" in result.stderr) != given_up
    assert "\x1b[31m[bold" not in result.output


def test_json_is_the_record_as_the_audit_prints_it(world: World) -> None:
    identity = world.batch(failure=DENIED)
    result = run(world, abandon, identity, *WHY, "--json", answer="y\n")
    told: dict[str, Any] = json.loads(result.stdout)
    assert (told["batchId"], told["outcome"], told["state"]) == (identity, "Abandoned", "ENDED")
    assert result.stdout == run(world, audit, "--json").stdout


def test_a_second_time_says_so_and_is_no_failure(world: World) -> None:
    identity = world.batch(failure=DENIED)
    run(world, abandon, identity, *WHY, "--yes")
    again = run(world, abandon, identity, "--reason", "another")
    assert again.exit_code == 0
    assert "was abandoned already" in again.output
    assert "the site was taken down" in again.output
    assert "another" not in Batch.read(world.table, identity).message


def test_what_is_not_parked_is_left_alone_and_its_state_is_said(world: World) -> None:
    ended = world.batch()
    running = world.batch(at=START + timedelta(hours=1), ends=False)
    owed = world.batch(at=START + timedelta(hours=2), failure=Failure("CloudFrontThrottled", "Rate exceeded"))
    for identity, said in {
        ended: "is not parked but ended, Completed at 2026-11-23 06:00:12 UTC: nothing of it is left",
        running: "is not parked: run-2 works on it, or the sweep goes on with it within minutes",
        owed: "is not parked: it is tried again at 2026-11-23 08:05:12 UTC. Only a batch that is parked",
    }.items():
        result = run(world, abandon, identity, *WHY, "--yes")
        assert result.exit_code == 1
        assert said in result.output
    assert {each.batch_id for each in unfinished_batches(world.table)} == {running, owed}


@pytest.mark.parametrize("reason", [[], ["--reason", "  "], ["--reason", "x" * 501]])
def test_without_a_reason_that_fits_nothing_is_given_up(world: World, reason: list[str]) -> None:
    identity = world.batch(failure=DENIED)
    assert run(world, abandon, identity, "--yes", *reason).exit_code == 2
    assert Batch.read(world.table, identity).outcome is Outcome.FAILED


def test_the_longest_reason_is_kept_whole(world: World) -> None:
    identity = world.batch(failure=Failure("AccessDenied", "x" * MAX_MESSAGE))
    run(world, abandon, identity, "--yes", "--reason", "y" * 500)
    message = Batch.read(world.table, identity).message
    assert "y" * 500 + " (it had failed: xxx" in message
    assert len(message) == MAX_MESSAGE


def test_what_nobody_knows_cannot_be_given_up(world: World) -> None:
    result = run(world, abandon, "20261123T062719Z-0123456789", *WHY, "--yes")
    assert result.exit_code == 1
    assert "is no execution, batch or invalidation" in result.output


def test_status_names_the_command_beside_the_retry(world: World) -> None:
    parked = Batch.read(world.table, world.batch(failure=DENIED))
    (need,) = StackStatus(START, (), (), (parked,), (), 0, 0, 0, 0, 0, world.stack().command).needs()
    assert need.commands[1:] == (
        f"invalidations retry {parked.batch_id}",
        f"invalidations abandon {parked.batch_id} --reason 'nobody needs it any more'",
    )
