"""`invalidations graph` draws an execution as one HTML page."""

from __future__ import annotations

import re
import webbrowser
from pathlib import Path

import click

from invalidations_cli.aws import AwsOptions, stack_option, with_aws
from invalidations_cli.identify import EXECUTION_ARN, EXECUTION_NAME, identify, recording_of
from invalidations_cli.output import count, escape, write_file
from invalidations_cli.recording import Recording, collect, load
from invalidations_cli.report.page import render

EXPRESS_ARN = re.compile(r"arn:[^:]+:states:[^:]+:[0-9]+:express:")
GONE = "Step Functions keeps histories for 90 days; a file that `invalidations show --save` wrote works for ever"
EXAMPLES = """\b
Examples:
  invalidations graph latest --open
  invalidations graph 20261123T062719Z-0123456789 --html batch.html
  invalidations graph run.json

\b
Exit codes:
  0    the page is written
  1    there is no such execution, or it cannot be drawn
  2    wrong usage, the beginning of several, or the page is there already
  4    AWS could not be asked
"""


@click.command(epilog=EXAMPLES)
@click.argument("what", metavar="NAME|FILE")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the page.  [default: graph-NAME.html in this folder]",
)
@click.option("--force", is_flag=True, help="Overwrite the page if it is there already.")
@click.option("--open", "open_it", is_flag=True, help="Show the page in the browser.")
@stack_option
@with_aws
def graph(aws: AwsOptions, *, stack_name: str | None, what: str, html: Path | None, force: bool, open_it: bool) -> None:
    """Draw an execution: the state machine coloured by what happened, its data, timeline and events.

    NAME is an execution's name or ARN, a batch id, an invalidation id, the beginning of any of these, or `latest`; an
    ARN may be that of any Standard state machine. FILE is one that `invalidations show --save` wrote. The page is one
    file that loads nothing: keep it, attach it, send it.
    """
    recording = found(aws, stack_name, what)
    try:
        history = recording.history()
        page = render(history)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else escape(error)
        raise click.ClickException(f"{escape(what)} cannot be drawn: {why}") from None
    path = html or Path(f"graph-{file_name(history.name)}.html")
    write_file(path, page, force=force)
    entered = count(len(history.visits), "state")
    click.echo(f"{escape(path)}: {escape(history.name)}, {escape(history.status.lower())}, {entered} entered")
    if open_it:
        webbrowser.open(path.resolve().as_uri())


def found(aws: AwsOptions, stack_name: str | None, what: str) -> Recording:
    """A file, any execution by its ARN, or what the stack knows by this name.

    Raises:
        click.ClickException: there is none.
    """
    if EXPRESS_ARN.match(what):
        raise click.ClickException("an Express execution has no history in Step Functions: look in its log group")
    if is_file(what):
        try:
            return load(Path(what))
        except (OSError, ValueError) as error:
            raise click.ClickException(escape(error, 1_000)) from None
    if arn := EXECUTION_ARN.fullmatch(what):
        client = aws.clients(arn["region"])("stepfunctions")
        try:
            return collect(client, what)
        except client.exceptions.ExecutionDoesNotExist:
            raise click.ClickException(f"there is no execution {escape(what)} ({GONE})") from None
    if not EXECUTION_NAME.fullmatch(what) or Path(what).suffix == ".json" or Path(what).is_dir():
        raise click.ClickException(f"{escape(what)} is neither an execution, batch or invalidation nor a saved file")
    stack = aws.open_stack(stack_name)
    named = identify(stack, what)
    recording = named.recording or (recording_of(stack, named.batch.owner) if named.batch else None)
    if recording is None:
        raise click.ClickException(f"Step Functions has the execution of {escape(what)} no more ({GONE})")
    return recording


def is_file(what: str) -> bool:
    """Whether there is a file of this name. What is too long for a name is none."""
    try:
        return Path(what).is_file()
    except OSError:
        return False


def file_name(name: str) -> str:
    """The name, made fit for a file."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80] or "execution"
