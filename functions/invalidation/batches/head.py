"""A bucket's head: the one item that decides who leads its current batch.

It says until when changes gather and whether the bucket is paused. With it what Join, a request and a retry answer, and
how executions and batches are named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from invalidation.batches.model import LONG_AGO, OPEN, TIME, Clock, PendingChange, compact, digest, later_release
from invalidation.batches.table import VERSION, BatchTable, Item, Key, items
from invalidation.errors import BatchContended

KEPT_BATCHES: Final = 16
"""Batches that a head names besides its own: those that an old attempt of Join or Close may still be about."""

HELD_BACK_SECONDS: Final = 3_600
"""Between two batches of a bucket once the day has had ``MaxPathsADay``."""


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
    earlier: tuple[str, ...] = ()
    """The batches before this one, oldest first, as many as are kept."""

    @staticmethod
    def key_of(bucket: str) -> Key:
        return Key(f"BUCKET#{bucket}", "HEAD")

    @classmethod
    def read(cls, table: BatchTable, bucket: str) -> Head:
        """Raises RecordsOfLaterRelease."""
        return cls.from_item(bucket, table.get(cls.key_of(bucket)))

    @classmethod
    def from_item(cls, bucket: str, item: Item | None) -> Head:
        """Raises RecordsOfLaterRelease."""
        if item is None:
            return cls(bucket)
        if item.get("v", VERSION) > VERSION:
            raise later_release(item)
        return cls(
            bucket=bucket,
            batch_id=item.get("batchId", ""),
            leader=item.get("leader", ""),
            state=HeadState(item.get("state", HeadState.CLOSED)),
            closes_at=datetime.fromisoformat(item["closesAt"]) if "closesAt" in item else LONG_AGO,
            closed_at=datetime.fromisoformat(item["closedAt"]) if "closedAt" in item else LONG_AGO,
            window=item.get("window", 0),
            waited=item.get("waited", False),
            paused=item.get("paused", False),
            earlier=tuple(item.get("earlier", ())),
        )

    def gathers(self, window: Window, now: datetime) -> bool:
        """Whether its leader can be relied on to close it.

        A head that claims to gather for longer than any window lasts was written by a clock that ran ahead, and is
        treated like one that is overdue: nobody should wait for a day because of it.
        """
        if self.state is not HeadState.GATHERING:
            return False
        overdue = now > self.closes_at + window.grace
        longest = max(window.longest, min(self.window, HELD_BACK_SECONDS))
        absurd = self.closes_at > now + timedelta(seconds=longest) + window.grace
        return not overdue and not absurd

    def successor(self, execution: Execution, window: Window, now: datetime) -> Head:
        """The batch that follows this one: at most one in a window.

        A quiet bucket's first change does not wait.

        The window is doubled when a batch that has waited is followed by another without a pause: the load is
        sustained. It falls back as soon as the bucket has been quiet for one window. A clock that ran ahead costs one
        window at most.
        """
        gap = min(self.window, window.longest)
        earliest = self.closes_at + timedelta(seconds=gap)
        busy = now < earliest
        length = gap * 2 if busy and self.waited else gap if busy else 0
        return replace(
            self,
            batch_id=batch_id(execution, self.batch_id),
            leader=execution.arn,
            state=HeadState.GATHERING,
            closes_at=min(max(now, earliest), now + timedelta(seconds=window.longest)),
            window=min(max(length, window.seconds), window.longest),
            waited=busy,
            earlier=(*self.earlier, self.batch_id)[-KEPT_BATCHES:] if self.batch_id else (),
        )

    def closing(self, now: datetime) -> Head:
        """This batch, closed from its beginning: no change that is accepted later relies on it."""
        return replace(self, state=HeadState.CLOSED, closed_at=now)

    def led_by(self, execution: Execution) -> str:
        """The earlier batch that this execution opened. Empty: none of those that are kept."""
        before = ("", *self.earlier)
        return next(
            (each for each, follows in zip(self.earlier, before, strict=False) if each == batch_id(execution, follows)),
            "",
        )

    def open(self, table: BatchTable, before: Head) -> Head | None:
        """Take the place of the head ``before``; the head as it is then. None: somebody else has been quicker.

        ``paused`` is not an opened batch's to set. A batch id is never used twice: it tells a head from every other
        that the bucket has had.
        """
        opened = {
            "v": VERSION,
            "batchId": self.batch_id,
            "leader": self.leader,
            "state": self.state.value,
            "closesAt": self.closes_at.astimezone(UTC).strftime(TIME),
            "closedAt": self.closed_at.astimezone(UTC).strftime(TIME) if self.state is HeadState.CLOSED else None,
            "window": self.window,
            "waited": self.waited,
            "unfinished": OPEN,
            "earlier": list(self.earlier) or None,
        }
        found = {"batchId": before.batch_id or None, "state": before.state.value if before.batch_id else None}
        item = table.update(self.key_of(self.bucket), opened, found)
        return None if item is None else self.from_item(self.bucket, item)

    @classmethod
    def close(cls, table: BatchTable, bucket: str, batch_id: str, now: datetime) -> Head:
        """The head as it is afterwards; it is this batch's and CLOSED, or another batch's.

        Raises:
            BatchContended: it is this batch's and gathers still, so that what followers rely on does not hold.
        """
        closing = {"state": HeadState.CLOSED.value, "closedAt": now.astimezone(UTC).strftime(TIME)}
        expect = {"batchId": batch_id, "state": HeadState.GATHERING.value, "v": VERSION}
        item = table.update(cls.key_of(bucket), closing, expect)
        head = cls.read(table, bucket) if item is None else cls.from_item(bucket, item)
        if head.batch_id == batch_id and head.state is not HeadState.CLOSED:
            raise BatchContended(f"the head of {bucket} could not be closed for {batch_id}; try again")
        return head

    def joined(self, role: Role) -> Joined:
        return Joined(role, self.bucket, self.batch_id, self.leader, self.closes_at, waits=self.waited)


class Role(StrEnum):
    """What an execution has to do after Join. The values are those of the state machine's Choice."""

    LEADER = "leader"
    FOLLOWER = "follower"
    PAUSED = "paused"
    """The change is kept, and nobody works on this bucket until somebody resumes it."""
    ENDED = "ended"
    """The batch that was to be retried owes nothing."""


class ClosedStatus(StrEnum):
    """What a leader finds when it closes its batch. The values are those of the state machine's Choice."""

    FROZEN = "FROZEN"
    SUPERSEDED = "SUPERSEDED"
    """Somebody took this leader for dead and leads now; they read the same pending changes."""
    EMPTY = "EMPTY"
    """Nothing is pending: an earlier batch, which closed late, owns what this one was opened for."""
    PAUSED = "PAUSED"
    """Everything stays pending until the bucket is resumed."""


@dataclass(frozen=True, slots=True)
class Closed:
    status: ClosedStatus
    changes: int = 0

    def to_document(self) -> dict[str, Any]:
        return {"status": self.status.value, "changes": self.changes}


@dataclass(frozen=True, slots=True)
class Joined:
    """Who leads the batch that the change is in. ``waits`` if it gathers first, rather than closing at once.

    ``closed`` if it owns its changes already, so that nothing is left to Close Batch. ``opened`` is the head, where
    this very attempt has opened it as one that is closed: hardly ever is there a record of its batch yet, and where
    there is one, writing another finds it.
    """

    role: Role
    bucket: str
    batch_id: str
    leader_arn: str
    closes_at: datetime
    waits: bool = False
    closed: Closed | None = None
    opened: Head | None = field(default=None, compare=False)

    @property
    def wait_until(self) -> str:
        """For ``TimestampPath``, which drops fractions (SFD, "Wait workflow state"): rounded up, never early.

        What closes at once is not: a quiet bucket's first change would wait for up to a second.
        """
        rounded_up = self.waits and self.closes_at.microsecond > 0
        moment = self.closes_at + timedelta(seconds=rounded_up)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def to_document(self) -> dict[str, Any]:
        return {
            "role": self.role.value,
            "bucket": self.bucket,
            "batchId": self.batch_id,
            "leader": self.leader_arn,
            "closesAt": self.wait_until,
            **({"closed": self.closed.to_document()} if self.closed else {}),
        }


SWEEP_PREFIX: Final = "sweep-"
_LONGEST_BUCKET_PART: Final = 40
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
    def accepted_name(self) -> str:
        """The name for an execution that goes on with the valid events of a list."""
        return f"accepted-{batch_id(self)}"

    @property
    def started_by_sweep(self) -> bool:
        return self.name.startswith(SWEEP_PREFIX)


def batch_id(execution: Execution, follows: str = "") -> str:
    """``<start of the execution>-<10 hex digits>``, such as ``20261123T062719Z-0123456789``.

    ``follows`` is the batch that this one replaces on its bucket's head. With it in the hash an id is never used twice
    for one bucket, not even when an old attempt of Join opens another batch in its execution's name. Without one (a
    batch of its own) the id is the execution's alone, so that a retried Join finds the record that it has written.
    """
    unique = digest(execution.arn + "\n" + follows)
    return f"{compact(execution.started)}-{unique[:10]}"


def lead_name(bucket: str, execution: Execution) -> str:
    """The name for an execution ``{"lead": bucket}`` that this execution starts. It is the same at each try."""
    return f"lead-{_bucket_part(bucket)}-{digest(execution.arn)[:10]}"


def sweep_lead_name(bucket: str, tick: datetime) -> str:
    """The name for an execution ``{"lead": bucket}`` that the sweep of this tick starts."""
    return f"{SWEEP_PREFIX}lead-{_bucket_part(bucket)}-{compact(tick)}"


def sweep_retry_name(batch: str, tick: datetime) -> str:
    """The name for an execution ``{"retryBatch": id}`` that the sweep of this tick starts."""
    return f"{SWEEP_PREFIX}retry-{batch}-{compact(tick)}"


def _bucket_part(bucket: str) -> str:
    """Readable, and different for different buckets: the hash tells apart what is cut or replaced."""
    printable = re.sub(r"[^A-Za-z0-9._-]", "_", bucket[:_LONGEST_BUCKET_PART])
    return f"{printable}-{digest(bucket)[:8]}"


def pause(table: BatchTable, bucket: str) -> None:
    """Changes are still accepted, and wait; the sweep starts nothing for the bucket.

    What a batch owns already is finished by the execution that works on it.
    """
    table.update(Head.key_of(bucket), {"paused": True, "unfinished": OPEN}, {})


def resume(table: BatchTable, bucket: str, window: Window, now: Clock) -> bool:
    """Let the bucket go on. True: changes wait, and nobody leads; start ``{"lead": bucket}``, or the sweep does.

    The flag goes first: a joiner that still reads it has written its change before, so that it is found here.
    """
    table.update(Head.key_of(bucket), {"paused": None, "unfinished": OPEN}, {})
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
    max_paths_a_day: int = 0
    """Beyond so many a bucket has one batch an hour; 0: there is no maximum."""

    @property
    def longest(self) -> int:
        return max(self.seconds, self.max_seconds) if self.seconds else 0

    @property
    def grace(self) -> timedelta:
        return timedelta(seconds=self.grace_seconds)

    @property
    def holds_back(self) -> bool:
        """Whether the day's paths are used up: no window of the template's is so long."""
        return self.seconds >= HELD_BACK_SECONDS


def needs_leader(table: BatchTable, bucket: str, window: Window, now: Clock) -> bool:
    """Whether an accepted change would wait for a leader that nobody has started."""
    head = Head.read(table, bucket)
    return not head.paused and not head.gathers(window, now())


def has_pending(table: BatchTable, bucket: str) -> bool:
    """Whether anything is pending, for the price of one item a shard."""
    shards = (PendingChange.pk_of(bucket, shard) for shard in range(table.shards))
    return any(True for pk in shards for _ in items(table, pk, keys=True, page_size=1))
