"""What Join, a request and a retry answer: who works on the batch, and until when it gathers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from invalidation.lifecycle.times import whole_second_after


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
    """Who leads the batch that the change is in."""

    role: Role
    bucket: str
    batch_id: str
    leader_arn: str
    closes_at: datetime

    @property
    def wait_until(self) -> str:
        return whole_second_after(self.closes_at)

    def to_document(self) -> dict[str, Any]:
        return {
            "role": self.role.value,
            "bucket": self.bucket,
            "batchId": self.batch_id,
            "leader": self.leader_arn,
            "closesAt": self.wait_until,
        }
