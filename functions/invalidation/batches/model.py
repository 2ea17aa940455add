"""The batch record: one for each batch, which is at once what the protocol needs and what an auditor reads.

What a batch owes to each distribution, and what has been created for it.

Changes as rows of a frozen list, and as pending items.

Moments as text: ISO 8601 in UTC with a ``Z``, so that text order is time order.

How a batch can end: the closed list that notifications, events, the audit and the metrics share.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from invalidation.batches.table import (
    BatchTable,
    Item,
    audit_of_bucket,
    audit_of_distribution,
    audit_of_invalidation,
    batch_key,
    blank,
    invalidation_key,
    known,
    readable,
    target_key,
)
from invalidation.errors import BatchNotFound

if TYPE_CHECKING:
    from invalidation.cloudfront.plan import Plan
import math
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, timedelta

from invalidation.batches.table import pending_key
from invalidation.events import Change

UNFINISHED = "UNFINISHED"
PARKED = "PARKED"
"""Values of the sparse index attribute ``unfinished``; a batch that has ended has none."""


class BatchState(StrEnum):
    FROZEN = "FROZEN"
    """It owns its list, and owes."""

    PARKED = "PARKED"
    """It owes, and trying again by itself would not help: somebody has to mend the cause."""

    ENDED = "ENDED"
    """It owes nothing any more, or somebody has given up what it owed."""


class Kind(StrEnum):
    CHANGES = "changes"
    PATHS = "paths"


@dataclass(frozen=True, slots=True)
class Batch:
    """The batch record: who owns which frozen list, what became of it, and what an auditor asks."""

    batch_id: str
    owner: str
    """ARN of the execution that works on it, or did last."""
    attempt: str
    """Under whose name the frozen list lies."""
    chunks: int
    changes: int
    """Rows in the list: changes, or paths."""
    opened: datetime
    closed: datetime
    kind: Kind = Kind.CHANGES
    bucket: str = ""
    distribution_id: str = ""
    state: BatchState = BatchState.FROZEN
    gathered: bool = False
    """Whether its list was gathered from pending items, which are to be deleted."""
    by_hand: bool = False
    dry_run: bool = False
    executions: tuple[str, ...] = ()
    deleted: int = 0
    sample: tuple[str, ...] = ()
    requesters: tuple[dict[str, Any], ...] = ()
    resolved: tuple[str, ...] | None = None
    """The distributions that it owes to; None as long as nobody has found them out."""
    outcome: Outcome | None = None
    finished: datetime | None = None
    tries: int = 0
    """Executions that ended with something still owed."""
    tried_by: str = ""
    next_try_at: datetime | None = None
    error: str = ""
    message: str = ""

    @property
    def ended(self) -> bool:
        return self.state is BatchState.ENDED

    def to_item(self) -> Item:
        text = {
            "batchId": self.batch_id,
            "owner": self.owner,
            "attempt": self.attempt,
            "kind": self.kind.value,
            "bucket": self.bucket,
            "distributionId": self.distribution_id,
            "state": self.state.value,
            "opened": to_text(self.opened),
            "closed": to_text(self.closed),
            "gathered": self.gathered,
            "byHand": self.by_hand,
            "dryRun": self.dry_run,
            "executions": list(self.executions),
            "sample": list(self.sample),
            "requesters": list(self.requesters),
            "unfinished": UNFINISHED,
            "audit": audit_of_bucket(self.bucket),
        }
        numbers = {"chunks": self.chunks, "changes": self.changes, "deleted": self.deleted, "tries": self.tries}
        return blank(batch_key(self.batch_id)) | known(text) | numbers

    @classmethod
    def from_item(cls, item: Item) -> Batch:
        """Raises RecordsOfLaterRelease."""
        readable(item)
        return cls(
            batch_id=item["batchId"],
            owner=item["owner"],
            attempt=item["attempt"],
            chunks=item["chunks"],
            changes=item["changes"],
            opened=from_text(item["opened"]),
            closed=from_text(item["closed"]),
            kind=Kind(item["kind"]),
            bucket=item.get("bucket", ""),
            distribution_id=item.get("distributionId", ""),
            state=BatchState(item["state"]),
            gathered=item.get("gathered", False),
            by_hand=item.get("byHand", False),
            dry_run=item.get("dryRun", False),
            executions=tuple(item.get("executions", ())),
            deleted=item["deleted"],
            sample=tuple(item.get("sample", ())),
            requesters=tuple(item.get("requesters", ())),
            resolved=tuple(item["resolved"]) if "resolved" in item else None,
            outcome=Outcome(item["outcome"]) if "outcome" in item else None,
            finished=optional_from_text(item.get("finished")),
            tries=item["tries"],
            tried_by=item.get("triedBy", ""),
            next_try_at=optional_from_text(item.get("nextTryAt")),
            error=item.get("error", ""),
            message=item.get("message", ""),
        )


def find_batch(table: BatchTable, batch_id: str) -> Batch | None:
    item = table.get(batch_key(batch_id))
    return None if item is None else Batch.from_item(item)


def read_batch(table: BatchTable, batch_id: str) -> Batch:
    """Raises BatchNotFound."""
    batch = find_batch(table, batch_id)
    if batch is None:
        raise BatchNotFound(f"there is no record of batch {batch_id}; records of ended batches expire")
    return batch


class TargetState(StrEnum):
    OWED = "OWED"
    PARKED = "PARKED"
    COMPLETED = "COMPLETED"
    SKIPPED = "SKIPPED"

    @property
    def final(self) -> bool:
        return self in {TargetState.COMPLETED, TargetState.SKIPPED}


MAX_SAMPLE_PATHS = 30
MAX_SAMPLE_CHARACTERS = 8_192
"""Of JSON, for one distribution: a path may have 4,000, and the record is read again and again."""


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """What was decided to send; ``widened`` pairs each wildcard that the plan introduced with how many it replaces.

    ``sample`` are the first of the paths, as many as fit. ``copies`` is how often they go out: once, or once for each
    tenant of a multi-tenant distribution.
    """

    paths: int
    wildcards: int
    requests: int
    widened: tuple[tuple[str, int], ...] = ()
    sample: tuple[str, ...] = ()
    copies: int = 1

    @property
    def paid(self) -> int:
        """Paths that CloudFront charges for once all are sent."""
        return self.paths * self.copies

    def to_document(self) -> dict[str, Any]:
        return {
            "paths": self.paths,
            "wildcards": self.wildcards,
            "requests": self.requests,
            "widened": [{"path": path, "asked": asked} for path, asked in self.widened],
            "sample": list(self.sample),
            "copies": self.copies,
        }

    @classmethod
    def of(cls, plan: Plan, copies: int = 1) -> PlanSummary:
        widened = tuple((each.path, each.asked) for each in plan.widened)
        return cls(len(plan.paths), plan.wildcards, len(plan.requests()), widened, _sample(plan.paths), copies)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PlanSummary:
        return cls(
            paths=document["paths"],
            wildcards=document["wildcards"],
            requests=document["requests"],
            widened=tuple((each["path"], each["asked"]) for each in document["widened"]),
            sample=tuple(document.get("sample", ())),
            copies=document.get("copies", 1),
        )


def _sample(paths: Sequence[str]) -> tuple[str, ...]:
    room = MAX_SAMPLE_CHARACTERS
    taken: list[str] = []
    for path in paths[:MAX_SAMPLE_PATHS]:
        room -= len(json.dumps(path))
        if room < 0:
            break
        taken.append(path)
    return tuple(taken)


@dataclass(frozen=True, slots=True)
class Target:
    """What a batch owes to one distribution."""

    batch_id: str
    distribution_id: str
    document: dict[str, Any] = field(default_factory=dict)
    """The distribution's routing as it was when the batch was resolved."""
    state: TargetState = TargetState.OWED
    tries: int = 0
    tried_by: str = ""
    error: str = ""
    message: str = ""
    seconds: int | None = None
    plan: PlanSummary | None = None
    only_planned: bool = False
    """Whether there was something to send that was not to be sent: a dry run."""
    edge: tuple[dict[str, str], ...] = ()
    """What the last look at the edge has shown: ``{"path", "verdict", "stored", "served"}`` each."""

    @property
    def owed(self) -> bool:
        return self.state is TargetState.OWED

    def to_item(self) -> Item:
        """The document goes as JSON text: a table has no floats, and nobody queries inside it."""
        return blank(target_key(self.batch_id, self.distribution_id)) | {
            "batchId": self.batch_id,
            "distributionId": self.distribution_id,
            "document": json.dumps(self.document, separators=(",", ":")),
            "state": self.state.value,
            "tries": self.tries,
            "audit": audit_of_distribution(self.distribution_id),
        }

    @classmethod
    def from_item(cls, item: Item) -> Target:
        """Raises RecordsOfLaterRelease."""
        readable(item)
        return cls(
            batch_id=item["batchId"],
            distribution_id=item["distributionId"],
            document=json.loads(item["document"]),
            state=TargetState(item["state"]),
            tries=item["tries"],
            tried_by=item.get("triedBy", ""),
            error=item.get("error", ""),
            message=item.get("message", ""),
            seconds=item.get("seconds"),
            plan=PlanSummary.from_document(item["plan"]) if "plan" in item else None,
            only_planned=item.get("onlyPlanned", False),
            edge=tuple(item.get("edge", ())),
        )


@dataclass(frozen=True, slots=True)
class InvalidationRecord:
    """One invalidation that CloudFront has accepted; ``number`` is its place among the requests of one target."""

    number: int
    invalidation_id: str
    caller_reference: str
    paths: int
    wildcards: int
    created: datetime

    def to_item(self, batch_id: str, distribution_id: str) -> Item:
        return blank(invalidation_key(batch_id, distribution_id, self.invalidation_id)) | {
            "batchId": batch_id,
            "distributionId": distribution_id,
            "number": self.number,
            "invalidationId": self.invalidation_id,
            "callerReference": self.caller_reference,
            "paths": self.paths,
            "wildcards": self.wildcards,
            "created": to_text(self.created),
            "audit": audit_of_invalidation(self.invalidation_id),
        }

    @classmethod
    def from_item(cls, item: Item) -> InvalidationRecord:
        """Raises RecordsOfLaterRelease."""
        readable(item)
        return cls(
            number=item["number"],
            invalidation_id=item["invalidationId"],
            caller_reference=item["callerReference"],
            paths=item["paths"],
            wildcards=item["wildcards"],
            created=from_text(item["created"]),
        )


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


_ATTRIBUTES = {f.name: _camel_case(f.name) for f in fields(Change) if f.name != "bucket"}
"""Field -> attribute. The bucket is left out: a list is of one bucket, and the batch record names it."""


def change_to_row(change: Change) -> dict[str, Any]:
    return {attribute: value for name, attribute in _ATTRIBUTES.items() if (value := getattr(change, name))}


def change_from_row(bucket: str, row: Mapping[str, Any]) -> Change:
    """Reads only fields that this release knows: a list outlives the release that wrote it."""
    known = {name: row[attribute] for name, attribute in _ATTRIBUTES.items() if attribute in row}
    return Change(bucket=bucket, **{"event_id": "", **known})


def pending_to_item(change: Change, shards: int) -> Item:
    return blank(pending_key(change, shards)) | {"bucket": change.bucket} | change_to_row(change)


def pending_from_item(item: Item) -> Change:
    """Raises RecordsOfLaterRelease."""
    return change_from_row(item["bucket"], readable(item))


Clock = Callable[[], datetime]
"""Tells the time, as an aware datetime in UTC."""

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def to_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    return datetime.fromisoformat(text)


def optional_from_text(text: str | None) -> datetime | None:
    return None if text is None else from_text(text)


def whole_second_before(moment: datetime) -> str:
    """The form for ``TimestampPath``, which drops fractions (SFD, "Wait workflow state")."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def whole_second_after(moment: datetime) -> str:
    """The same rounded up, never early."""
    return whole_second_before(moment + timedelta(seconds=1) if moment.microsecond else moment)


def compact(moment: datetime) -> str:
    """The form for names of batches and executions: ``20261123T062719Z``."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def epoch_seconds(moment: datetime) -> int:
    """The form for DynamoDB's time to live (DynamoDB Developer Guide, "Time to Live")."""
    return math.ceil(moment.timestamp())


class Outcome(StrEnum):
    """What became of a batch. The values are part of the public event and of the audit record."""

    COMPLETED = "Completed"
    """Every distribution that had something to invalidate has an invalidation, and CloudFront reports it completed."""

    NOTHING_TO_INVALIDATE = "NothingToInvalidate"
    """Distributions serve the bucket, and none of them serves any of the changed keys."""

    NO_DISTRIBUTION = "NoDistribution"
    """No distribution serves the bucket: nothing at the edge can be stale."""

    PARTLY_FAILED = "PartlyFailed"
    """At least one distribution was invalidated, and at least one other is still owed its invalidation."""

    STALE_AT_EDGE = "StaleAtEdge"
    """CloudFront completed what it was asked for, and an edge location still gives old content (``VerifyAtEdge``)."""

    FAILED = "Failed"
    """No distribution was invalidated. What is owed stays owed: the record says when it is tried again, if it is."""

    REJECTED = "Rejected"
    """The input was none of those that the state machine accepts: there is nothing to try again."""

    ABANDONED = "Abandoned"
    """Somebody has given up what the parked batch still owed: the edge may be stale, and nothing is tried again."""

    DRY_RUN = "DryRun"
    """The request asked only what would be invalidated, and the answer is in the record."""

    @property
    def succeeded(self) -> bool:
        """Whether all that was asked for is done: what the last Choice of the state machine asks."""
        return self not in {
            Outcome.PARTLY_FAILED,
            Outcome.STALE_AT_EDGE,
            Outcome.FAILED,
            Outcome.ABANDONED,
            Outcome.REJECTED,
        }
