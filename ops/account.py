"""Commands that ask AWS for one thing and need no stack: which account, region and endpoint they talk to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from ops.refusals import in_plain_words
from ops.stack import clients_for, configured_endpoint


def with_account(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say where AWS is; it is called with `clients`, a `Clients`, and its others."""

    @click.option("--endpoint-url", metavar="URL", help="Where AWS is, if not at AWS: what `local up` prints.")
    @click.option("--region", metavar="REGION", help="Which region.  [default: that of your AWS set-up]")
    @click.option("--profile", metavar="NAME", help="A profile of your AWS set-up.")
    @functools.wraps(command)
    def with_options(
        *arguments: Any, endpoint_url: str | None, region: str | None, profile: str | None, **options: Any
    ) -> Any:
        with in_plain_words("none"):
            clients = clients_for(endpoint_url or configured_endpoint(), region, profile)
            return command(*arguments, clients=clients, **options)

    return with_options
