"""Questions that people ask of the batch records. None of them is asked while a batch is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from invalidation.batches.model import PARKED, UNFINISHED, Batch, BatchState, Kind, compact, find_batch
from invalidation.batches.snapshot import frozen_changes
from invalidation.batches.table import (
    BatchTable,
    Index,
    Key,
    audit_of_bucket,
    audit_of_distribution,
    audit_of_invalidation,
    batch_id_of,
    batch_pk,
    indexed,
)
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
    """Batches of a bucket whose execution started in a span of time, in whole seconds, both ends included."""
    return _page(table, audit_of_bucket(bucket), _span(since, until), limit, after)


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
    return _page(table, audit_of_distribution(distribution_id), _span(since, until), limit, after)


def batches_with_key(
    table: BatchTable, bucket: str, key: str, *, since: datetime | None = None, until: datetime | None = None
) -> Iterator[Batch]:
    """Batches that own a change of this key.

    Reads the frozen list of every batch in the span, so keep it short. An index item for each key would cost more than
    the invalidations do.
    """
    low, high = _span(since, until)
    for found in indexed(table, Index.AUDIT, audit_of_bucket(bucket), since=low, until=high):
        batch = find_batch(table, batch_id_of(found.pk))
        if batch is not None and batch.kind is Kind.CHANGES and _holds(table, batch, key):
            yield batch


def batch_of_invalidation(table: BatchTable, invalidation_id: str) -> Batch | None:
    for key in indexed(table, Index.AUDIT, audit_of_invalidation(invalidation_id)):
        return find_batch(table, batch_id_of(key.pk))
    return None


Leave = Callable[[RecordsOfLaterRelease], object]
"""Is told of a record that this release cannot read. Where there is none, such a record raises its error."""


def unfinished_batches(table: BatchTable, leave: Leave | None = None) -> Iterator[Batch]:
    return _in_state(table, UNFINISHED, BatchState.FROZEN, leave)


def parked_batches(table: BatchTable, leave: Leave | None = None) -> Iterator[Batch]:
    """Batches of which nothing is tried again before somebody has mended the cause."""
    return _in_state(table, PARKED, BatchState.PARKED, leave)


def _in_state(table: BatchTable, value: str, state: BatchState, leave: Leave | None) -> Iterator[Batch]:
    """The index only says where to look, and lags behind; what counts is the record."""
    for key in indexed(table, Index.UNFINISHED, value):
        try:
            batch = find_batch(table, batch_id_of(key.pk))
        except RecordsOfLaterRelease as error:
            if leave is None:
                raise
            leave(error)
            continue
        if batch is not None and batch.state is state:
            yield batch


def _holds(table: BatchTable, batch: Batch, key: str) -> bool:
    return any(change.key == key for change in frozen_changes(table, batch))


def _page(table: BatchTable, audit: str, span: tuple[str, str], limit: int, after: Key | None) -> BatchPage:
    low, high = span
    page = table.index_page(Index.AUDIT, audit, since=low, until=high, after=after, limit=limit)
    found = [find_batch(table, batch_id_of(item["pk"])) for item in page.items]
    return BatchPage(tuple(batch for batch in found if batch is not None), page.after)


def _span(since: datetime | None, until: datetime | None) -> tuple[str, str]:
    """Bounds of ``pk``: batch ids begin with their time, and ``~`` sorts after every hex digit that follows it."""
    return (batch_pk(compact(since)) if since else "", batch_pk(f"{compact(until)}~") if until else "")
