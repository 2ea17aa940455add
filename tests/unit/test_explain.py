from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from invalidation.cloudfront.distribution import Behavior, Distribution, Origin
from invalidation.cloudfront.explain import explain
from invalidation.cloudfront.limits import price
from invalidation.cloudfront.rules import PathRules

SITE = Distribution(
    "E1",
    "site",
    domain_name="d111111abcdef8.cloudfront.net",
    aliases=("www.example.com",),
    origins=(Origin("s3", "site.s3.eu-west-1.amazonaws.com", path="/prod"),),
    behaviors=(Behavior("/api/*"), Behavior("*", ("s3",))),
    default_root_object="index.html",
)

ORIGIN = "origin s3 (site.s3.eu-west-1.amazonaws.com/prod)"


def test_a_served_key_is_explained_by_origin_behaviour_and_paths() -> None:
    explanation = explain(SITE, "prod/index.html", PathRules())
    assert explanation.sentences == (
        f"Viewers reach it at '/index.html': the default behaviour sends them to {ORIGIN}.",
        f"Viewers reach it at '/', as the default root object: the default behaviour sends them to {ORIGIN}.",
        "Invalidated: / /index.html",
    )


def test_the_document_is_json_and_complete() -> None:
    document = json.loads(json.dumps(explain(SITE, "prod/api/x.json", PathRules()).to_document()))
    because = document.pop("because")
    assert document == {
        "distributionId": "E1",
        "domainName": "d111111abcdef8.cloudfront.net",
        "aliases": ["www.example.com"],
        "bucket": "site",
        "key": "prod/api/x.json",
        "served": False,
        "verdict": "OtherOrigin",
        "paths": [],
        "reasons": {},
        "routes": [
            {
                "origin": "s3",
                "originDomain": "site.s3.eu-west-1.amazonaws.com",
                "originPath": "/prod",
                "viewerPath": "/api/x.json",
                "way": "Key",
                "behavior": "/api/*",
                "verdict": "OtherOrigin",
                "paths": [],
            }
        ],
    }
    assert because == [
        f"Viewers who ask for '/api/x.json' are sent elsewhere than {ORIGIN} by the behaviour /api/*.",
        "Nothing is invalidated for it.",
    ]


WEBSITE = replace(SITE, origins=(replace(SITE.origins[0], website=True),), default_root_object="")


@pytest.mark.parametrize(
    ("distribution", "key", "rules", "sentence"),
    [
        (replace(SITE, enabled=False), "prod/a", PathRules(), "The distribution is disabled: it is skipped."),
        (replace(SITE, staging=True), "prod/a", PathRules(), "It is a staging distribution, with a cache of its own."),
        (SITE, "test/a", PathRules(), "The key 'test/a' is outside OriginPath /prod of origin s3"),
        (Distribution("E1", "site"), "a", PathRules(), "None of its origins is known to be the bucket site."),
        (Distribution("E1", "site", unrecognised=("x.org",)), "a", PathRules(), "add the id to DistributionIds"),
        (WEBSITE, "prod/b/index.html", PathRules(), "at '/b/', as the folder's index document"),
        (
            replace(SITE, behaviors=(Behavior("/api/*", rewrites=True), Behavior("*", ("s3",)))),
            "prod/api/x",
            PathRules(whole_behaviors=True),
            "the edge function of the behaviour /api/* may: invalidated to be safe.",
        ),
        (
            replace(SITE, behaviors=(Behavior("*", ("s3",), rewrites=True),)),
            "prod/a",
            PathRules(),
            "Viewer paths that it turns into this key are not known",
        ),
        (
            replace(SITE, behaviors=(Behavior("*", ("s3",), query_strings=True),)),
            "prod/a",
            PathRules(),
            "Query strings are part of the cache key",
        ),
        (
            replace(SITE, error_pages=("/a",)),
            "prod/a",
            PathRules(),
            "cached under every failing path for longer than 10",
        ),
        (
            replace(SITE, behaviors=(Behavior("*", ("s3",), never_caches=True),)),
            "prod/a",
            PathRules(),
            "never caches: there is nothing to purge",
        ),
        (
            replace(SITE, brief_error_pages=("/a",)),
            "prod/a",
            PathRules(),
            "its max-age could not be read (needs s3:GetObject): kept under every failing path, hence /*",
        ),
        (
            replace(SITE, origins=(Origin("s3", "api.example.com", path="/prod", foreign=True),)),
            "prod/a",
            PathRules(),
            "the key is sent with it and without it",
        ),
        (WEBSITE, "prod/b/index.html", PathRules(), "needs s3:GetBucketWebsite"),
        (
            replace(SITE, behaviors=(Behavior("*", ("s3",), query_strings=True),)),
            "prod/index.html",
            PathRules(),
            "EdgeRewrites=KeysAndRootQueries",
        ),
        (
            replace(SITE, behaviors=(Behavior("*", ("s3",), rewrites=True),)),
            "prod/about.html",
            PathRules(),
            "at '/about', if the edge function there adds what is missing",
        ),
        (replace(SITE, tenant_only=True), "prod/a", PathRules(), "each enabled tenant is invalidated"),
        (replace(SITE, tag_header="x-amz-meta-tag"), "prod/a", PathRules(), "reads cache tags from the header"),
    ],
)
def test_each_reason_has_a_sentence(distribution: Distribution, key: str, rules: PathRules, sentence: str) -> None:
    plain = explain(SITE, "prod/a", PathRules())
    found = explain(distribution, key, rules)
    assert sum(sentence in each for each in found.sentences) == 1
    assert not any(sentence in each for each in plain.sentences), "and only where it is a reason"


def test_what_a_dry_run_would_cost_is_a_price_for_each_path() -> None:
    assert price(0) == 0
    assert price(3_000) == Decimal("15.000")


@pytest.mark.parametrize(
    ("max_age", "paths", "told"),
    [
        (0, ("/a",), "its max-age is 0 s: it leaves the failing paths by itself"),
        (10, ("/a",), "its max-age is 10 s: it leaves the failing paths by itself"),
        (86_400, ("/*",), "its max-age is 86400 s: kept under every failing path, hence /*"),
        (None, ("/*",), "could not be read"),
    ],
)
def test_an_error_page_is_purged_everywhere_by_its_own_max_age(
    max_age: int | None, paths: tuple[str, ...], told: str
) -> None:
    site = replace(SITE, brief_error_pages=("/a",))
    found = explain(site, "prod/a", PathRules(), max_age_of=lambda _key: max_age)
    assert found.sent.paths == paths
    assert sum(told in each for each in found.sentences) == 1


def test_a_page_is_kept_no_longer_than_any_behaviour_allows() -> None:
    site = replace(SITE, brief_error_pages=("/a",), max_ttl=5)
    assert explain(site, "prod/a", PathRules(), max_age_of=lambda _key: 86_400).sent.paths == ("/a",)
