"""Questions that people ask of the batch records. None of them is asked while a batch is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, Unpack

from invalidation.batches.model import PARKED, UNFINISHED, Batch, BatchState, compact
from invalidation.batches.table import BATCH, BatchTable, Index, Key, indexed
from invalidation.batches.targets import InvalidationRecord, Target


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Batches, newest first; ``after`` continues, None at the end."""

    batches: tuple[Batch, ...]
    after: Key | None


class Span(TypedDict, total=False):
    """Which batches: by when their executions started, both ends included. ``after`` is where a page before ended."""

    since: datetime | None
    until: datetime | None
    limit: int
    after: Key | None


def batches_of_bucket(table: BatchTable, bucket: str, **span: Unpack[Span]) -> BatchPage:
    """Batches of a bucket; of none: those of paths that somebody asked for."""
    return _page(table, Batch.audit_of(bucket), **span)


def batches_of_distribution(table: BatchTable, distribution_id: str, **span: Unpack[Span]) -> BatchPage:
    """Batches that owe, or owed, an invalidation to a distribution."""
    return _page(table, Target.audit_of(distribution_id), **span)


def batch_of_invalidation(table: BatchTable, invalidation_id: str) -> Batch | None:
    for key in indexed(table, Index.AUDIT, InvalidationRecord.audit_of(invalidation_id)):
        return Batch.find(table, Batch.id_of(key.pk))
    return None


def unfinished_batches(table: BatchTable) -> Iterator[Batch]:
    return _in_state(table, UNFINISHED, BatchState.FROZEN)


def parked_batches(table: BatchTable) -> Iterator[Batch]:
    """Batches of which nothing is tried again before somebody has fixed the cause."""
    return _in_state(table, PARKED, BatchState.PARKED)


def _in_state(table: BatchTable, value: str, state: BatchState) -> Iterator[Batch]:
    """The index only says where to look, and lags behind; what counts is the record."""
    for key in indexed(table, Index.UNFINISHED, value):
        batch = Batch.find(table, Batch.id_of(key.pk))
        if batch is not None and batch.state is state:
            yield batch


def _page(
    table: BatchTable,
    audit: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    after: Key | None = None,
) -> BatchPage:
    # Batch ids begin with their time, and ``~`` sorts after every hex digit that follows it.
    low = f"{BATCH}{compact(since)}" if since else ""
    high = f"{BATCH}{compact(until)}~" if until else ""
    page = table.index_page(Index.AUDIT, audit, since=low, until=high, after=after, limit=limit)
    found = [Batch.find(table, Batch.id_of(item["pk"])) for item in page.items]
    return BatchPage(tuple(batch for batch in found if batch is not None), page.after)
