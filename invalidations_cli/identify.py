"""What a person means by a name. The execution or batch that an ARN, a name, an id, a prefix or `latest` stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import click
from botocore.exceptions import ClientError

from invalidation.batches.model import Batch
from invalidation.batches.queries import batch_of_invalidation, batches_of_bucket
from invalidation.batches.targets import invalidations_of_each
from invalidation.errors import code_of
from invalidation.executions import ACCEPTING_STATE
from invalidations_cli.aws import Stack
from invalidations_cli.backlog import NO_BUCKET, known_buckets
from invalidations_cli.history import document_in
from invalidations_cli.output import escape
from invalidations_cli.recording import Recording, collect

LATEST = "latest"
ACCEPTED = (
    "an execution's name or ARN, a batch id, an invalidation id, the beginning of any of these (4 characters; of a "
    "batch id its day, such as 20261123), or `latest`"
)
EXECUTION_ARN = re.compile(r"arn:[^:]+:states:(?P<region>[^:]+):[0-9]+:execution:[^:]+:[^:]+")
BATCH_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{10}")
INVALIDATION_ID = re.compile(r"I[A-Z0-9]{5,63}")
EXECUTION_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
"""Step Functions API Reference, StartExecution."""
BATCH_PREFIX = re.compile(r"(?P<day>[0-9]{8})(T(?P<time>[0-9]{0,6})(Z(-[0-9a-f]{0,10})?)?)?")
INVALIDATION_PREFIX = re.compile(r"I[A-Z0-9]{3,}")
SHORTEST_PREFIX = 4
EXECUTIONS_LOOKED_AT = 5_000
BATCHES_LOOKED_AT = 100
"""The newest ones, for an invalidation of which only the beginning is known."""
CANDIDATES = 5
UNKNOWN_EXECUTION = {"ExecutionDoesNotExist", "InvalidArn"}


@dataclass(frozen=True, slots=True)
class Identified:
    """What a name stands for. `recording` is the execution's, where the name was one of an execution."""

    batch: Batch | None = None
    recording: Recording | None = None


def identify(stack: Stack, what: str) -> Identified:
    """The batch or execution that is meant.

    Raises:
        click.ClickException: there is none.
        click.UsageError: there are several.
    """
    if what == LATEST:
        return latest(stack)
    found = _exactly(stack, what)
    if found:
        return found
    candidates = list(islice(_beginning_with(stack, what), CANDIDATES + 1)) if len(what) >= SHORTEST_PREFIX else []
    if len(candidates) > 1:
        more = " …" if len(candidates) > CANDIDATES else ""
        some = ", ".join(map(escape, candidates[:CANDIDATES]))
        raise click.UsageError(f"{escape(what)} is not unique: {some}{more}")
    found = _exactly(stack, candidates[0]) if candidates else None
    if found is None:
        raise click.ClickException(unknown(stack, what))
    return found


def unknown(stack: Stack, what: str) -> str:
    """That there is no such thing, and where to look."""
    days = stack.parameters.get("AuditRetentionDays", "some")
    return (
        f"{escape(what)} is no execution, batch or invalidation that the stack {stack.name} knows. "
        f"Step Functions keeps executions for 90 days, the stack its records for {days} days.\n"
        f"Accepted are {ACCEPTED}. To list them:\n  {stack.command('audit')}"
    )


def latest(stack: Stack) -> Identified:
    """The execution that started last.

    Raises:
        click.ClickException: there is none yet.
    """
    listed = stack.client("stepfunctions").list_executions(stateMachineArn=stack.state_machine_arn, maxResults=100)
    newest = max(listed["executions"], key=lambda each: each["startDate"], default=None)
    recording = recording_of(stack, newest["executionArn"]) if newest else None
    if recording is None:
        raise click.ClickException(f"the stack {stack.name} has had no execution in the last 90 days")
    return Identified(recording=recording)


def _exactly(stack: Stack, what: str) -> Identified | None:
    batch = batch_named(stack, what)
    if batch:
        return Identified(batch)
    arn = what if EXECUTION_ARN.fullmatch(what) else ""
    if EXECUTION_NAME.fullmatch(what):
        arn = stack.execution_arn(what)
    recording = recording_of(stack, arn)
    return Identified(recording=recording) if recording else None


def batch_named(stack: Stack, what: str) -> Batch | None:
    """The batch of this id, or of the invalidation of this id."""
    if BATCH_ID.fullmatch(what):
        return Batch.find(stack.table(), what)
    return batch_of_invalidation(stack.table(), what) if INVALIDATION_ID.fullmatch(what) else None


def _beginning_with(stack: Stack, prefix: str) -> Iterator[str]:
    """Names of executions, and ids of batches and invalidations, as far back as it looks."""
    yield from _batches_beginning_with(stack, prefix)
    pages = stack.client("stepfunctions").get_paginator("list_executions")
    options = {"PageSize": 1_000, "MaxItems": EXECUTIONS_LOOKED_AT}
    for page in pages.paginate(stateMachineArn=stack.state_machine_arn, PaginationConfig=options):
        yield from (each["name"] for each in page["executions"] if each["name"].startswith(prefix))
    if INVALIDATION_PREFIX.fullmatch(prefix):
        for batch in _newest_batches(stack):
            for _, record in invalidations_of_each(stack.table(), batch.batch_id):
                if record.invalidation_id.startswith(prefix):
                    yield record.invalidation_id


def _batches_beginning_with(stack: Stack, prefix: str) -> Iterator[str]:
    """Batch ids, which begin with their time. A day of it is a span to search."""
    written = BATCH_PREFIX.fullmatch(prefix)
    if not written:
        return
    time = written["time"] or ""
    try:
        since, until = (
            datetime.strptime(f"{written['day']}{time}{rest[len(time) :]}", "%Y%m%d%H%M%S").replace(tzinfo=UTC)
            for rest in ("000000", "235959")
        )
    except ValueError:
        return
    for bucket in _audited(stack):
        for batch in batches_of_bucket(stack.table(), bucket, since=since, until=until, limit=CANDIDATES + 1).batches:
            if batch.batch_id.startswith(prefix):
                yield batch.batch_id


def _newest_batches(stack: Stack) -> Iterator[Batch]:
    for bucket in _audited(stack):
        yield from batches_of_bucket(stack.table(), bucket, limit=BATCHES_LOOKED_AT).batches


def _audited(stack: Stack) -> tuple[str, ...]:
    return (*known_buckets(stack.table(), stack.bucket_names), NO_BUCKET)


def recording_of(stack: Stack, arn: str) -> Recording | None:
    """Definition, description and history; None where Step Functions does not know the execution (any more)."""
    if not arn:
        return None
    try:
        return collect(stack.client("stepfunctions"), arn)
    except ClientError as error:
        if code_of(error) in UNKNOWN_EXECUTION:
            return None
        raise


def batch_of(stack: Stack, recording: Recording) -> Batch | None:
    """The batch that an execution's change is in, if it is in one."""
    joined = answer_of_join(recording) or {}
    return Batch.find(stack.table(), str(joined.get("batchId", "")))


def answer_of_join(recording: Recording) -> dict[str, Any] | None:
    """What Join Batch answered: `{"role", "bucket", "batchId", "leader", …}`. None if it failed, or was not reached.

    A failure that was caught leaves the state as well, and is told from an answer by having no role.
    """
    for event in recording.events:
        details = event.get("stateExitedEventDetails", {})
        if details.get("name") == ACCEPTING_STATE:
            answer = document_in(details.get("output"))
            return dict(answer) if "role" in answer else None
    return None
