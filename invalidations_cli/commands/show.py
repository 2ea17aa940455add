"""`invalidations show`: one batch, by any name. Who changed what, what was invalidated, how its execution went."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import ClientError
from rich.console import Console
from rich.text import Text

from invalidation.batches.model import Batch, BatchState, Kind, Outcome
from invalidation.batches.snapshot import frozen_changes, frozen_paths
from invalidation.batches.table import BatchTable
from invalidation.batches.targets import InvalidationRecord, Target, TargetState
from invalidation.cloudfront.limits import price
from invalidation.errors import BatchNotFound, code_of
from invalidation.events import Change
from invalidation.outcome import BatchReport, failure_in
from invalidations_cli import output
from invalidations_cli.aws import NOT_NEEDED, Stack, with_stack
from invalidations_cli.follow import COLOURS, subject_of
from invalidations_cli.history import ExecutionHistory, Visit
from invalidations_cli.identify import answer_of_join, batch_of, identify, recording_of
from invalidations_cli.output import MOST, Form, clock, count, escape, moment, stamp, took, with_forms, write_file
from invalidations_cli.recording import Recording, dump

PATHS_SHOWN = 10
LONGEST_WHY = 150
EXAMPLES = """\b
Examples:
  invalidations show 20261123T062719Z-0123456789
  invalidations show I2J0I21PCUYOIK --json
  invalidations show 41e5e52d --save run.json
  invalidations show latest

\b
Exit codes:
  0    shown
  1    there is no such thing
  2    wrong usage, or the beginning of several
  4    AWS could not be asked
"""


@click.command(epilog=EXAMPLES)
@click.argument("what", metavar="NAME")
@click.option(
    "--changes",
    "most",
    type=MOST,
    metavar="NUMBER",
    default=20,
    show_default=True,
    help="Most changes listed; 0: all.",
)
@click.option(
    "--save",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Keep the execution's history in a file that `invalidations graph` draws, also after 90 days.",
)
@click.option("--force", is_flag=True, help="Overwrite FILE if it is there already.")
@with_forms(csv_too=False)
@with_stack
def show(stack: Stack, form: Form, *, what: str, most: int, save: Path | None, force: bool) -> None:
    """Show all that is known of one execution, batch or invalidation.

    NAME is an execution's name or ARN, a batch id, an invalidation id, the beginning of any of these, or `latest`.

    What changed and who changed it; the batch's life; each distribution with its invalidations, paths, tries and
    errors; and the execution's states with their durations, as long as Step Functions has them (90 days).
    """
    with output.console(stderr=True).status("Reading …"):
        details = find(stack, what, most)
    if save:
        keep(details.recording, save, force=force)
        click.echo(f"{save}: draw it with:\n  {shlex.join(('invalidations', 'graph', str(save)))}", err=True)
    if form is Form.JSON:
        output.json_line(document(details))
    else:
        tell(stack, details, output.console())


def keep(recording: Recording | None, path: Path, *, force: bool) -> None:
    if recording is None:
        raise click.ClickException("Step Functions has the execution no more (it keeps 90 days): nothing to save")
    write_file(path, dump(recording), force=force)


def document(details: BatchDetails) -> dict[str, Any]:
    """The details for machines. `batch` is what `audit --json` prints, with the paths of each invalidation."""
    batch = details.entry.to_document() if details.entry else None
    for target in batch["targets"] if batch else ():
        for each in target.get("invalidations", ()):
            told = details.paths.get(each["invalidationId"])
            if isinstance(told, tuple):
                each["items"] = list(told)
    history = details.history()
    omitted = max(0, details.entry.batch.changes - len(details.changes)) if details.entry else 0
    return {
        "batch": batch,
        "changes": [asdict(each) if isinstance(each, Change) else {"path": each} for each in details.changes],
        "changesOmitted": omitted,
        "joined": dict(details.joined) or None,
        "execution": execution(history, details.recording) if history and details.recording else None,
    }


def execution(history: ExecutionHistory, recording: Recording) -> dict[str, Any]:
    return {
        "arn": history.arn,
        "name": history.name,
        "status": history.status,
        "started": moment(history.start).isoformat(),
        "stopped": moment(history.end).isoformat() if history.end else None,
        "input": recording.execution.get("input"),
        "error": history.error or None,
        "cause": history.cause or None,
        "states": [state(visit) for visit in visits_of(history)],
    }


def tell(stack: Stack, details: BatchDetails, out: Console) -> None:
    if details.entry:
        tell_batch(details.entry, out)
        tell_changes(details, details.entry, out)
        tell_targets(details, details.entry, out)
    elif details.joined.get("batchId"):
        out.print(
            f"There is no record of batch {escape(details.joined['batchId'])}: it is not closed yet, or has expired.\n"
        )
    history = details.history()
    if history and details.recording:
        tell_execution(details, history, details.recording, out)
    else:
        out.print("Step Functions has the execution no more: it keeps them for 90 days.", style="dim")
    for hint, command in hints(stack, details):
        out.print(f"{hint}:\n  {command}", style="dim", soft_wrap=True)


def tell_batch(entry: BatchReport, out: Console) -> None:
    batch = entry.batch
    abandoned = batch.outcome is Outcome.ABANDONED
    deleted = f", {batch.deleted} of them deleted" if batch.deleted else ""
    noun = count(batch.changes, "change" if batch.bucket else "path")
    out.print(Text.assemble(("Batch ", "bold"), (escape(batch.batch_id), "bold"), f"  {entry.outcome}"))
    facts: list[tuple[str, object]] = [
        ("bucket", batch.bucket),
        ("distribution", batch.distribution_id),
        ("by hand", "a request, not an event of S3" if batch.by_hand else ""),
        ("dry run", "nothing was sent" if batch.dry_run else ""),
        ("started", at(batch.opened)),
        ("closed", f"{at(batch.closed)}, with {noun}{deleted}"),
        ("ended", f"{at(batch.finished)}, after {took(entry.seconds)}" if batch.finished else ""),
        ("cost", f"{count(entry.paths, 'path')}: at most ${price(entry.paths)}" if entry.paths else "nothing was sent"),
        ("tries that failed", batch.tries or ""),
        ("next try", at(batch.next_try_at)),
        ("given up", batch.message if abandoned else ""),
        ("error", batch.error if abandoned or not batch.error else f"{batch.error}: {batch.message}"),
    ]
    out.print(output.facts(facts))
    for arn in batch.executions:
        out.print(Text.assemble(("  execution  ", "dim"), escape(arn.rpartition(":")[2])), soft_wrap=True)


def tell_changes(details: BatchDetails, entry: BatchReport, out: Console) -> None:
    out.print(Text("\nWhat changed", "bold"))
    made = output.table("key", "change", "when (UTC)", "account", "address", "reason")
    plain = output.table("path" if entry.batch.distribution_id else "key")
    narrow = out.width < output.ROOMY
    for each in details.changes:
        if narrow:
            out.print(change_in_lines(each, by_hand=entry.batch.by_hand), soft_wrap=True)
            continue
        if isinstance(each, Change) and not entry.batch.by_hand:
            change = "deleted" if each.deleted else "put"
            values = (each.key, change, each.time[:19].replace("T", " "), each.requester, each.source_ip, each.reason)
            made.add_row(*(output.text(value) for value in values))
        else:
            plain.add_row(output.text(each.key if isinstance(each, Change) else each))
    for each_table in (made, plain):
        if each_table.row_count:
            out.print(each_table)
    more = entry.batch.changes - len(details.changes)
    if more > 0:
        out.print(f"  and {more:,} more: --changes 0 lists all", style="dim")


def change_in_lines(change: Change | str, *, by_hand: bool) -> Text:
    """A change, or a path, whose name is whole however narrow the terminal is."""
    if not isinstance(change, Change) or by_hand:
        return output.text(f"  {change.key if isinstance(change, Change) else change}")
    what = f"{'deleted' if change.deleted else 'put'} {change.time[:19].replace('T', ' ')} UTC"
    who = " ".join(each for each in (change.requester, change.source_ip, change.reason) if each)
    return output.lines(output.text(f"  {change.key}"), output.text(f"    {what}, {who}", "dim"))


STATES = {TargetState.OWED: "not invalidated yet"}
"""Where another word than the record's says it more plainly."""


def tell_targets(details: BatchDetails, entry: BatchReport, out: Console) -> None:
    out.print(Text("\nDistributions", "bold"))
    if not entry.targets:
        none = "  none serves the bucket" if entry.batch.resolved is not None else "  not found out yet"
        out.print(none)
    for target in entry.targets:
        told = f" in {took(target.seconds)}" if target.seconds is not None else ""
        state = "given up" if entry.gave_up(target) else STATES.get(target.state) or target.state.value.lower()
        out.print(Text.assemble("  ", (escape(target.distribution_id), "bold"), f"  {state}{told}"))
        for line in of_target(details, target, entry.created_for(target.distribution_id)):
            out.print(Text(f"    {line}"), soft_wrap=True)


def of_target(details: BatchDetails, target: Target, created: tuple[InvalidationRecord, ...]) -> Iterator[str]:
    if target.tries:
        yield f"{count(target.tries, 'try', 'tries')} failed"
    if target.error:
        yield f"{escape(target.error)}: {escape(target.message, 1_000)}"
    if target.plan and target.plan.rule and target.plan.widened:
        yield target.plan.rule.description
    for each in target.plan.widened if target.plan else ():
        yield escape(each.description)
    if target.plan and not created:
        yield f"{count(target.plan.paid, 'path')} planned, nothing sent"
        yield from some_of(target.plan.sample, target.plan.paths)
    for record in created:
        yield from of_invalidation(details, target, record)


def of_invalidation(details: BatchDetails, target: Target, record: InvalidationRecord) -> Iterator[str]:
    """As CloudFront tells it. Where it does not, the record knows at least the first paths of what was planned."""
    wildcards = f" ({count(record.wildcards, 'wildcard')})" if record.wildcards else ""
    numbers = f"{count(record.paths, 'path')}{wildcards}, created {at(record.created)}"
    yield f"{escape(record.invalidation_id)}  {numbers}, reference {escape(record.caller_reference)}"
    told = details.paths.get(record.invalidation_id, ())
    if not isinstance(told, str):
        yield from some_of(told, len(told))
        return
    yield f"  CloudFront does not tell its paths: {escape(told)}"
    if target.plan and target.plan.sample:
        yield "  planned were, for this distribution:"
        yield from some_of(target.plan.sample, target.plan.paths)


def some_of(paths: Sequence[str], in_all: int) -> Iterator[str]:
    some = paths[:PATHS_SHOWN]
    yield from (f"  {escape(path, 4_000)}" for path in some)
    if in_all > len(some):
        yield f"  and {in_all - len(some):,} more; --json lists what is known"


def tell_execution(details: BatchDetails, history: ExecutionHistory, recording: Recording, out: Console) -> None:
    out.print(Text.assemble(("\nExecution ", "bold"), (escape(history.name), "bold"), f"  {history.status}"))
    facts: list[tuple[str, object]] = [
        ("about", subject_of(str(recording.execution.get("input", "")))),
        ("started", at(moment(history.start))),
        (
            "ended",
            f"{at(moment(history.end))}, after {took((history.end - history.start) / 1000)}" if history.end else "",
        ),
        ("error", in_words(history.error, history.cause)),
        ("role", ROLES.get(str(details.joined.get("role")), "")),
        ("led by", leader_of(details, history)),
    ]
    out.print(output.facts(facts))
    made = output.table("state", "distribution", "at (UTC)", "took", "what happened", right=("took",))
    for visit in visits_of(history):
        tries = f"{len(visit.attempts)} tries" if len(visit.attempts) > 1 else ""
        why = in_words(visit.error, visit.cause)[:LONGEST_WHY]
        status = "" if visit.status == "succeeded" else visit.status
        happened = output.lines(", ".join(part for part in (status, tries) if part), why)
        row = (
            output.text(visit.state, COLOURS.get(visit.type, "")),
            output.text(visit.distribution_id),
            Text(clock(moment(visit.start))),
        )
        made.add_row(*row, Text(took(visit.seconds)), happened)
    out.print(made)


ROLES = {
    "leader": "it leads the batch",
    "follower": "its change is in a batch that another execution leads",
    "paused": "the bucket is paused: its change waits",
    "ended": "the batch had nothing left to invalidate",
    "ignored": "the event tells of nothing that viewers could see",
    "rejected": "its input is not accepted",
}


def leader_of(details: BatchDetails, history: ExecutionHistory) -> str:
    leader = str(details.joined.get("leader", ""))
    return leader.rpartition(":")[2] if leader and leader != history.arn else ""


def hints(stack: Stack, details: BatchDetails) -> Iterator[tuple[str, str]]:
    """What to do next, and the command that does it."""
    if details.entry and details.entry.batch.state is BatchState.PARKED:
        batch_id = details.entry.batch.batch_id
        yield "It is not tried again by itself. When the cause is fixed", stack.command("retry", batch_id)
        yield "If nobody needs it any more", stack.command("abandon", batch_id, "--reason", NOT_NEEDED)
    history = details.history()
    if history and not details.joined and history.status not in ("RUNNING", "SUCCEEDED"):
        yield "Its change was not accepted. Replay it", stack.command("retry", history.name)
    if history:
        follows = details.entry and details.joined.get("role") == "follower"
        drawn = details.entry.batch.batch_id if details.entry and follows else history.name
        yield "As a picture", stack.command("graph", drawn)


def in_words(error: str, cause: str) -> str:
    """An error with its cause; a function's cause is JSON with a stack trace."""
    return f"{error}: {failure_in({'Error': error, 'Cause': cause}).message}" if error else ""


def at(when: datetime | None) -> str:
    return f"{stamp(when)} UTC" if when else ""


@dataclass(frozen=True, slots=True)
class BatchDetails:
    """What is known. Without `entry` there is no record of a batch; without `recording` no execution any more.

    Attributes:
        changes: What the batch owns, as many as were asked for: changes, or the paths of a request.
        paths: Id of an invalidation → its paths, or why CloudFront does not tell them.
        joined: What Join Batch answered to the execution; {} when it did not.
    """

    entry: BatchReport | None
    changes: tuple[Change | str, ...]
    paths: Mapping[str, tuple[str, ...] | str]
    recording: Recording | None
    joined: Mapping[str, Any]

    def history(self) -> ExecutionHistory | None:
        return self.recording.history() if self.recording else None


def find(stack: Stack, what: str, most: int) -> BatchDetails:
    """What is known of an execution, batch or invalidation, with at most so many changes.

    Raises:
        click.ClickException: there is none, or there are several.
    """
    found = identify(stack, what)
    recording = found.recording or (recording_of(stack, found.batch.owner) if found.batch else None)
    joined = (answer_of_join(recording) if recording else None) or {}
    batch = found.batch or (batch_of(stack, recording) if recording else None)
    audited = BatchReport.read(stack.table(), batch) if batch else None
    changes = tuple(islice(owned(stack.table(), batch), most or None)) if batch else ()
    return BatchDetails(audited, changes, paths_of(stack, audited) if audited else {}, recording, joined)


def owned(table: BatchTable, batch: Batch) -> Iterator[Change | str]:
    """What a batch owns; the sample where time to live has taken the list."""
    try:
        if batch.kind is Kind.PATHS:
            yield from frozen_paths(table, batch)
        else:
            yield from frozen_changes(table, batch)
    except BatchNotFound:
        yield from batch.sample


def paths_of(stack: Stack, found: BatchReport) -> dict[str, tuple[str, ...] | str]:
    """What CloudFront says: the record has only their numbers."""
    cloudfront = stack.client("cloudfront")
    answers: dict[str, tuple[str, ...] | str] = {}
    for distribution_id, record in found.created:
        try:
            answer = cloudfront.get_invalidation(DistributionId=distribution_id, Id=record.invalidation_id)
        except ClientError as error:
            answers[record.invalidation_id] = code_of(error) or "an error"
        else:
            items = answer["Invalidation"]["InvalidationBatch"]["Paths"].get("Items", [])
            answers[record.invalidation_id] = tuple(items)
    return answers


def visits_of(history: ExecutionHistory) -> list[Visit]:
    """The stays in states, in the order in which they were entered."""
    return sorted(history.visits, key=lambda visit: visit.entered)


def state(visit: Visit) -> dict[str, Any]:
    """One stay in a state. `seconds` is None while it goes on; `item` is the distribution, inside the Map."""
    return {
        "name": visit.state,
        "kind": visit.type,
        "item": visit.distribution_id,
        "entered": moment(visit.start).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "seconds": visit.seconds,
        "status": visit.status,
        "tries": len(visit.attempts),
        "error": visit.error,
        "cause": visit.cause,
    }
