"""What a batch owes to each distribution, and what has been created for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from invalidation.lifecycle import keys
from invalidation.lifecycle.items import blank
from invalidation.lifecycle.table import Item
from invalidation.lifecycle.times import from_text, to_text
from invalidation.plan import Plan


class TargetState(StrEnum):
    OWED = "OWED"
    PARKED = "PARKED"
    COMPLETED = "COMPLETED"
    SKIPPED = "SKIPPED"

    @property
    def final(self) -> bool:
        return self in {TargetState.COMPLETED, TargetState.SKIPPED}


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """What was decided to send; ``widened`` pairs each wildcard that the plan introduced with how many it replaces."""

    paths: int
    wildcards: int
    requests: int
    widened: tuple[tuple[str, int], ...] = ()

    def to_document(self) -> dict[str, Any]:
        widened = [{"path": path, "asked": asked} for path, asked in self.widened]
        return {"paths": self.paths, "wildcards": self.wildcards, "requests": self.requests, "widened": widened}

    @classmethod
    def of(cls, plan: Plan) -> PlanSummary:
        widened = tuple((each.path, each.asked) for each in plan.widened)
        return cls(len(plan.paths), plan.wildcards, len(plan.requests()), widened)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PlanSummary:
        widened = tuple((each["path"], each["asked"]) for each in document["widened"])
        return cls(document["paths"], document["wildcards"], document["requests"], widened)


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
        return cls(
            number=item["number"],
            invalidation_id=item["invalidationId"],
            caller_reference=item["callerReference"],
            paths=item["paths"],
            wildcards=item["wildcards"],
            created=from_text(item["created"]),
        )
