"""Which batches the audit shows. By bucket, key, distribution, time and outcome, from the narrowest index there is."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any

from invalidation.batches.model import Batch, Kind
from invalidation.batches.queries import BatchPage, batches_of_bucket, batches_of_distribution
from invalidation.batches.snapshot import SAMPLE, frozen_changes
from invalidation.batches.table import BatchTable
from invalidation.errors import BatchNotFound
from invalidation.outcome import BatchReport
from invalidations_cli.backlog import NO_BUCKET

PAGE = 25
"""Batches that are read of an index at a time."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which batches: every field that is set narrows them down. `key` is an object's, and needs the bucket."""

    bucket: str = ""
    key: str = ""
    distribution_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    outcome: str = ""


def ask(
    table: BatchTable, question: AuditQuery, buckets: Iterable[str], read: Callable[[Batch], None]
) -> Iterator[BatchReport]:
    """The entries that answer a question, newest first, read as they are taken.

    `buckets` are all that there are, for a question that names neither a bucket nor a distribution; `read` is told of
    each record that was looked at.
    """
    for batch in _candidates(table, question, buckets):
        read(batch)
        if question.bucket and batch.bucket != question.bucket:
            continue
        if question.key and not holds(table, batch, question.key):
            continue
        found = BatchReport.read(table, batch)
        if not question.outcome or found.outcome == question.outcome:
            yield found


def _candidates(table: BatchTable, question: AuditQuery, buckets: Iterable[str]) -> Iterator[Batch]:
    """From the narrowest index that there is. Batch ids begin with their time, so that merging keeps the order."""
    span: dict[str, Any] = {"since": question.since, "until": question.until, "limit": PAGE}
    if question.distribution_id:
        owed = _pages(partial(batches_of_distribution, table, question.distribution_id, **span))
        requests = _pages(partial(batches_of_bucket, table, NO_BUCKET, **span))
        asked = (batch for batch in requests if batch.distribution_id == question.distribution_id)
        return _once(_newest_first([owed, asked]))
    names = (question.bucket,) if question.bucket else (*dict.fromkeys(buckets), NO_BUCKET)
    return _newest_first([_pages(partial(batches_of_bucket, table, name, **span)) for name in names])


def _newest_first(each: Iterable[Iterator[Batch]]) -> Iterator[Batch]:
    return heapq.merge(*each, key=lambda batch: batch.batch_id, reverse=True)


def _once(batches: Iterator[Batch]) -> Iterator[Batch]:
    """A request of paths is found twice once it is known whom it owes. As such, and by its distribution."""
    return (next(same) for _, same in groupby(batches, key=lambda batch: batch.batch_id))


def _pages(page: Callable[..., BatchPage]) -> Iterator[Batch]:
    found = page()
    yield from found.batches
    while found.after is not None:
        found = page(after=found.after)
        yield from found.batches


def holds(table: BatchTable, batch: Batch, key: str) -> bool:
    """Whether a batch owns a change of this key. Its list is read only where its sample does not tell."""
    if batch.kind is not Kind.CHANGES:
        return False
    if key in batch.sample:
        return True
    if batch.changes <= SAMPLE:
        return False
    try:
        return any(change.key == key for change in frozen_changes(table, batch))
    except BatchNotFound:
        return False  # time to live has taken a part of the list, and is about to take the record
