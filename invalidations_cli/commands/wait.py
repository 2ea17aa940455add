"""`invalidations wait` stands between `aws s3 sync` and a deploy script's smoke test.

Two things must hold: nothing is owed, and nothing has arrived for some time. The second is there because a change that
S3 has told EventBridge of, and EventBridge nobody yet, is nowhere to be seen.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import click

from invalidation.batches.model import LONG_AGO, Batch, BatchState
from invalidation.health import Check, cut, unknown
from invalidation.outcome import BatchReport
from invalidations_cli.arguments import check_keys
from invalidations_cli.aws import NOT_NEEDED, ExitCode, Stack, with_stack
from invalidations_cli.backlog import BacklogReader, BucketBacklog
from invalidations_cli.commands.doctor import health_of, lines
from invalidations_cli.output import Duration, Moment, count, escape

POLL_SECONDS = 2.0
BUFFERED_QUIET = 60.0
"""SQS's own counts are right only about a minute after the last message was sent (SQS API Reference,
GetQueueAttributes), so that an empty intake queue says nothing earlier."""
QUIET = 10.0
EXAMPLES = """\b
Example:
  aws s3 sync public s3://my-site --delete
  invalidations wait --bucket my-site --timeout 300
  curl --fail https://www.example.com/

\b
Exit codes:
  0    every change that was accepted is invalidated: the edge is fresh
  1    failed, or the bucket is paused; with --expect-change: nothing arrived
  2    wrong usage
  3    the chain is cut: changes do not get through, so waiting would not help
  4    AWS could not be asked
  124  not within --timeout
"""


@click.command(epilog=EXAMPLES)
@click.option("--bucket", required=True, metavar="BUCKET", help="Whose changes.")
@click.option(
    "--timeout",
    type=Duration(),
    default="15m",
    show_default=True,
    help="When to give up: 90, 15m, 2h; a number alone is in seconds.",
)
@click.option(
    "--quiet",
    type=Duration(least=1),
    help="How long nothing new may arrive; written in the same way.  [default: 10s, or 60s with buffered intake]",
)
@click.option(
    "--since",
    type=Moment(alone="m"),
    help="Parked batches that are older are mentioned, and do not make it fail: 2026-11-01, 24h, 7d; a number alone is "
    "in minutes.  [default: each makes it fail]",
)
@click.option("--key", metavar="KEY", help="A key that was changed: whether its changes get through is asked as well.")
@click.option("--expect-change", is_flag=True, help="Fail where nothing arrived at all.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON at the end.")
@with_stack
def wait(
    stack: Stack,
    *,
    bucket: str,
    timeout: float,
    quiet: float | None,
    since: datetime | None,
    key: str | None,
    expect_change: bool,
    as_json: bool,
) -> None:
    """Return when every change of a bucket that was accepted so far has been invalidated.

    S3 usually tells of a change within seconds. It cannot be asked whether it has told of all: so this returns only
    when no change is left to invalidate and no new one has arrived for some seconds (--quiet). What arrives later than
    that is not seen. Whether changes get through at all is asked first, and again at the end (`invalidations doctor`).
    """
    check(stack, bucket)
    check_keys(stack.client, bucket, [key] if key else [])
    quiet = quiet or (BUFFERED_QUIET if stack.parameters.get("Intake") == "Buffered" else QUIET)
    now, began = datetime.now(UTC), time.monotonic()
    watch = QuietWatch(quiet, since or LONG_AGO, now)
    reader = BacklogReader(stack, bucket, now)
    click.echo(f"Until no change of {escape(bucket)} is left, and no new one has arrived for {quiet:g} s:", err=True)
    try:
        result, facts, checks = awaited(stack, reader, watch, began=began, timeout=timeout, key=key or "")
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    seconds, watch.batches = time.monotonic() - began, reader.opened(quiet) | watch.batches
    if result is WaitResult.FRESH and not watch.batches:
        result = WaitResult.NOTHING_ARRIVED
    if as_json:
        chain = {name: [each.to_document() for each in of(checks)] for name, of in (("cut", cut), ("unknown", unknown))}
        reports = {"reports": reports_on(stack, watch.batches)}
        click.echo(json.dumps(document(result, bucket, facts, watch, seconds) | chain | reports))
    else:
        for line in (*ending(result, bucket, facts, watch, seconds), *lines(cut(checks))):
            click.echo(line)
    unexpected = result is WaitResult.NOTHING_ARRIVED and expect_change
    sys.exit(ExitCode.FAILED if unexpected else EXITS.get(result, ExitCode.FAILED))


def awaited(
    stack: Stack, reader: BacklogReader, watch: QuietWatch, *, began: float, timeout: float, key: str
) -> tuple[WaitResult, BucketBacklog, Sequence[Check]]:
    """How it ended, and the last looks at the bucket and at the chain."""
    checks = health_of(stack).checks(reader.bucket, key, cuts_only=True)
    if cut(checks):
        return WaitResult.CUT, BucketBacklog(), checks
    for each in unknown(checks):
        click.echo(f"Not known: {each.name}: {escape(each.evidence, 1_000)}", err=True)
    result, facts = watching(reader, watch, began, timeout)
    if result is WaitResult.FRESH:
        checks = health_of(stack).checks(reader.bucket, key, cuts_only=True)
    return WaitResult.CUT if cut(checks) else result, facts, checks


def check(stack: Stack, bucket: str) -> None:
    """Raise what makes waiting pointless: it would end well although nothing was invalidated."""
    if stack.bucket_names and bucket not in stack.bucket_names:
        raise click.UsageError(
            f"the stack {stack.name} does not watch {escape(bucket)}. It watches: {', '.join(stack.bucket_names)}"
        )
    if stack.settings.dry_run:
        raise click.ClickException(f"the stack {stack.name} invalidates nothing: its parameter DryRun is true")


def watching(
    reader: BacklogReader, watch: QuietWatch, began: float, timeout: float
) -> tuple[WaitResult, BucketBacklog]:
    """Look again and again until it ends, or the time is up, which is WAITING."""
    while True:
        facts = reader.look()
        at = time.monotonic() - began
        result = watch.look(facts, at)
        click.echo(f"{at:7.1f} s  {progress(facts, watch, at)}", err=True)
        if result is not WaitResult.WAITING or at >= timeout:
            return result, facts
        quiet_left = watch.quiet - (at - watch.arrived)
        time.sleep(min(POLL_SECONDS, max(0.0, timeout - at), quiet_left if quiet_left > 0 else POLL_SECONDS))


def ending(result: WaitResult, bucket: str, facts: BucketBacklog, watch: QuietWatch, seconds: float) -> Iterator[str]:
    """The end, in lines for a person."""
    bucket = escape(bucket)
    match result:
        case WaitResult.FRESH:
            changes = count(sum(each.changes for each in watch.batches.values()), "change")
            some = f"{changes} of {bucket}, in {count(len(watch.batches), 'batch', 'batches')}"
            yield f"Fresh after {seconds:.0f} s: {some}."
        case WaitResult.NOTHING_ARRIVED:
            yield (
                f"No change of {bucket} arrived within {seconds:.0f} s, nor in the {watch.quiet:g} s before, "
                "and none was left: did it change?"
            )
        case WaitResult.CUT:
            yield f"Cut: changes of {bucket} are not invalidated, and waiting would not help:"
        case WaitResult.PAUSED:
            waiting = f" ({count(facts.pending, 'change')} so far)" if facts.pending else ""
            yield f"Paused: somebody paused {bucket}, and its changes wait until it is resumed{waiting}."
        case WaitResult.FAILED:
            yield f"Failed after {seconds:.0f} s: not every change of {bucket} was invalidated."
            yield from _failures(watch)
        case WaitResult.WAITING:
            yield f"Not within {seconds:.0f} s: {bucket}: {progress(facts, watch, seconds)}."


def _failures(watch: QuietWatch) -> Iterator[str]:
    for each in watch.failed:
        next_try = (
            f"tried again at {each.next_try_at:%H:%M} UTC" if each.next_try_at else "fix the cause, then retry it"
        )
        yield f"  batch {each.batch_id}, {count(each.changes, 'change')}: {escape(each.error)} ({next_try})"
        yield f"    {escape(each.message, 1_000)}"
        if each.state is BatchState.PARKED and each.opened < watch.began:
            yield "    it is older than this wait: --since 1h leaves such batches out, or give it up permanently:"
            yield f"    invalidations abandon {each.batch_id} --reason {shlex.quote(NOT_NEEDED)}"
    if not watch.failed:
        yield "  an event could not start an execution: it is in the dead-letter queue"


def document(
    result: WaitResult, bucket: str, facts: BucketBacklog, watch: QuietWatch, seconds: float
) -> dict[str, Any]:
    """The end, for a script."""
    return {
        "result": "timeout" if result is WaitResult.WAITING else result.value,
        "bucket": bucket,
        "seconds": round(seconds, 1),
        "quietSeconds": watch.quiet,
        "batches": sorted(watch.batches),
        "changes": sum(each.changes for each in watch.batches.values()),
        "owed": {
            "pending": facts.pending,
            "unfinished": [each.batch_id for each in facts.unfinished],
            "parked": [each.batch_id for each in facts.parked],
            "running": len(facts.running),
            "lost": list(facts.lost),
            "queued": facts.queued,
        },
        "failed": [
            {"batchId": each.batch_id, "changes": each.changes, "error": each.error, "message": each.message}
            for each in watch.failed
        ],
    }


def reports_on(stack: Stack, batch_ids: Iterable[str]) -> list[dict[str, Any]]:
    """What `audit --json` prints of each batch: its distributions, invalidations, price and execution."""
    table = stack.table()
    found = (Batch.find(table, each) for each in sorted(batch_ids))
    return [BatchReport.read(table, each).to_document() for each in found if each]


class WaitResult(StrEnum):
    """How the wait ends; WAITING does not end it."""

    WAITING = "waiting"
    FRESH = "fresh"
    NOTHING_ARRIVED = "nothing-arrived"
    """Nothing is owed, and no change arrived while it waited."""
    CUT = "cut"
    FAILED = "failed"
    PAUSED = "paused"


EXITS = {
    WaitResult.FRESH: ExitCode.OK,
    WaitResult.NOTHING_ARRIVED: ExitCode.OK,
    WaitResult.WAITING: ExitCode.TIMED_OUT,
    WaitResult.CUT: ExitCode.CUT,
}


@dataclass(slots=True)
class QuietWatch:
    """Judges one look after the other.

    Attributes:
        quiet: Seconds in which nothing new may arrive.
        began: When the command began.
        parked_after: Batches that were opened earlier and are parked only get a mention.
        batches: Every batch that was seen, as it was when it was seen last.
        failed: What failed, once `look` has answered FAILED.
        arrived: When something new was seen last, in the seconds that `look` is told.
    """

    quiet: float
    parked_after: datetime = LONG_AGO
    began: datetime = LONG_AGO
    batches: dict[str, Batch] = field(default_factory=dict)
    failed: tuple[Batch, ...] = ()
    arrived: float = 0.0
    first: BucketBacklog | None = None
    _seen: set[str] = field(default_factory=set)

    def look(self, facts: BucketBacklog, at: float) -> WaitResult:
        """What follows from the facts at this time, in seconds since the command began."""
        first = self.first or facts
        if self._is_news(facts) or self.first is None:
            self.arrived = at
        before = {each.batch_id: each.tries for each in first.unfinished}
        self.first = first
        parked = [each for each in facts.parked if each.opened >= self.parked_after]
        self.batches |= {each.batch_id: each for each in (*facts.unfinished, *parked)}
        if facts.paused:
            return WaitResult.PAUSED
        failed_now = [each for each in facts.unfinished if each.tries > before.get(each.batch_id, 0)]
        self.failed = (*parked, *failed_now)
        if self.failed or facts.dead_letters > first.dead_letters:
            return WaitResult.FAILED
        return WaitResult.FRESH if facts.clear and at - self.arrived >= self.quiet else WaitResult.WAITING

    def _is_news(self, facts: BucketBacklog) -> bool:
        """Whether a change may have arrived since the last look. An execution, a batch, or anything on its way."""
        now = {facts.head, *facts.running, *(each.batch_id for each in facts.unfinished)}
        new = not now <= self._seen
        self._seen |= now | {each.owner for each in facts.unfinished}
        return new or bool(facts.pending or facts.queued)


def progress(facts: BucketBacklog, watch: QuietWatch, at: float) -> str:
    """One line about where things stand."""
    parts = [
        count(facts.pending, "change") + " waiting" if facts.pending else "",
        count(len(facts.unfinished), "batch", "batches") + " under way" if facts.unfinished else "",
        _next_try(facts),
        count(len(facts.running), "execution") + " running" if facts.running else "",
        count(facts.queued, "message") + " in the intake queue" if facts.queued else "",
        _lost(facts),
        count(len(facts.parked), "batch", "batches") + " parked" if facts.parked else "",
        count(facts.dead_letters, "event") + " in the dead-letter queue" if facts.dead_letters else "",
    ]
    said = ", ".join(part for part in parts if part) or "nothing left"
    return f"{said}; nothing new for {int(min(at - watch.arrived, watch.quiet))} of {watch.quiet:g} s"


def _next_try(facts: BucketBacklog) -> str:
    """Batches that had failed before the command began are tried again some time."""
    due = sorted(each.next_try_at for each in facts.unfinished if each.next_try_at)
    return f"one that failed before is tried again at {due[0]:%H:%M:%S} UTC" if due else ""


def _lost(facts: BucketBacklog) -> str:
    if not facts.lost:
        return ""
    return f"{escape(facts.lost[0])} failed before its change was accepted and is replayed by the sweep"
