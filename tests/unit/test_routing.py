from __future__ import annotations

import json
from typing import Any

import pytest

from invalidation.cloudfront.distribution import Behavior, Distribution, Origin
from invalidation.cloudfront.routing import RouteVerdict, Way, paths_for, served
from invalidation.cloudfront.rules import InvalidateBy, PathRules
from tests.unit.data import cases

ROUTED = cases("routing.json")

PLAIN = Distribution(
    "E1",
    "site",
    origins=(Origin("s3", "site.s3.amazonaws.com"),),
    behaviors=(Behavior("/api/*"), Behavior("*", ("s3",))),
)
TAGGED = Distribution("E2", "site", origins=PLAIN.origins, behaviors=PLAIN.behaviors, tag_header="x-amz-meta-cache-tag")


@pytest.mark.parametrize("case", ROUTED, ids=[case["name"] for case in ROUTED])
def test_routing_as_its_source_says(case: dict[str, Any]) -> None:
    distribution = Distribution.from_document(case["distribution"])
    found = served(distribution, case["key"], PathRules(**case.get("rules", {})))
    assert (found.verdict, list(found.paths)) == (RouteVerdict(case["verdict"]), sorted(case["paths"]))
    assert bool(found) == bool(case["paths"])


@pytest.mark.parametrize("case", ROUTED, ids=[case["name"] for case in ROUTED])
def test_a_document_is_json_and_reads_back_the_same(case: dict[str, Any]) -> None:
    distribution = Distribution.from_document(case["distribution"])
    document = json.loads(json.dumps(distribution.to_document()))
    assert document == case["distribution"], "nothing is written that has its default"
    assert Distribution.from_document(document) == distribution


def test_many_keys_give_what_each_of_them_gives() -> None:
    keys = ["a.css", "api/x", "b c"]
    rules = PathRules()
    assert set(paths_for(PLAIN, keys, rules)) == {path for key in keys for path in served(PLAIN, key, rules).paths}
    assert list(paths_for(PLAIN, ["api/x"], rules)) == []


def test_keys_are_read_as_they_are_needed() -> None:
    def keys() -> Any:
        yield "a"
        raise AssertionError

    assert next(paths_for(PLAIN, keys(), PathRules())) == "/a"


def test_a_route_says_which_origin_behaviour_and_way_it_is() -> None:
    distribution = Distribution(
        "E1",
        "site",
        origins=(Origin("web", "site.s3-website-eu-west-1.amazonaws.com", website=True), Origin("s3", "", path="/x")),
        behaviors=(Behavior("*.html"), Behavior("*", ("web",))),
    )
    routes = served(distribution, "blog/index.html", PathRules()).routes
    assert [(r.origin_id, r.verdict, r.way, r.location, r.pattern, r.paths) for r in routes] == [
        ("web", RouteVerdict.OTHER_ORIGIN, Way.KEY, "/blog/index.html", "*.html", ()),
        ("web", RouteVerdict.SERVED, Way.INDEX_DOCUMENT, "/blog/", "*", ("/blog/",)),
        ("web", RouteVerdict.SERVED, Way.INDEX_DOCUMENT, "/blog", "*", ("/blog",)),
        ("s3", RouteVerdict.OUTSIDE_ORIGIN_PATH, Way.KEY, "", "", ()),
    ]


TAGS = {"post.html": "Blog, post:1", "plain.html": "", "api/x": "never-asked"}


@pytest.mark.parametrize(
    ("invalidate_by", "distribution", "expected"),
    [
        (InvalidateBy.PATHS, TAGGED, ["/post.html", "/plain.html"]),
        (InvalidateBy.TAGS, TAGGED, ["#blog", "#post:1", "/plain.html"]),
        (InvalidateBy.BOTH, TAGGED, ["#blog", "#post:1", "/post.html", "/plain.html"]),
        (InvalidateBy.TAGS, PLAIN, ["/post.html", "/plain.html"]),
    ],
    ids=["paths", "tags where there are any", "both", "tags where the distribution reads none"],
)
def test_tags_stand_in_for_paths_where_rules_and_distribution_have_them(
    invalidate_by: InvalidateBy, distribution: Distribution, expected: list[str]
) -> None:
    asked: list[str] = []

    def tags_of(key: str) -> str:
        asked.append(key)
        return TAGS[key]

    found = list(paths_for(distribution, TAGS, PathRules(invalidate_by=invalidate_by), tags_of))
    assert found == expected
    assert "api/x" not in asked, "an object that is not served is not asked for"
    assert bool(asked) == any(item.startswith("#") for item in expected)


def test_without_anybody_to_ask_tags_fall_back_to_paths() -> None:
    assert list(paths_for(TAGGED, ["post.html"], PathRules(invalidate_by=InvalidateBy.TAGS))) == ["/post.html"]


@pytest.mark.parametrize(
    ("header", "key"),
    [("x-amz-meta-cache-tag", "cache-tag"), ("surrogate-key", ""), ("", "")],
)
def test_only_a_metadata_header_can_be_read_from_the_object(header: str, key: str) -> None:
    assert Distribution("E1", "site", tag_header=header).tag_metadata_key == key
