"""Resolve: which distributions the batch owes to, decided once; and what is recorded while each is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from invalidation.errors import BatchNotFound
from invalidation.lifecycle import keys
from invalidation.lifecycle.records import Batch, read_batch
from invalidation.lifecycle.table import BatchTable, items
from invalidation.lifecycle.targets import InvalidationRecord, PlanSummary, Target


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
        resolved = table.update(keys.meta(batch_id), named, {"batchId": batch_id, "resolved": None})
        batch = Batch.from_item(resolved) if resolved else read_batch(table, batch_id)
    return targets_of(table, batch)


def targets_of(table: BatchTable, batch: Batch) -> tuple[Target, ...]:
    """All targets that the record names, in its order. What an overtaken attempt left besides is nobody's."""
    if not batch.resolved:
        return ()
    found = {item["distributionId"]: item for item in items(table, keys.batch(batch.batch_id), keys.TARGETS)}
    return tuple(Target.from_item(found[distribution_id]) for distribution_id in batch.resolved)


def owed_targets(table: BatchTable, batch: Batch) -> tuple[Target, ...]:
    """Those that still need an invalidation, and are not parked; the least tried first.

    An execution may take on only the first of many: what failed must not stand in the way of what was never tried.
    """
    return tuple(sorted((each for each in targets_of(table, batch) if each.owed), key=lambda each: each.tries))


def target(table: BatchTable, batch_id: str, distribution_id: str) -> Target:
    """Raises BatchNotFound."""
    item = table.get(keys.target(batch_id, distribution_id))
    if item is None:
        raise BatchNotFound(f"batch {batch_id} has no record of distribution {distribution_id}; it may have expired")
    return Target.from_item(item)


def record_plan(table: BatchTable, batch_id: str, distribution_id: str, plan: PlanSummary) -> None:
    """Note what is about to be sent; planning the same list again gives the same plan."""
    key = keys.target(batch_id, distribution_id)
    table.update(key, {"plan": plan.to_document()}, {"distributionId": distribution_id})


def record_looks(table: BatchTable, batch_id: str, distribution_id: str, looks: Sequence[Mapping[str, str]]) -> None:
    """Note what a look at the edge has shown; the last look is the one that counts."""
    key = keys.target(batch_id, distribution_id)
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
    prefix = keys.INVALIDATIONS + (f"{distribution_id}#" if distribution_id else "")
    found = [
        (item["distributionId"], InvalidationRecord.from_item(item))
        for item in items(table, keys.batch(batch_id), prefix)
    ]
    return sorted(found, key=lambda each: (each[0], each[1].number, each[1].created))
