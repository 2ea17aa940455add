"""What a batch may cost: exact while it is free, thrifty beyond the month's budget; no storm eats the month."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from invalidation.batches.budget import Allowance, Cost, by_hand, decide, reserve
from invalidation.batches.model import Batch
from invalidation.batches.targets import count_paths, paths_of_month
from invalidation.cloudfront.limits import FEW_PATHS, MAX_PATHS_OF_BATCH, THRIFTY_PATHS, THRIFTY_WILDCARDS
from tests.fakes.memory_table import MemoryTable

NOW = datetime(2026, 11, 12, tzinfo=UTC)
MONTHLY = 1_000
costs = st.dictionaries(
    st.sampled_from(["E1", "E2", "E3", "E4"]),
    st.builds(Cost, st.integers(0, MAX_PATHS_OF_BATCH + 1), st.integers(0, 20), st.booleans()),
    min_size=1,
)


def _batch(batch_id: str = "b") -> Batch:
    return Batch(batch_id, "arn", "attempt", 1, 1, NOW, NOW, bucket="site", resolved=("E1", "E2"))


def _saved(table: MemoryTable, batch_id: str = "b") -> Batch:
    batch = _batch(batch_id)
    assert batch.save(table)
    return batch


def test_a_hundred_changes_are_exact_and_free_also_after_a_storm() -> None:
    storm = decide({"E1": Cost(MAX_PATHS_OF_BATCH + 1)}, 0, MONTHLY)
    assert storm.reserved == MAX_PATHS_OF_BATCH
    after = decide({"E1": Cost(100)}, storm.reserved, MONTHLY)
    assert (after.reserved, after.budget("E1", "/*").max_exact_paths) == (100, 100)


def test_beyond_the_month_s_budget_a_batch_is_thrifty() -> None:
    allowance = decide({"E1": Cost(100)}, MONTHLY, MONTHLY)
    budget = allowance.budget("E1", "/assets/*")
    assert (allowance.free, allowance.reserved) == ({}, THRIFTY_PATHS)
    assert (budget.max_exact_paths, budget.max_cover_paths, budget.max_wildcards) == (
        FEW_PATHS,
        THRIFTY_PATHS,
        THRIFTY_WILDCARDS,
    )
    assert budget.widest_path == "/assets/*"


def test_a_budget_of_nothing_is_thrifty_from_the_first_change() -> None:
    assert decide({"E1": Cost(100)}, 0, 0).reserved == THRIFTY_PATHS
    assert decide({"E1": Cost(FEW_PATHS)}, 0, 0).reserved == FEW_PATHS


def test_spellings_of_few_keys_are_exact_and_charged_path_by_path_beyond_the_month_too() -> None:
    wheels = Cost(120, few=True)
    allowance = decide({"E1": wheels, "E2": Cost(120)}, MONTHLY, MONTHLY)
    assert allowance.charged == {"E1": 120, "E2": THRIFTY_PATHS}
    assert decide({"E1": wheels, "E2": Cost(120)}, 0, MONTHLY).reserved == 150


def test_distributions_share_who_needs_little_gets_it_and_tenants_count_each() -> None:
    allowance = decide({"E1": Cost(20), "E2": Cost(151), "E3": Cost(151, copies=2)}, 0, MONTHLY)
    assert allowance.free == {"E1": 20, "E2": 43, "E3": 43}
    assert allowance.reserved == 20 + 43 + 2 * 43 <= MAX_PATHS_OF_BATCH


@given(costs, st.integers(0, 2_000), st.integers(0, 2_000))
def test_a_batch_never_takes_more_than_it_may_or_would_cost_anyway(
    needed: dict[str, Cost], before: int, monthly: int
) -> None:
    allowance = decide(needed, before, monthly)
    thrifty = sum(each.within(0) * each.copies for each in needed.values())
    exact = sum(each.paths * each.copies for each in needed.values())
    left = max(0, monthly - before)
    assert allowance.reserved <= max(exact, thrifty)
    assert allowance.reserved <= thrifty + min(MAX_PATHS_OF_BATCH, left)
    for name, cost in needed.items():
        budget = allowance.budget(name, "/*")
        assert cost.few or cost.within(allowance.free.get(name, 0)) <= max(
            budget.max_exact_paths, budget.max_cover_paths
        )


@given(st.lists(st.integers(31, 1_000), min_size=1, max_size=60))
def test_storms_alone_never_use_up_a_month(storms: list[int]) -> None:
    used = 0
    for changes in storms:
        allowance = decide({"E1": Cost(min(changes, MAX_PATHS_OF_BATCH + 1))}, used, MONTHLY)
        if allowance.free:
            used += allowance.reserved
    assert used < MONTHLY


def test_a_month_of_thirty_deploys_costs_little_and_the_first_ones_are_nearly_exact() -> None:
    chance = random.Random(1)  # noqa: S311 # no secret
    month_before, taken = 0, []
    for _ in range(30):
        changes = chance.randrange(100, 1_001)
        allowance = decide({"E1": Cost(min(changes, MAX_PATHS_OF_BATCH + 1))}, month_before, MONTHLY)
        month_before += allowance.reserved
        taken.append(allowance.reserved)
    assert taken[:3] == [150, 150, 140]
    assert taken == sorted(taken, reverse=True)
    assert taken[-1] == THRIFTY_PATHS
    assert month_before == 1_110, "$0.55 beyond what is free; sending each change would cost some $80"


def test_who_names_wildcards_gets_them_for_each_tenant_as_long_as_the_execution_s_history_holds_them() -> None:
    assert [by_hand("/*", copies).max_wildcards for copies in (0, 1, 10, 20)] == [150, 150, 150, 75]


def test_what_is_decided_first_counts_for_every_distribution_and_is_charged_once() -> None:
    table = MemoryTable()
    batch = _saved(table)
    needed = {"E1": Cost(40), "E2": Cost(60)}
    first = reserve(table, batch, lambda: needed, MONTHLY, NOW)
    again = reserve(table, Batch.read(table, "b"), dict, MONTHLY, NOW)
    late = reserve(table, batch, lambda: needed, MONTHLY, NOW)  # read before the first had decided
    assert first == again == late
    assert (first.free, first.charged) == ({"E1": 40, "E2": 60}, {"E1": 40, "E2": 60})
    assert paths_of_month(table, NOW) == 100


class _Overtaken(MemoryTable):
    """Another batch reserves between the look at the month and the addition to it."""

    def __init__(self) -> None:
        super().__init__()
        self.others = 900

    def add(self, key: object, attribute: str, number: int) -> int:
        others, self.others = self.others, 0
        return super().add(key, attribute, number + others)  # type: ignore[arg-type]


def test_two_batches_at_once_never_both_take_what_is_left() -> None:
    table = _Overtaken()
    allowance = reserve(table, _saved(table), lambda: {"E1": Cost(151)}, MONTHLY, NOW)
    assert allowance == Allowance(900, {"E1": 20}, {"E1": 20})
    assert paths_of_month(table, NOW) == 920


def test_nothing_to_invalidate_reserves_nothing() -> None:
    table = MemoryTable()
    assert reserve(table, _saved(table), lambda: {"E1": Cost(0)}, MONTHLY, NOW).reserved == 0
    assert Batch.read(table, "b").allowance is None
    count_paths(table, 5, NOW)
    assert paths_of_month(table, NOW) == 5
