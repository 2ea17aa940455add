"""`invalidations local …`: the commands that need no AWS account."""

from __future__ import annotations

import click

from invalidations_cli.main import LazyGroup

COMMANDS = {
    "up": ("invalidations_cli.local.up:up", "Start it with a sample site, and keep it until interrupted."),
    "demo": ("invalidations_cli.local.demo:demo", "Change a web site and watch CloudFront follow."),
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
def local() -> None:
    """A local AWS on which everything runs: no account, no Docker, nothing leaves this machine."""
