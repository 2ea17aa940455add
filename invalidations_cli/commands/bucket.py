"""`invalidations bucket …`: whether buckets send their events to EventBridge, and to let them."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
from botocore.exceptions import ParamValidationError

from invalidation.bucket_events import EVENT_BRIDGE, BucketEvents, Configuration, Switched, sends_events
from invalidation.errors import InvalidationError
from invalidations_cli.aws import Clients, ExitCode, sign_in_problem, with_account
from invalidations_cli.output import count, escape

KINDS = {
    "LambdaFunctionConfigurations": "function",
    "QueueConfigurations": "queue",
    "TopicConfigurations": "topic",
}
MINUTES = "Its events begin to arrive about five minutes from now."
WARNING = (
    "EventBridge on a bucket has no owner: other rules, stacks and accounts may rely on these events, and this stops "
    "them for all. Nothing was changed; add --yes when nobody relies on them."
)
EXITS = """
\b
Exit codes:
  0    {done}
  1    {failed}
  2    {refused}
  4    AWS could not be asked
"""
ENABLE_EXITS = EXITS.format(
    done="all of them send their events", failed="one of them could not be changed", refused="wrong usage"
)
DISABLE_EXITS = EXITS.format(
    done="none of them sends events",
    failed="one of them could not be changed",
    refused="wrong usage, or --yes is missing: nothing was changed",
)
STATUS_EXITS = EXITS.format(
    done="all of them send their events", failed="one of them does not, or could not be read", refused="wrong usage"
)
Switch = Callable[[BucketEvents, str], Switched]


@click.group()
def bucket() -> None:
    """Switch the events of buckets on or off, or see whether they are on. Needs no stack, only S3.

    What else is configured on a bucket (functions, queues, topics with their filters) stays as it is.
    """


def buckets_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the three commands have in common."""
    command = with_account(command)
    command = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")(command)
    return click.argument("names", nargs=-1, required=True, metavar="BUCKET...")(command)


@bucket.command(
    short_help="Switch the events of buckets on.",
    epilog=f"\b\nExample:\n  invalidations bucket enable my-site my-other-site --dry-run\n{ENABLE_EXITS}",
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@buckets_options
def enable(clients: Clients, *, names: Sequence[str], as_json: bool, dry_run: bool) -> None:
    """Let buckets send their events to EventBridge, and show what changes."""
    switch(clients, names, lambda events, name: events.enable(name, dry_run=dry_run), as_json=as_json, dry_run=dry_run)


@bucket.command(
    short_help="Switch the events of buckets off.",
    epilog=f"\b\nExample:\n  invalidations bucket disable my-old-site --yes\n{DISABLE_EXITS}",
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Nobody else relies on these events.")
@buckets_options
def disable(clients: Clients, *, names: Sequence[str], as_json: bool, dry_run: bool, yes: bool) -> None:
    """Stop the events of buckets, for whoever relies on them, and show what changes."""
    only_show = dry_run or not yes
    switch(
        clients, names, lambda events, name: events.disable(name, dry_run=only_show), as_json=as_json, dry_run=only_show
    )
    if not yes and not dry_run:
        click.secho(WARNING, fg="yellow", err=True)
        sys.exit(ExitCode.USAGE)


@bucket.command(
    short_help="Say whether buckets send their events.",
    epilog=f"\b\nExample:\n  invalidations bucket status my-site || echo it sends nothing\n{STATUS_EXITS}",
)
@buckets_options
def status(clients: Clients, *, names: Sequence[str], as_json: bool) -> None:
    """Say whether buckets send their events to EventBridge, and what else they notify."""
    events = events_in(clients)
    documents = []
    for name in names:
        try:
            found = events.read(name)
        except (InvalidationError, ParamValidationError) as error:
            if sign_in_problem(error):
                raise
            documents.append(_failure(name, error, as_json=as_json))
            continue
        documents.append({"bucket": name, "sendsEvents": sends_events(found), "configuration": found})
        if not as_json:
            click.echo(
                f"{escape(name)}: {'sends events' if sends_events(found) else 'sends NO events'}{_others(found)}"
            )
    if as_json:
        click.echo(json.dumps(documents))
    if not all(each.get("sendsEvents") for each in documents):
        sys.exit(ExitCode.FAILED)


def switch(clients: Clients, names: Sequence[str], change: Switch, *, as_json: bool, dry_run: bool) -> None:
    """Change one bucket after the other, whatever happens to any. Exits with 1 if one could not be changed."""
    events = events_in(clients)
    documents = []
    for name in names:
        try:
            switched = change(events, name)
        except (InvalidationError, ParamValidationError) as error:
            if sign_in_problem(error):
                raise
            documents.append(_failure(name, error, as_json=as_json))
            continue
        documents.append(
            {"bucket": name, "changed": switched.changed, "before": switched.before, "after": switched.after}
        )
        if not as_json:
            show(switched, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(documents))
    if any("error" in each for each in documents):
        sys.exit(ExitCode.FAILED)


def events_in(clients: Clients) -> BucketEvents:
    s3 = clients("s3")
    return BucketEvents(s3, s3.meta.region_name)


def show(switched: Switched, *, dry_run: bool) -> None:
    """The whole configuration, with what changes marked as in a diff."""
    name = escape(switched.bucket)
    on = sends_events(switched.after)
    if not switched.changed:
        click.echo(
            f"{name}: {'sends' if on else 'sends no'} events already; nothing to change{_others(switched.after)}"
        )
        return
    click.echo(f"{name}: {'would be' if dry_run else 'was'} changed")
    for line in difference(switched.before, switched.after):
        click.secho(f"  {line}", fg={"+": "green", "-": "red"}.get(line[:1]))
    if on and not dry_run:
        click.echo(f"  {MINUTES}")


def difference(before: Configuration, after: Configuration) -> Iterator[str]:
    """Both as JSON, in ASCII, line by line: `+` came, `-` went, the rest stays."""
    old, new = (_lines(each) for each in (before, after))
    marked = difflib.unified_diff(old, new, n=len(old) + len(new), lineterm="")
    return (f"{line[:1]} {line[1:]}" for line in list(marked)[3:])


def _lines(configuration: Configuration) -> list[str]:
    return json.dumps(configuration, indent=2, sort_keys=True).splitlines() if configuration else ["{", "}"]


def _others(configuration: Configuration) -> str:
    counts = {noun: len(configuration.get(kind, [])) for kind, noun in KINDS.items()}
    named = [count(number, f"{noun} configuration") for noun, number in counts.items() if number]
    named += [escape(kind) for kind in configuration if kind not in KINDS and kind != EVENT_BRIDGE]
    return f" (besides: {', '.join(named)})" if named else ""


def _failure(name: str, error: Exception, *, as_json: bool) -> dict[str, Any]:
    """What is said of a bucket that could not be read or changed. Botocore itself refuses what is no name of one."""
    message = str(error) if isinstance(error, InvalidationError) else f"{name[:80]!r} is no bucket name"
    if not as_json:
        click.secho(f"{escape(name)}: {escape(message, 1_000)}", fg="red", err=True)
    return {"bucket": name, "error": type(error).__name__, "message": message}
