"""Whatever an object is called, its invalidation reaches no further than its own path's documented cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from invalidation.batches.budget import Allowance
from invalidation.cloudfront.distribution import Behavior, Distribution, Origin
from invalidation.cloudfront.limits import (
    MAX_PATH_LENGTH,
    MAX_PATHS_A_REQUEST,
    MAX_PATHS_OF_BATCH,
    MAX_WILDCARDS_IN_PROGRESS,
)
from invalidation.cloudfront.paths import covers, normalised
from invalidation.cloudfront.plan import Plan, Surroundings, plan_paths
from invalidation.cloudfront.routing import paths_for
from invalidation.cloudfront.rules import Budget, PathRules
from tests.security.hostile import KEYS, texts

EXACT = Budget(MAX_PATHS_A_REQUEST, MAX_PATHS_A_REQUEST, MAX_WILDCARDS_IN_PROGRESS)
"""A budget under which nothing has to be widened: what is wide then, the key has made so."""
BUCKET = Origin("bucket", "my-site.s3.amazonaws.com")
PLAIN = Distribution("E1", "my-site", origins=(BUCKET,), behaviors=(Behavior("*", ("bucket",)),))
WEBSITE = replace(PLAIN, origins=(replace(BUCKET, website=True),), default_root_object="index.html")
DISTRIBUTIONS = {
    "plain": PLAIN,
    "website": WEBSITE,
    "origin path": replace(PLAIN, origins=(replace(BUCKET, path="/uploads"),)),
    "parameter": replace(PLAIN, origins=(replace(BUCKET, path="/{{tenant}}"),)),
    "several behaviours": replace(
        PLAIN, behaviors=(Behavior("/uploads/*.?xt", ("bucket",), rewrites=True), Behavior("*", ("bucket",)))
    ),
}
EVERY_SPELLING = True
RULES = PathRules(directory_index="index.html")
DOUBTFUL = re.compile(r"[*~\x00-\x1f\x7f]|(?<=/)\.\.?(?:/|\Z)")
"""From where on a key is cut: written down once more, as README and SECURITY.md have it."""
VICTIMS = ("index.html", "private/salaries.html", "uploads.html", "upload", "a", "private/")

by_distribution = pytest.mark.parametrize("distribution", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)


def planned(distribution: Distribution, key: str, rules: PathRules = RULES) -> Plan:
    return plan_paths(paths_for(distribution, [key], rules), EXACT)


def own_locations(distribution: Distribution, key: str) -> Iterator[str]:
    """Under which viewers reach the key: below every origin's path, and as a folder's index."""
    for origin in distribution.origins:
        for location in origin.locations(distribution.bucket, key):
            yield location
            folder = location.removesuffix("index.html")
            if folder != location and folder.endswith("/"):
                yield from (folder, folder[:-1] or "/")


def as_s3_reads(text: str) -> str:
    """S3 takes a raw plus for a space; viewers write either for either."""
    return text.replace("+", " ")


def cuts(location: str) -> Iterator[str]:
    """What may stand before a wildcard for a location: all before its first doubtful character."""
    for form in {location, re.sub("/+", "/", location)}:
        if found := DOUBTFUL.search(form):
            yield form[: found.start()]


def not_its_own(distribution: Distribution, key: str) -> list[str]:
    """The paths of a key's plan that are more than the key's own, and its documented cuts."""
    locations = list(own_locations(distribution, key))
    exact = {as_s3_reads(each) for each in (*locations, *map(normalised, locations))}
    bounds = {as_s3_reads(cut) for location in locations for cut in cuts(location)}
    return [
        path
        for path in planned(distribution, key).paths
        if as_s3_reads(unquote(path.removesuffix("*"))) not in (bounds if path.endswith("*") else exact)
    ]


@by_distribution
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_hostile_key_invalidates_its_own_paths_and_cuts_alone(distribution: Distribution, key: str) -> None:
    assert not_its_own(distribution, key) == []


@by_distribution
@settings(max_examples=300, deadline=None)
@given(texts)
def test_any_key_invalidates_its_own_paths_and_cuts_alone(distribution: Distribution, key: str) -> None:
    assert not_its_own(distribution, key) == []


@settings(max_examples=600, deadline=None)
@given(st.sampled_from([PLAIN, WEBSITE]), texts, st.booleans())
@example(PLAIN, "../*", EVERY_SPELLING)
@example(PLAIN, "x/../../*", EVERY_SPELLING)
@example(PLAIN, "..//~", EVERY_SPELLING)
def test_who_may_write_below_one_folder_purges_nobody_elses_by_a_wildcard(
    distribution: Distribution, rest: str, spellings: bool
) -> None:
    paths = planned(distribution, "uploads/" + rest, replace(RULES, spellings=spellings)).paths
    wildcards = [path for path in paths if path.endswith("*")]
    assert all(wildcard.startswith("/uploads/") for wildcard in wildcards)
    assert not any(covers(wildcard, f"/{victim}") for wildcard in wildcards for victim in VICTIMS)


@by_distribution
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_hostile_key_costs_few_paths_and_cloudfront_takes_them(distribution: Distribution, key: str) -> None:
    paths, locations = planned(distribution, key).paths, set(own_locations(distribution, key))
    assert len(paths) <= 8 * len(locations), "four spellings, and those of the location as CloudFront normalises it"
    assert bool(paths) == bool(locations)
    assert all(re.fullmatch(r"/[!-)+-~]*\*?", path) and len(path) <= MAX_PATH_LENGTH for path in paths)


@pytest.mark.parametrize("key", [key for key in KEYS.values() if not DOUBTFUL.search("/" + key)])
def test_a_key_that_is_odd_but_not_doubtful_costs_no_wildcard(key: str) -> None:
    assert planned(PLAIN, key).wildcards == 0


def test_keys_that_begin_with_a_star_are_documented_to_purge_everything() -> None:
    """The bound of such a key is what stands before the star: nothing."""
    assert planned(PLAIN, "*").paths == ("/*",)
    assert planned(PLAIN, "uploads/*").paths == ("/uploads/*",)


@pytest.mark.parametrize("widest", ["/*", "/uploads/*"])
def test_a_storm_of_hostile_keys_is_widened_no_further_than_widest_path(widest: str) -> None:
    budget = Budget(max_exact_paths=5, max_cover_paths=3, max_wildcards=2, widest_path=widest)
    storm = [f"uploads/{number}/{key}" for number, key in enumerate(KEYS.values()) if len(key) < 900]
    made = plan_paths(paths_for(PLAIN, storm, RULES), budget)
    assert made.widened
    assert all(each.path.startswith(widest[:-1]) for each in made.widened)
    outside = [path for path in made.paths if not path.startswith("/uploads/")]
    assert all(not path.endswith("*") for path in outside)


PREFIXES = ("uploads/", "a b/", "x+y/", "m & m/", "ü/", "users/~joe/", "a/b c/ü+/")
SEGMENTS = ("..", ".", "", "a", "b", "%2e%2e", "x y", "~", "*", "%2F..%2F", "..\\..", "index.html", "...")
rests = st.lists(st.sampled_from(SEGMENTS) | texts, min_size=1, max_size=5).map("/".join)


def reaches_outside(path: str, prefix: str) -> bool:
    """Whether a path purges what is neither below the prefix nor the prefix's own index."""
    own = as_s3_reads(next(cuts(f"/{prefix}"), f"/{prefix}"))
    reached = as_s3_reads(unquote(path.removesuffix("*")))
    return not (reached.startswith(own) or (not path.endswith("*") and reached == own.removesuffix("/")))


BUDGETS = st.builds(
    lambda free, widest: Allowance(0, {} if free is None else {"E1": free}, {}).budget("E1", widest),
    st.none() | st.integers(0, MAX_PATHS_OF_BATCH),
    st.sampled_from(["/*", "/uploads/*", "/a/*"]),
)
"""Every budget that a batch of changes may get, whatever the month has had."""


@pytest.mark.parametrize("distribution", [PLAIN, WEBSITE], ids=["plain", "website"])
@pytest.mark.parametrize("prefix", PREFIXES)
@settings(max_examples=40, deadline=None)
@given(st.lists(rests, min_size=1, max_size=80, unique=True), st.sampled_from([None, (), ("/kept.html",)]), BUDGETS)
def test_a_storm_of_keys_below_one_prefix_purges_nothing_outside_it(
    distribution: Distribution, prefix: str, keys: list[str], around: tuple[str, ...] | None, budget: Budget
) -> None:
    """Whatever the cover makes of them, and whether or not it knows what else the bucket holds."""
    paths = paths_for(distribution, [prefix + key for key in keys], RULES)
    made = plan_paths(paths, budget, None if around is None else (lambda: Surroundings(around)))
    assert [path for path in made.paths if reaches_outside(path, prefix)] == []


def test_only_a_folder_that_is_spelled_in_six_ways_needs_more_wildcards_than_a_spent_month_has() -> None:
    """SECURITY.md's exception: a plus, a space, and one of ``&=:@$,;`` in its name."""
    storm = [f"a+b c&d/{one}{other}" for one in "abcdefghij" for other in "uvwxy"]
    paths = list(paths_for(PLAIN, storm, RULES))
    thrifty, ample = plan_paths(paths, Budget()), plan_paths(paths, Budget(30, 30, 15))
    assert [path for path in thrifty.paths if reaches_outside(path, "a+b c&d/")]
    assert [path for path in ample.paths if reaches_outside(path, "a+b c&d/")] == []
    assert all(path.startswith("/a") for path in thrifty.paths)


@pytest.mark.parametrize("letters", ["abcdefghijklmnopqrstuvwxyz", "abc"])
@pytest.mark.parametrize("way", ["..", "./..", "x/../..", "/.."])
def test_many_ways_up_purge_neither_everything_nor_what_they_lead_to(way: str, letters: str) -> None:
    storm = [f"uploads/{way}/{one}{other}" for one in letters for other in "xy"]
    made = plan_paths(paths_for(PLAIN, [*storm, f"uploads/{way}/index.html"], RULES), Budget())
    assert made.paths
    assert all(path.startswith("/uploads/") for path in made.paths)


def test_who_changes_something_outside_as_well_gets_a_cover_of_both() -> None:
    storm = [f"uploads/{number}/x" for number in range(40)]
    honest = [f"news/{number}.html" for number in range(40)]
    made = plan_paths(paths_for(PLAIN, [*storm, *honest], RULES), Budget())
    assert {path.split("/")[1] for path in made.paths} == {"uploads", "news"}
