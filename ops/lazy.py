"""A click group that imports a command's module when the command is called, so that `--help` stays quick."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

Places = Mapping[str, tuple[str, str]]
"""Name of a command → where it is (`package.module:attribute`), and what `--help` says of it."""


class LazyGroup(click.Group):
    def __init__(self, *arguments: Any, commands_at: Places, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.commands_at = commands_at

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands_at, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands_at:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.commands_at[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's own
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_place, text) in self.commands_at.items()])
