"""`invalidations request`: an invalidation that somebody asks for, through the same states as any other."""

from __future__ import annotations

import functools
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from invalidation.batches.model import Outcome, compact
from invalidation.cloudfront.rules import Widening
from invalidation.errors import InvalidRequest
from invalidation.events import parse
from invalidations_cli.arguments import check_bucket, check_distribution, check_is_watched, check_keys
from invalidations_cli.aws import ExitCode, Stack, with_stack
from invalidations_cli.follow import FollowedExecution, Follower, Step
from invalidations_cli.output import Duration, count, escape

MAX_INPUT = 240_000
"""Characters of JSON in one request. An execution's input goes to 262,144 bytes (SFD, "Quotas"), to which the first
state adds its own, and status-change events leave out what is above 248 KiB."""
POLL_SECONDS = 1.0
EXAMPLES = """\b
Examples:
  invalidations request --bucket my-site index.html "about us/team.html"
  invalidations request --distribution E2QWRUHAPOMQZL "/images/*" --dry-run
  git diff --name-only HEAD~1 -- public | cut -d/ -f2- |
    invalidations request --bucket my-site - --wait

\b
Exit codes:
  0    started; with --wait: the edge is fresh
  1    failed
  2    refused before anything was sent
  4    AWS could not be asked
  124  not within --timeout; it goes on
"""

Request = dict[str, Any]

timeout_option = click.option(
    "--timeout",
    type=Duration(),
    default="30m",
    show_default=True,
    help="How long --wait follows it: 90, 15m, 2h; a number alone is in seconds.",
)


def validated(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what was typed into requests, before AWS is asked for anything. Raises click.UsageError, exit code 2."""

    @functools.wraps(command)
    def with_requests(
        bucket: str | None, distribution: str | None, names: tuple[str, ...], null: bool, **options: Any
    ) -> Any:
        dry_run, unwatched = options.pop("dry_run"), options.pop("unwatched")
        if bool(bucket) == bool(distribution):
            raise click.UsageError("name either a --bucket and its keys, or a --distribution and its paths")
        head: Request = {"bucket": bucket} if bucket else {"distributionId": distribution}
        if dry_run:
            head["dryRun"] = options["follow"] = True
        if unwatched:
            if not bucket:
                raise click.UsageError("--unwatched is for a --bucket; a --distribution may be any")
            head["unwatched"] = True
        wanted = list(dict.fromkeys(_named(names, null=null)))
        if not wanted:
            raise click.UsageError("standard input names nothing")
        requests = list(split(head, "keys" if bucket else "paths", wanted))
        try:
            for each in requests:
                parse(each)
        except InvalidRequest as error:
            raise click.UsageError(escape(error, 1_000)) from None
        return command(requests=requests, **options)

    return with_requests


def split(head: Request, field: str, names: Sequence[str], longest: int = MAX_INPUT) -> Iterator[Request]:
    """One request for all, or several of at most `longest` characters of JSON."""
    empty = len(as_line({**head, field: []}))
    some: list[str] = []
    room = longest - empty
    for name in names:
        length = len(as_line(name)) + 1
        if some and length > room:
            yield {**head, field: some}
            some, room = [], longest - empty
        some.append(name)
        room -= length
    yield {**head, field: some}


@click.command(epilog=EXAMPLES)
@click.option("--bucket", metavar="BUCKET", help="Invalidate these keys of it, on every distribution that serves them.")
@click.option("--distribution", metavar="ID", help="Invalidate these viewer paths (or #tags) of it.")
@click.argument("names", nargs=-1, required=True, metavar="KEY|PATH...")
@click.option(
    "-0", "--null", is_flag=True, help="What comes over standard input is separated by NUL, not by line ends."
)
@click.option(
    "--dry-run", is_flag=True, help="Do everything but invalidate; waits, and says what it would be, and the price."
)
@click.option("--unwatched", is_flag=True, help="The bucket may be one that the stack does not watch.")
@click.option("--wait", "follow", is_flag=True, help="Follow it state by state, until the edge is fresh.")
@timeout_option
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON at the end.")
@validated
@with_stack
def request(stack: Stack, *, requests: Sequence[Request], follow: bool, timeout: float, as_json: bool) -> None:
    """Ask for an invalidation of a bucket's keys, or of a distribution's viewer paths.

    It forms a batch of its own and goes at once. A - instead of names reads them from standard input, one a line. What
    does not fit into one request of 256 KB is sent as several.
    """
    for each in requests:
        _check(stack, each)
    arns = start(stack, requests)
    if not follow:
        names = [arn.rpartition(":")[2] for arn in arns]
        see = [f"Started {name}. To see what happens:\n  {stack.command('show', name)}" for name in names]
        click.echo(as_line({"executions": arns}) if as_json else "\n".join(see))
        return
    follower = Follower(stack.client("stepfunctions"), arns)
    try:
        follow_steps(follower, arns, time.monotonic() + timeout)
    except KeyboardInterrupt:
        tell_of_running(stack, follower, "Not waiting any more")
        sys.exit(ExitCode.INTERRUPTED)
    if as_json:
        click.echo(as_line({"executions": [document_of(follower.executions[arn]) for arn in arns]}))
    else:
        for line in lines_of(follower.ended):
            click.echo(line)
    if any(not each.succeeded for each in follower.ended):
        sys.exit(ExitCode.FAILED)
    if follower.running:
        tell_of_running(stack, follower, f"Not within {timeout:g} s")
        sys.exit(ExitCode.TIMED_OUT)


def _check(stack: Stack, asked: Request) -> None:
    """Refuse what could only fail, before anything is started: exit code 2."""
    if "distributionId" in asked:
        check_distribution(stack, asked["distributionId"])
    else:
        if not asked.get("unwatched"):
            check_is_watched(stack, asked["bucket"])
        check_bucket(stack.client, asked["bucket"])
        check_keys(stack.client, asked["bucket"], asked["keys"])


def tell_of_running(stack: Stack, follower: Follower, why: str) -> None:
    """Name the executions that go on, and how to see what comes of them."""
    for each in follower.running:
        click.echo(f"{why}: {each.name} goes on. To see what happens:\n  {stack.command('show', each.name)}", err=True)


def start(stack: Stack, requests: Sequence[Request]) -> list[str]:
    """Start an execution for each request; their ARNs."""
    if len(requests) > 1:
        click.echo(f"Too long for one request: sent as {len(requests)}.", err=True)
    prefix = f"request-{compact(datetime.now(UTC))}-{uuid.uuid4().hex[:8]}"
    names = [prefix, *(f"{prefix}-{number}" for number in range(2, len(requests) + 1))]
    executions = stack.executions()
    for name, each in zip(names, requests, strict=True):
        executions.start(name, each)
    return [stack.execution_arn(name) for name in names]


def follow_steps(follower: Follower, arns: Sequence[str], deadline: float) -> None:
    """Print each state as it is entered, until all have ended, or time is up."""
    began: datetime | None = None
    while True:
        for step in follower.new_steps():
            began = began or step.at
            number = f"{arns.index(step.execution_arn) + 1}: " if len(arns) > 1 else ""
            click.secho(_line(step, (step.at - began).total_seconds(), number), fg=_colour(step), err=True)
        left = deadline - time.monotonic()
        if not follower.running or left <= 0:
            return
        time.sleep(min(POLL_SECONDS, left))


def _line(step: Step, seconds: float, number: str) -> str:
    return f"{seconds:7.1f} s  {number}{escape(step.name)}  {escape(step.distribution_id)}".rstrip()


def _colour(step: Step) -> str | None:
    if step.is_end:
        return "green" if step.name == "SUCCEEDED" else "red"
    return "bright_black" if step.kind in {"Choice", "Pass"} else None


def document_of(followed: FollowedExecution) -> dict[str, Any]:
    document = {"execution": followed.arn, "status": followed.status}
    if not followed.ended:
        return document
    failure = {} if followed.succeeded else {"error": followed.error, "cause": followed.cause}
    return {**document, **failure, "outcome": dict(followed.outcome)}


def _named(names: Iterable[str], *, null: bool) -> Iterator[str]:
    for name in names:
        if name == "-":
            yield from _from_standard_input(null=null)
        else:
            yield name


def _from_standard_input(*, null: bool) -> Iterator[str]:
    given = sys.stdin.buffer.read()
    try:
        text = given.decode("utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"standard input is not UTF-8 at byte {error.start}: {given[error.start]:#x}") from None
    parts = text.split("\0") if null else [line.removesuffix("\r") for line in text.split("\n")]
    yield from (part for part in parts if part)


def as_line(document: object) -> str:
    """In ASCII: what a terminal would obey is escaped, and lone surrogates have a spelling."""
    return json.dumps(document, separators=(",", ":"))


SAID = {
    Outcome.COMPLETED: "Fresh",
    Outcome.NOTHING_TO_INVALIDATE: "Nothing to invalidate: no distribution serves these keys",
    Outcome.NO_DISTRIBUTION: "Nothing to invalidate: no distribution serves the bucket",
    Outcome.DRY_RUN: "Dry run, nothing was sent",
    Outcome.PARTLY_FAILED: "Partly failed",
    Outcome.STALE_AT_EDGE: "Still stale at the edge",
    Outcome.FAILED: "Failed",
    Outcome.ABANDONED: "Abandoned: the edge may be stale",
    Outcome.REJECTED: "Rejected",
}


def lines_of(executions: Sequence[FollowedExecution]) -> Iterator[str]:
    for execution in executions:
        yield _headline(execution)
        for target in execution.outcome.get("targets", []):
            yield "  " + _target(target)
            if execution.outcome.get("outcome") == Outcome.DRY_RUN:
                yield from _paths(target)
        if execution.outcome.get("targetsOmitted"):
            yield f"  and {count(execution.outcome['targetsOmitted'], 'more distribution')}"
        if not execution.succeeded:
            yield f"  {escape(execution.error or execution.status)}: {escape(_cause(execution), 1_000)}"
    yield from _price(executions)


def _headline(execution: FollowedExecution) -> str:
    outcome = execution.outcome
    kind = {each.value: each for each in Outcome}.get(outcome.get("outcome", ""))
    said = SAID[kind] if kind else f"The execution {execution.status.lower().replace('_', ' ')}"
    if kind and kind.succeeded and not execution.succeeded:
        said += ", but the execution failed"
    what = count(outcome.get("changes", 0), "key" if outcome.get("bucket") else "path")
    where = outcome.get("bucket") or outcome.get("distributionId", "")
    return said + (f": {what} of {escape(where)}" if where else "") + _seconds(outcome)


def _seconds(outcome: Mapping[str, Any]) -> str:
    return f", in {outcome['runSeconds']} s" if "runSeconds" in outcome else ""


def _target(target: Mapping[str, Any]) -> str:
    wildcards = f" ({count(target['wildcards'], 'wildcard')})" if target["wildcards"] else ""
    parts = [escape(target["distributionId"]), target["state"].lower(), count(target["paths"], "path") + wildcards]
    parts += [escape(each) for each in target.get("invalidationIds", [])]
    for widened in target.get("widened", []):
        parts.append(escape(Widening.from_document(widened).description))
    if target.get("error"):
        parts.append(f"{escape(target['error'])}: {escape(target.get('message', ''), 1_000)}")
    return "  ".join(parts)


def _paths(target: Mapping[str, Any]) -> Iterator[str]:
    """What a dry run would have sent, as far as the outcome holds it."""
    sample = target.get("pathSample", [])
    yield from (f"    {escape(path, 4_000)}" for path in sample)
    if sample and target["paths"] > len(sample):
        yield f"    and {count(target['paths'] - len(sample), 'more path')}"


def _cause(execution: FollowedExecution) -> str:
    return str(execution.cause or execution.outcome.get("message", "") or "no cause was given")


def _price(executions: Sequence[FollowedExecution]) -> Iterator[str]:
    dry = [execution.outcome for execution in executions if execution.outcome.get("outcome") == Outcome.DRY_RUN]
    if dry:
        dollars = sum(outcome.get("price", 0) for outcome in dry)
        yield f"It would cost at most ${dollars:.3f} (as if the 1,000 free paths of the month were used up)."
