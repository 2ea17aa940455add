"""`invalidations retry`: what failed or was parked is tried again. An execution that ended too early is replayed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import click

from invalidation.batches.head import Execution, has_pending, lead_name, needs_leader
from invalidation.batches.model import Batch, Outcome, compact
from invalidation.batches.queries import parked_batches
from invalidation.batches.replay import Ended
from invalidations_cli.aws import ExitCode, Stack, window_of, with_stack
from invalidations_cli.commands.request import document_of, follow_steps, lines_of, tell_of_running, timeout_option
from invalidations_cli.follow import FollowedExecution, Follower
from invalidations_cli.identify import answer_of_join, identify, recording_of, unknown
from invalidations_cli.output import Form, count, escape, json_line, now, stamp, with_forms

MAX_REPLAYS_LOOKED_AT = 100
GIVEN_UP = " It was given up permanently: ask for what is needed after all with `invalidations request`."
EXAMPLES = """\b
Examples:
  invalidations retry 20261123T062719Z-0123456789 --wait
  invalidations retry 41e5e52d
  invalidations retry --parked --json

\b
With --json, one object a line: what was done for each name, and with --wait
how each execution ended:
  name, execution, said
  execution, status, error, cause, outcome

\b
Exit codes:
  0    started, or nothing was left to do; with --wait: all of it succeeded
  1    failed, or it cannot be tried again
  2    wrong usage
  4    AWS could not be asked
  124  not within --timeout; it goes on
"""


@dataclass(frozen=True, slots=True)
class RetryResult:
    """One line on what was done, and the execution that works on it, if any."""

    said: str
    execution: str = ""

    def to_document(self, name: str) -> dict[str, Any]:
        """For machines; `name` is what was asked for."""
        return {"name": name, "execution": self.execution or None, "said": self.said}


@click.command(epilog=EXAMPLES)
@click.argument("what", nargs=-1, metavar="[NAME]...")
@click.option("--parked", is_flag=True, help="All batches that are parked.")
@click.option("--wait", "follow", is_flag=True, help="Follow it state by state to its end.")
@timeout_option
@with_forms(csv_too=False)
@with_stack
def retry(stack: Stack, *, form: Form, what: tuple[str, ...], parked: bool, follow: bool, timeout: float) -> None:
    """Try a failed or parked batch again, or replay an execution that ended too early.

    NAME is a batch id, an execution's name or ARN, an invalidation id, the beginning of any of these, or `latest`.
    Fix the cause first: `invalidations show` names it. A batch sends the very same requests as before, so nothing that
    was invalidated already is paid for twice. An execution is retried through its batch; if it ended before its changes
    were in one, its input is started again.
    """
    if bool(what) == parked:
        raise click.UsageError("name a batch or an execution, or --parked for all batches that are")
    names = what or tuple(batch.batch_id for batch in parked_batches(stack.table()))
    if not names and form is Form.PEOPLE:
        click.echo("Nothing is parked.")
    results = []
    for each in names:
        results.append(again(stack, each))
        if form is Form.JSON:
            json_line(results[-1].to_document(each))
        else:
            click.echo(results[-1].said)
    arns = list(dict.fromkeys(result.execution for result in results if result.execution))
    if follow and arns:
        sys.exit(await_end(stack, arns, timeout, form))


def again(stack: Stack, what: str) -> RetryResult:
    """Raises click.ClickException where nothing can be tried again."""
    found = identify(stack, what)
    if found.batch:
        return retry_batch(stack, found.batch)
    if found.recording is None:
        raise click.ClickException(unknown(stack, what))
    name, arn = found.recording.execution["name"], found.recording.execution["executionArn"]
    if found.recording.execution["status"] == "RUNNING":
        return RetryResult(f"{escape(name)} is still running: there is nothing to try again yet.", arn)
    joined = answer_of_join(found.recording)
    if joined is None:
        return replay(stack, found.recording.execution)
    return retry_joined(stack, name, joined)


def retry_batch(stack: Stack, batch: Batch) -> RetryResult:
    executions = stack.executions()
    about = f"batch {batch.batch_id} ({count(batch.changes, 'change' if batch.bucket else 'path')})"
    if batch.ended:
        ended = f"{batch.outcome.value if batch.outcome else 'ended'}, {stamp(batch.finished)} UTC"
        return RetryResult(
            f"Nothing is left to do for {about}: {ended}.{GIVEN_UP if batch.outcome is Outcome.ABANDONED else ''}"
        )
    if executions.is_running(batch.owner):
        return RetryResult(f"{batch.owner.rpartition(':')[2]} works on {about} already.", batch.owner)
    name = f"retry-{batch.batch_id}-{compact(now())}"
    executions.start(name, {"retryBatch": batch.batch_id})
    return RetryResult(f"Started {name} for {about}.", stack.execution_arn(name))


def retry_joined(stack: Stack, what: str, joined: dict[str, Any]) -> RetryResult:
    """Its change was accepted: what counts is the batch that it is in."""
    role, bucket = joined["role"], str(joined.get("bucket", ""))
    if role == "rejected":
        failure = joined.get("failure", {})
        raise click.ClickException(
            f"the input of {escape(what)} is not accepted, and would not be again: "
            f"{escape(failure.get('message', ''))}. Send what was meant with `invalidations request`"
        )
    if role == "ignored":
        return RetryResult(f"{escape(what)} had nothing to do: {escape(joined.get('reason', ''))}.")
    batch = Batch.find(stack.table(), str(joined.get("batchId", "")))
    if batch is not None and role != "paused":
        return retry_batch(stack, batch)
    return lead(stack, bucket)


def lead(stack: Stack, bucket: str) -> RetryResult:
    """Changes wait in the table, or did when the execution ended. See that somebody takes them on."""
    table = stack.table()
    if not has_pending(table, bucket):
        return RetryResult(f"No change of {escape(bucket)} waits: another batch has taken what this execution brought.")
    if not needs_leader(table, bucket, window_of(stack), now):
        return RetryResult(
            f"Changes of {escape(bucket)} wait; the bucket is paused, or an execution is about to take them."
        )
    name = new_lead_name(bucket, now())
    stack.executions().start(name, {"lead": bucket})
    return RetryResult(f"Started {name} for the changes of {escape(bucket)} that wait.", stack.execution_arn(name))


def new_lead_name(bucket: str, moment: datetime) -> str:
    """As the application names executions that lead a bucket. This one is started by a person, at a moment."""
    return lead_name(bucket, Execution(f"invalidations {moment.isoformat()}", moment))


def replay(stack: Stack, described: dict[str, Any]) -> RetryResult:
    """Start the execution's input again, under the name that the sweep would use. Only one of the two starts it.

    A replay that failed in the same way is followed by the next one.
    """
    executions = stack.executions()
    lost = Ended(described["executionArn"], described["name"], described.get("stopDate") or now())
    document = json.loads(described["input"])
    for _ in range(MAX_REPLAYS_LOOKED_AT):
        name = lost.replay_name
        if executions.start(name, document):
            said = f"Started {name} with the input of {escape(described['name'])}, whose change was not accepted."
            return RetryResult(said, stack.execution_arn(name))
        earlier = recording_of(stack, stack.execution_arn(name))
        if earlier is None or earlier.execution["status"] == "RUNNING":
            return RetryResult(
                f"{escape(described['name'])} was replayed already, as {name}.", stack.execution_arn(name)
            )
        if joined := answer_of_join(earlier):
            return retry_joined(stack, name, joined)
        lost = replace(lost, name=name)
    raise click.ClickException(f"{escape(described['name'])} failed again in {MAX_REPLAYS_LOOKED_AT} replays")


def await_end(stack: Stack, arns: Sequence[str], timeout: float, form: Form) -> ExitCode:
    """Follow executions to their end, and those that lead the batches that they joined. Returns the exit code."""
    client, deadline = stack.client("stepfunctions"), time.monotonic() + timeout
    followed: set[str] = set()
    failed = False
    while arns:
        followed |= set(arns)
        follower = Follower(client, arns)
        try:
            follow_steps(follower, arns, deadline)
        except KeyboardInterrupt:
            tell_of_running(stack, follower, "Not waiting any more")
            return ExitCode.INTERRUPTED
        leaders = {each.arn: leader_of(stack, each) for each in follower.ended}
        tell([each for each in follower.ended if not leaders[each.arn]], form)
        failed = failed or any(not each.succeeded for each in follower.ended)
        if follower.running:
            tell_of_running(stack, follower, f"Not within {timeout:g} s")
            return ExitCode.FAILED if failed else ExitCode.TIMED_OUT
        arns = [arn for arn in dict.fromkeys(leaders.values()) if arn and arn not in followed]
        for arn in arns:
            click.echo(f"It joined the batch that {escape(arn.rpartition(':')[2])} leads.", err=True)
    return ExitCode.FAILED if failed else ExitCode.OK


def tell(ended: Sequence[FollowedExecution], form: Form) -> None:
    if form is Form.JSON:
        for each in ended:
            json_line(document_of(each))
        return
    for line in lines_of(ended):
        click.echo(line)


def leader_of(stack: Stack, execution: FollowedExecution) -> str:
    """The execution that has taken over what this one was to do. Nothing if it did it itself."""
    if not execution.succeeded or execution.outcome:
        return ""
    recording = recording_of(stack, execution.arn)
    joined = answer_of_join(recording) if recording else None
    return str(joined.get("leader", "")) if joined and joined["role"] == "follower" else ""
