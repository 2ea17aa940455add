"""`invalidations pause` and `resume`: a person's say over one bucket."""

from __future__ import annotations

import difflib

import click

from invalidation.batches import head as pausing
from invalidation.batches.head import Head
from invalidations_cli.aws import Stack, window_of, with_stack
from invalidations_cli.backlog import known_buckets
from invalidations_cli.commands.retry import new_lead_name
from invalidations_cli.output import Form, escape, json_line, now, with_forms

PAUSE_EXAMPLE = """\b
Example:
  invalidations pause my-site      before a restore of thousands of objects
  invalidations status             shows what waits
  invalidations resume my-site     everything that waits becomes one batch

\b
With --json:
  bucket, paused
  changed    whether this command changed it
  execution  what was started for the changes that waited, else null

\b
Exit codes:
  0    it is as asked
  2    wrong usage, or a bucket that the stack does not know
  4    AWS could not be asked
"""


@click.command(epilog=PAUSE_EXAMPLE)
@click.argument("bucket")
@with_forms(csv_too=False)
@with_stack
def pause(stack: Stack, *, bucket: str, form: Form) -> None:
    """Let the changes of a bucket wait, until it is resumed.

    Changes are still accepted, and nothing is lost; nothing is invalidated, and the sweep starts nothing for the
    bucket. A batch that runs already is finished by the execution that works on it.
    """
    check(stack, bucket)
    table = stack.table()
    already = Head.read(table, bucket).paused
    pausing.pause(table, bucket)
    if form is Form.JSON:
        json_line({"bucket": bucket, "paused": True, "changed": not already, "execution": None})
        return
    click.echo(f"{escape(bucket)} was paused already." if already else f"{escape(bucket)} is paused: its changes wait.")
    click.echo(f"Go on with:\n  {stack.command('resume', bucket)}")


@click.command(epilog=PAUSE_EXAMPLE)
@click.argument("bucket")
@with_forms(csv_too=False)
@with_stack
def resume(stack: Stack, *, bucket: str, form: Form) -> None:
    """Go on with a paused bucket. An execution is started for the changes that wait, if any do."""
    check(stack, bucket)
    table = stack.table()
    was_paused = Head.read(table, bucket).paused
    waiting = pausing.resume(table, bucket, window_of(stack), now)
    name = new_lead_name(bucket, now()) if waiting else ""
    if waiting:
        stack.executions().start(name, {"lead": bucket})
    if form is Form.JSON:
        started = stack.execution_arn(name) if waiting else None
        json_line({"bucket": bucket, "paused": False, "changed": was_paused, "execution": started})
        return
    click.echo(f"{escape(bucket)} goes on." if was_paused else f"{escape(bucket)} was not paused.")
    none = "No change waits for an execution to be started."
    click.echo(f"Started {name} for the changes that wait." if waiting else none)


def check(stack: Stack, bucket: str) -> None:
    """A bucket of another name would be paused without any effect, and without anybody noticing.

    Raises:
        click.UsageError: the stack neither watches it nor has had a change of it.
    """
    known = known_buckets(stack.table(), stack.bucket_names)
    if bucket not in known:
        near = difflib.get_close_matches(bucket, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"it knows {', '.join(known[:10]) or 'none'}"
        raise click.UsageError(f"the stack {stack.name} knows no bucket {escape(bucket)}: {hint}")
