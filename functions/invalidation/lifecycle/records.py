"""The batch record: one for each batch, which is at once what the protocol needs and what an auditor reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from invalidation.errors import BatchNotFound
from invalidation.lifecycle import keys
from invalidation.lifecycle.items import blank, known, readable
from invalidation.lifecycle.table import BatchTable, Item
from invalidation.lifecycle.times import from_text, optional_from_text, to_text
from invalidation.outcomes import Outcome

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
            "audit": keys.audit_of_bucket(self.bucket),
        }
        numbers = {"chunks": self.chunks, "changes": self.changes, "deleted": self.deleted, "tries": self.tries}
        return blank(keys.meta(self.batch_id)) | known(text) | numbers

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
    item = table.get(keys.meta(batch_id))
    return None if item is None else Batch.from_item(item)


def read_batch(table: BatchTable, batch_id: str) -> Batch:
    """Raises BatchNotFound."""
    batch = find_batch(table, batch_id)
    if batch is None:
        raise BatchNotFound(f"there is no record of batch {batch_id}; records of ended batches expire")
    return batch
