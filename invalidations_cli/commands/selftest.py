"""`invalidations selftest` changes objects of its own, and sees whether the edge follows."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from botocore.exceptions import ClientError

from invalidation.cloudfront.limits import price
from invalidation.cloudfront.patterns import key_filter
from invalidation.cloudfront.routing import RouteVerdict, Way, served
from invalidation.config import rules_of
from invalidation.health import ChainHealth, CheckVerdict
from invalidations_cli.aws import ExitCode, Stack, with_stack
from invalidations_cli.canaries import (
    Canary,
    CanaryBucket,
    CanaryChange,
    EdgeView,
    EdgeViewer,
    spellings,
    summary,
    viewer_of,
)
from invalidations_cli.commands.doctor import health_of
from invalidations_cli.main import interruptible
from invalidations_cli.output import Duration, count, escape, json_line
from invalidations_cli.proofs import (
    GOES_ON,
    NOTIFIED_WITHIN,
    SWEEP_SECONDS,
    Answer,
    Interruption,
    NotificationListener,
    PathProbe,
    Tried,
    alarm_is_told,
    dead_letters_are_found,
    last,
    tried,
)
from invalidations_cli.trace import HOPS, POLL_SECONDS, ChangeTrace, ChangeTracer

FIRST_EVENT = 360.0
"""Seconds. S3 takes up to five minutes to act on a notification configuration."""
EDGE_SECONDS = 10.0
"""For all objects together, after CloudFront has reported an invalidation as completed."""
NEEDED = ("Bucket is not paused", "No dry run")
"""Checks that `doctor` only calls owed, and that nothing gets through without."""
Fresh = Callable[[EdgeView], bool]
EXAMPLES = """\b
Examples:
  invalidations selftest --bucket my-site
  invalidations selftest --bucket my-site --yes --json > selftest.json

\b
Exit codes:
  0  what could be checked works; what could not is said
  1  something does not work
  2  wrong usage, or nobody agreed: nothing was written
  4  AWS could not be asked
"""


SIGNS = {
    Answer.WORKS: ("✓", "green"),
    Answer.FAILS: ("✗", "red"),
    Answer.NOT_CHECKED: ("–", "yellow"),  # noqa: RUF001 - the dash is meant
}


@click.command(epilog=EXAMPLES)
@click.option("--bucket", required=True, metavar="BUCKET", help="A bucket that the stack watches.")
@click.option(
    "--prefix", metavar="PREFIX", help="What its keys begin with.  [default: invalidations-selftest/<random>/]"
)
@click.option(
    "--distribution", metavar="ID", help="Whose edge is looked at.  [default: the first that serves the bucket]"
)
@click.option("--keep", is_flag=True, help="Leave the objects there.")
@click.option(
    "--thorough",
    is_flag=True,
    help="Also try an alarm, the dead-letter queue, a stopped execution (six minutes), and what /?* purges.",
)
@click.option("--yes", is_flag=True, help="Do not ask before it writes.")
@click.option(
    "--timeout",
    type=Duration(least=1, longest=3_600),
    default=FIRST_EVENT,
    show_default="6m",
    help="For each step of the test: 90, 6m; a number alone is in seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON, to be attached to an issue.")
@with_stack
def selftest(
    stack: Stack,
    *,
    bucket: str,
    prefix: str | None,
    distribution: str | None,
    keep: bool,
    thorough: bool,
    yes: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Prove the chain: put, change and delete objects, and see what the edge gives.

    Writes objects with ordinary and awkward names below --prefix, follows each from the event to the edge, with the
    time that it takes, and removes them, also when it is interrupted. What it costs is said before it asks. Needs what
    `doctor` needs, s3:PutObject and s3:DeleteObject (with versions s3:DeleteObjectVersion),
    states:ListExecutions, and cloudfront:GetDistribution. What one path purges needs cloudfront:CreateInvalidation,
    notifications sqs:CreateQueue and sns:Subscribe; where they are missing, that is not checked.
    --thorough needs cloudwatch:SetAlarmState, sqs:SendMessage, states:StartExecution and states:StopExecution as well.
    """
    token = secrets.token_hex(4)
    prefix = f"invalidations-selftest/{token}/" if prefix is None else prefix
    objects = CanaryBucket(stack.client("s3"), bucket, prefix, token)
    test = Selftest(stack, objects, distribution or "", timeout)
    test.look_before_writing()
    if not test.broken:
        agree(test, yes=yes, thorough=thorough)
        with interruptible():
            test.run(keep=keep, thorough=thorough)
    if as_json:
        json_line(test.to_document())
    else:
        show(test)
    sys.exit(ExitCode.FAILED if test.failed else ExitCode.OK)


def agree(test: Selftest, *, yes: bool, thorough: bool) -> None:
    """Say what it writes and costs, and ask; ends the command where nobody agrees."""
    for line in test.announcement(thorough=thorough):
        click.echo(line, err=True)
    try:
        agreed = yes or click.confirm("Go on?", err=True)
    except click.Abort:
        raise click.UsageError("nothing was written: add --yes where nobody can answer") from None
    if not agreed:
        raise click.UsageError("nothing was written")


@dataclass(slots=True)
class Selftest:
    """One run: what it has tried, and what it saw on the way."""

    stack: Stack
    objects: CanaryBucket
    distribution_id: str
    timeout: float
    tried: list[Tried] = field(default_factory=list)
    traces: list[ChangeTrace] = field(default_factory=list)
    viewer: EdgeViewer = field(default_factory=lambda: EdgeViewer(""))
    paths: dict[str, list[str]] = field(default_factory=dict)
    """Key → the ways in which viewers may spell its path; none: the distribution does not serve it."""
    paths_sent: int = 0
    """Paths that one change of each canary invalidates, in all distributions."""
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    primed: dict[str, dict[str, EdgeView]] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        return self.objects.bucket

    @property
    def failed(self) -> bool:
        return any(each.answer is Answer.FAILS for each in self.tried)

    broken = failed

    def note(self, name: str, answer: Answer, evidence: str, remedy: str = "") -> None:
        self.tried.append(Tried(name, answer, evidence, remedy))

    def look_before_writing(self) -> None:
        """What can be known without a change; nothing that fails here gets better by one."""
        first = self.objects.canaries()[0]
        included = self.stack.settings.include_keys
        if not key_filter(included)(first.key):
            raise click.UsageError(f"IncludeKeys leaves {escape(first.key)} out: name another --prefix")
        health = health_of(self.stack)
        for each in health.checks(self.bucket, first.key):
            if each.verdict is CheckVerdict.CUT or (each.verdict is CheckVerdict.OWED and each.name in NEEDED):
                self.note(each.name, Answer.FAILS, each.evidence, each.remedy)
            elif each.verdict is not CheckVerdict.OK:
                self.note(each.name, Answer.NOT_CHECKED, each.evidence, each.remedy)
        if not self.failed:
            self.note("The chain is whole", Answer.WORKS, "as `invalidations doctor` sees it")
            self._choose_distribution(health)

    def _choose_distribution(self, health: ChainHealth) -> None:
        named = health.chain.distribution_ids
        serving = [each for each in health.cloudfront.distributions_serving(self.bucket, named=named) if each.enabled]
        chosen = next((each for each in serving if self.distribution_id in {"", each.id}), None)
        if chosen is None:
            what = f"{self.distribution_id or 'none'} is none of those that serve {self.bucket}"
            remedy = f"--distribution {serving[0].id}" if serving else "invalidations explain"
            self.note("The distribution serves the bucket", Answer.FAILS, what, remedy)
            return
        rules = rules_of(self.stack.settings)
        self.distribution_id = chosen.id
        try:
            self.viewer = viewer_of(self.stack.client("cloudfront"), chosen.id)
        except ClientError as error:
            self.note("The edge can be asked", Answer.NOT_CHECKED, f"its domain name is not known: {error}")
        for canary in self.objects.canaries():
            found = served(chosen, canary.key, rules)
            location = next((each.location for each in found.routes if each.way is Way.KEY and each.location), "")
            self.paths[canary.key] = spellings(location) if found.verdict is RouteVerdict.SERVED else []
            self.paths_sent += sum(len(served(each, canary.key, rules).paths) for each in serving)

    def announcement(self, *, thorough: bool) -> Iterator[str]:
        """What it is about to do, and the most that it costs."""
        canaries = self.objects.canaries()
        paths = 3 * self.paths_sent + len(canaries)
        yield f"Puts, changes and deletes {summary(canaries)} below s3://{self.bucket}/{escape(self.objects.prefix)}"
        yield "and subscribes a queue of its own to the notifications; all of it is removed again,"
        yield f"and so invalidates about {count(paths, 'path')}: ${price(paths):.2f}, unless some of the month's 1,000"
        yield f"free ones are left. {3 * len(canaries)} executions and as many requests to S3 cost less than $0.02."
        if thorough:
            yield "--thorough sets an alarm off, of which people are told by e-mail, and ends it; sends one message"
            yield f"to the dead-letter queue and deletes it; invalidates /?* of {self.distribution_id}; and stops an"
            yield f"execution of its own, and waits for the sweep, {SWEEP_SECONDS // 60:.0f} minutes at most."

    def run(self, *, keep: bool, thorough: bool) -> None:
        """Put, change, delete, and clean up whatever happens."""
        listener = NotificationListener(self.stack, f"invalidations-selftest-{self.objects.token}")
        try:
            listener.open()
            self._put_change_delete(listener, thorough=thorough)
        finally:
            left = [] if keep else self.objects.remove_all()
            left += [each for each in [listener.close()] if each]
            if left:
                remedy = f"aws s3 rm --recursive s3://{self.bucket}/{self.objects.prefix}"
                self.note("Cleaned up", Answer.FAILS, f"still there: {', '.join(left)}", remedy)
            elif keep:
                self.note("Cleaned up", Answer.NOT_CHECKED, "the objects stay, as asked for")
            else:
                self.note("Cleaned up", Answer.WORKS, "no object of this test is left")

    def _put_change_delete(self, listener: NotificationListener, *, thorough: bool) -> None:
        tracer = ChangeTracer(self.stack, self.bucket, self.began - timedelta(minutes=1))
        canaries = self.objects.canaries()
        put = self._follow(tracer, "New objects", [self.objects.put(each, "first") for each in canaries])
        if not any(each.seconds for each in put):
            return
        self._keys_in_events(put)
        self._prime(canaries)
        self._changed(tracer, canaries)
        self._prove_more(listener, thorough=thorough)
        self._deleted(tracer, canaries)

    def _prove_more(self, listener: NotificationListener, *, thorough: bool) -> None:
        seconds = min(NOTIFIED_WITHIN, self.timeout)
        completed = next((each.batch_id for each in self.traces if "completion" in each.seconds), "")
        told = tried("The outcome is told", lambda: listener.hears("The outcome is told", completed, seconds))
        self.tried.append(told)
        client = self.stack.client("cloudfront")
        probe = PathProbe(client, self.distribution_id, self.viewer, self.objects.token, self.timeout)
        paths = {each.kind: list(self.primed.get(each.key, {})) for each in self.objects.canaries()[1:]}
        held = {kind: self.paths[key] for kind, key in self._keys().items() if paths.get(kind)}
        try:
            self.tried += list(probe.one_path_each(held)) if held else []
        except ClientError as error:
            self.note("What one path purges", Answer.NOT_CHECKED, f"could not be tried: {error}")
        if thorough:
            page = next(iter(self.paths[self.objects.canaries()[0].key]), "/")
            self.tried += [
                tried("What /?* purges", lambda: probe.root_with_queries(page)),
                tried("An alarm is told", lambda: alarm_is_told(self.stack, listener, seconds)),
                tried(
                    "Dead letters are found", lambda: dead_letters_are_found(self.stack, self.objects.token, seconds)
                ),
            ]
            self._interrupt(listener)
        else:
            self.note("Alarms, dead letters, /?*, a Stop", Answer.NOT_CHECKED, "only with --thorough")

    def _interrupt(self, listener: NotificationListener) -> None:
        request = {"bucket": self.bucket, "keys": [self.objects.canaries()[0].key]}
        interruption = Interruption(
            self.stack, request, listener, self.objects.token, self.timeout, lambda text: click.echo(text, err=True)
        )
        try:
            for each in interruption.proofs():
                self.tried.append(each)
        except ClientError as error:
            self.note(GOES_ON, Answer.NOT_CHECKED, f"could not be tried: {error}")

    def _keys(self) -> dict[str, str]:
        return {each.kind: each.key for each in self.objects.canaries()}

    def _follow(self, tracer: ChangeTracer, name: str, changes: Sequence[CanaryChange]) -> list[ChangeTrace]:
        click.echo(f"{name}: waits up to {self.timeout:g} s …", err=True)
        traces = tracer.follow(changes, self.timeout, lambda text: click.echo(f"  {text}", err=True))
        self.traces += traces
        stuck = [each for each in traces if "completion" not in each.seconds]
        if not stuck:
            self.note(f"{name} are invalidated", Answer.WORKS, times(traces))
            return traces
        for each in {each.failure or each.got_to: each for each in stuck}.values():
            where = f"got no further than {each.got_to}" if each.got_to else "no event started an execution"
            why = each.failure or f"{where} within {self.timeout:g} s"
            remedy = self.stack.command("show", each.batch_id) if each.batch_id else self._doctor()
            self.note(f"{name} are invalidated", Answer.FAILS, f"{each.change.canary.key}: {why}", remedy)
        return traces

    def _doctor(self) -> str:
        return self.stack.command("doctor", "--bucket", self.bucket)

    def _keys_in_events(self, traces: Sequence[ChangeTrace]) -> None:
        for each in traces:
            kind, key = each.change.canary.kind, each.change.canary.key
            name = f"Key in the event: {kind}"
            if not each.key:
                self.note(name, Answer.NOT_CHECKED, "no event was seen")
            elif each.key == key:
                self.note(name, Answer.WORKS, f"raw: {last(each.key)}")
            else:
                what = f"the object is {key}, the event says {each.key}: another path is invalidated"
                self.note(name, Answer.FAILS, what, "report it, with this command's --json")

    def _prime(self, canaries: Sequence[Canary]) -> None:
        """Let the edge keep the first content under every spelling that reaches the object."""
        for canary in canaries if self.viewer.domain else ():
            views = {path: self.viewer.prime(path) for path in self.paths[canary.key]}
            self.primed[canary.key] = {path: view for path, view in views.items() if view.hit and view.body == "first"}
            if not self.primed[canary.key]:
                seen = next(
                    (f"{last(path)}: {view}" for path, view in views.items()), "the distribution does not serve it"
                )
                self.note(f"Edge keeps: {canary.kind}", Answer.NOT_CHECKED, f"the edge keeps no copy: {seen}")

    def _changed(self, tracer: ChangeTracer, canaries: Sequence[Canary]) -> None:
        traces = self._follow(tracer, "Changed objects", [self.objects.put(each, "second") for each in canaries])
        self._edge_follows(traces, "shows the change", lambda view: view.body == "second")

    def _deleted(self, tracer: ChangeTracer, canaries: Sequence[Canary]) -> None:
        for canary in canaries:
            self.primed[canary.key] = {path: self.viewer.get(path) for path in self.primed.get(canary.key, ())}
        traces = self._follow(tracer, "Deleted objects", [self.objects.delete(each) for each in canaries])
        self._edge_follows(traces, "forgets what was deleted", lambda view: not view.body and not view.problem)

    def _edge_follows(self, traces: Sequence[ChangeTrace], what: str, fresh: Fresh) -> None:
        """Every spelling under which the edge kept the old content."""
        deadline = time.monotonic() + min(EDGE_SECONDS, self.timeout)
        for trace in traces:
            canary = trace.change.canary
            name = f"Edge {what}: {canary.kind}"
            if not self.primed.get(canary.key):
                self.note(name, Answer.NOT_CHECKED, "the edge kept no copy before")
            elif "completion" not in trace.seconds:
                self.note(name, Answer.NOT_CHECKED, "no invalidation was completed")
            else:
                self._edge_follows_one(trace, name, fresh, deadline)

    def _edge_follows_one(self, trace: ChangeTrace, name: str, fresh: Fresh, deadline: float) -> None:
        paths = list(self.primed[trace.change.canary.key])
        while True:
            views = {path: self.viewer.get(path) for path in paths}
            stale = {path: view for path, view in views.items() if not fresh(view)}
            if not stale:
                trace.reach("edge")
                self.note(name, Answer.WORKS, f"{', '.join(map(last, paths))} after {trace.seconds['edge']:g} s")
                return
            if time.monotonic() >= deadline:
                break
            time.sleep(POLL_SECONDS)
        told = ", ".join(f"{last(path)}: {view}" for path, view in stale.items())
        self.note(name, Answer.FAILS, f"still {told}", self.stack.command("show", trace.batch_id))

    def to_document(self) -> dict[str, Any]:
        """The report, for machines and to be attached to an issue."""
        return {
            "stack": self.stack.name,
            "bucket": self.bucket,
            "prefix": self.objects.prefix,
            "distribution": self.distribution_id,
            "began": self.began.isoformat(timespec="seconds"),
            "works": not self.failed,
            "tried": [each.to_document() for each in self.tried],
            "changes": [each.to_document() for each in self.traces],
        }


def times(traces: Sequence[ChangeTrace]) -> str:
    """The slowest of each hop, in words."""
    slowest = {hop: max((each.seconds[hop] for each in traces if hop in each.seconds), default=None) for hop in HOPS}
    return "seconds after the change: " + ", ".join(f"{hop} {at:g}" for hop, at in slowest.items() if at is not None)


def show(test: Selftest) -> None:
    """The table for a person."""
    click.echo()
    for each in test.tried:
        sign, colour = SIGNS[each.answer]
        click.echo(f"  {click.style(sign, fg=colour)} {each.name}: {escape(each.evidence, 1_000)}")
        if each.remedy and each.answer is not Answer.WORKS:
            click.echo(f"      {escape(each.remedy, 1_000)}")
    unsaid = sum(each.answer is Answer.NOT_CHECKED for each in test.tried)
    could_not = f"; {count(unsaid, 'thing')} could not be checked" if unsaid else ""
    click.secho(
        f"Something does not work (✗){could_not}." if test.failed else f"What was checked works{could_not}.",
        fg="red" if test.failed else "green",
    )
