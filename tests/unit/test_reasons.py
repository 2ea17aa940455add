from __future__ import annotations

from dataclasses import replace

import pytest

from invalidation.cloudfront.distribution import Behavior, Distribution, Origin
from invalidation.cloudfront.explain import explain
from invalidation.cloudfront.rules import Budget, InvalidateBy, PathRules

SITE = Distribution(
    "E1",
    "site",
    origins=(Origin("s3", "site.s3.amazonaws.com"),),
    behaviors=(Behavior("*", ("s3",)),),
    default_root_object="index.html",
    tag_header="x-amz-meta-cache-tag",
)
FOUND = "where viewers find the key"
SPELLED = "another way to write it in a URL"
COVERS = "covers {} as well"
QUERIES = ", with every query string: they are part of the cache key"
CUT = ", cut before what CloudFront cannot purge as it is: a literal * or ~, or more than 4,000 characters"
REWRITTEN = "an edge function may turn any request there into one for the key (EdgeRewrites)"
ERROR_PAGE = "an error page is cached under every path that fails"
TAG = "a cache tag of the object (InvalidateBy is {})"


def why(
    key: str, rules: PathRules | None = None, distribution: Distribution = SITE, tags: str | None = ""
) -> dict[str, tuple[str, ...]]:
    explained = explain(distribution, key, rules or PathRules(), tags=tags)
    assert tuple(each.item for each in explained.reasons) == explained.sent.paths
    return {each.item: each.because for each in explained.reasons}


def behaving(**options: bool) -> Distribution:
    return replace(SITE, behaviors=(Behavior("*", ("s3",), **options),))


def test_each_way_to_a_key_is_a_reason() -> None:
    assert why("index.html") == {"/": ("the root, whose default object it is",), "/index.html": (FOUND,)}
    found = why("blog/index.html", PathRules(directory_index="index.html"))
    folder = ("the folder whose index document it is",)
    assert found == {"/blog": folder, "/blog/": folder, "/blog/index.html": (FOUND,)}


def test_another_spelling_is_one_only_by_the_parameter() -> None:
    assert why("a b") == {"/a%20b": (FOUND,), "/a+b": (SPELLED,)}
    assert why("a b", PathRules(spellings=False)) == {"/a%20b": (FOUND,)}
    told = "together they count as one change"
    assert [told in " ".join(explain(SITE, key, PathRules()).sentences) for key in ("a b", "index.html")] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("key", "distribution", "expected"),
    [
        ("a", behaving(query_strings=True), {"/a*": (FOUND + QUERIES,)}),
        ("img/a~b", SITE, {"/img/a*": (FOUND + CUT,)}),
        ("404.html", replace(SITE, error_pages=("/404.html",)), {"/*": (ERROR_PAGE, COVERS.format("/404.html"))}),
    ],
)
def test_a_wildcard_says_why_it_is_one_and_what_else_it_covers(
    key: str, distribution: Distribution, expected: dict[str, tuple[str, ...]]
) -> None:
    assert why(key, distribution=distribution) == expected


@pytest.mark.parametrize(("key", "told"), [("img/a~b", True), ("*", False), ("img/a", False)])
def test_a_wildcard_that_neighbours_may_have_to_share_is_told(key: str, told: bool) -> None:
    sentences = " ".join(explain(SITE, key, PathRules()).sentences)
    assert ("no further than the folder that holds them all" in sentences) == told


def test_whole_behaviours_are_there_by_the_parameter() -> None:
    rewriting = behaving(rewrites=True)
    assert why("a", distribution=rewriting) == {"/a": (FOUND,)}
    assert why("a", PathRules(whole_behaviors=True), rewriting) == {"/*": (REWRITTEN, COVERS.format("/a"))}


def test_a_plan_that_may_hold_no_more_paths_says_what_its_wildcard_stands_for() -> None:
    explained = explain(SITE, "index.html", PathRules(), Budget(max_exact_paths=1, max_cover_paths=1))
    (reason,) = explained.reasons
    assert reason.item == "/*"
    assert reason.because[0] == "stands for 2 paths: more than a batch may cost"


@pytest.mark.parametrize(
    ("by", "tags", "items", "told"),
    [
        (InvalidateBy.PATHS, "Blog", ["/a"], "InvalidateBy is Paths: they are not used."),
        (InvalidateBy.TAGS, "Blog, en", ["#blog", "#en"], "instead of its paths: InvalidateBy is Tags."),
        (InvalidateBy.BOTH, "Blog", ["#blog", "/a"], "as well as its paths: InvalidateBy is Both."),
        (InvalidateBy.TAGS, "", ["/a"], "The object has none, or is gone: it is invalidated by path."),
        (InvalidateBy.TAGS, None, ["/a"], "could not be read here"),
        (InvalidateBy.TAGS, ",".join(f"t{n}" for n in range(31)), ["/a"], "too many of them"),
    ],
)
def test_tags_are_named_as_the_parameter_says(by: InvalidateBy, tags: str | None, items: list[str], told: str) -> None:
    rules = PathRules(invalidate_by=by)
    found = why("a", rules, tags=tags)
    assert list(found) == items
    assert all(found[item] == (TAG.format(by),) for item in items if item.startswith("#"))
    assert sum(told in each for each in explain(SITE, "a", rules, tags=tags).sentences) == 1


def test_tags_that_an_edge_function_sets_are_not_the_objects() -> None:
    elsewhere = replace(SITE, tag_header="edge-cache-tag")
    rules = PathRules(invalidate_by=InvalidateBy.TAGS)
    assert "which is no metadata of the object" in " ".join(explain(elsewhere, "a", rules).sentences)


def test_a_key_that_is_not_served_has_nothing_to_give_reasons_for() -> None:
    assert why("a", distribution=replace(SITE, enabled=False)) == {}
