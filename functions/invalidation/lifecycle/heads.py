"""A bucket's head: the one item that decides who leads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from invalidation.lifecycle.items import VERSION, readable
from invalidation.lifecycle.table import Item
from invalidation.lifecycle.times import LONG_AGO, from_text, to_text


class HeadState(StrEnum):
    GATHERING = "GATHERING"
    """Whoever reads this after writing a change may leave: the leader reads changes after it has closed the head."""

    CLOSED = "CLOSED"
    """Whoever reads this after writing a change must see to a leader: the last one may have read too early."""


@dataclass(frozen=True, slots=True)
class Head:
    """A bucket's current batch. A bucket without one has a head that is closed and whose times are long past."""

    bucket: str
    batch_id: str = ""
    leader: str = ""
    state: HeadState = HeadState.CLOSED
    closes_at: datetime = LONG_AGO
    closed_at: datetime = LONG_AGO
    window: int = 0
    waited: bool = False
    paused: bool = False

    @classmethod
    def from_item(cls, bucket: str, item: Item | None) -> Head:
        """Raises RecordsOfLaterRelease."""
        if item is None:
            return cls(bucket)
        readable(item)
        return cls(
            bucket=bucket,
            batch_id=item.get("batchId", ""),
            leader=item.get("leader", ""),
            state=HeadState(item.get("state", HeadState.CLOSED)),
            closes_at=from_text(item["closesAt"]) if "closesAt" in item else LONG_AGO,
            closed_at=from_text(item["closedAt"]) if "closedAt" in item else LONG_AGO,
            window=item.get("window", 0),
            waited=item.get("waited", False),
            paused=item.get("paused", False),
        )

    def expectation(self) -> dict[str, Any]:
        """What tells this head from every other that the bucket has had: a batch id is never used twice."""
        return {"batchId": self.batch_id or None, "state": self.state.value if self.batch_id else None}

    def opening(self) -> dict[str, Any]:
        """The attributes that an opened batch sets; ``paused`` is not its to touch."""
        return {
            "v": VERSION,
            "batchId": self.batch_id,
            "leader": self.leader,
            "state": self.state.value,
            "closesAt": to_text(self.closes_at),
            "closedAt": None,
            "window": self.window,
            "waited": self.waited,
        }
