"""What a batch owes to each distribution, and what has been created for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from invalidation.lifecycle import keys
from invalidation.lifecycle.items import blank, readable
from invalidation.lifecycle.table import Item
from invalidation.lifecycle.times import from_text, to_text

if TYPE_CHECKING:
    from invalidation.plan import Plan


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
        return blank(keys.target(self.batch_id, self.distribution_id)) | {
            "batchId": self.batch_id,
            "distributionId": self.distribution_id,
            "document": json.dumps(self.document, separators=(",", ":")),
            "state": self.state.value,
            "tries": self.tries,
            "audit": keys.audit_of_distribution(self.distribution_id),
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
        return blank(keys.invalidation(batch_id, distribution_id, self.invalidation_id)) | {
            "batchId": batch_id,
            "distributionId": distribution_id,
            "number": self.number,
            "invalidationId": self.invalidation_id,
            "callerReference": self.caller_reference,
            "paths": self.paths,
            "wildcards": self.wildcards,
            "created": to_text(self.created),
            "audit": keys.audit_of_invalidation(self.invalidation_id),
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
