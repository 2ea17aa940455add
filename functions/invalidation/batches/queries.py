"""Questions that people ask of the batch records. None of them is asked while a batch is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from invalidation.batches.model import PARKED, UNFINISHED, Batch, BatchState, compact
from invalidation.batches.table import BATCH, BatchTable, Index, Key, indexed
from invalidation.batches.targets import InvalidationRecord, Target
from invalidation.errors import RecordsOfLaterRelease


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Batches, newest first; ``after`` continues, None at the end."""

    batches: tuple[Batch, ...]
    after: Key | None


def batches_of_bucket(
    table: BatchTable,
    bucket: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    after: Key | None = None,
) -> BatchPage:
    """Batches of a bucket by when their executions started, both ends included."""
    return _page(table, Batch.audit_of(bucket), _span(since, until), limit, after)


def batches_of_distribution(
    table: BatchTable,
    distribution_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    after: Key | None = None,
) -> BatchPage:
    """Batches that owe, or owed, an invalidation to a distribution."""
    return _page(table, Target.audit_of(distribution_id), _span(since, until), limit, after)


def batch_of_invalidation(table: BatchTable, invalidation_id: str) -> Batch | None:
    for key in indexed(table, Index.AUDIT, InvalidationRecord.audit_of(invalidation_id)):
        return Batch.find(table, Batch.id_of(key.pk))
    return None


Leave = Callable[[RecordsOfLaterRelease], object]
"""Is told of a record that this release cannot read. Where there is none, such a record raises its error."""


def unfinished_batches(table: BatchTable, leave: Leave | None = None) -> Iterator[Batch]:
    return _in_state(table, UNFINISHED, BatchState.FROZEN, leave)


def parked_batches(table: BatchTable, leave: Leave | None = None) -> Iterator[Batch]:
    """Batches of which nothing is tried again before somebody has fixed the cause."""
    return _in_state(table, PARKED, BatchState.PARKED, leave)


def _in_state(table: BatchTable, value: str, state: BatchState, leave: Leave | None) -> Iterator[Batch]:
    """The index only says where to look, and lags behind; what counts is the record."""
    for key in indexed(table, Index.UNFINISHED, value):
        try:
            batch = Batch.find(table, Batch.id_of(key.pk))
        except RecordsOfLaterRelease as error:
            if leave is None:
                raise
            leave(error)
            continue
        if batch is not None and batch.state is state:
            yield batch


def _page(table: BatchTable, audit: str, span: tuple[str, str], limit: int, after: Key | None) -> BatchPage:
    low, high = span
    page = table.index_page(Index.AUDIT, audit, since=low, until=high, after=after, limit=limit)
    found = [Batch.find(table, Batch.id_of(item["pk"])) for item in page.items]
    return BatchPage(tuple(batch for batch in found if batch is not None), page.after)


def _span(since: datetime | None, until: datetime | None) -> tuple[str, str]:
    """Bounds of ``pk``. Batch ids begin with their time, and ``~`` sorts after every hex digit that follows it."""
    return (f"{BATCH}{compact(since)}" if since else "", f"{BATCH}{compact(until)}~" if until else "")
