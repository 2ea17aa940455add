"""Send: what a frozen batch owes to one distribution becomes invalidations, each recorded once it is accepted.

Running it twice sends the very same requests, which CloudFront knows by their caller references.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Final

from invalidation.batches.model import Batch, Clock, Kind
from invalidation.batches.snapshot import frozen_changes, frozen_paths
from invalidation.batches.targets import (
    InvalidationRecord,
    PlanSummary,
    Target,
    count_paths,
    invalidations,
    record_invalidation,
    record_plan,
)
from invalidation.cloudfront.bucket import MaxAgeReader
from invalidation.cloudfront.client import CloudFront, InvalidationTarget, caller_reference
from invalidation.cloudfront.distribution import Distribution
from invalidation.cloudfront.limits import MAX_PATHS_A_REQUEST, MAX_WILDCARDS_BY_HAND
from invalidation.cloudfront.plan import Budget, Plan, plan_keys, plan_paths
from invalidation.cloudfront.progress import Pending, Progress, Status
from invalidation.cloudfront.routing import InvalidateBy
from invalidation.cloudfront.tags import TagReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from mypy_boto3_s3 import S3Client

    from invalidation.batches.table import BatchTable
    from invalidation.cloudfront.listing import BucketLister
    from invalidation.cloudfront.routing import PathRules

MAX_TAG_LOOKUPS: Final = 100
"""Objects whose tags are read for one batch; a storm is covered by paths, which takes one request instead."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends what batches owe, with the settings of the stack. ``s3`` is called where it is needed."""

    table: BatchTable
    cloudfront: CloudFront
    s3: Callable[[], S3Client]
    lister: BucketLister
    now: Clock
    rules: PathRules
    budget: Budget
    dry_run: bool
    completion_timeout: timedelta

    def send(self, batch_id: str, distribution_id: str) -> tuple[Progress, tuple[InvalidationRecord, ...]]:
        """How the distribution's invalidations stand, and the records of those that this call created.

        Raises the errors of ``CloudFront``; what was accepted before stays recorded.
        """
        batch = Batch.read(self.table, batch_id)
        distribution = Distribution.from_document(Target.read(self.table, batch_id, distribution_id).document)
        planned = self._planned(batch, distribution)
        status = self._nothing_to_send(batch, planned)
        targets = self.cloudfront.targets(distribution) if planned.paths else ()
        record_plan(self.table, batch_id, distribution_id, PlanSummary.of(planned, copies=len(targets)))
        created: list[InvalidationRecord] = []
        pending = () if status else tuple(self._send(batch, distribution_id, planned, targets, created))
        if status is None:
            status = Status.COMPLETED if all(each.completed for each in pending) else Status.IN_PROGRESS
        return Progress(status, self.now(), self.now() + self.completion_timeout, pending), tuple(created)

    def _planned(self, batch: Batch, distribution: Distribution) -> Plan:
        """For paths given by hand just those; else the paths under which viewers reach the changed keys."""
        if batch.kind is Kind.PATHS:
            by_hand = (MAX_PATHS_A_REQUEST, MAX_PATHS_A_REQUEST, MAX_WILDCARDS_BY_HAND)
            return plan_paths(frozen_paths(self.table, batch), Budget(*by_hand, self.budget.widest_path))
        reads_tags = distribution.tag_metadata_key and self.rules.invalidate_by is not InvalidateBy.PATHS
        few = batch.changes <= MAX_TAG_LOOKUPS
        tags_of = TagReader(self.s3(), batch.bucket, distribution.tag_metadata_key) if reads_tags and few else None
        return plan_keys(
            distribution,
            partial(self._keys, batch),
            self.rules,
            self.budget,
            tags_of=tags_of,
            max_age_of=partial(self._max_age, batch.bucket),
            listed=partial(self._listed, batch),
        )

    def _max_age(self, bucket: str, key: str) -> int | None:
        return MaxAgeReader(self.s3(), bucket)(key)

    def _listed(self, batch: Batch) -> Sequence[str] | None:
        """The keys around those that changed, None where nobody knows."""
        return self.lister.around(batch.batch_id, batch.bucket, self._keys(batch)).keys

    def _keys(self, batch: Batch) -> Iterator[str]:
        return (change.key for change in frozen_changes(self.table, batch))

    def _nothing_to_send(self, batch: Batch, planned: Plan) -> Status | None:
        if not planned.paths:
            return Status.NOTHING_TO_INVALIDATE
        return Status.DRY_RUN if batch.dry_run or self.dry_run else None

    def _send(
        self,
        batch: Batch,
        distribution_id: str,
        planned: Plan,
        targets: Sequence[InvalidationTarget],
        created: list[InvalidationRecord],
    ) -> Iterator[Pending]:
        """Create each invalidation that an earlier attempt has not recorded already."""
        known = {each.caller_reference: each for each in invalidations(self.table, batch.batch_id, distribution_id)}
        # Numbered for each target: a tenant that is new since an earlier attempt must not change others' references.
        for to, (number, paths) in product(targets, enumerate(planned.requests())):
            reference = caller_reference(batch.batch_id, str(to), number, paths)
            if reference in known:
                yield Pending(str(to), known[reference].invalidation_id)
                continue
            answer = self.cloudfront.create_invalidation(to, paths, reference)
            wildcards = sum(path.endswith("*") for path in paths)
            record = InvalidationRecord(number, answer.id, reference, len(paths), wildcards, answer.create_time)
            record_invalidation(self.table, batch.batch_id, distribution_id, record)
            count_paths(self.table, len(paths), self.now())
            created.append(record)
            yield Pending(str(to), answer.id, answer.completed)
