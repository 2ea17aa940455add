"""What Join, a request and a retry answer: who works on the batch, and until when it gathers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from invalidation.lifecycle.times import whole_second_after, whole_second_before


class Role(StrEnum):
    """What an execution has to do after Join. The values are those of the state machine's Choice."""

    LEADER = "leader"
    FOLLOWER = "follower"
    PAUSED = "paused"
    """The change is kept, and nobody works on this bucket until somebody resumes it."""
    ENDED = "ended"
    """The batch that was to be retried owes nothing."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Who leads the batch that the change is in; ``waits`` if it gathers first, rather than closing at once."""

    role: Role
    bucket: str
    batch_id: str
    leader_arn: str
    closes_at: datetime
    waits: bool = False

    @property
    def wait_until(self) -> str:
        """What closes at once must not be rounded up: a quiet bucket's first change would wait for up to a second."""
        return whole_second_after(self.closes_at) if self.waits else whole_second_before(self.closes_at)

    def to_document(self) -> dict[str, Any]:
        return {
            "role": self.role.value,
            "bucket": self.bucket,
            "batchId": self.batch_id,
            "leader": self.leader_arn,
            "closesAt": self.wait_until,
        }
