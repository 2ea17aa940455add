"""Resolve: which distributions the batch owes to, decided once; and what is recorded while each is served.

Claim: an execution takes over a batch that still owes something.

The claim is for order and for thrift: of two executions that claim at once one goes on. Safety does not need it. Every
execution that works on a batch has the same frozen list and sends the same caller references, so that CloudFront
answers a repeated request with the invalidation that it has.

How many paths a month has taken: one item for each month of the bill, which is in UTC.

It is for a budget's alarm. What dies between creating an invalidation and counting it is not counted; the bill, and the
audit of each batch, know better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from invalidation.batches.head import Execution, Joined, Role
from invalidation.batches.model import (
    UNFINISHED,
    Batch,
    BatchState,
    Clock,
    InvalidationRecord,
    PlanSummary,
    Target,
    TargetState,
    read_batch,
)
from invalidation.batches.table import (
    ATTEMPTS,
    INVALIDATIONS,
    TARGETS,
    BatchTable,
    batch_key,
    batch_pk,
    blank,
    items,
    target_key,
    usage_key,
)
from invalidation.errors import BatchContended, BatchNotFound


def freeze_targets(table: BatchTable, batch_id: str, routing: Mapping[str, Mapping[str, Any]]) -> tuple[Target, ...]:
    """Decide which distributions the batch owes to: id -> routing document. None at all is a decision as well.

    The first attempt decides for all: what is owed must not depend on which attempt's answer was heard. The targets
    are written before the record names them, so that a name always has a target behind it.
    """
    batch = read_batch(table, batch_id)
    if batch.resolved is None:
        for distribution_id, document in routing.items():
            table.put_new(Target(batch_id, distribution_id, dict(document)).to_item())
        named = {"resolved": list(routing)}
        resolved = table.update(batch_key(batch_id), named, {"batchId": batch_id, "resolved": None})
        batch = Batch.from_item(resolved) if resolved else read_batch(table, batch_id)
    return targets_of(table, batch)


def targets_of(table: BatchTable, batch: Batch) -> tuple[Target, ...]:
    """All targets that the record names, in its order. What an overtaken attempt left besides is nobody's."""
    if not batch.resolved:
        return ()
    found = {item["distributionId"]: item for item in items(table, batch_pk(batch.batch_id), TARGETS)}
    return tuple(Target.from_item(found[distribution_id]) for distribution_id in batch.resolved)


def owed_targets(table: BatchTable, batch: Batch) -> tuple[Target, ...]:
    """Those that still need an invalidation, and are not parked; the least tried first.

    An execution may take on only the first of many: what failed must not stand in the way of what was never tried.
    """
    return tuple(sorted((each for each in targets_of(table, batch) if each.owed), key=lambda each: each.tries))


def read_target(table: BatchTable, batch_id: str, distribution_id: str) -> Target:
    """Raises BatchNotFound."""
    item = table.get(target_key(batch_id, distribution_id))
    if item is None:
        raise BatchNotFound(f"batch {batch_id} has no record of distribution {distribution_id}; it may have expired")
    return Target.from_item(item)


def record_plan(table: BatchTable, batch_id: str, distribution_id: str, plan: PlanSummary) -> None:
    """Note what is about to be sent; planning the same list again gives the same plan."""
    key = target_key(batch_id, distribution_id)
    table.update(key, {"plan": plan.to_document()}, {"distributionId": distribution_id})


def record_looks(table: BatchTable, batch_id: str, distribution_id: str, looks: Sequence[Mapping[str, str]]) -> None:
    """Note what a look at the edge has shown; the last look is the one that counts."""
    key = target_key(batch_id, distribution_id)
    table.update(key, {"edge": [dict(each) for each in looks]}, {"distributionId": distribution_id})


def record_invalidation(table: BatchTable, batch_id: str, distribution_id: str, record: InvalidationRecord) -> None:
    """Note what CloudFront has created; the same id again is the same note."""
    table.put(record.to_item(batch_id, distribution_id))


def invalidations(table: BatchTable, batch_id: str, distribution_id: str = "") -> tuple[InvalidationRecord, ...]:
    """What has been created for the batch, or for one of its distributions, in the order of the requests."""
    return tuple(record for _, record in invalidations_of_each(table, batch_id, distribution_id))


def invalidations_of_each(
    table: BatchTable, batch_id: str, distribution_id: str = ""
) -> list[tuple[str, InvalidationRecord]]:
    """The same with the distribution of each."""
    prefix = INVALIDATIONS + (f"{distribution_id}#" if distribution_id else "")
    found = [
        (item["distributionId"], InvalidationRecord.from_item(item))
        for item in items(table, batch_pk(batch_id), prefix)
    ]
    return sorted(found, key=lambda each: (each[0], each[1].number, each[1].created))


KEPT_EXECUTIONS = 50
"""Executions that a record names: the first, and the latest. A record must not grow with somebody's patience."""


def claim(table: BatchTable, batch_id: str, execution: Execution, now: Clock) -> Joined:
    """Become the owner of what a batch owes. LEADER: go on with it; FOLLOWER: somebody else has just become it.

    Parked targets are owed again, with their tries counted anew: somebody has mended the cause. Only the sweep, which
    knows of no such thing, leaves them parked.

    Raises:
        BatchNotFound: there is no such record.
        BatchContended: the record changed under every attempt.
    """
    before: str | None = None
    for _ in range(ATTEMPTS):
        batch = read_batch(table, batch_id)
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
    """Targets first: a claim that dies between the two leaves a parked record, which can be claimed again."""
    first, *others = batch.executions
    assign: dict[str, Any] = {
        "owner": execution.arn,
        "executions": [first, *others[-(KEPT_EXECUTIONS - 2) :], execution.arn],
        "state": BatchState.FROZEN.value,
        "unfinished": UNFINISHED,
        "nextTryAt": None,
    }
    if not execution.started_by_sweep:
        for target in targets_of(table, batch):
            if target.state is TargetState.PARKED:
                anew = {"state": TargetState.OWED.value, "tries": 0}
                parked = {"state": TargetState.PARKED.value}
                table.update(target_key(batch.batch_id, target.distribution_id), anew, parked)
        assign["tries"] = 0
    expect = {"owner": batch.owner, "state": batch.state.value}
    return table.update(batch_key(batch.batch_id), assign, expect) is not None


def _joined(role: Role, batch: Batch, now: datetime) -> Joined:
    return Joined(role, batch.bucket, batch.batch_id, batch.owner, now)


def count_paths(table: BatchTable, paths: int, now: datetime) -> None:
    """Add to the month's paths; left out when every attempt was overtaken."""
    key = usage_key(now)
    for _ in range(ATTEMPTS):
        item = table.get(key)
        if item is None:
            if table.put_new(blank(key) | {"paths": paths}):
                return
        elif table.update(key, {"paths": item["paths"] + paths}, {"paths": item["paths"]}) is not None:
            return


def paths_of_month(table: BatchTable, now: datetime) -> int:
    """The month's paths so far."""
    item = table.get(usage_key(now))
    return 0 if item is None else int(item["paths"])
