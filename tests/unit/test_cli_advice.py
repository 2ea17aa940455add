"""Every command that is printed as advice can be pasted into a shell and runs."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from invalidation.batches.finish import Failure
from invalidations_cli.aws import AwsOptions
from invalidations_cli.commands.abandon import abandon
from invalidations_cli.commands.pause import pause
from invalidations_cli.commands.request import request
from invalidations_cli.commands.show import show
from invalidations_cli.commands.status import status
from invalidations_cli.main import main
from tests.fakes.stack import START, World, event

LINE = re.compile(r"^ +(invalidations .+)$", re.MULTILINE)


def parsed(command: str) -> list[str]:
    """The names of the commands that the shell would run; raises click.UsageError where one would be refused."""
    _, *words = shlex.split(command)
    group: click.Group = main
    names = []
    while True:
        name, found, words = group.resolve_command(click.Context(group), words)
        assert found is not None
        names.append(str(name))
        if not isinstance(found, click.Group):
            found.make_context(str(name), words)
            return names
        group = found


class Queues:
    """SQS, with three dead letters."""

    def get_queue_attributes(self, **request: str) -> dict[str, dict[str, str]]:
        number = "3" if "dead" in request["QueueUrl"] else "0"
        return {"Attributes": {"ApproximateNumberOfMessages": number}}


@pytest.fixture
def world() -> World:
    """Everything that needs a person."""
    world = World(clients={"sqs": Queues()})
    world.batch(failure=Failure("AccessDenied", "no"))
    world.states.add("lost", event("a.html")).end("FAILED", START, error="ChangesNotAccepted")
    return world


def test_what_is_advised_is_one_command_a_line_and_runs(world: World) -> None:
    outputs = [
        world.run(status).output,
        world.run(show, "lost").output,
        world.run(show, "I99").output,
        world.run(show, "20261123").output,
        world.run(pause, "site").output,
        world.run(request, "--bucket", "site", "it's.html").output,
        world.run(abandon, "lost", "--reason", "x", "--yes").output,
    ]
    advised = [command for output in outputs for command in LINE.findall(output)]
    names = {parsed(command)[0] for command in advised}
    assert names >= {"show", "retry", "abandon", "dead-letters", "resume", "graph", "audit"}, advised


def test_what_named_the_stack_is_named_again_in_what_is_advised() -> None:
    options = AwsOptions("http://127.0.0.1:4566", None, "my profile").written("my-stack")
    assert shlex.join(options) == "--stack my-stack --endpoint-url http://127.0.0.1:4566 --profile 'my profile'"


def test_what_the_environment_names_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVALIDATIONS_STACK", "my-stack")
    assert AwsOptions(None, None, None).written("my-stack") == ()


def test_a_name_that_a_shell_would_take_apart_is_quoted_and_steers_nothing() -> None:
    stack = World().stack()
    assert parsed(stack.command("resume", "a'; rm -rf $HOME #")) == ["resume"]
    assert "\x1b" not in stack.command("resume", "\x1b[31m")
