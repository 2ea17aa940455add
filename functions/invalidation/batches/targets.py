"""Targets: what a batch owes to each distribution, and what was sent for it.

Which distributions a batch owes to is decided once, by the first attempt of Resolve Distributions. Of several
executions that claim a batch one goes on. Safety does not need that: every execution that works on a batch has the same
frozen list and sends the same caller references, so that CloudFront answers a repeated request with the invalidation
that it has.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, cast

from invalidation.batches.head import Execution, Joined, Role
from invalidation.batches.model import TIME, UNFINISHED, Batch, BatchState, Clock, epoch_seconds, later_release
from invalidation.batches.table import ATTEMPTS, BATCH, USAGE, USAGE_OF_DAY, VERSION, BatchTable, Item, Key, items
from invalidation.cloudfront.rules import PlanRule, Widening
from invalidation.errors import BatchContended, BatchNotFound, BatchTableUnavailable

if TYPE_CHECKING:
    from mypy_boto3_cloudfront.type_defs import DistributionConfigOutputTypeDef

    from invalidation.cloudfront.plan import Plan

TARGETS: Final = "TARGET#"
INVALIDATIONS: Final = "INVALIDATION#"

MAX_SAMPLE_PATHS: Final = 30
MAX_SAMPLE_CHARACTERS: Final = 8_192
"""Of JSON, for one distribution: a path may have 4,000, and the record is read again and again."""

CONFIGURATIONS_KEPT: Final = timedelta(days=30)
MAX_CONFIGURATION_BYTES: Final = 300_000
"""Compressed. A larger one is read from CloudFront each time; DynamoDB's items go to 400 KB."""

KEPT_EXECUTIONS: Final = 50
"""Executions that a record names: the first, and the latest. A record must not grow with every retry."""


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
    """What was decided to send; ``widened`` are the wildcards that nobody asked for.

    ``sample`` are the first of the paths, as many as fit. ``copies`` is how often they go out: once, or once for each
    tenant of a multi-tenant distribution.
    """

    paths: int
    wildcards: int
    requests: int
    widened: tuple[Widening, ...] = ()
    sample: tuple[str, ...] = ()
    copies: int = 1
    rule: PlanRule | None = None
    """Which rule has decided; None in records of an earlier release."""
    month_before: int | None = None
    """The month's paths when it was decided; None where they did not count."""

    @property
    def paid(self) -> int:
        """Paths that CloudFront charges for once all are sent."""
        return self.paths * self.copies

    def to_document(self) -> dict[str, Any]:
        return {
            "paths": self.paths,
            "wildcards": self.wildcards,
            "requests": self.requests,
            "widened": [each.to_document() for each in self.widened],
            "sample": list(self.sample),
            "copies": self.copies,
            **({"rule": self.rule.value} if self.rule else {}),
            **({} if self.month_before is None else {"monthBefore": self.month_before}),
        }

    @classmethod
    def of(cls, plan: Plan, requests: int, copies: int = 1) -> PlanSummary:
        """Of a plan that goes out in so many requests."""
        sample = _sample(plan.paths)
        return cls(len(plan.paths), plan.wildcards, requests, plan.widened, sample, copies)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PlanSummary:
        return cls(
            paths=document["paths"],
            wildcards=document["wildcards"],
            requests=document["requests"],
            widened=tuple(map(Widening.from_document, document["widened"])),
            sample=tuple(document.get("sample", ())),
            copies=document.get("copies", 1),
            rule=PlanRule(document["rule"]) if "rule" in document else None,
            month_before=document.get("monthBefore"),
        )


def _sample(paths: Sequence[str]) -> tuple[str, ...]:
    room = MAX_SAMPLE_CHARACTERS
    taken: list[str] = []
    for path in paths[:MAX_SAMPLE_PATHS]:
        room -= len(json.dumps(path))
        if room < 0:
            break
        taken.append(path)
    return tuple(taken)


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
    only_planned: bool = False
    """Whether there was something to send that was not to be sent: a dry run."""
    frozen: Mapping[str, Any] | None = None
    """Where the frozen plan lies: ``frozen_plan`` reads it."""
    pace: Mapping[str, Any] = field(default_factory=dict)
    """How much a request may hold after what was refused: a ``Pace``."""
    edge: tuple[dict[str, str], ...] = ()
    """What the last look at the edge has shown: ``{"path", "verdict", "stored", "served"}`` each."""
    resends: int = 0
    """How often the edge was stale although all was completed: each time what is sent is sent anew."""

    @staticmethod
    def key_of(batch_id: str, distribution_id: str) -> Key:
        return Key(f"{BATCH}{batch_id}", f"{TARGETS}{distribution_id}")

    @staticmethod
    def audit_of(distribution_id: str) -> str:
        return f"DISTRIBUTION#{distribution_id}"

    @classmethod
    def read(cls, table: BatchTable, batch_id: str, distribution_id: str) -> Target:
        """Raises BatchNotFound, RecordsOfLaterRelease."""
        return cls.existing(batch_id, distribution_id, table.get(cls.key_of(batch_id, distribution_id)))

    @classmethod
    def existing(cls, batch_id: str, distribution_id: str, item: Item | None) -> Target:
        """What was read of it. Raises BatchNotFound, RecordsOfLaterRelease."""
        if item is None:
            raise BatchNotFound(
                f"batch {batch_id} has no record of distribution {distribution_id}; it may have expired"
            )
        return cls.from_item(item)

    @property
    def owed(self) -> bool:
        return self.state is TargetState.OWED

    def update(self, table: BatchTable, assign: Mapping[str, Any], expect: Mapping[str, Any]) -> bool:
        """Set these attributes of the record if those in ``expect`` have these values."""
        return table.update(self.key_of(self.batch_id, self.distribution_id), assign, expect) is not None

    def to_item(self) -> Item:
        """The document goes as JSON text. A table has no floats, and nobody queries inside it."""
        pk, sk = self.key_of(self.batch_id, self.distribution_id)
        return {
            "pk": pk,
            "sk": sk,
            "v": VERSION,
            "batchId": self.batch_id,
            "distributionId": self.distribution_id,
            "document": json.dumps(self.document, separators=(",", ":")),
            "state": self.state.value,
            "tries": self.tries,
            "audit": self.audit_of(self.distribution_id),
        }

    @classmethod
    def from_item(cls, item: Item) -> Target:
        """Raises RecordsOfLaterRelease."""
        if item.get("v", VERSION) > VERSION:
            raise later_release(item)
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
            only_planned=item.get("onlyPlanned", False),
            frozen=item.get("frozen"),
            pace=item.get("pace", {}),
            edge=tuple(item.get("edge", ())),
            resends=item.get("resends", 0),
        )


@dataclass(frozen=True, slots=True)
class InvalidationRecord:
    """One invalidation that CloudFront has accepted. ``number`` is the place of its first path in the frozen plan."""

    number: int
    invalidation_id: str
    caller_reference: str
    paths: int
    wildcards: int
    created: datetime
    stands_for: int = 0
    """How many of the frozen paths its one wildcard took the place of; 0: it has just its own."""

    @staticmethod
    def key_of(batch_id: str, distribution_id: str, invalidation_id: str) -> Key:
        """By its id: what another plan creates must not hide what was created before."""
        return Key(f"{BATCH}{batch_id}", f"{INVALIDATIONS}{distribution_id}#{invalidation_id}")

    @staticmethod
    def audit_of(invalidation_id: str) -> str:
        return f"INVALIDATION#{invalidation_id}"

    def to_item(self, batch_id: str, distribution_id: str) -> Item:
        pk, sk = self.key_of(batch_id, distribution_id, self.invalidation_id)
        return {
            "pk": pk,
            "sk": sk,
            "v": VERSION,
            "batchId": batch_id,
            "distributionId": distribution_id,
            "number": self.number,
            "invalidationId": self.invalidation_id,
            "callerReference": self.caller_reference,
            "paths": self.paths,
            "wildcards": self.wildcards,
            "created": self.created.astimezone(UTC).strftime(TIME),
            "audit": self.audit_of(self.invalidation_id),
            **({"standsFor": self.stands_for} if self.stands_for else {}),
        }

    @classmethod
    def from_item(cls, item: Item) -> InvalidationRecord:
        """Raises RecordsOfLaterRelease."""
        if item.get("v", VERSION) > VERSION:
            raise later_release(item)
        return cls(
            number=item["number"],
            invalidation_id=item["invalidationId"],
            caller_reference=item["callerReference"],
            paths=item["paths"],
            wildcards=item["wildcards"],
            created=datetime.fromisoformat(item["created"]),
            stands_for=item.get("standsFor", 0),
        )


def read_with_batch(table: BatchTable, batch_id: str, distribution_id: str) -> tuple[Batch, Target]:
    """A batch and what it owes to one distribution, in one request. Raises BatchNotFound, RecordsOfLaterRelease."""
    record, key = Batch.key_of(batch_id), Target.key_of(batch_id, distribution_id)
    found = {item["sk"]: item for item in table.get_all([record, key])}
    batch = Batch.existing(batch_id, found.get(record.sk))
    return batch, Target.existing(batch_id, distribution_id, found.get(key.sk))


def freeze_targets(table: BatchTable, batch: Batch, routing: Mapping[str, Mapping[str, Any]]) -> tuple[Target, ...]:
    """Decide which distributions the batch owes to: id -> routing document. None at all is a decision as well.

    The first attempt decides for all: what is owed must not depend on which attempt's answer was heard. The targets
    are written before the record names them, so that a name always has a target behind it.
    """
    if batch.resolved is None:
        targets = tuple([Target(batch.batch_id, each, dict(document)) for each, document in routing.items()])
        written = [table.put_new(target.to_item()) for target in targets]
        expect = {"batchId": batch.batch_id, "resolved": None}
        resolved = table.update(Batch.key_of(batch.batch_id), {"resolved": list(routing)}, expect)
        if resolved is not None and all(written):
            return targets
        batch = Batch.read(table, batch.batch_id)
    return targets_of(table, batch)


def targets_of(table: BatchTable, batch: Batch) -> tuple[Target, ...]:
    """All targets that the record names, in its order. Of an ended batch those that have not expired yet.

    What an overtaken attempt left besides is nobody's.

    Raises:
        BatchNotFound: a target of an unfinished batch is gone, which nothing in here deletes.
    """
    if not batch.resolved:
        return ()
    found = {item["distributionId"]: item for item in items(table, f"{BATCH}{batch.batch_id}", TARGETS)}
    gone = [each for each in batch.resolved if each not in found]
    if gone and not batch.ended:
        raise BatchNotFound(f"batch {batch.batch_id} has no record of distribution {gone[0]}, which it still owes")
    return tuple([Target.from_item(found[each]) for each in batch.resolved if each in found])


@dataclass(frozen=True, slots=True)
class StoredConfigurations:
    """Distributions' configurations in the batch table, for workers that start: a ``ConfigurationStore``.

    An item that has expired counts until DynamoDB deletes it: its version says whether it holds. Nothing in here fails
    a batch. A table that fails, and an item that is damaged, too large or a later release's, cost a call to CloudFront.
    """

    table: BatchTable
    now: Clock

    def find(self, distribution_id: str) -> tuple[str, DistributionConfigOutputTypeDef] | None:
        with suppress(BatchTableUnavailable, KeyError, TypeError, ValueError, zlib.error):
            item = self.table.get(self._key(distribution_id))
            if item is not None and item.get("v", VERSION) <= VERSION:
                found = json.loads(zlib.decompress(item["configuration"]))
                if isinstance(found, dict):
                    return item["version"], cast("DistributionConfigOutputTypeDef", found)
        return None

    def keep(self, distribution_id: str, version: str, config: DistributionConfigOutputTypeDef) -> None:
        """Origins' custom headers, which may hold secrets, are the caller's to leave out."""
        compressed = zlib.compress(json.dumps(config, separators=(",", ":")).encode())
        if len(compressed) > MAX_CONFIGURATION_BYTES:
            return
        key = self._key(distribution_id)
        expires = epoch_seconds(self.now() + CONFIGURATIONS_KEPT)
        item = {"v": VERSION, "version": version, "configuration": compressed, "expiresAt": expires}
        with suppress(BatchTableUnavailable):
            if not self.table.put_new({"pk": key.pk, "sk": key.sk, **item}):
                self.table.update(key, item, {"v": VERSION})  # a later release's stays as it is

    @staticmethod
    def _key(distribution_id: str) -> Key:
        return Key(f"CONFIGURATION#{distribution_id}", "ETAG")


def owed_targets(targets: Sequence[Target]) -> list[Target]:
    """Those that still need an invalidation, and are not parked; the least tried first.

    An execution may take on only the first of many: what failed must not stand in the way of what was never tried.
    """
    return sorted([each for each in targets if each.owed], key=lambda each: each.tries)


def record_looks(table: BatchTable, batch_id: str, distribution_id: str, looks: Sequence[Mapping[str, str]]) -> None:
    """Note what a look at the edge has shown. The last look is the one that counts."""
    key = Target.key_of(batch_id, distribution_id)
    table.update(key, {"edge": [dict(each) for each in looks]}, {"distributionId": distribution_id})


def record_invalidation(table: BatchTable, batch_id: str, distribution_id: str, record: InvalidationRecord) -> None:
    """Note what CloudFront has created; the same id again is the same note."""
    table.put(record.to_item(batch_id, distribution_id))


def invalidations(table: BatchTable, batch_id: str, distribution_id: str = "") -> tuple[InvalidationRecord, ...]:
    """What has been created for the batch, or for one distribution, in the requests' order."""
    return tuple([record for _, record in invalidations_of_each(table, batch_id, distribution_id)])


def invalidations_of_each(
    table: BatchTable, batch_id: str, distribution_id: str = ""
) -> list[tuple[str, InvalidationRecord]]:
    """The same with the distribution of each."""
    prefix = INVALIDATIONS + (f"{distribution_id}#" if distribution_id else "")
    found = [
        (item["distributionId"], InvalidationRecord.from_item(item))
        for item in items(table, f"{BATCH}{batch_id}", prefix)
    ]
    return sorted(found, key=lambda each: (each[0], each[1].number, each[1].created))


def claim(table: BatchTable, batch_id: str, execution: Execution, now: Clock) -> Joined:
    """Become the owner of what a batch owes. LEADER: go on with it; FOLLOWER: somebody else has just become it.

    Parked targets are owed again, with their tries counted anew: somebody has fixed the cause. Only the sweep, which
    knows of no such thing, leaves them parked.

    Raises:
        BatchNotFound: there is no such record.
        BatchContended: the record changed under every attempt.
    """
    before: str | None = None
    for _ in range(ATTEMPTS):
        batch = Batch.read(table, batch_id)
        if batch.owner == execution.arn:
            return _joined(Role.LEADER, batch, now())
        if batch.ended or (batch.state is BatchState.PARKED and execution.started_by_sweep):
            return _joined(Role.ENDED, batch, now())
        if before not in (None, batch.owner):
            return _joined(Role.FOLLOWER, batch, now())
        if _take_over(table, batch, execution):
            return _joined(Role.LEADER, replace(batch, owner=execution.arn), now())
        before = batch.owner
    raise BatchContended(f"{ATTEMPTS} attempts to claim batch {batch_id} were overtaken; try again")


def _take_over(table: BatchTable, batch: Batch, execution: Execution) -> bool:
    """Write the targets, then the record. A claim that dies in between can be repeated."""
    first, *others = batch.executions
    if execution.arn != first:  # whoever takes it back from another is named once
        others = [*(each for each in others if each != execution.arn), execution.arn]
    assign: dict[str, Any] = {
        "owner": execution.arn,
        "executions": [first, *others[-(KEPT_EXECUTIONS - 1) :]],
        "state": BatchState.FROZEN.value,
        "unfinished": UNFINISHED,
        "nextTryAt": None,
        "starts": None,
    }
    if not execution.started_by_sweep:
        for target in targets_of(table, batch):
            if target.state is TargetState.PARKED:
                anew = {"state": TargetState.OWED.value, "tries": 0}
                target.update(table, anew, {"state": TargetState.PARKED.value})
        assign["tries"] = 0
    expect = {"owner": batch.owner, "state": batch.state.value}
    return table.update(Batch.key_of(batch.batch_id), assign, expect) is not None


def _joined(role: Role, batch: Batch, now: datetime) -> Joined:
    return Joined(role, batch.bucket, batch.batch_id, batch.owner, now)


def _month_of(moment: datetime) -> Key:
    """One item for each month of the bill, which is in UTC."""
    return Key(USAGE, moment.astimezone(UTC).strftime("%Y-%m"))


def count_paths(table: BatchTable, paths: int, now: datetime, *, of_day: int = 0) -> int:
    """Add to the month's paths, and ``of_day`` to the day's; the month's total with them.

    For a budget's alarm. What dies between creating an invalidation and counting it is not counted, and a request that
    the SDK repeats after a lost answer is counted twice; the bill, and the audit of each batch, know better.
    """
    if of_day:
        table.add(Key(USAGE, now.astimezone(UTC).strftime(USAGE_OF_DAY)), "paths", of_day)
    return table.add(_month_of(now), "paths", paths) if paths else paths_of_month(table, now)


def paths_of_month(table: BatchTable, now: datetime) -> int:
    """The month's paths so far."""
    item = table.get(_month_of(now))
    return 0 if item is None else int(item.get("paths", 0))
