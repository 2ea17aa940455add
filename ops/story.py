"""The whole story of one batch: who changed what, what was invalidated, and how its execution went, for `show`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import click
from botocore.exceptions import ClientError

from invalidation.changes import Change
from invalidation.errors import BatchNotFound
from invalidation.executions import ACCEPTING_STATE
from invalidation.lifecycle.auditing import batch_of_invalidation
from invalidation.lifecycle.freezing import frozen_changes, frozen_paths
from invalidation.lifecycle.records import Batch, Kind, find_batch
from invalidation.lifecycle.table import BatchTable
from ops.board import moment
from ops.entries import Entry, entry
from ops.report import Recording, collect, read
from ops.report.run import Run, Visit
from ops.shown import shown
from ops.stack import Stack
from ops.watching import distribution_in

EXECUTION_ARN = re.compile(r"arn:[^:]+:states:[^:]+:[0-9]+:execution:[^:]+:[^:]+")
BATCH_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{10}")
INVALIDATION_ID = re.compile(r"I[A-Z0-9]{5,63}")
EXECUTION_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
"""Step Functions API Reference, StartExecution."""
GONE = {"ExecutionDoesNotExist", "InvalidArn"}


@dataclass(frozen=True, slots=True)
class State:
    """One stay in a state. `seconds` is None while it goes on; `item` is the distribution, inside the Map."""

    name: str
    kind: str
    item: str
    entered: str
    seconds: float | None
    status: str
    tries: int
    error: str
    cause: str


@dataclass(frozen=True, slots=True)
class Story:
    """What is known. Without `entry` there is no record of a batch; without `recording` no execution any more.

    Attributes:
        changes: What the batch owns, as many as were asked for: changes, or the paths of a request.
        paths: Id of an invalidation → its paths, or why CloudFront does not tell them.
        joined: What Join Batch answered to the execution; {} when it did not.
    """

    entry: Entry | None
    changes: tuple[Change | str, ...]
    paths: Mapping[str, tuple[str, ...] | str]
    recording: Recording | None
    joined: Mapping[str, Any]

    def run(self) -> Run | None:
        if self.recording is None:
            return None
        return read(self.recording.definition, self.recording.execution, self.recording.events)


def find(stack: Stack, what: str, most: int) -> Story:
    """The story of an execution (ARN or name), a batch or an invalidation, with at most so many changes.

    Raises:
        click.ClickException: there is none.
    """
    table = stack.table()
    batch = batch_named(table, what)
    recording = None if batch else recording_of(stack, execution_arn(stack, what))
    if batch is None and recording is None:
        raise click.ClickException(unknown(stack, what))
    if recording is None and batch is not None:
        recording = recording_of(stack, batch.owner)
    joined = (answer_of_join(recording.events) if recording else None) or {}
    if batch is None:
        batch = find_batch(table, str(joined.get("batchId", "")))
    found = entry(table, batch) if batch else None
    changes = tuple(islice(owned(table, batch), most or None)) if batch else ()
    return Story(found, changes, paths_of(stack, found) if found else {}, recording, joined)


def unknown(stack: Stack, what: str) -> str:
    return (
        f"{shown(what)} is no execution, batch or invalidation that the stack {stack.name} knows. Step Functions keeps "
        f"executions for 90 days, the stack its records for {stack.parameters.get('AuditRetentionDays', 'some')} days; "
        "`invalidations audit` lists them"
    )


def batch_named(table: BatchTable, what: str) -> Batch | None:
    """The batch of this id, or the one for which an invalidation of this id was created."""
    if BATCH_ID.fullmatch(what):
        return find_batch(table, what)
    return batch_of_invalidation(table, what) if INVALIDATION_ID.fullmatch(what) else None


def execution_arn(stack: Stack, what: str) -> str:
    """The ARN that is meant by an ARN or a name; nothing where it can be neither."""
    if EXECUTION_ARN.fullmatch(what):
        return what
    return stack.execution_arn(what) if EXECUTION_NAME.fullmatch(what) else ""


def recording_of(stack: Stack, arn: str) -> Recording | None:
    """Definition, description and history; None where Step Functions does not know the execution (any more)."""
    if not arn:
        return None
    try:
        return collect(stack.client("stepfunctions"), arn)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in GONE:
            return None
        raise


def answer_of_join(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What Join Batch answered: `{"role", "bucket", "batchId", "leader", …}`; None if it failed, or was not reached.

    A failure that was caught leaves the state as well, and is told from an answer by having no role.
    """
    for event in events:
        details = event.get("stateExitedEventDetails", {})
        if details.get("name") == ACCEPTING_STATE:
            try:
                answer = json.loads(details.get("output", ""))
            except ValueError:
                return None
            return answer if isinstance(answer, dict) and "role" in answer else None
    return None


def owned(table: BatchTable, batch: Batch) -> Iterator[Change | str]:
    """What a batch owns; the sample where time to live has taken the list."""
    try:
        if batch.kind is Kind.PATHS:
            yield from frozen_paths(table, batch)
        else:
            yield from frozen_changes(table, batch)
    except BatchNotFound:
        yield from batch.sample


def paths_of(stack: Stack, found: Entry) -> dict[str, tuple[str, ...] | str]:
    """What CloudFront says: the record has only their numbers."""
    cloudfront = stack.client("cloudfront")
    answers: dict[str, tuple[str, ...] | str] = {}
    for distribution_id, record in found.created:
        try:
            answer = cloudfront.get_invalidation(DistributionId=distribution_id, Id=record.invalidation_id)
        except ClientError as error:
            answers[record.invalidation_id] = str(error.response.get("Error", {}).get("Code", "an error"))
        else:
            items = answer["Invalidation"]["InvalidationBatch"]["Paths"].get("Items", [])
            answers[record.invalidation_id] = tuple(items)
    return answers


def states_of(run: Run) -> Iterator[State]:
    """The stays in states, in the order in which they were entered."""
    inputs = {event.id: event.details.get("input", "") for event in run.events}
    for visit in sorted(run.visits, key=lambda visit: visit.entered):
        yield State(
            name=visit.state,
            kind=visit.type,
            item=distribution_in(inputs[visit.entered]),
            entered=moment(visit.start).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            seconds=_seconds(visit),
            status=visit.status,
            tries=len(visit.attempts),
            error=visit.error,
            cause=visit.cause,
        )


def _seconds(visit: Visit) -> float | None:
    return None if visit.end is None or visit.status == "running" else round((visit.end - visit.start) / 1000, 3)
