"""The planner against every cover there is, on cases small enough to try them all."""

from __future__ import annotations

import re
from itertools import combinations, product
from math import inf
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from invalidation.cloudfront.plan import Plan, plan_paths
from invalidation.cloudfront.rules import Budget

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from random import Random

Width = tuple[float | str, ...]
NO_FURTHER: Width = (inf,)

PIECES = ["a", "b", "/", "/", "!", "-", "%C3%BC", "%C3%A4", "%E4%B8%AD", "%E4%B8%AB"]
DIRECTORIES = ["/", "/a/", "/b/", "/bb/", "/a/b/"]
of_any_kind = st.lists(st.sampled_from(PIECES), max_size=5).map(lambda pieces: "/" + "".join(pieces))
in_few_directories = st.builds("{}{}".format, st.sampled_from(DIRECTORIES), st.text("ab", max_size=4))
in_a_deep_tree = st.text("ab/", min_size=1, max_size=7).map("/".__add__)
spelled_twice = st.builds(
    lambda text, end: f"/{text.replace(' ', '%20')}{end}",
    st.text("a+ ", min_size=2, max_size=4),
    st.sampled_from(["", "*"]),
)
paths = st.one_of(of_any_kind, in_few_directories, in_a_deep_tree)
wildcards = paths.map(lambda path: path + "*")
small_sets = st.lists(st.one_of(paths, paths, spelled_twice, wildcards), min_size=2, max_size=8)
few_wildcards = st.lists(st.one_of(paths, paths, paths, paths, wildcards), max_size=100)
many_wildcards = st.lists(st.one_of(paths, wildcards), min_size=2, max_size=40)
no_wildcards = st.lists(st.one_of(in_few_directories, in_a_deep_tree), min_size=10, max_size=100)
large_sets = st.one_of(few_wildcards, many_wildcards, no_wildcards)
budgets = st.builds(
    Budget,
    max_exact_paths=st.integers(1, 4),
    max_cover_paths=st.integers(1, 10),
    max_wildcards=st.integers(1, 5),
    widest_path=st.sampled_from(["/*", "/*", "/a*", "/a/*", "/b*", "/%C3%BC*"]),
)


def matches(sent: str, asked: str) -> bool:
    return asked.startswith(sent[:-1]) if sent.endswith("*") else asked == sent


def needed_of(asked: Collection[str]) -> list[str]:
    return [path for path in set(asked) if not any(other != path and matches(other, path) for other in asked)]


def ends_with_a_whole_character(prefix: str) -> bool:
    try:
        unquote_to_bytes(prefix).decode()
    except UnicodeDecodeError:
        return False
    return not re.search("%.?$", prefix)


def width(wildcard: str, inside: Collection[str]) -> Width:
    prefix = wildcard[:-1]
    directory = prefix[: prefix.rindex("/") + 1]
    return (prefix.count("/"), sum(path.startswith(directory) for path in inside), len(prefix), prefix)


class Covering(NamedTuple):
    """A cover. The greater one is the narrower: the widest wildcards decide, or the next ones, or that one has none."""

    widths: list[Width]
    paths: list[str]

    def keeps(self, max_paths: int, max_wildcards: int) -> bool:
        return len(self.paths) <= max_paths and sum(path.endswith("*") for path in self.paths) <= max_wildcards


def every_cover(needed: list[str], widest_path: str, max_wildcards: int) -> Iterator[Covering]:
    """Each choice of wildcards within the widest path, with the paths that it leaves."""
    inside = [path for path in needed if matches(widest_path, path)]
    prefixes = {path[:length] for path in inside for length in range(len(widest_path) - 1, len(path.rstrip("*")) + 1)}
    candidates = [prefix + "*" for prefix in prefixes if ends_with_a_whole_character(prefix)]
    matched = {wildcard: {path for path in needed if matches(wildcard, path)} for wildcard in candidates}
    width_of = {wildcard: width(wildcard, inside) for wildcard in candidates}
    for number in range(max_wildcards + 1):
        for introduced in combinations(candidates, number):
            left = set(needed).difference(*(matched[each] for each in introduced))
            yield Covering([*sorted(width_of[each] for each in introduced), NO_FURTHER], sorted({*introduced, *left}))


def allowed(needed: list[str], budget: Budget) -> tuple[int, int]:
    """How many paths and wildcards a plan may have: the budget, or what the widest path forces it to be."""
    outside = [path for path in needed if not matches(budget.widest_path, path)]
    paths = budget.max_cover_paths
    if few(needed, budget):
        paths = max(paths, len(needed), budget.max_exact_paths)
    max_wildcards = max(wildcards_allowed(needed, budget), sum(path.endswith("*") for path in outside) + 1)
    return max(paths, len(outside) + 1), max_wildcards


def wildcards_allowed(needed: list[str], budget: Budget) -> int:
    """Of few paths, further spellings of a wildcard are allowed besides, up to fifteen."""
    asked = [path for path in needed if path.endswith("*")]
    spellings = len(asked) - locations(asked) if few(needed, budget) else 0
    return max(budget.max_wildcards, min(15, budget.max_wildcards + spellings))


def as_they_are(needed: list[str], budget: Budget) -> bool:
    few_wildcards = sum(path.endswith("*") for path in needed) <= wildcards_allowed(needed, budget)
    return few(needed, budget) and few_wildcards


def few(needed: list[str], budget: Budget) -> bool:
    return locations(needed) <= budget.max_exact_paths


def locations(paths: list[str]) -> int:
    """Spellings of one location count once: here a plus for a space, and slashes that are repeated."""
    return len({re.sub("/+", "/", path.replace("%20", "+")) for path in paths})


def widths_of(found: Plan, needed: list[str], budget: Budget) -> list[Width]:
    inside = [path for path in needed if matches(budget.widest_path, path)]
    return [*sorted(width(each.path, inside) for each in found.widened), NO_FURTHER]


SITES = {
    "all kinds of paths": ["/a", "/a/a", "/a/b*", "/a/%C3%BC/b", "/a/%C3%A4", "/ab", "/b/b", "/b!*"],
    "directories beside each other": ["/a/1", "/a/2", "/bb/1", "/bb/2", "/bb/31", "/bb/32", "/c/1", "/c/2*"],
    "wildcards that hold each other": ["/*", "/a*", "/a/*", "/a/b", "/a/b*", "/a/c*", "/b", "/c/d*"],
    "directories in each other": ["/a/1", "/a/2", "/a/3", "/b/c/1", "/b/c/2", "/b/d/1", "/b/d/2", "/b/d/3"],
}


@pytest.mark.parametrize("site", SITES.values(), ids=list(SITES))
def test_whatever_changes_on_a_small_site_gets_the_narrowest_of_all_covers(site: list[str]) -> None:
    for number in range(1, len(site) + 1):
        for asked in combinations(site, number):
            needed = needed_of(asked)
            covers = list(every_cover(needed, "/*", max_wildcards=3))
            for max_paths, max_wildcards in product(range(1, 6), range(1, 4)):
                best = max(cover for cover in covers if cover.keeps(max_paths, max_wildcards))
                budget = Budget(max_exact_paths=1, max_cover_paths=max_paths, max_wildcards=max_wildcards)
                assert list(plan_paths(asked, budget).paths) == best.paths, (asked, budget)


@given(small_sets, budgets)
@settings(max_examples=200, deadline=None)
def test_no_cover_of_a_small_set_is_narrower_than_the_plan(asked: list[str], budget: Budget) -> None:
    needed = needed_of(asked)
    max_paths, max_wildcards = allowed(needed, budget)
    covers = every_cover(needed, budget.widest_path, min(max_wildcards, 4))
    best = max(cover for cover in covers if as_they_are(needed, budget) or cover.keeps(max_paths, max_wildcards))
    assert list(plan_paths(asked, budget).paths) == best.paths


@given(large_sets, budgets)
@settings(max_examples=100, deadline=None)
def test_a_plan_matches_all_that_was_asked_for_within_the_budget_and_the_bound(
    asked: list[str], budget: Budget
) -> None:
    found = plan_paths(asked, budget)
    assert all(any(matches(sent, path) for sent in found.paths) for path in asked)
    assert list(found.paths) == sorted(set(found.paths))
    needed = needed_of(asked)
    if as_they_are(needed, budget):
        assert list(found.paths) == sorted(needed)
    else:
        max_paths, max_wildcards = allowed(needed, budget)
        assert len(found.paths) <= max_paths
        assert found.wildcards <= max_wildcards
    introduced = {each.path for each in found.widened}
    assert introduced == set(found.paths) - set(asked)
    assert all(matches(budget.widest_path, path) and ends_with_a_whole_character(path[:-1]) for path in introduced)


@given(large_sets, budgets)
@settings(max_examples=60, deadline=None)
def test_each_widening_stands_for_at_least_two_paths_and_says_how_many(asked: list[str], budget: Budget) -> None:
    for widening in plan_paths(asked, budget).widened:
        assert widening.asked == sum(matches(widening.path, path) for path in set(asked))
        assert widening.asked >= 2


@given(large_sets, budgets, st.integers(0, 5), st.integers(0, 5), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_a_larger_budget_never_widens_more(asked: list[str], budget: Budget, exact: int, cover: int, wild: int) -> None:
    larger = Budget(
        max_exact_paths=budget.max_exact_paths + exact,
        max_cover_paths=budget.max_cover_paths + cover,
        max_wildcards=budget.max_wildcards + wild,
        widest_path=budget.widest_path,
    )
    needed = needed_of(asked)
    assert widths_of(plan_paths(asked, larger), needed, budget) >= widths_of(plan_paths(asked, budget), needed, budget)


@given(large_sets, budgets, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_neither_order_nor_repetition_changes_the_plan(asked: list[str], budget: Budget, chance: Random) -> None:
    shuffled = [*asked, *asked[:5]]
    chance.shuffle(shuffled)
    assert plan_paths(iter(shuffled), budget) == plan_paths(asked, budget)


@given(large_sets, budgets)
@settings(max_examples=60, deadline=None)
def test_to_plan_what_was_planned_changes_nothing(asked: list[str], budget: Budget) -> None:
    assume(locations(asked) == len(set(asked)))
    found = plan_paths(asked, budget)
    assert plan_paths(found.paths, budget) == Plan(found.paths)
