"""The batch record, a pending change, and the forms in which both are stored.

A batch record is at once what the protocol needs and what an auditor reads. Moments are stored as ISO 8601 in UTC with
a ``Z``, so that text order is time order.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from invalidation.batches.table import BATCH, VERSION, BatchTable, Item, Key, items_in_turn
from invalidation.errors import BatchNotFound, RecordsOfLaterRelease
from invalidation.events import Change

Clock = Callable[[], datetime]
"""Tells the time, as an aware datetime in UTC."""

LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)

UNFINISHED: Final = "UNFINISHED"
PARKED: Final = "PARKED"
OPEN: Final = "OPEN"
"""Values of the sparse index attribute ``unfinished``: two of batches, of which one that has ended has none, and one of
heads, from when a batch is opened until the sweep finds it closed and nothing pending."""


TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
"""The form of a moment in UTC, for ``strftime``."""


def to_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(TIME)


def compact(moment: datetime) -> str:
    """The form for names of batches and executions: ``20261123T062719Z``."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def epoch_seconds(moment: datetime) -> int:
    """The form for DynamoDB's time to live (DynamoDB Developer Guide, "Time to Live")."""
    return math.ceil(moment.timestamp())


def digest(text: str) -> str:
    """SHA-256 in hex. Lone surrogates, which JSON can carry and UTF-8 cannot, are hashed rather than refused."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def known(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without what is unknown or empty. An absent attribute reads back as its default."""
    return {name: value for name, value in document.items() if value not in (None, "", False, (), [], {})}


def readable(item: Item) -> Item:
    """The item, if this release or an earlier one wrote it.

    Raises:
        RecordsOfLaterRelease: it does not, for the stack was set back to an earlier release.
    """
    if item.get("v", VERSION) > VERSION:
        raise later_release(item)
    return item


def later_release(item: Item) -> RecordsOfLaterRelease:
    return RecordsOfLaterRelease(
        f"{item['pk']} / {item['sk']} in the batch table has form {item['v']}, and this release knows {VERSION} at "
        "most: a later release wrote it. It is left as it is; deploy that one again, or a later one, to continue it"
    )


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
        """Whether all that was asked for is done: what the state machine's last Choice asks."""
        return self not in {
            Outcome.PARTLY_FAILED,
            Outcome.STALE_AT_EDGE,
            Outcome.FAILED,
            Outcome.ABANDONED,
            Outcome.REJECTED,
        }


class BatchState(StrEnum):
    FROZEN = "FROZEN"
    """It owns its list, and owes."""

    PARKED = "PARKED"
    """It owes, and trying again by itself would not help: somebody has to fix the cause."""

    ENDED = "ENDED"
    """It owes nothing any more, or somebody has given up what it owed."""


class Kind(StrEnum):
    CHANGES = "changes"
    PATHS = "paths"


@dataclass(frozen=True, slots=True)
class Batch:
    """The record of a batch: its owner, its frozen list, and what became of it."""

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
    pending_deleted: int = 0
    """Chunks of its list, from the first, whose pending items are known to be deleted."""
    by_hand: bool = False
    dry_run: bool = False
    executions: tuple[str, ...] = ()
    deleted: int = 0
    sample: tuple[str, ...] = ()
    requesters: tuple[dict[str, Any], ...] = ()
    allowance: Mapping[str, Any] | None = None
    """What it may cost, decided once: an ``Allowance``."""
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
    starts: int = 0
    """Executions that the sweep has started to try it again since it was claimed last."""

    @staticmethod
    def key_of(batch_id: str) -> Key:
        return Key(f"{BATCH}{batch_id}", "META")

    @staticmethod
    def id_of(pk: str) -> str:
        """The batch to which an item of this partition belongs."""
        return pk.removeprefix(BATCH)

    @staticmethod
    def audit_of(bucket: str) -> str:
        """The value in the audit index. Without a bucket: of requests by paths."""
        return f"BUCKET#{bucket}"

    @classmethod
    def find(cls, table: BatchTable, batch_id: str) -> Batch | None:
        """Raises RecordsOfLaterRelease."""
        item = table.get(cls.key_of(batch_id))
        return None if item is None else cls.from_item(item)

    @classmethod
    def read(cls, table: BatchTable, batch_id: str) -> Batch:
        """Raises BatchNotFound, RecordsOfLaterRelease."""
        return cls.existing(batch_id, table.get(cls.key_of(batch_id)))

    @classmethod
    def existing(cls, batch_id: str, item: Item | None) -> Batch:
        """What was read of it. Raises BatchNotFound, RecordsOfLaterRelease."""
        if item is None:
            raise BatchNotFound(f"there is no record of batch {batch_id}; records of ended batches expire")
        return cls.from_item(item)

    @property
    def ended(self) -> bool:
        return self.state is BatchState.ENDED

    @property
    def chunks_pending(self) -> range:
        """Numbers of the chunks whose pending items may be there still. Close has deleted them before it resolves."""
        done = not self.gathered or self.ended or self.resolved is not None
        return range(0) if done else range(self.pending_deleted + 1, self.chunks + 1)

    def save(self, table: BatchTable) -> bool:
        """Write the record once; what ``BatchTable.put_new`` says of False is true here."""
        return table.put_new(self.to_item())

    def update(self, table: BatchTable, assign: Mapping[str, Any]) -> Batch | None:
        """Set these attributes if owner, state and tries are still as they were read here. None: they are not."""
        expect = {"state": self.state.value, "owner": self.owner, "tries": self.tries}
        item = table.update(self.key_of(self.batch_id), assign, expect)
        return None if item is None else self.from_item(item)

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
            "audit": self.audit_of(self.bucket),
        }
        numbers = {"chunks": self.chunks, "changes": self.changes, "deleted": self.deleted, "tries": self.tries}
        pk, sk = self.key_of(self.batch_id)
        return {"pk": pk, "sk": sk, "v": VERSION, **known(text), **numbers}

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
            opened=datetime.fromisoformat(item["opened"]),
            closed=datetime.fromisoformat(item["closed"]),
            kind=Kind(item["kind"]),
            bucket=item.get("bucket", ""),
            distribution_id=item.get("distributionId", ""),
            state=BatchState(item["state"]),
            gathered=item.get("gathered", False),
            pending_deleted=item.get("pendingDeleted", 0),
            by_hand=item.get("byHand", False),
            dry_run=item.get("dryRun", False),
            executions=tuple(item.get("executions", ())),
            deleted=item["deleted"],
            sample=tuple(item.get("sample", ())),
            requesters=tuple(item.get("requesters", ())),
            allowance=item.get("allowance"),
            resolved=tuple(item["resolved"]) if "resolved" in item else None,
            outcome=Outcome(item["outcome"]) if "outcome" in item else None,
            finished=datetime.fromisoformat(item["finished"]) if "finished" in item else None,
            tries=item["tries"],
            tried_by=item.get("triedBy", ""),
            next_try_at=datetime.fromisoformat(item["nextTryAt"]) if "nextTryAt" in item else None,
            error=item.get("error", ""),
            message=item.get("message", ""),
            starts=item.get("starts", 0),
        )


_LONGEST_EVENT_ID: Final = 512
"""ASCII characters. EventBridge's ids have 36; a hand-made event's must not push ``sk`` past DynamoDB's 1,024 bytes."""


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


_ATTRIBUTES: Final = {each.name: _camel_case(each.name) for each in fields(Change) if each.name != "bucket"}
"""Field -> attribute. The bucket is left out: a list is of one bucket, and the batch record names it."""


@dataclass(frozen=True, slots=True)
class PendingChange:
    """An accepted change, as a pending item and as a row of a frozen list.

    ``shard`` is the partition in which it is pending; None for a change that never was.
    """

    change: Change
    shard: int | None = None

    @classmethod
    def of(cls, change: Change, shards: int) -> PendingChange:
        return cls(change, int(digest(change.key)[0], 16) % shards)

    @staticmethod
    def pk_of(bucket: str, shard: int) -> str:
        return f"PENDING#{bucket}#{shard:x}"

    @property
    def key(self) -> Key:
        """Where it is pending. Two changes of one key have two items."""
        if self.shard is None:
            raise ValueError(f"the change of {self.change.key} has never been pending")
        event = self.change.event_id
        if len(event) > _LONGEST_EVENT_ID or not event.isascii():
            event = digest(event)
        return Key(self.pk_of(self.change.bucket, self.shard), f"{digest(self.change.key)}#{event}")

    @classmethod
    def of_bucket(
        cls, table: BatchTable, bucket: str, leave: Callable[[RecordsOfLaterRelease], object] | None = None
    ) -> Iterator[PendingChange]:
        """All changes of a bucket that no batch owns for certain yet. Read lazily, page by page.

        ``leave`` is told of those that cannot be read, which stay pending; without it they raise RecordsOfLaterRelease.
        """
        for item in items_in_turn(table, [cls.pk_of(bucket, shard) for shard in range(table.shards)]):
            try:
                pending = cls.from_item(item)
            except RecordsOfLaterRelease as error:
                if leave is None:
                    raise
                leave(error)
            else:
                yield pending

    @classmethod
    def keys_of(cls, bucket: str, rows: Iterable[Mapping[str, Any]], shards: Iterable[int]) -> list[Key]:
        """Where the rows of a gathered list were pending."""
        return [cls(_change_from_row(bucket, row), shard).key for row, shard in zip(rows, shards, strict=True)]

    def to_item(self) -> Item:
        pk, sk = self.key
        return {"pk": pk, "sk": sk, "v": VERSION, "bucket": self.change.bucket, **self.to_row()}

    @classmethod
    def from_item(cls, item: Item) -> PendingChange:
        """Raises RecordsOfLaterRelease."""
        return cls(_change_from_row(item["bucket"], readable(item)), int(item["pk"].rpartition("#")[2], 16))

    def to_row(self) -> dict[str, Any]:
        """For a frozen list, which is of one bucket."""
        change = self.change
        return {attribute: value for name, attribute in _ATTRIBUTES.items() if (value := getattr(change, name))}

    @classmethod
    def from_row(cls, bucket: str, row: Mapping[str, Any]) -> PendingChange:
        """Reads only fields that this release knows: a list outlives the release that wrote it."""
        return cls(_change_from_row(bucket, row))


def _change_from_row(bucket: str, row: Mapping[str, Any]) -> Change:
    found = {name: row[attribute] for name, attribute in _ATTRIBUTES.items() if attribute in row}
    return Change(bucket=bucket, **{"event_id": "", **found})
