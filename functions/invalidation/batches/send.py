"""Send: what a batch owes to one distribution becomes invalidations, recorded as they are accepted.

The plan is frozen before the first request: paths, the rule that decided, and what it rested on stand on the target.
Whoever tries again sends what is frozen, whatever has changed since. A long list lies in chunks beside the target, as
the snapshot of a batch does: an item has at most 400 KB (DynamoDB Developer Guide, "Constraints").

One call sends as many requests as its time and CloudFront allow; the state machine waits, and calls again for the rest.
What was accepted is never sent again, and what was accepted without an answer is found by its caller reference, or paid
for once more: a lost answer costs a path, never a change.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from invalidation.batches.budget import Allowance, Cost, by_hand, decide, reserve
from invalidation.batches.model import Batch, Clock, Kind, readable
from invalidation.batches.snapshot import frozen_keys, frozen_paths, pack, unpack
from invalidation.batches.table import BATCH, VERSION, Key
from invalidation.batches.targets import (
    InvalidationRecord,
    PlanSummary,
    Target,
    count_paths,
    invalidations,
    paths_of_month,
    read_with_batch,
    record_invalidation,
    targets_of,
)
from invalidation.cloudfront.bucket import max_age
from invalidation.cloudfront.client import CloudFront, caller_reference
from invalidation.cloudfront.distribution import Distribution
from invalidation.cloudfront.limits import FEW_PATHS, MAX_PATHS_OF_BATCH
from invalidation.cloudfront.plan import Plan, are_few, plan_keys, plan_paths, wildcard_for
from invalidation.cloudfront.progress import (
    Pace,
    Pending,
    Progress,
    Request,
    all_requests,
    in_sending_order,
    next_request,
)
from invalidation.cloudfront.routing import paths_for
from invalidation.cloudfront.rules import Budget, InvalidateBy, PlanRule, Status, Widening
from invalidation.cloudfront.tags import TagReader
from invalidation.errors import (
    BatchNotFound,
    BatchTableUnavailable,
    CloudFrontThrottled,
    InvalidationError,
    NoRoomInTime,
    TooManyInvalidationsInProgress,
    TooManyTenants,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mypy_boto3_s3 import S3Client

    from invalidation.batches.table import BatchTable
    from invalidation.cloudfront.listing import BucketLister, Listing
    from invalidation.cloudfront.rules import PathRules
    from invalidation.config import SendingLimits

    Keys = Callable[[], Iterable[str]]

MAX_TAG_LOOKUPS: Final = 100
"""Objects whose tags are read for one batch; a storm is covered by paths, which takes one request instead."""

MAX_CHANGES_COUNTED: Final = 2_000
"""Changes of a batch whose exact paths are counted, to see what they would cost. More are a storm for certain."""

SECONDS_LEFT: Final = 60.0
"""Of the function's time, below which no further request is begun: one may be tried three times for 15 s."""

WIDENED_AFTER: Final = timedelta(minutes=10)
"""When CloudFront has taken nothing of a distribution for so long, one wider wildcard takes the place of the rest."""

PAST_DEADLINE: Final = timedelta(minutes=2)
"""Past its deadline a distribution goes on for as long after something of it was accepted, or was first refused."""


INLINE_BYTES: Final = 16_384
"""A compressed list up to this long stands on the target itself: a target is read again and again."""


@dataclass(frozen=True, slots=True)
class _Frozen:
    """A target with the plan that counts. ``new``: this call has made it, so that nothing of it was sent before.

    What is still to be counted of its paths, for the month and for the day, is counted after the first attempt to send
    them, whatever came of it. Who dies while sending leaves it uncounted.
    """

    target: Target
    paths: tuple[str, ...]
    new: bool = False
    of_month: int = 0
    of_day: int = 0


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends what batches owe, with the settings of the stack. ``s3`` is called where it is needed."""

    table: BatchTable
    cloudfront: CloudFront
    s3: Callable[[], S3Client]
    lister: BucketLister
    now: Clock
    rules: PathRules
    limits: SendingLimits

    def send(
        self, batch_id: str, distribution_id: str, room_until: datetime, seconds_left: Callable[[], float]
    ) -> tuple[Progress, tuple[InvalidationRecord, ...]]:
        """How the distribution's invalidations stand, and the records of those that this call created.

        The status is SENDING when some are left for another call.

        Raises:
            TooManyInvalidationsInProgress, CloudFrontThrottled: CloudFront accepted none in this call.
            NoRoomInTime: the same, when it is later than ``room_until`` and ``PAST_DEADLINE`` is over as well.
        The other errors of ``CloudFront``; what was accepted before stays recorded.
        """
        batch, target = read_with_batch(self.table, batch_id, distribution_id)
        distribution = Distribution.from_document(target.document)
        frozen = self._frozen(batch, target, distribution)
        status = self._nothing_to_send(batch, frozen.paths)
        dispatch = _Dispatch(self, batch, frozen)
        try:
            status = status or dispatch.run(self.cloudfront.targets(distribution), seconds_left)
        except (TooManyInvalidationsInProgress, CloudFrontThrottled) as error:
            self._raise_when_too_late(error, dispatch.pace, room_until)
            raise
        finally:
            with suppress(BatchTableUnavailable):  # no retry would count: its plan is frozen already
                if frozen.of_month or frozen.of_day:
                    count_paths(self.table, frozen.of_month, self.now(), of_day=frozen.of_day)
        progress = Progress(status, self.now(), self.now() + self.limits.completion_timeout, tuple(dispatch.pending))
        return progress, tuple(dispatch.created)

    def _frozen(self, batch: Batch, target: Target, distribution: Distribution) -> _Frozen:
        """The plan that counts, made now if there is none."""
        paths = frozen_plan(self.table, target)
        if paths is not None:
            return _Frozen(target, paths)
        paths, summary, granted = self._planned(batch, distribution)
        decided = freeze_plan(self.table, target, paths, summary)
        if decided is None:
            decided = Target.read(self.table, batch.batch_id, distribution.id)
            return _Frozen(decided, frozen_plan(self.table, decided) or ())
        new = target.plan is None  # a release before frozen plans may have sent something of this one
        if batch.dry_run or self.limits.dry_run:
            return _Frozen(decided, paths, new)
        of_day = summary.paid if batch.kind is Kind.CHANGES else 0
        return _Frozen(decided, paths, new, of_month=summary.paid - granted, of_day=of_day)

    def _planned(self, batch: Batch, distribution: Distribution) -> tuple[tuple[str, ...], PlanSummary, int]:
        """The paths in sending order, their summary, and the month's charge for them."""
        copies = self._copies(distribution)
        if batch.kind is Kind.PATHS:
            planned = plan_paths(frozen_paths(self.table, batch), by_hand(self.limits.budget.widest_path, copies))
            return *_decided(planned, copies, PlanRule.BY_HAND), 0
        keys = self._keys(batch)
        if batch.changes <= FEW_PATHS and batch.resolved == (distribution.id,):
            planned = self._plan(batch, distribution, keys, self.limits.budget)
            if not planned.widened:  # whatever the month has left
                return *_decided(planned, copies, PlanRule.EXACT), 0
        allowance = self._allowance(batch, keys, distribution)
        budget = allowance.budget(distribution.id, self.limits.budget.widest_path)
        planned = self._plan(batch, distribution, keys, budget)
        rule = PlanRule.EXACT
        if planned.widened:
            rule = PlanRule.FREE_PATHS if distribution.id in allowance.free else PlanRule.THRIFTY
        charged = allowance.charged.get(distribution.id, 0)
        return *_decided(planned, copies, rule, allowance.month_before), charged

    def _plan(self, batch: Batch, distribution: Distribution, keys: Keys, budget: Budget) -> Plan:
        reads_tags = self.rules.invalidate_by is not InvalidateBy.PATHS and distribution.tag_metadata_key
        few = batch.changes <= MAX_TAG_LOOKUPS
        return plan_keys(
            distribution,
            keys,
            self.rules,
            budget,
            tags_of=TagReader(self.s3(), batch.bucket, distribution.tag_metadata_key) if reads_tags and few else None,
            max_age_of=lambda key: max_age(self.s3(), batch.bucket, key),
            listed=partial(self._listed, batch, keys),
        )

    def _listed(self, batch: Batch, keys: Keys) -> Listing:
        return self.lister.around(batch.batch_id, batch.bucket, keys())

    def _allowance(self, batch: Batch, keys: Keys, own: Distribution) -> Allowance:
        costs = partial(self._costs, batch, keys, own)
        if batch.dry_run or self.limits.dry_run:
            return decide(costs(), paths_of_month(self.table, self.now()), self.limits.monthly_paths)
        return reserve(self.table, batch, costs, self.limits.monthly_paths, self.now())

    def _costs(self, batch: Batch, keys: Keys, own: Distribution) -> dict[str, Cost]:
        """Of every distribution that the batch owes to, this one among them."""
        others = (Distribution.from_document(each.document) for each in targets_of(self.table, batch))
        every = {each.id: each for each in (own, *others)}
        storm = batch.changes > MAX_CHANGES_COUNTED
        return {
            name: Cost(MAX_PATHS_OF_BATCH + 1, self._copies(each)) if storm else self._exact_cost(each, keys)
            for name, each in every.items()
        }

    def _exact_cost(self, distribution: Distribution, keys: Keys) -> Cost:
        found: set[str] = set()
        for path in paths_for(distribution, keys(), self.rules):
            found.add(path)
            if len(found) > MAX_PATHS_OF_BATCH:
                break
        return Cost(len(found), self._copies(distribution), are_few(found, self.limits.budget.max_exact_paths))

    def _copies(self, distribution: Distribution) -> int:
        """Tenants to invalidate, or one; none where they are too many, which fails no other."""
        try:
            return len(self.cloudfront.targets(distribution))
        except TooManyTenants:
            return 0

    def _keys(self, batch: Batch) -> Keys:
        """The changed keys, each time anew; read once where they are not so many."""
        if batch.changes > MAX_CHANGES_COUNTED:
            return partial(frozen_keys, self.table, batch)
        keys = tuple(frozen_keys(self.table, batch))
        return partial(iter, keys)

    def _nothing_to_send(self, batch: Batch, paths: tuple[str, ...]) -> Status | None:
        if not paths:
            return Status.NOTHING_TO_INVALIDATE
        return Status.DRY_RUN if batch.dry_run or self.limits.dry_run else None

    def _raise_when_too_late(self, error: InvalidationError, pace: Pace, room_until: datetime) -> None:
        since = datetime.fromisoformat(pace.since) if pace.since else self.now()
        if self.now() >= max(room_until, since + PAST_DEADLINE):
            raise NoRoomInTime(
                f"CloudFront had no room for the invalidation until {room_until.isoformat()}, "
                f"and waits no longer. The sweep tries again. CloudFront's last word: {error}"
            ) from None


class _Dispatch:
    """The requests of one call for one target."""

    def __init__(self, sender: Sender, batch: Batch, frozen: _Frozen) -> None:
        self._sender = sender
        self._batch = batch
        self._target = frozen.target
        self._paths = frozen.paths
        self._new = frozen.new
        self._refused = False
        self.pace = Pace.from_document(self._target.pace)
        self.pending: list[Pending] = []
        self.created: list[InvalidationRecord] = []

    def run(self, copies: Sequence[str], seconds_left: Callable[[], float]) -> Status:
        """Raises what CloudFront refuses, unless it has accepted something in this call."""
        slow = self.pace.slow
        table, batch_id = self._sender.table, self._batch.batch_id
        # Nobody has sent anything of a plan that did not exist.
        records = () if self._new else invalidations(table, batch_id, self._target.distribution_id)
        for to in copies:
            accepted = accepted_ranges(self._batch, to, self._paths, records, self._target.resends)
            self.pending += [Pending(to, record.invalidation_id) for _, record in accepted]
            ranges = [covered for covered, _ in accepted]
            while request := self._next(ranges):
                if (slow and self.created) or seconds_left() < SECONDS_LEFT:
                    return Status.SENDING
                try:
                    self._create(to, request)
                except (TooManyInvalidationsInProgress, CloudFrontThrottled):
                    self._refused = True
                    self._note(self.pace.refused(request, self._sender.now()))
                    if self._next(ranges) != request:
                        continue  # what is smaller now may be accepted at once
                    if self.created:
                        return Status.SENDING
                    raise
                ranges.append(request.covered)
        return Status.COMPLETED if all(each.completed for each in self.pending) else Status.IN_PROGRESS

    def _next(self, ranges: list[range]) -> Request | None:
        """The next request. After a refusal in this call, and for long before it, one wildcard for all that is left."""
        since = self.pace.since if self._refused else ""
        long = since and self._sender.now() - datetime.fromisoformat(since) >= WIDENED_AFTER
        wider = partial(wildcard_for, within=self._sender.limits.budget.widest_path) if long else None
        return next_request(self._paths, ranges, self.pace, wider)

    def _create(self, to: str, request: Request) -> None:
        reference = caller_reference(self._batch.batch_id, to, request.start, request.paths, self._target.resends)
        answer = self._sender.cloudfront.create_invalidation(to, request.paths, reference)
        sizes = len(request.paths), request.wildcards
        created, stands_for = answer.create_time, request.stands_for
        record = InvalidationRecord(request.start, answer.id, reference, *sizes, created, stands_for)
        if request.stands_for:
            self._tell_of(Widening(request.paths[0], request.stands_for))
        record_invalidation(self._sender.table, self._batch.batch_id, self._target.distribution_id, record)
        if self._target.resends:  # what is sent first has been counted with its plan
            count_paths(self._sender.table, record.paths, self._sender.now())
        self.created.append(record)
        self.pending.append(Pending(to, answer.id, answer.completed))
        self._note(self.pace.accepted())

    def _tell_of(self, widening: Widening) -> None:
        if self._target.plan is not None and widening not in self._target.plan.widened:
            plan = replace(self._target.plan, widened=(*self._target.plan.widened, widening))
            self._target = replace(self._target, plan=plan)
            self._target.update(self._sender.table, {"plan": plan.to_document()}, {})

    def _note(self, pace: Pace) -> None:
        if pace != self.pace:
            self.pace = pace
            of_target = {"distributionId": self._target.distribution_id}
            self._target.update(self._sender.table, {"pace": pace.to_document()}, of_target)


def _decided(
    plan: Plan, copies: int, rule: PlanRule, month_before: int | None = None
) -> tuple[tuple[str, ...], PlanSummary]:
    paths = in_sending_order(plan.paths)
    summary = PlanSummary.of(plan, len(all_requests(paths)), copies)
    return paths, replace(summary, rule=rule, month_before=month_before)


def freeze_plan(table: BatchTable, target: Target, paths: Sequence[str], summary: PlanSummary) -> Target | None:
    """The target with its plan; None: another attempt has frozen one, which counts."""
    chunks = [chunk for chunk, _ in pack(paths)]
    if len(chunks) == 1 and len(chunks[0]) <= INLINE_BYTES:
        frozen: dict[str, object] = {"rows": chunks[0]}
    else:
        name = hashlib.sha256(json.dumps(list(paths)).encode()).hexdigest()[:16]
        for number, rows in enumerate(chunks, 1):
            pk, sk = _chunk_key(target, name, number)
            table.put({"pk": pk, "sk": sk, "v": VERSION, "rows": rows})
        frozen = {"name": name, "chunks": len(chunks)}
    item = table.update(
        Target.key_of(target.batch_id, target.distribution_id),
        {"plan": summary.to_document(), "frozen": frozen},
        {"distributionId": target.distribution_id, "frozen": None},
    )
    return None if item is None else Target.from_item(item)


def frozen_plan(table: BatchTable, target: Target) -> tuple[str, ...] | None:
    """The paths that are frozen for the target; None before they are.

    Raises:
        BatchNotFound: the plan of an ended batch has expired.
    """
    if target.frozen is None:
        return None
    if "rows" in target.frozen:
        return tuple(unpack(target.frozen["rows"]))
    paths: list[str] = []
    for number in range(1, target.frozen["chunks"] + 1):
        item = table.get(_chunk_key(target, target.frozen["name"], number))
        if item is None:
            raise BatchNotFound(f"the plan of batch {target.batch_id} has expired: chunk {number} is gone")
        paths += unpack(readable(item)["rows"])
    return tuple(paths)


def accepted_ranges(
    batch: Batch, to: str, paths: Sequence[str], records: Iterable[InvalidationRecord], resends: int = 0
) -> list[tuple[range, InvalidationRecord]]:
    """Which of the frozen paths were accepted for a distribution or tenant, and as what.

    A record of something else than these paths, as an earlier release may have left, counts for nothing, nor does one
    of before the edge was found stale.
    """
    found = []
    for each in records:
        covered = range(each.number, each.number + (each.stands_for or each.paths))
        sent = paths[covered.start : covered.stop]
        if each.stands_for:
            sent = (wildcard_for(sent),)
        if each.caller_reference == caller_reference(batch.batch_id, to, each.number, sent, resends):
            found.append((covered, each))
    return found


def _chunk_key(target: Target, name: str, number: int) -> Key:
    return Key(f"{BATCH}{target.batch_id}", f"PLAN#{target.distribution_id}#{name}#{number:04d}")
