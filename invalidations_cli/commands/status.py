"""`invalidations status`: how things stand, on one screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import click
from rich.console import Console
from rich.text import Text

from invalidation.batches.model import Batch, BatchState
from invalidation.batches.replay import MAX_REPLAYS, Ended
from invalidation.health import Check, cut
from invalidations_cli import output
from invalidations_cli.aws import ExitCode, Stack, with_stack
from invalidations_cli.backlog import MAX_WAITING, ActionItem, BucketStatus, StackStatus, stack_status
from invalidations_cli.commands.doctor import health_of
from invalidations_cli.output import Form, count, escape, now, stamp, with_forms

SHOWN = 10
EXAMPLES = """\b
Examples:
  invalidations status
  invalidations status --json | jq .needs

\b
Exit codes:
  0    nothing needs a person
  1    something does
  2    wrong usage
  4    AWS could not be asked
"""


@click.command(epilog=EXAMPLES)
@with_forms(csv_too=False)
@with_stack
def status(stack: Stack, *, form: Form) -> None:
    """Show what waits, what is not invalidated yet, what runs, and what needs a person.

    What failed and is not parked is tried again by itself, and needs nobody.
    """
    with output.console(stderr=True).status("Looking …"):
        found = stack_status(stack, now())
        health = health_of(stack)
        broken = {bucket: cut(health.checks(bucket, cuts_only=True)) for bucket in stack.bucket_names}
    needs = [*cut_chains(stack, broken), *found.needs()]
    if form is Form.JSON:
        chains = [
            {"bucket": bucket, "whole": not checks, "cut": [each.to_document() for each in checks]}
            for bucket, checks in broken.items()
        ]
        document = found.to_document(stack.table())
        output.json_line(document | {"ok": not needs, "needs": [asdict(each) for each in needs], "chains": chains})
    else:
        tell(stack.name, found, needs, output.console())
    if needs:
        sys.exit(ExitCode.FAILED)


def tell(name: str, found: StackStatus, needs: Sequence[ActionItem], out: Console) -> None:
    out.print(Text.assemble((f"Stack {escape(name)}", "bold"), f"  {stamp(found.at)} UTC"))
    out.print(buckets(found.buckets))
    most = f" of {found.max_paths_a_day:,}" if found.max_paths_a_day else ""
    out.print(
        output.facts(
            [
                ("executions running", found.running),
                ("in the intake queue", f"about {count(found.intake, 'message')}" if found.intake else ""),
                ("dead letters", found.dead_letters),
                ("paths today (UTC)", f"{found.paths_today:,}{most}"),
                ("batches unfinished", len(found.unfinished)),
                ("batches parked", len(found.parked)),
                ("changes to be replayed", output.lines(*lost(found.unrecorded)) if found.unrecorded else ""),
            ]
        )
    )
    owed = (*found.parked, *found.unfinished)
    if owed:
        out.print(batches(owed[:SHOWN]))
        if len(owed) > SHOWN:
            out.print(f"  and {len(owed) - SHOWN} more: --json lists them", style="dim")
    out.print()
    if not needs:
        out.print("Nothing needs a person.", style="green")
    for need in needs[:SHOWN]:
        out.print(Text(f"Needs you: {need.what}", "red"), soft_wrap=True)
        out.print(Text(f"    {need.do}{':' if need.commands else ''}"), soft_wrap=True)
        for command in need.commands:
            out.print(Text(f"      {command}"), soft_wrap=True)
    if len(needs) > SHOWN:
        out.print(f"and {len(needs) - SHOWN} more: --json lists them", style="red")


def cut_chains(stack: Stack, broken: Mapping[str, Sequence[Check]]) -> Iterator[ActionItem]:
    """Buckets whose new changes do not get through."""
    for bucket, checks in broken.items():
        for each in checks:
            what = f"changes of {escape(bucket)} are not invalidated: {escape(each.evidence, 1_000)}"
            yield ActionItem(what, escape(each.remedy, 1_000), (stack.command("doctor", "--bucket", bucket),))


def buckets(found: Sequence[BucketStatus]) -> object:
    made = output.table("bucket", "state", "changes that wait", "since (UTC)", right=("changes that wait",))
    for each in found:
        waiting = f"{MAX_WAITING:,} or more" if each.waiting >= MAX_WAITING else f"{each.waiting:,}"
        made.add_row(output.text(each.name), what_it_does(each), Text(waiting), Text(stamp(each.oldest)))
    return made


def what_it_does(bucket: BucketStatus) -> Text:
    if bucket.paused:
        return Text("paused", "yellow")
    if bucket.gathering:
        return Text("gathering a batch", "cyan")
    return Text("" if bucket.watched else "not watched", "dim")


def batches(found: Sequence[Batch]) -> object:
    made = output.table("batch", "what", "state", "next try (UTC)", "error", whole=("batch",))
    for each in found:
        what = f"{count(each.changes, 'change' if each.bucket else 'path')} of {each.bucket or each.distribution_id}"
        tried = f", {count(each.tries, 'try', 'tries')} failed" if each.tries else ""
        state = "parked" if each.state is BatchState.PARKED else "unfinished"
        row = (each.batch_id, what, state + tried, stamp(each.next_try_at), each.error)
        made.add_row(*(output.text(value) for value in row))
    return made


def lost(found: Sequence[Ended]) -> Iterator[str]:
    """Executions whose changes were not accepted, and whether the sweep will start them again."""
    for each in found[:SHOWN]:
        yield f"{each.name}: {'the sweep has given up' if each.replays >= MAX_REPLAYS else 'the sweep replays it'}"
    if len(found) > SHOWN:
        yield f"and {len(found) - SHOWN} more"
