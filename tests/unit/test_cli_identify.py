"""What `show`, `graph`, `retry` and `abandon` accept as a name: all that a person may have at hand."""

from __future__ import annotations

from datetime import timedelta

import click
import pytest

from invalidation.batches.finish import Failure
from invalidations_cli.commands.abandon import abandon
from invalidations_cli.commands.graph import graph
from invalidations_cli.commands.retry import retry
from invalidations_cli.commands.show import show
from invalidations_cli.identify import Identified, identify
from tests.fakes.stack import EXECUTION, START, World, event

SECOND = timedelta(seconds=1)
UUIDS = "4d5e6f70-1111-2222-3333-444455556666_77778888-9999-aaaa-bbbb-ccccddddeeee"


@pytest.fixture
def world() -> World:
    """A batch, whose execution is run-1, and two more executions."""
    world = World()
    identity = world.batch()
    answer = {"role": "leader", "bucket": "site", "batchId": identity}
    world.states.joined("run-1", event("index.html"), answer).end("SUCCEEDED", START + 9 * SECOND, output="{}")
    world.states.joined(UUIDS, event("late.html"), answer, START + 60 * SECOND)
    world.states.joined("run-2", event("a.html"), {"role": "follower", "batchId": identity}, START + 5 * SECOND)
    return world


def batch_id(world: World) -> str:
    found = identify(world.stack(), "I0000000000001").batch
    assert found
    return found.batch_id


def execution(found: Identified) -> str:
    assert found.recording
    return str(found.recording.execution["name"])


@pytest.mark.parametrize("what", ["run-1", f"{EXECUTION}run-1"])
def test_an_execution_is_known_by_its_name_and_arn(world: World, what: str) -> None:
    assert execution(identify(world.stack(), what)) == "run-1"


def test_a_batch_is_known_by_its_id_by_an_invalidation_and_by_the_beginning_of_either(world: World) -> None:
    identity = batch_id(world)
    for what in (identity, identity[:8], identity[:13], identity[:20], "I0000000000001", "I00000"):
        found = identify(world.stack(), what).batch
        assert found, what
        assert found.batch_id == identity


def test_the_beginning_that_watch_shows_is_enough(world: World) -> None:
    assert execution(identify(world.stack(), "4d5e6f70")) == UUIDS


def test_latest_is_the_execution_that_started_last(world: World) -> None:
    assert execution(identify(world.stack(), "latest")) == UUIDS


def test_latest_of_none_is_told() -> None:
    with pytest.raises(click.ClickException, match="has had no execution"):
        identify(World().stack(), "latest")


def test_the_beginning_of_several_is_refused_with_their_names(world: World) -> None:
    with pytest.raises(click.UsageError, match=r"run- is not unique: run-\d, run-\d$"):
        identify(world.stack(), "run-")


def test_a_name_that_others_begin_with_is_that_one(world: World) -> None:
    world.states.add("run-11", event("b.html"))
    assert execution(identify(world.stack(), "run-1")) == "run-1"


@pytest.mark.parametrize(
    "what", ["run", "", "2026", "99999999", "20261399T99", "I", "Ixyz", "nobody", "latest ", "../x"]
)
def test_what_is_too_short_or_unknown_is_refused(world: World, what: str) -> None:
    with pytest.raises(click.ClickException, match="is no execution, batch or invalidation"):
        identify(world.stack(), what)


@pytest.mark.parametrize("what", ["latest", "run-1", "I00000", "20261123"])
def test_every_command_that_takes_a_name_takes_all_of_them(world: World, what: str, tmp_path: object) -> None:
    parked = World(table=world.table, states=world.states, numbers=world.numbers)
    assert world.run(show, what).exit_code == 0
    assert "Nothing is left to do for batch" in world.run(retry, what).output or what == "latest"
    assert world.run(graph, what, "--html", f"{tmp_path}/page.html").exit_code == 0
    refused = parked.run(abandon, what, "--reason", "no", "--yes")
    assert (refused.exit_code, "is not parked but ended" in refused.output) == (1, True)


def test_a_parked_batch_is_given_up_by_its_execution(world: World) -> None:
    identity = world.batch(failure=Failure("AccessDenied", "no"))
    world.states.joined("later", event("x"), {"role": "leader", "batchId": identity}, START + 99 * SECOND)
    result = world.run(abandon, "latest", "--reason", "no", "--yes")
    assert (result.exit_code, f"Batch {identity}" in result.output) == (0, True), result.output
