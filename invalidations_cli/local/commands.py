"""`invalidations local …`: the commands that need no AWS account."""

from __future__ import annotations

from pathlib import Path

import click

from invalidations_cli.main import LazyGroup

CHECKOUT = Path(__file__).parents[2]

COMMANDS = {
    "up": ("local.up:up", "Start it with a sample site, and keep it until interrupted."),
    "demo": ("local.demo:demo", "Change a web site and watch CloudFront follow."),
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
def local() -> None:
    """A local AWS on which everything runs: no account, no Docker, nothing leaves this machine."""
    if not (CHECKOUT / "template.yaml").exists():
        raise click.ClickException(
            "the local AWS deploys the template of a checkout, and an installed package has none. Clone the repository "
            "and run `make demo` there"
        )
