"""What is sent for a batch: the frozen plan, each piece once, whatever is refused, lost or interrupted on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

import pytest

from invalidation.batches.head import Execution
from invalidation.batches.join import open_own_batch, open_paths_batch
from invalidation.batches.model import Batch
from invalidation.batches.send import PAST_DEADLINE, Sender
from invalidation.batches.table import Key
from invalidation.batches.targets import Target, count_paths, freeze_targets, invalidations, paths_of_month
from invalidation.cloudfront.client import Invalidation
from invalidation.cloudfront.distribution import Behavior, Distribution, Origin
from invalidation.cloudfront.listing import BucketLister
from invalidation.cloudfront.paths import covers
from invalidation.cloudfront.progress import Progress
from invalidation.cloudfront.rules import Budget, PathRules, PlanRule, Status, Widening
from invalidation.config import SendingLimits
from invalidation.errors import (
    BatchTableUnavailable,
    CloudFrontUnavailable,
    InvalidationRefused,
    NoRoomInTime,
    TooManyInvalidationsInProgress,
)
from invalidation.events import Change
from tests.fakes.bucket import Bucket
from tests.fakes.memory_table import MemoryTable

T = TypeVar("T")
NOW = datetime(2026, 11, 12, tzinfo=UTC)
BUCKET = "site"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class FakeCloudFront:
    """Takes invalidations as CloudFront does; ``takes`` decides on a request, and ``losing`` answers are lost."""

    takes: Callable[[tuple[str, ...]], bool] = lambda _paths: True
    tenants: tuple[str, ...] = ()
    losing: int = 0
    asked: list[tuple[str, ...]] = field(default_factory=list)
    created: dict[str, tuple[str, Invalidation, tuple[str, ...]]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def targets(self, distribution: Distribution) -> tuple[str, ...]:
        return tuple(f"{distribution.id}/{each}" for each in self.tenants) or (distribution.id,)

    def create_invalidation(self, to: str, paths: tuple[str, ...], reference: str) -> Invalidation:
        self.asked.append(paths)
        if reference in self.created:
            _, known, before = self.created[reference]
            if before != paths:
                raise InvalidationRefused("InvalidationBatchAlreadyExists")
            return known
        if not self.takes(paths):
            raise TooManyInvalidationsInProgress("no room")
        made = Invalidation(f"I{next(self._numbers)}", "InProgress", NOW)
        self.created[reference] = (to, made, paths)
        if self.losing:
            self.losing -= 1
            raise CloudFrontUnavailable("no answer")
        return made

    def sent(self, to: str = "E1") -> list[str]:
        return [path for target, _, paths in self.created.values() if target == to for path in paths]


class Site:
    """A batch and its distributions over a table in memory."""

    def __init__(self, table: MemoryTable | None = None, *distributions: str) -> None:
        self.table = table or MemoryTable()
        self.cloudfront = FakeCloudFront()
        self.clock = Clock()
        self.distributions = distributions or ("E1",)
        self.limits = SendingLimits()
        self._numbers = count()

    def run(self) -> Execution:
        return Execution(f"arn:aws:states:us-east-1:123456789012:execution:s:{next(self._numbers)}", NOW)

    def change(self, *keys: str, dry_run: bool = False) -> str:
        changes = [Change(BUCKET, key, event_id="") for key in keys]
        joined = open_own_batch(self.table, BUCKET, changes, self.run(), lambda: NOW, "attempt", dry_run=dry_run)
        return self._resolved(joined.batch_id)

    def ask_for(self, *paths: str) -> str:
        return self._resolved(open_paths_batch(self.table, "E1", paths, self.run(), lambda: NOW, "attempt").batch_id)

    def _resolved(self, batch_id: str) -> str:
        routing = {each: self.distribution(each).to_document() for each in self.distributions}
        freeze_targets(self.table, Batch.read(self.table, batch_id), routing)
        return batch_id

    def distribution(self, distribution_id: str) -> Distribution:
        origin = Origin(id="o", domain_name=f"{BUCKET}.s3.amazonaws.com")
        tenant_only = bool(self.cloudfront.tenants)
        behaviors = (Behavior("*", ("o",)),)
        return Distribution(distribution_id, BUCKET, origins=(origin,), behaviors=behaviors, tenant_only=tenant_only)

    def send(self, batch_id: str, distribution_id: str = "E1", seconds: float = math.inf) -> Progress:
        cloudfront: Any = self.cloudfront
        lister = BucketLister(self._s3, lambda *_a, **_k: None)
        sender = Sender(self.table, cloudfront, self._s3, lister, self.clock, PathRules(), self.limits)
        return sender.send(batch_id, distribution_id, NOW + timedelta(minutes=60), lambda: seconds)[0]

    def send_all(self, batch_id: str, distribution_id: str = "E1") -> int:
        """As the state machine does: again and again. How many calls it took."""
        for calls in range(1, 1_000):
            self.clock.now += timedelta(seconds=5)
            try:
                if self.send(batch_id, distribution_id).status is not Status.SENDING:
                    return calls
            except (TooManyInvalidationsInProgress, CloudFrontUnavailable, BatchTableUnavailable):
                continue
        raise AssertionError("it never ends")

    def target(self, batch_id: str, distribution_id: str = "E1") -> Target:
        return Target.read(self.table, batch_id, distribution_id)

    def _s3(self) -> Any:
        return Bucket(["docs/00/other.html"])


def keys(number: int) -> list[str]:
    return [f"docs/{at % 40:02}/{at:04}.html" for at in range(number)]


def test_a_hundred_changes_go_out_one_by_one_in_one_request_and_the_record_says_why() -> None:
    site = Site()
    batch = site.change(*keys(100))
    assert site.send(batch).status is Status.IN_PROGRESS
    assert site.cloudfront.asked == [tuple(sorted(f"/{key}" for key in keys(100)))]
    plan = site.target(batch).plan
    assert plan is not None
    assert (plan.rule, plan.month_before, plan.widened) == (PlanRule.EXACT, 0, ())
    assert paths_of_month(site.table, NOW) == 100


def test_a_storm_gets_the_free_paths_and_beyond_the_month_s_budget_a_few() -> None:
    site = Site()
    first = site.change(*keys(1_000))
    site.send_all(first)
    count_paths(site.table, 1_000, NOW)
    second = site.change(*keys(1_000))
    site.send_all(second)
    plans = [site.target(each).plan for each in (first, second)]
    assert [each and each.rule for each in plans] == [PlanRule.FREE_PATHS, PlanRule.THRIFTY]
    assert [each and each.paths <= limit for each, limit in zip(plans, (150, 10), strict=True)] == [True, True]
    assert plans[1] is not None
    assert plans[1].month_before is not None
    assert plans[1].month_before > 1_000


def test_spellings_of_few_keys_are_no_storm_on_any_distribution_and_are_paid_for_each() -> None:
    site = Site(None, "E1", "E2")
    count_paths(site.table, 5_000, NOW)
    batch_id = site.change(*(f"wheels/torch-2.{number}.0+cu118.whl" for number in range(16)))
    for each in ("E1", "E2"):
        site.send(batch_id, each)
        assert len(site.cloudfront.sent(each)) == 32
        assert (plan := site.target(batch_id, each).plan)
        assert plan.rule is PlanRule.EXACT
    assert paths_of_month(site.table, NOW) == 5_000 + 2 * 32


def test_what_is_frozen_is_sent_whatever_has_changed_since() -> None:
    site = Site()
    site.cloudfront.takes = lambda _paths: False
    batch = site.change(*keys(200))
    with pytest.raises(TooManyInvalidationsInProgress):
        site.send(batch)
    frozen = site.target(batch)
    site.limits = SendingLimits(Budget(widest_path="/docs/00/*"), monthly_paths=0)
    site.cloudfront.takes = lambda _paths: True
    site.send_all(batch)
    assert frozen.plan is not None
    assert len(site.cloudfront.sent()) == frozen.plan.paths
    assert site.target(batch).plan == frozen.plan
    assert paths_of_month(site.table, NOW) == frozen.plan.paid, "and nothing is counted twice"


def test_one_wildcard_at_a_time_gets_all_of_them_through_and_none_twice() -> None:
    site = Site()
    site.cloudfront.takes = lambda paths: sum(path.endswith("*") for path in paths) <= 1
    batch = site.ask_for("/a", *(f"/w{number:02}/*" for number in range(12)))
    site.send_all(batch)
    assert sorted(site.cloudfront.sent()) == ["/a", *(f"/w{number:02}/*" for number in range(12))]
    refused = len(site.cloudfront.asked) - len(site.cloudfront.created)
    assert refused <= 5


def test_a_call_that_has_been_refused_before_sends_one_request_and_leaves_the_rest_to_the_next() -> None:
    site = Site()
    site.cloudfront.takes = lambda paths: len(paths) == 1
    batch = site.ask_for(*(f"/w{number}/*" for number in range(3)))
    assert site.send_all(batch) > 3
    before = len(site.cloudfront.asked)
    assert site.send(batch).status is Status.IN_PROGRESS
    assert len(site.cloudfront.asked) == before, "all is recorded: nothing is asked for again"


def test_when_the_function_s_time_is_up_the_rest_waits_for_the_next_call() -> None:
    site = Site()
    batch = site.ask_for(*(f"/{number:04}" for number in range(400)))
    assert site.send(batch, seconds=30).status is Status.SENDING
    assert site.cloudfront.asked == []
    assert site.send(batch).status is Status.IN_PROGRESS
    assert [len(each) for each in site.cloudfront.asked] == [150, 150, 100]


def test_an_answer_that_was_lost_is_found_by_its_reference_and_not_paid_again() -> None:
    site = Site()
    site.cloudfront.losing = 1
    batch = site.change("a.html")
    assert site.send_all(batch) == 2
    assert site.cloudfront.asked == [("/a.html",), ("/a.html",)]
    assert len(site.cloudfront.created) == 1
    assert len(invalidations(site.table, batch)) == 1
    assert paths_of_month(site.table, NOW) == 1


def test_an_answer_that_was_lost_and_then_refused_costs_paths_and_loses_no_change() -> None:
    site = Site()
    site.cloudfront.losing = 1
    batch = site.ask_for(*(f"/w{number}/*" for number in range(4)))
    with pytest.raises(CloudFrontUnavailable):
        site.send(batch)
    lost = dict(site.cloudfront.created)
    site.cloudfront.created.clear()  # an edge that does not remember the reference either
    site.cloudfront.takes = lambda paths: len(paths) == 1
    site.send_all(batch)
    assert sorted(site.cloudfront.sent()) == [f"/w{number}/*" for number in range(4)]
    assert len(lost) == 1


class Uncounting(MemoryTable):
    """Counts nothing: the item is asked for too often."""

    def add(self, key: Key, attribute: str, number: int) -> int:
        raise BatchTableUnavailable(f"{key.pk}: {attribute} + {number} was throttled")


@pytest.mark.parametrize("there_is_room", [True, False])
def test_paths_that_cannot_be_counted_change_nothing_of_what_was_sent_or_refused(*, there_is_room: bool) -> None:
    site = Site(Uncounting())
    site.cloudfront.takes = lambda _paths: there_is_room
    batch = site.change(*keys(3))
    if there_is_room:
        assert site.send(batch).status is Status.IN_PROGRESS
    else:
        with pytest.raises(TooManyInvalidationsInProgress):
            site.send(batch)
    assert site.cloudfront.sent() == ([f"/{key}" for key in keys(3)] if there_is_room else [])


def test_a_long_plan_lies_in_chunks_and_reads_back() -> None:
    site = Site()
    paths = [f"/{number:04}/{'x' * 400}{number * 7919 % 10007}" for number in range(3_000)]
    batch = site.ask_for(*paths)
    site.send_all(batch)
    assert sorted(site.cloudfront.sent()) == sorted(paths)
    item = site.table.find(Target.key_of(batch, "E1"))
    assert item is not None
    assert "chunks" in item["frozen"]
    assert all(len(rows.get("rows", b"")) < 400_000 for rows in site.table.partitions[f"BATCH#{batch}"].values())


def test_tenants_get_the_same_requests_each_and_share_what_the_batch_may_cost() -> None:
    site = Site()
    site.cloudfront.tenants = ("dt_a", "dt_b", "dt_c")
    batch = site.change(*keys(60))
    site.send_all(batch)
    plan = site.target(batch).plan
    assert plan is not None
    assert plan.paid == 3 * plan.paths <= 150
    for tenant in site.cloudfront.tenants:
        sent = site.cloudfront.sent(f"E1/{tenant}")
        assert all(any(covers(each, f"/{key}") for each in sent) for key in keys(60))


def test_distributions_of_a_batch_are_planned_with_one_decision() -> None:
    site = Site(None, "E1", "E2")
    batch = site.change(*keys(60))
    for each in site.distributions:
        site.send_all(batch, each)
    plans = [site.target(batch, each).plan for each in site.distributions]
    assert [each and (each.rule, each.paths, each.month_before) for each in plans] == [(PlanRule.EXACT, 60, 0)] * 2
    assert paths_of_month(site.table, NOW) == 120


def test_a_dry_run_plans_as_the_month_is_and_takes_nothing_of_it() -> None:
    site = Site()
    batch = site.change(*keys(100), dry_run=True)
    assert site.send(batch).status is Status.DRY_RUN
    assert paths_of_month(site.table, NOW) == 0
    assert site.cloudfront.asked == []


def test_who_makes_progress_is_not_out_of_time_and_who_does_not_is() -> None:
    site = Site()
    site.cloudfront.takes = lambda _paths: False
    batch = site.change("a.html")
    site.clock.now = NOW + timedelta(minutes=61)
    with pytest.raises(TooManyInvalidationsInProgress):  # its first refusal: it may have waited for others
        site.send(batch)
    site.clock.now += PAST_DEADLINE
    with pytest.raises(NoRoomInTime, match="last word: no room"):
        site.send(batch)


def test_what_was_refused_for_long_goes_as_one_wider_wildcard_and_says_so() -> None:
    site = Site()
    site.cloudfront.takes = lambda paths: site.clock.now >= NOW + timedelta(minutes=12) and paths == ("/docs/*",)
    paths = [f"/docs/{number:02}/*" for number in range(9)]
    batch = site.ask_for(*paths, "/docs/a", "/docs/b")
    site.send_all(batch)
    assert site.cloudfront.sent() == ["/docs/*"]
    plan = site.target(batch).plan
    assert plan is not None
    assert plan.widened == (Widening("/docs/*", 11),)
    before = len(site.cloudfront.asked)
    assert site.send(batch).status is Status.IN_PROGRESS
    assert len(site.cloudfront.asked) == before


def test_no_wildcard_wider_than_widest_path_takes_the_place_of_others() -> None:
    site = Site()
    site.limits = SendingLimits(Budget(widest_path="/docs/*"))
    site.cloudfront.takes = lambda paths: site.clock.now >= NOW + timedelta(minutes=12) and len(paths) == 1
    batch = site.ask_for("/docs/a/*", "/img/a/*")
    site.send_all(batch)
    assert sorted(site.cloudfront.sent()) == ["/docs/a/*", "/img/a/*"]


class DyingTable(MemoryTable):
    """The request with a number fails; ``done`` says whether it had its effect."""

    def __init__(self, number: int, *, done: bool) -> None:
        super().__init__()
        self.left = number
        self.done = done
        self.died = False

    def _request(self, operation: str, key: Key, effect: Callable[[], T]) -> T:
        self.left -= 1
        if self.left == 0:
            self.died = True
            if self.done:
                effect()
            raise BatchTableUnavailable(operation)
        return super()._request(operation, key, effect)


@pytest.mark.parametrize("done", [False, True])
def test_whichever_request_to_the_table_fails_every_change_is_covered_in_the_end(done: bool) -> None:
    died = 0
    for number in range(1, 200, 2):
        table = DyingTable(10_000, done=done)
        site = Site(table, "E1", "E2")
        site.cloudfront.takes = lambda paths: sum(path.endswith("*") for path in paths) <= 1
        batch = site.change(*keys(80))
        table.left = number
        for each in site.distributions:
            site.send_all(batch, each)
            sent = site.cloudfront.sent(each)
            assert all(any(covers(path, f"/{key}") for path in sent) for key in keys(80))
            table.left = 10_000
            plan = site.target(batch, each).plan
            assert plan is not None
            assert len(sent) == plan.paths, "nothing is paid for twice: the reference finds what was not recorded"
        if not table.died:
            break
        died += 1
    assert died >= 10


def test_a_target_that_an_earlier_release_has_begun_is_not_paid_for_again() -> None:
    site = Site()
    batch = site.change("a.html", "b.html")
    site.send(batch)
    item = site.table.find(Target.key_of(batch, "E1"))
    assert item is not None
    item.pop("frozen")  # that release wrote no frozen plan, and numbered its requests from 0 as this one does
    site.send_all(batch)
    assert site.cloudfront.asked == [("/a.html", "/b.html")]


def test_the_values_that_a_plan_is_recorded_with_read_back() -> None:
    site = Site()
    batch = site.change(*keys(100))
    site.send(batch)
    plan = site.target(batch).plan
    assert plan is not None
    assert type(plan).from_document(plan.to_document()) == plan
    assert type(plan).from_document(replace(plan, rule=None).to_document()).rule is None
