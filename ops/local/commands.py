"""`invalidations local …`: the commands that need no AWS account."""

import click

from ops.lazy import LazyGroup

COMMANDS = {
    "up": ("ops.local.up:up", "Start it with a sample site, and keep it until interrupted."),
    "demo": ("ops.local.demo:demo", "Change a web site and watch CloudFront follow."),
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
def local() -> None:
    """A laptop-sized AWS on which everything runs: no account, no Docker, nothing leaves this machine."""
