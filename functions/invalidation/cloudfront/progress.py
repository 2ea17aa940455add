"""How far the invalidations of one distribution are, as it travels in state between the polls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from invalidation.errors import InvalidationTimedOut

if TYPE_CHECKING:
    from invalidation.cloudfront.client import CloudFront

POLL_SECONDS = (5, 5, 10, 20, 30, 30, 30, 60, 60, 60, 120)
"""Waits between polls; the last repeats. P95 of CloudFront's own report is under 25 s, so most need three polls.

The last is so long that an execution reaches its time limit before its history is full, whatever the parameters say.
"""


class Status(StrEnum):
    """What Create Invalidation and Get Invalidation answer."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    NOTHING_TO_INVALIDATE = "NothingToInvalidate"
    DRY_RUN = "DryRun"


@dataclass(frozen=True, slots=True)
class Pending:
    """One invalidation: its id, and the distribution (or ``distribution/tenant``) that it belongs to."""

    target: str
    invalidation_id: str
    completed: bool = False

    def to_document(self) -> dict[str, Any]:
        """``{"target", "id", "completed"}``."""
        return {"target": self.target, "id": self.invalidation_id, "completed": self.completed}


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a distribution's invalidations. ``seconds`` is the time from creation to the last look."""

    status: Status
    created_at: datetime
    complete_by: datetime
    invalidations: tuple[Pending, ...] = ()
    polls: int = 0
    seconds: float = 0.0

    @property
    def pending(self) -> tuple[Pending, ...]:
        """The invalidations that were not completed at the last look."""
        return tuple(each for each in self.invalidations if not each.completed)

    @property
    def wait_seconds(self) -> int:
        """How long to wait before the next look: a little at first, then longer."""
        return POLL_SECONDS[min(self.polls, len(POLL_SECONDS) - 1)]

    def with_completed(self, done: Pending) -> Progress:
        """The same, one invalidation further."""
        updated = tuple(replace(each, completed=True) if each == done else each for each in self.invalidations)
        return replace(self, invalidations=updated)

    def polled_by(self, cloudfront: CloudFront, now: datetime, distribution_id: str) -> Progress:
        """After asking CloudFront for each invalidation that was not completed.

        Raises:
            InvalidationTimedOut: as ``polled``; and the errors of ``CloudFront.get_invalidation``.
        """
        progress = self
        for each in self.pending:
            if cloudfront.get_invalidation(each.target, each.invalidation_id).completed:
                progress = progress.with_completed(each)
        return progress.polled(now, distribution_id)

    def polled(self, now: datetime, distribution_id: str) -> Progress:
        """After a look at every pending invalidation.

        Raises:
            InvalidationTimedOut: it is later than ``complete_by`` and some are still in progress.
        """
        if self.pending and now >= self.complete_by:
            ids = ", ".join(each.invalidation_id for each in self.pending[:5])
            raise InvalidationTimedOut(
                f"invalidation {ids} of distribution {distribution_id} was still in progress after "
                f"{(now - self.created_at).total_seconds():.0f} s. CloudFront may yet complete it; the batch is tried "
                "again and finds it. CompletionTimeoutMinutes says how long to wait"
            )
        status = Status.IN_PROGRESS if self.pending else Status.COMPLETED
        elapsed = round((now - self.created_at).total_seconds(), 1)
        return replace(self, status=status, polls=self.polls + 1, seconds=max(elapsed, 0.0))

    def to_document(self) -> dict[str, Any]:
        """``{"status", "createdAt", "completeBy", "invalidations", "polls", "seconds", "waitSeconds"}``."""
        return {
            "status": self.status.value,
            "createdAt": self.created_at.isoformat(),
            "completeBy": self.complete_by.isoformat(),
            "invalidations": [each.to_document() for each in self.invalidations],
            "polls": self.polls,
            "seconds": self.seconds,
            "waitSeconds": self.wait_seconds,
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Progress:
        """The inverse of ``to_document``."""
        return cls(
            status=Status(document["status"]),
            created_at=datetime.fromisoformat(document["createdAt"]),
            complete_by=datetime.fromisoformat(document["completeBy"]),
            invalidations=tuple(
                Pending(each["target"], each["id"], each["completed"]) for each in document["invalidations"]
            ),
            polls=document["polls"],
            seconds=document["seconds"],
        )
