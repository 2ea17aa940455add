"""The command line: `invalidations …`. Each command is a module of its own, imported only when it is called.

To add one, write `invalidations_cli/commands/<name>.py` with a click command and add its line to COMMANDS.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

import click
from click.shell_completion import CompletionItem

Places = Mapping[str, tuple[str, str]]
"""Name of a command → where it is in this package (`module:attribute`), and what `--help` says of it."""

LOCAL_EXTRA = {"ministack", "samtranslator", "cryptography", "hypercorn"}
"""Packages that only the extra ``local`` installs."""


INTERRUPTED = 130
EXIT_CODES = """\b
Exit codes of all commands:
  0    as asked
  1    something failed, or needs a person
  2    wrong usage: nothing was done
  3    the chain from the bucket to CloudFront is cut: nothing can be awaited
  4    AWS could not be asked: no credentials, permission, stack or answer
  124  not within --timeout; it goes on
  130  interrupted
"""


class LazyGroup(click.Group):
    """A group that imports a command only when it is called: `--help` stays quick."""

    def __init__(self, *arguments: Any, commands_at: Places, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.commands_at = commands_at

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands_at, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands_at:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.commands_at[cmd_name][0].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(f"invalidations_cli.{module}"), attribute)
        except ModuleNotFoundError as missing:
            if (missing.name or "").partition(".")[0] not in LOCAL_EXTRA:
                raise
            if ctx.resilient_parsing:  # the shell asks for completions: there are none
                return None
            raise click.ClickException(
                f"the local AWS needs {missing.name}, which is not installed, and a checkout. There `make demo` "
                "installs what it needs, as does: python -m pip install --editable '.[local]'"
            ) from None
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """As any group, without importing the commands: the shell waits for it."""
        names = [
            CompletionItem(name, help=text)
            for name, (_place, text) in self.commands_at.items()
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As any group; click itself suggests only from commands that are imported already."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(
                error.command_name, possibilities=self.list_commands(ctx), ctx=ctx
            ) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's own
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_place, text) in self.commands_at.items()])


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP end what is inside as Ctrl-C does. Its `finally` runs, undisturbed by a second one.

    A signal that the caller chose to ignore, as nohup does, stays ignored.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    before = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


COMMANDS = {
    "request": ("commands.request:request", "Invalidate keys of a bucket, or paths of a distribution, now."),
    "wait": ("commands.wait:wait", "Return when the edge shows what was changed: for deploy scripts."),
    "doctor": ("commands.doctor:doctor", "Find out why nothing is invalidated, check by check."),
    "selftest": ("commands.selftest:selftest", "Prove that it works: change test objects, see the edge follow."),
    "explain": ("commands.explain:explain", "Why a page is stale; what a change of a key invalidates, and why."),
    "bucket": ("commands.bucket:bucket", "Switch the events of buckets on or off, or see whether they are on."),
    "audit": ("commands.audit:audit", "Who changed what, what was invalidated, and what it cost."),
    "show": ("commands.show:show", "All that is known of one execution, batch or invalidation."),
    "watch": ("commands.watch:watch", "See executions run, state by state."),
    "graph": ("commands.graph:graph", "An execution as one HTML page: graph, data, timeline, events."),
    "status": ("commands.status:status", "What waits, what is not invalidated yet, what needs a person."),
    "retry": ("commands.retry:retry", "Try a failed batch or execution again."),
    "abandon": ("commands.abandon:abandon", "Give up a parked batch permanently; the audit keeps who and why."),
    "dead-letters": ("commands.dead_letters:dead_letters", "Events that could not start an execution; replay them."),
    "pause": ("commands.pause:pause", "Invalidate nothing for a bucket until it is resumed."),
    "resume": ("commands.pause:resume", "Go on with a paused bucket."),
    "local": ("local.commands:local", "A local AWS on which everything runs."),
}


@click.group(
    cls=LazyGroup,
    commands_at=COMMANDS,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="cloudfront-auto-invalidation", prog_name="invalidations")
def main() -> None:
    """CloudFront invalidations for changes of S3 buckets: see them, wait for them, repair what failed."""


if __name__ == "__main__":
    main()
