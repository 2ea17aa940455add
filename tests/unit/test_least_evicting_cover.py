"""The cover that evicts least, against every cover there is, on cases small enough to try them all."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fewest import fewest_evicted
from benchmarks.sites import SITES, deploy
from invalidation.cloudfront.cover import Cover, least_evicting_cover, narrowest_cover
from invalidation.cloudfront.paths import encode
from tests.unit.test_plan_is_optimal import (
    ends_with_a_whole_character,
    every_cover,
    matches,
    needed_of,
    paths,
    wildcards,
)

if TYPE_CHECKING:
    from collections.abc import Collection

Cost = tuple[int, int, int, int]
"""Unchanged paths that are evicted, new wildcards in the root directory, paths, wildcards: how covers compare."""

some_paths = st.lists(st.one_of(paths, paths, paths, wildcards), min_size=1, max_size=9)
other_paths = st.lists(paths, max_size=30)
max_paths = st.integers(1, 9)
max_wildcards = st.integers(1, 4)


def others_of(site: Collection[str], asked: Collection[str]) -> list[str]:
    return sorted({path for path in site if not any(matches(each, path) for each in asked)})


def sent_of(cover: Cover) -> list[str]:
    return sorted([*(prefix + "*" for prefix in cover.introduced), *cover.unchanged])


def cost_of(sent: Collection[str], asked: Collection[str], unchanged: Collection[str]) -> Cost:
    evicted = sum(any(matches(each, path) for each in sent) for path in unchanged)
    wide = sum(each.endswith("*") and each.count("/") == 1 for each in set(sent) - set(asked))
    return evicted, wide, len(sent), sum(path.endswith("*") for path in sent)


def covered(asked: list[str], unchanged: list[str], paths: int, wildcards: int) -> Cover:
    found = least_evicting_cover(asked, unchanged, max_paths=paths, max_wildcards=wildcards)
    assert found is not None
    return found


@given(some_paths, other_paths, max_paths, max_wildcards)
@settings(max_examples=300, deadline=None)
def test_no_cover_of_a_small_set_evicts_less(asked: list[str], site: list[str], paths: int, wildcards: int) -> None:
    needed = sorted(needed_of(asked))
    unchanged = others_of(site, needed)
    every = every_cover(needed, "/*", wildcards)
    best = min(cost_of(each.paths, needed, unchanged) for each in every if each.keeps(paths, wildcards))
    assert cost_of(sent_of(covered(needed, unchanged, paths, wildcards)), needed, unchanged) == best


@given(st.lists(st.one_of(paths, wildcards), min_size=2, max_size=80), other_paths, max_paths, max_wildcards)
@settings(max_examples=150, deadline=None)
def test_a_cover_matches_all_that_was_asked_for_once_and_within_the_budget(
    asked: list[str], site: list[str], paths: int, wildcards: int
) -> None:
    needed = sorted(needed_of(asked))
    found = covered(needed, others_of(site, needed), paths, wildcards)
    sent = sent_of(found)
    assert Counter(sum(matches(each, path) for each in sent) for path in needed) == {1: len(needed)}
    assert len(sent) <= paths
    assert sum(path.endswith("*") for path in sent) <= wildcards
    assert all(ends_with_a_whole_character(prefix) for prefix in found.introduced)
    assert set(found.unchanged) <= set(needed)


@given(st.lists(paths, min_size=20, max_size=120), st.lists(paths, max_size=120), st.integers(1, 20), max_wildcards)
@settings(max_examples=100, deadline=None)
def test_it_never_evicts_more_than_the_narrowest_cover(
    asked: list[str], site: list[str], paths: int, wildcards: int
) -> None:
    needed = sorted(needed_of(asked))
    unchanged = others_of(site, needed)
    narrowest = narrowest_cover(needed, max_paths=paths, max_wildcards=wildcards)
    least = covered(needed, unchanged, paths, wildcards)
    assert cost_of(sent_of(least), needed, unchanged)[0] <= cost_of(sent_of(narrowest), needed, unchanged)[0]


def test_a_deep_folder_with_unchanged_neighbours_is_spared_for_a_shallow_one_without() -> None:
    deep = [f"/docs/deep/down/{at:02}.html" for at in range(20)]
    shallow = [f"/new/{at:02}.html" for at in range(20)]
    unchanged = [f"/docs/deep/down/{at:02}.html" for at in range(20, 70)]
    asked = [*deep, *shallow]
    assert covered(asked, unchanged, 21, 1).introduced == ["/new/"]
    assert narrowest_cover(asked, max_paths=21, max_wildcards=1).introduced == ["/docs/deep/down/"]


def test_of_covers_that_evict_alike_the_one_with_fewest_paths_is_taken_but_none_in_the_root_directory() -> None:
    changed = sorted(f"/docs/{folder}/{at}.html" for folder in "ab" for at in range(5))
    assert sent_of(covered(changed, ["/docs/c/1.html"], 10, 4)) == ["/docs/a/*", "/docs/b/*"]
    assert sent_of(covered(changed, [], 10, 4)) == ["/docs/*"]
    assert sent_of(covered([*changed, "/index.html"], [], 10, 4)) == ["/docs/*", "/index.html"]


def test_larger_budgets_evict_less_until_nothing_is_left_to_evict() -> None:
    site = [f"/{one}/{two}/{three}.html" for one, two, three in combinations("abcdefghij", 3)]
    changed, unchanged = site[::3], sorted({*site} - {*site[::3]})
    evicted = [
        cost_of(sent_of(covered(sorted(changed), unchanged, budget, 4)), changed, unchanged)[0]
        for budget in range(1, len(changed) + 1)
    ]
    assert evicted == sorted(evicted, reverse=True)
    assert evicted[0] == len(unchanged)
    assert evicted[-1] == 0


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("changes", [100, 1_000])
def test_on_whole_sites_no_other_search_finds_a_cover_that_evicts_less(site: str, changes: int) -> None:
    made = deploy(site, changes)
    asked = sorted(encode(f"/{key}") for key in made.changed)
    unchanged = sorted(encode(f"/{key}") for key in made.unchanged)
    for budget in ((1, 1), (10, 5), (20, 10), (40, 15), (150, 15)):
        found = sent_of(covered(asked, unchanged, *budget))
        evicted = cost_of(found, asked, unchanged)[0]
        assert evicted == fewest_evicted(asked, unchanged, max_paths=budget[0], max_wildcards=budget[1])


@pytest.mark.parametrize(("asked", "wildcards"), [(100_001, 1), (20_000, 150)])
def test_what_would_take_too_long_is_left_to_the_narrowest_cover(asked: int, wildcards: int) -> None:
    changed = sorted(f"/{at % 7}/{at:06}.html" for at in range(asked))
    unchanged = sorted(f"/{at % 7}/{at:06}x.html" for at in range(asked))
    assert least_evicting_cover(changed, unchanged, max_paths=3_000, max_wildcards=wildcards) is None
