"""`invalidations abandon` gives a parked batch up. The record says who did it and why."""

from __future__ import annotations

import sys

import click

from invalidation.batches import finish as abandoning
from invalidation.batches.model import Batch, BatchState, Kind, Outcome
from invalidation.errors import MAX_MESSAGE
from invalidation.outcome import BatchReport
from invalidations_cli import output
from invalidations_cli.aws import ExitCode, Stack, with_stack
from invalidations_cli.identify import batch_of, identify
from invalidations_cli.output import Form, confirmed, count, escape, now, stamp, with_forms

LONGEST_REASON = MAX_MESSAGE // 2
EXAMPLES = """\b
Examples:
  invalidations abandon 20261123T062719Z-0123456789 --reason "site taken down"
  invalidations abandon 20261123 --reason "distribution deleted" --yes --json

\b
Exit codes:
  0    the batch is abandoned, or was already
  1    there is no such batch, or it is not parked: nothing was changed
  2    wrong usage, or it was not confirmed: nothing was changed
  4    AWS could not be asked
"""


@click.command(epilog=EXAMPLES)
@click.argument("what", metavar="NAME")
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why. It stays in the record, with who you are, for the audit."
)
@click.option("--yes", is_flag=True, help="Do not ask: viewers may go on seeing what it did not invalidate.")
@with_forms(csv_too=False)
@with_stack
def abandon(stack: Stack, *, what: str, reason: str, yes: bool, form: Form) -> None:
    """Give up a parked batch. Nothing is invalidated for it, and nothing waits for you any more.

    NAME is a batch id, an id of one of its invalidations, its execution's name or ARN, the beginning of any of these,
    or `latest`. For what nobody needs any more: the distribution is gone, or the site was taken down. Where viewers may
    still see old content, fix the cause and retry it instead. The record ends as Abandoned, stays in the audit as
    long as any other, and cannot be retried. --json prints it as `audit --json` does.
    """
    reason = checked(reason)
    found = identify(stack, what)
    batch = found.batch or (batch_of(stack, found.recording) if found.recording else None)
    if batch is None:
        raise click.ClickException(f"the change of {escape(what)} is in no batch: there is nothing to give up")
    if batch.state is BatchState.PARKED:
        if not yes:
            confirm(batch)
        ended = abandoning.abandon(
            stack.table(),
            batch.batch_id,
            f"abandoned by {caller(stack)}: {reason}",
            now,
            stack.settings.audit_retention,
        )
    else:
        ended = batch
    if ended.outcome is not Outcome.ABANDONED:
        raise click.ClickException(not_parked(stack, ended))
    if form is Form.JSON:
        output.json_line(BatchReport.read(stack.table(), ended).to_document())
    elif batch.outcome is Outcome.ABANDONED:
        click.echo(f"{about(ended)} was abandoned already, {stamp(ended.finished)} UTC: {escape(ended.message, 1_000)}")
    else:
        click.echo(f"{about(ended)} is abandoned: nothing is invalidated for it any more.")


def checked(reason: str) -> str:
    if not reason.strip():
        raise click.UsageError("--reason says nothing: the audit is to tell why the batch was given up")
    if len(reason) > LONGEST_REASON:
        raise click.UsageError(f"--reason has {len(reason):,} characters, and the record has room for {LONGEST_REASON}")
    return reason.strip()


def confirm(batch: Batch) -> None:
    """Say what is given up, and ask; a no ends the command."""
    click.echo(f"{about(batch)} is parked: {escape(batch.error)}", err=True)
    for name in batch.sample:
        click.echo(f"  {escape(name)}", err=True)
    more = batch.changes - len(batch.sample)
    if more > 0:
        click.echo(f"  and {more:,} more", err=True)
    click.secho("Viewers may go on seeing what the edge holds of these.", fg="yellow", err=True)
    if not confirmed("Give it up permanently?", "Nothing was changed"):
        sys.exit(ExitCode.USAGE)


def about(batch: Batch) -> str:
    noun = "path" if batch.kind is Kind.PATHS else "change"
    return f"Batch {batch.batch_id} ({count(batch.changes, noun)} of {escape(batch.bucket or batch.distribution_id)})"


def not_parked(stack: Stack, batch: Batch) -> str:
    """What state it is in, and what to do instead."""
    name = batch.batch_id
    if batch.ended:
        outcome = batch.outcome.value if batch.outcome else "ended"
        return (
            f"{about(batch)} is not parked but ended, {outcome} at {stamp(batch.finished)} UTC: nothing of it is left"
        )
    if batch.next_try_at:
        return (
            f"{about(batch)} is not parked: it is tried again at {stamp(batch.next_try_at)} UTC. Only a "
            f"batch that is parked can be abandoned. To see what happens:\n  {stack.command('show', name)}"
        )
    return (
        f"{about(batch)} is not parked: {batch.owner.rpartition(':')[2]} works on it, or the sweep goes on with it "
        f"within minutes. To see what happens:\n  {stack.command('show', name)}"
    )


def caller(stack: Stack) -> str:
    """Who asks: the ARN of the user or of the role's session. Everybody may ask that of themselves."""
    return str(stack.client("sts").get_caller_identity()["Arn"])
