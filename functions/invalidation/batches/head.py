"""A bucket's head: the one item that decides who leads.

What Join, a request and a retry answer: who works on the batch, and until when it gathers.

Who works on a batch, and what its batches and successors are called.

Pause and resume: a person's say over one bucket, kept on its head.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from invalidation.batches.model import (
    LONG_AGO,
    Clock,
    compact,
    from_text,
    to_text,
    whole_second_after,
    whole_second_before,
)
from invalidation.batches.table import (
    VERSION,
    BatchTable,
    Item,
    digest,
    head_key,
    pending_shard,
    readable,
)


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


SWEEP_PREFIX = "sweep-"
_LONGEST_BUCKET_PART = 40
"""Characters of a bucket's name in an execution's name, which may have 80 (Step Functions API, StartExecution)."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of the state machine: ``$$.Execution.Id`` and ``$$.Execution.StartTime``."""

    arn: str
    started: datetime

    @property
    def name(self) -> str:
        return self.arn.rsplit(":", 1)[-1]

    @property
    def started_by_sweep(self) -> bool:
        return self.name.startswith(SWEEP_PREFIX)


class Executions(Protocol):
    """The state machine, as the sweep sees it."""

    def is_running(self, arn: str) -> bool:
        """False as well for an execution that Step Functions does not know any more."""

    def start(self, name: str, document: dict[str, str]) -> bool:
        """Start an execution with this input; False if the name has been used before."""


def batch_id(execution: Execution, follows: str = "") -> str:
    """``<start of the execution>-<10 hex digits>``, such as ``20261123T062719Z-0123456789``.

    ``follows`` is the batch that this one replaces on its bucket's head. With it in the hash an id is never used twice
    for one bucket, not even when an old attempt of Join opens another batch in its execution's name. Without one (a
    batch of its own) the id is the execution's alone, so that a retried Join finds the record that it has written.
    """
    unique = digest(execution.arn + "\n" + follows)
    return f"{compact(execution.started)}-{unique[:10]}"


def lead_name(bucket: str, execution: Execution) -> str:
    """The name for an execution ``{"lead": bucket}`` that this execution starts: the same however often it tries."""
    return f"lead-{_bucket_part(bucket)}-{digest(execution.arn)[:10]}"


def sweep_lead_name(bucket: str, tick: datetime) -> str:
    """The name for an execution ``{"lead": bucket}`` that the sweep of this tick starts."""
    return f"{SWEEP_PREFIX}lead-{_bucket_part(bucket)}-{compact(tick)}"


def sweep_retry_name(batch: str, tick: datetime) -> str:
    """The name for an execution ``{"retryBatch": id}`` that the sweep of this tick starts."""
    return f"{SWEEP_PREFIX}retry-{batch}-{compact(tick)}"


def _bucket_part(bucket: str) -> str:
    """Readable, and different for different buckets: the hash tells apart what is cut or replaced."""
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", bucket[:_LONGEST_BUCKET_PART])
    return f"{readable}-{digest(bucket)[:8]}"


def pause(table: BatchTable, bucket: str) -> None:
    """Changes are still accepted, and wait; the sweep starts nothing for the bucket.

    What a batch owns already is finished by the execution that works on it.
    """
    table.update(head_key(bucket), {"paused": True}, {})


def resume(table: BatchTable, bucket: str, window: Window, now: Clock) -> bool:
    """Let the bucket go on. True: changes wait, and nobody leads; start ``{"lead": bucket}``, or the sweep does.

    The flag goes first: a joiner that still reads it has written its change before, so that it is found here.
    """
    table.update(head_key(bucket), {"paused": None}, {})
    return needs_leader(table, bucket, window, now) and has_pending(table, bucket)


@dataclass(frozen=True, slots=True)
class Window:
    """How long changes gather, in seconds. ``seconds`` 0 turns batching off.

    ``grace_seconds`` after it should have closed, a batch's leader is taken for dead. Too short costs an invalidation
    too many, too long delays what a dead leader left; neither loses anything.
    """

    seconds: int = 10
    max_seconds: int = 60
    grace_seconds: int = 120

    @property
    def longest(self) -> int:
        return max(self.seconds, self.max_seconds) if self.seconds else 0

    @property
    def grace(self) -> timedelta:
        return timedelta(seconds=self.grace_seconds)


def needs_leader(table: BatchTable, bucket: str, window: Window, now: Clock) -> bool:
    """Whether a change that has just been accepted would wait for a leader that nobody has started."""
    head = read_head(table, bucket)
    return not head.paused and not gathers(head, window, now())


def read_head(table: BatchTable, bucket: str) -> Head:
    return Head.from_item(bucket, table.get(head_key(bucket)))


def gathers(head: Head, window: Window, now: datetime) -> bool:
    """Whether the head's leader can be relied on to close it.

    A head that claims to gather for longer than any window lasts was written by a clock that ran ahead, and is treated
    like one that is overdue: nobody should wait for a day because of it.
    """
    if head.state is not HeadState.GATHERING:
        return False
    overdue = now > head.closes_at + window.grace
    absurd = head.closes_at > now + timedelta(seconds=window.longest) + window.grace
    return not overdue and not absurd


def has_pending(table: BatchTable, bucket: str) -> bool:
    """Whether anything is pending, for the price of one item a shard."""
    return any(table.page(pending_shard(bucket, shard), limit=1).items for shard in range(table.shards))
