"""`invalidations audit` shows who changed what, what was invalidated, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import click
from rich.text import Text

from invalidation.batches.model import Batch, BatchState, Outcome
from invalidation.batches.targets import Target, TargetState
from invalidation.cloudfront.limits import price
from invalidation.outcome import IN_PROGRESS, BatchReport
from invalidations_cli import output
from invalidations_cli.audit_query import AuditQuery, ask
from invalidations_cli.aws import Stack, with_stack
from invalidations_cli.backlog import known_buckets
from invalidations_cli.output import MOST, Form, Moment, count, stamp, took, with_forms

SHOWN = 3
"""Keys, requesters, distributions and widened paths that a cell of the table shows of each."""
LONGEST = 60
"""Characters of a key that the table shows; JSON has all of them."""
CHUNK = 50
"""Entries that are read before they are shown: a long audit is shown as it is read."""
STYLES = {"Completed": "green", "Failed": "red", "PartlyFailed": "red", "InProgress": "yellow", "Abandoned": "yellow"}


HEADINGS = ("batch, started (UTC)", "what changed", "by", "invalidated", "outcome")
COLUMNS = (
    "batch",
    "opened_utc",
    "finished_utc",
    "seconds",
    "outcome",
    "state",
    "bucket",
    "changes",
    "deleted",
    "sample",
    "requesters",
    "distributions",
    "invalidations",
    "paths",
    "wildcards",
    "widened",
    "max_dollars",
    "tries",
    "error",
    "message",
    "execution",
)
"""The columns of --csv."""
OUTCOMES = (*(outcome.value for outcome in Outcome if outcome is not Outcome.REJECTED), IN_PROGRESS)
"""What a batch can show. A rejected request has none."""
EXAMPLES = """\b
Examples:
  invalidations audit --bucket my-site --since 7d --outcome Failed
  invalidations audit --bucket my-site --key index.html --since 24h
  invalidations audit --since 2026-11-01 --until 2026-11-07
  invalidations audit --since 30d --limit 0 --csv > november.csv

\b
Exit codes:
  0    shown, also where nothing matches
  2    wrong usage
  4    AWS could not be asked
"""


class OutcomeName(click.Choice[str]):
    """An outcome, written in any case. A mistake is answered with the names as they are shown everywhere."""

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:
        del ctx
        return f"{value!r} is no outcome: it is one of {', '.join(self.choices)}"


@click.command(epilog=EXAMPLES)
@click.option("--bucket", metavar="BUCKET", help="Batches of this bucket.")
@click.option(
    "--key", metavar="KEY", help="Batches with a change of this object of the --bucket; slow without --since."
)
@click.option("--distribution", metavar="ID", help="Batches with something to invalidate on this one.")
@click.option("--since", type=Moment(), help="A date, a time (UTC), or how long ago: 2026-11-01, 15m, 24h, 7d.")
@click.option("--until", type=Moment(end=True), help="The same; a date means the end of that day.")
@click.option(
    "--outcome",
    type=OutcomeName(OUTCOMES, case_sensitive=False),
    metavar="OUTCOME",
    help=f"What became of it: {', '.join(OUTCOMES)}.",
)
@click.option(
    "--limit",
    type=MOST,
    metavar="NUMBER",
    default=50,
    show_default=True,
    help="Most batches shown; 0: all.",
)
@with_forms()
@with_stack
def audit(stack: Stack, form: Form, limit: int, **filters: Any) -> None:
    """Show who changed what, and what was invalidated because of it. A row for each batch, newest first.

    The records are kept for the stack's AuditRetentionDays, far longer than Step Functions keeps executions. Costs are
    upper bounds: they count every path as if the month's 1,000 free ones were used up.
    """
    question = question_of(**filters)
    table = stack.table()
    reading = ReadingProgress()
    found = ask(table, question, known_buckets(table, stack.bucket_names), reading.looked_at)
    chunks = reading.chunks(islice(found, limit) if limit else found)
    if form is Form.PEOPLE:
        show(chunks, limit)
        return
    if form is Form.CSV:
        output.csv_line(COLUMNS)
    for entry in (entry for chunk in chunks for entry in chunk):
        if form is Form.CSV:
            output.csv_line(csv_row(entry))
        else:
            output.json_line(entry.to_document())


def question_of(
    *,
    bucket: str | None,
    key: str | None,
    distribution: str | None,
    since: datetime | None,
    until: datetime | None,
    outcome: str | None,
) -> AuditQuery:
    if key and not bucket:
        raise click.UsageError("--key needs --bucket: a key names an object only within its bucket")
    if since and until and since > until:
        raise click.UsageError(f"--since ({stamp(since)}) is later than --until ({stamp(until)})")
    return AuditQuery(bucket or "", key or "", distribution or "", since, until, outcome or "")


class ReadingProgress:
    """Tells on standard error, while a chunk is read, how far the reading has come."""

    def __init__(self) -> None:
        self.batches = 0
        self.status = output.console(stderr=True).status("Reading the audit …")

    def looked_at(self, batch: Batch) -> None:
        self.batches += 1
        if self.batches % 10 == 0:
            self.status.update(f"Reading the audit … {self.batches} batches, back to {stamp(batch.opened)}")

    def chunks(self, found: Iterator[BatchReport]) -> Iterator[list[BatchReport]]:
        """The entries in lists, so that nothing else is printed where the progress is."""
        while True:
            with self.status:
                chunk = list(islice(found, CHUNK))
            if not chunk:
                return
            yield chunk


def show(chunks: Iterator[list[BatchReport]], limit: int) -> None:
    """A table, or a block for each batch where it is narrow, and a sum."""
    out = output.console()
    batches = paths = 0
    last: BatchReport | None = None
    for chunk in chunks:
        if out.width >= output.ROOMY:
            made = output.table(*HEADINGS, whole=(HEADINGS[0], HEADINGS[3]), leading=1)
            for entry in chunk:
                made.add_row(*row(entry))
            out.print(made)
        else:
            for entry in chunk:
                out.print(block(entry), soft_wrap=True)
        batches += len(chunk)
        paths += sum(entry.paths for entry in chunk)
        last = chunk[-1]
    if last is None:
        out.print("No batch matches.")
        return
    out.print(
        f"{count(batches, 'batch', 'batches')}, {count(paths, 'path')}: at most ${price(paths)}, "
        "as if the month's 1,000 free paths were used up."
    )
    if batches == limit:
        until = last.batch.opened.strftime("%Y-%m-%dT%H:%M:%SZ")
        out.print(f"There may be more: go on with --until {until}, or see all with --limit 0.", style="dim")


def row(entry: BatchReport) -> tuple[Text, ...]:
    batch = entry.batch
    return (
        output.lines(stamp(batch.opened), Text(output.plain(batch.batch_id), "dim")),
        what_changed(batch),
        by_whom(batch),
        where(entry),
        what_became(entry),
    )


def block(entry: BatchReport) -> Text:
    """A batch below each other: each id is whole, however narrow the terminal is."""
    batch = entry.batch
    head = Text.assemble((output.plain(batch.batch_id), "bold"), f"  {stamp(batch.opened)} UTC")
    cells = (what_changed(batch), by_whom(batch), where(entry), what_became(entry))
    lines = [line for cell in cells for line in cell.split("\n")]
    return Text("\n").join([head, *(Text("  ") + line for line in lines), Text()])


def what_changed(batch: Batch) -> Text:
    head = batch.bucket or f"paths of {batch.distribution_id}"
    keys = [short(key) for key in batch.sample[:SHOWN]]
    more = batch.changes - len(keys)
    deleted = f"{batch.deleted} of {batch.changes} deleted" if batch.deleted else ""
    return output.lines(Text(output.plain(head), "bold"), *keys, f"and {more} more" if more > 0 else "", deleted)


def by_whom(batch: Batch) -> Text:
    """Account and address, those with the most changes first. Requests by hand are not told of by S3."""
    if batch.by_hand:
        return output.text("a request")
    shown = [
        line
        for each in batch.requesters[:SHOWN]
        for line in (each.get("requester") or "unknown account", f"  {each.get('sourceIp') or 'no address'}")
    ]
    more = len(batch.requesters) - SHOWN
    return output.lines(*shown, f"and {more} more" if more > 0 else "")


def where(entry: BatchReport) -> Text:
    shown = [line for target in entry.targets[:SHOWN] for line in of_target(entry, target)]
    more = len(entry.targets) - SHOWN
    return output.lines(*shown, f"and {count(more, 'distribution')} more" if more > 0 else "")


def of_target(entry: BatchReport, target: Target) -> Iterator[str | Text]:
    created = entry.created_for(target.distribution_id)
    told = count(sum(record.paths for record in created), "path") if created else SENT_NOTHING[target.state]
    if entry.gave_up(target):
        told = f"{told}, given up" if created else "given up"
    if not created and target.plan and (target.only_planned or entry.batch.dry_run):
        told = f"{count(target.plan.paid, 'path')} planned"
    yield target.distribution_id
    yield f"  {told}"
    for record in created[:SHOWN]:
        yield f"  {record.invalidation_id}"
    if target.plan and target.plan.rule and target.plan.widened and created:
        yield f"  {target.plan.rule.description}"
    for each in (target.plan.widened if target.plan and created else ())[:SHOWN]:
        yield f"  {each._replace(path=short(each.path)).description}"


SENT_NOTHING = {
    TargetState.OWED: "not sent yet",
    TargetState.PARKED: "parked",
    TargetState.COMPLETED: "nothing sent",
    TargetState.SKIPPED: "nothing sent",
}
"""What is said of a distribution for which no invalidation was created."""


def what_became(entry: BatchReport) -> Text:
    batch = entry.batch
    again = f"again at {stamp(batch.next_try_at)}" if batch.next_try_at else ""
    parked = "parked" if batch.state is BatchState.PARKED else ""
    abandoned = batch.message if batch.outcome is Outcome.ABANDONED else ""
    return output.lines(
        Text(entry.outcome, STYLES.get(entry.outcome, "")),
        "dry run" if batch.dry_run else "",
        batch.error,
        parked or again or abandoned,
        took(entry.seconds),
        f"≤ ${price(entry.paths)}" if entry.paths else "",
    )


def short(key: str) -> str:
    return key if len(key) <= LONGEST else f"{key[: LONGEST - 1]}…"


def csv_row(entry: BatchReport) -> Sequence[object]:
    batch = entry.batch
    widened = [each for target in entry.targets if target.plan for each in target.plan.widened]
    return (
        batch.batch_id,
        stamp(batch.opened),
        stamp(batch.finished),
        entry.seconds,
        entry.outcome,
        batch.state.value,
        batch.bucket,
        batch.changes,
        batch.deleted,
        " | ".join(batch.sample),
        " | ".join(f"{each.get('requester')} {each.get('sourceIp')} ({each['changes']})" for each in batch.requesters),
        " | ".join(target.distribution_id for target in entry.targets) or batch.distribution_id,
        " | ".join(record.invalidation_id for _, record in entry.created),
        entry.paths,
        entry.wildcards,
        " | ".join(each.description for each in widened),
        price(entry.paths),
        batch.tries,
        batch.error,
        batch.message,
        batch.owner,
    )
