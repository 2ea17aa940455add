"""The audit's entries: a batch with what it owed, what was created for it, and what that can have cost."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from itertools import groupby
from typing import Any

from invalidation.errors import BatchNotFound
from invalidation.lifecycle.auditing import BatchPage, batches_of_bucket, batches_of_distribution
from invalidation.lifecycle.freezing import SAMPLE, frozen_changes
from invalidation.lifecycle.keys import BUCKETS
from invalidation.lifecycle.records import Batch, Kind
from invalidation.lifecycle.resolving import invalidations_of_each, targets_of
from invalidation.lifecycle.table import BatchTable, items
from invalidation.lifecycle.targets import InvalidationRecord, Target
from invalidation.lifecycle.times import to_text
from invalidation.limits import price
from invalidation.outcomes import Outcome

IN_PROGRESS = "InProgress"
"""Shown for a batch that no execution has finished yet. It is not an outcome."""
OUTCOMES = (*(outcome.value for outcome in Outcome if outcome is not Outcome.REJECTED), IN_PROGRESS)
"""What a batch can show. A rejected request has none."""
NO_BUCKET = ""
"""Under this name the audit keeps requests of paths, which are of a distribution and of no bucket."""
PAGE = 25


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch as an auditor sees it. `created` pairs each invalidation with its distribution."""

    batch: Batch
    targets: tuple[Target, ...]
    created: tuple[tuple[str, InvalidationRecord], ...]

    @property
    def outcome(self) -> str:
        return self.batch.outcome.value if self.batch.outcome else IN_PROGRESS

    @property
    def paths(self) -> int:
        """Paths of all requests that CloudFront has taken: what it charges for."""
        return sum(record.paths for _, record in self.created)

    @property
    def wildcards(self) -> int:
        return sum(record.wildcards for _, record in self.created)

    @property
    def dollars(self) -> Decimal:
        """The most that it can have cost: as if the month's free paths were used up."""
        return price(self.paths)

    @property
    def seconds(self) -> float | None:
        """From the start of the execution that opened it to its end; None while it has not ended."""
        finished = self.batch.finished
        return None if finished is None else round((finished - self.batch.opened).total_seconds(), 1)

    def gave_up(self, target: Target) -> bool:
        """Whether the distribution was still owed its invalidation when somebody abandoned the batch."""
        return self.batch.outcome is Outcome.ABANDONED and not target.state.final

    def created_for(self, distribution_id: str) -> tuple[InvalidationRecord, ...]:
        return tuple(record for owner, record in self.created if owner == distribution_id)

    def to_document(self) -> dict[str, Any]:
        """For machines. Moments are ISO 8601 in UTC, what is unknown is null, `maxDollars` is an upper bound."""
        batch = self.batch
        return {
            "batchId": batch.batch_id,
            "kind": batch.kind.value,
            "bucket": batch.bucket or None,
            "outcome": self.outcome,
            "state": batch.state.value,
            "byHand": batch.by_hand,
            "dryRun": batch.dry_run,
            "opened": to_text(batch.opened),
            "closed": to_text(batch.closed),
            "finished": _text(batch.finished),
            "seconds": self.seconds,
            "changes": batch.changes,
            "deleted": batch.deleted,
            "sample": list(batch.sample),
            "requesters": list(batch.requesters),
            "paths": self.paths,
            "wildcards": self.wildcards,
            "maxDollars": float(self.dollars),
            "targets": [self._target(target) for target in self.targets],
            "tries": batch.tries,
            "nextTryAt": _text(batch.next_try_at),
            "error": batch.error or None,
            "message": batch.message or None,
            "execution": batch.owner,
            "executions": list(batch.executions),
        }

    def _target(self, target: Target) -> dict[str, Any]:
        plan = target.plan
        return {
            "distributionId": target.distribution_id,
            "state": target.state.value,
            "seconds": target.seconds,
            "tries": target.tries,
            "error": target.error or None,
            "message": target.message or None,
            "planned": plan.to_document() if plan else None,
            "invalidations": [_invalidation(record) for record in self.created_for(target.distribution_id)],
        }


def _invalidation(record: InvalidationRecord) -> dict[str, Any]:
    return {
        "invalidationId": record.invalidation_id,
        "callerReference": record.caller_reference,
        "created": to_text(record.created),
        "paths": record.paths,
        "wildcards": record.wildcards,
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else to_text(moment)


def entry(table: BatchTable, batch: Batch) -> Entry:
    """Read what belongs to a batch: two queries."""
    return Entry(batch, targets_of(table, batch), tuple(invalidations_of_each(table, batch.batch_id)))


def known_buckets(table: BatchTable, watched: Iterable[str]) -> tuple[str, ...]:
    """The buckets that the stack watches, and those that it has had a change of."""
    return tuple(sorted({*watched, *(item["sk"] for item in items(table, BUCKETS, keys=True))}))


@dataclass(frozen=True, slots=True)
class Question:
    """Which batches: every field that is set narrows them down. `key` is an object's, and needs the bucket."""

    bucket: str = ""
    key: str = ""
    distribution_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    outcome: str = ""


def ask(
    table: BatchTable, question: Question, buckets: Iterable[str], read: Callable[[Batch], None]
) -> Iterator[Entry]:
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
        found = entry(table, batch)
        if not question.outcome or found.outcome == question.outcome:
            yield found


def _candidates(table: BatchTable, question: Question, buckets: Iterable[str]) -> Iterator[Batch]:
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
    """A request of paths is found twice once it is known whom it owes: as such, and by its distribution."""
    return (next(same) for _, same in groupby(batches, key=lambda batch: batch.batch_id))


def _pages(page: Callable[..., BatchPage]) -> Iterator[Batch]:
    found = page()
    yield from found.batches
    while found.after is not None:
        found = page(after=found.after)
        yield from found.batches


def holds(table: BatchTable, batch: Batch, key: str) -> bool:
    """Whether a batch owns a change of this key; its list is read only where its sample does not tell."""
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
