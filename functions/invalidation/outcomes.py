"""How a batch can end: the closed list that notifications, events, the audit and the metrics share."""

from __future__ import annotations

from enum import StrEnum


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
