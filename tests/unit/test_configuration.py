from __future__ import annotations

from typing import Any

import pytest

from invalidation.cloudfront.distribution import (
    MANAGED_CACHE_POLICIES,
    Behavior,
    CachePolicy,
    Distribution,
    Origin,
    Website,
    has_origin,
    outline,
    presumed,
    read_cache_policy,
    read_distribution,
)
from invalidation.cloudfront.routing import served
from invalidation.cloudfront.rules import PathRules
from tests.unit.data import rows

POLICIES = rows("cache_policies.csv")
OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
DEFAULT = {"TargetOriginId": "s3", "CachePolicyId": OPTIMIZED}


def items(*values: Any) -> dict[str, Any]:
    return {"Quantity": len(values), "Items": list(values)}


def origin(domain_name: str = "site.s3.eu-west-1.amazonaws.com", id: str = "s3", path: str = "") -> dict[str, Any]:  # noqa: A002 - as in CloudFront
    return {"Id": id, "DomainName": domain_name, "OriginPath": path}


def config(**settings: Any) -> dict[str, Any]:
    """As little of a DistributionConfig as CloudFront returns."""
    return {
        "Origins": items(origin()),
        "OriginGroups": {"Quantity": 0},
        "DefaultCacheBehavior": DEFAULT,
        "CacheBehaviors": {"Quantity": 0},
        "Enabled": True,
    } | settings


def never_asked(policy_id: str) -> CachePolicy:
    raise AssertionError(policy_id)


def read(named: bool = False, bucket: str = "site", **settings: Any) -> Distribution:
    return read_distribution("E1", bucket, config(**settings), never_asked, named=named)


def test_the_least_configuration_is_read() -> None:
    assert read() == Distribution(
        "E1",
        "site",
        origins=(Origin("s3", "site.s3.eu-west-1.amazonaws.com"),),
        behaviors=(Behavior("*", ("s3",)),),
    )


def test_what_planning_needs_is_read() -> None:
    read_all = read(
        Aliases=items("www.example.com"),
        Enabled=False,
        Staging=True,
        ConnectionMode="tenant-only",
        DefaultRootObject="index.html",
        CacheTagConfig={"HeaderName": "X-Amz-Meta-Cache-Tag"},
    )
    assert read_all.aliases == ("www.example.com",)
    assert not read_all.enabled
    assert read_all.staging
    assert read_all.tenant_only
    assert read_all.default_root_object == "index.html"
    assert read_all.tag_header == "x-amz-meta-cache-tag"


@pytest.mark.parametrize("written", ["/prod", "/prod/", "prod"])
def test_an_origin_path_is_read_however_its_slashes_are(written: str) -> None:
    assert [each.path for each in read(Origins=items(origin(path=written))).origins] == ["/prod"]


def test_an_origin_path_that_may_be_encoded_is_looked_for_both_ways() -> None:
    distribution = read(Origins=items(origin(path="/%C3%BCber")))
    assert served(distribution, "über/a.css", PathRules()).paths == ("/a.css",)
    assert served(distribution, "%C3%BCber/a.css", PathRules()).paths == ("/a.css",)


def test_behaviours_keep_their_order_and_the_default_comes_last() -> None:
    distribution = read(
        Origins=items(origin(), origin("other.s3.amazonaws.com", "elsewhere")),
        CacheBehaviors=items(
            {"PathPattern": "b*", "TargetOriginId": "elsewhere", "CachePolicyId": OPTIMIZED},
            {"PathPattern": "a*", "TargetOriginId": "s3", "CachePolicyId": OPTIMIZED},
        ),
    )
    assert distribution.behaviors == (Behavior("b*"), Behavior("a*", ("s3",)), Behavior("*", ("s3",)))
    assert [each.id for each in distribution.origins] == ["s3"]


@pytest.mark.parametrize("members", [("s3", "elsewhere"), ("elsewhere", "s3")])
def test_either_member_of_an_origin_group_may_answer(members: tuple[str, str]) -> None:
    distribution = read(
        Origins=items(origin(), origin("other.s3.amazonaws.com", "elsewhere")),
        OriginGroups=items({"Id": "group", "Members": items(*({"OriginId": member} for member in members))}),
        DefaultCacheBehavior=DEFAULT | {"TargetOriginId": "group"},
    )
    assert distribution.behaviors == (Behavior("*", ("s3",)),)


@pytest.mark.parametrize(
    ("path", "ours", "paths"),
    [
        ("/site", True, ("/a.css",)),
        ("", True, ("/site/a.css",)),
        ("/site/css", True, ()),
        ("/site-staging", False, ()),
        ("/si", False, ()),
    ],
)
def test_a_path_style_origin_is_the_bucket_that_its_path_names(path: str, ours: bool, paths: tuple[str, ...]) -> None:
    document = config(Origins=items(origin("s3.eu-west-1.amazonaws.com", path=path)))
    distribution = read_distribution("E1", "site", document, never_asked)
    assert has_origin(document, "site") is bool(distribution.origins) is ours
    assert served(distribution, "a.css", PathRules()).paths == paths


@pytest.mark.parametrize("row", POLICIES, ids=[row["name"] for row in POLICIES])
def test_managed_cache_policies_are_known_by_their_id(row: dict[str, str]) -> None:
    distribution = read(DefaultCacheBehavior={"TargetOriginId": "s3", "CachePolicyId": row["id"]})
    assert distribution.behaviors[0].query_strings == (row["query_strings"] != "none")


def test_the_table_of_managed_cache_policies_is_the_documented_one() -> None:
    assert MANAGED_CACHE_POLICIES.keys() == {row["id"] for row in POLICIES}


@pytest.mark.parametrize("answer", [True, False])
def test_a_custom_cache_policy_is_asked_for(answer: bool) -> None:
    asked: list[str] = []

    def cache_policy(policy_id: str) -> CachePolicy:
        asked.append(policy_id)
        return CachePolicy(query_strings=answer)

    document = config(DefaultCacheBehavior={"TargetOriginId": "s3", "CachePolicyId": "custom"})
    distribution = read_distribution("E1", "site", document, cache_policy)
    assert distribution.behaviors[0].query_strings is answer
    assert asked == ["custom"]


@pytest.mark.parametrize(
    ("behavior", "query_strings"), [("none", False), ("whitelist", True), ("allExcept", True), ("all", True)]
)
def test_a_policy_with_any_query_string_in_its_key_caches_them(behavior: str, query_strings: bool) -> None:
    parameters = {"QueryStringsConfig": {"QueryStringBehavior": behavior}}
    policy = {"CachePolicyConfig": {"ParametersInCacheKeyAndForwardedToOrigin": parameters}}
    assert read_cache_policy(policy).query_strings is query_strings


@pytest.mark.parametrize(
    ("settings", "query_strings"),
    [
        ({"ForwardedValues": {"QueryString": True}}, True),
        ({"ForwardedValues": {"QueryString": True, "QueryStringCacheKeys": items("v")}}, True),
        ({"ForwardedValues": {"QueryString": False}}, False),
        ({}, True),
    ],
    ids=["all", "some", "none", "not said, to be safe"],
)
def test_legacy_settings_say_whether_query_strings_are_cached(settings: dict[str, Any], query_strings: bool) -> None:
    distribution = read(DefaultCacheBehavior={"TargetOriginId": "s3"} | settings)
    assert distribution.behaviors[0].query_strings is query_strings


@pytest.mark.parametrize("kind", ["FunctionAssociations", "LambdaFunctionAssociations"])
@pytest.mark.parametrize(
    ("event", "rewrites"),
    [("viewer-request", True), ("origin-request", True), ("viewer-response", False), ("origin-response", False)],
)
def test_a_function_on_requests_may_rewrite_and_one_on_responses_does_not(
    kind: str, event: str, rewrites: bool
) -> None:
    distribution = read(DefaultCacheBehavior=DEFAULT | {kind: items({"EventType": event})})
    assert distribution.behaviors[0].rewrites is rewrites
    assert distribution.behaviors[0].rewrites_late is (event == "origin-request")


@pytest.mark.parametrize(
    ("settings", "pages"),
    [
        ({"ResponsePagePath": "/index.html", "ErrorCachingMinTTL": 300}, ("/index.html",)),
        ({"ResponsePagePath": "/%C3%BC.html", "ErrorCachingMinTTL": 11}, ("/ü.html",)),
        ({"ResponsePagePath": "/404.html?from=edge", "ErrorCachingMinTTL": 11}, ("/404.html",)),
        ({"ResponsePagePath": "/index.html", "ErrorCachingMinTTL": 10}, ()),
        ({"ResponsePagePath": "/index.html"}, ()),
        ({"ErrorCachingMinTTL": 300}, ()),
        ({"ResponsePagePath": "", "ErrorCachingMinTTL": 300}, ()),
    ],
)
def test_error_pages_that_stay_longer_than_an_invalidation_takes_matter(
    settings: dict[str, Any], pages: tuple[str, ...]
) -> None:
    assert read(CustomErrorResponses=items({"ErrorCode": 404} | settings)).error_pages == pages


ALIAS = "reader-abcdef-s3alias.s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("domain_name", [ALIAS, "images.example.com"])
def test_an_origin_with_another_name_is_the_bucket_only_where_somebody_said_so(domain_name: str) -> None:
    assert read(Origins=items(origin(domain_name))).origins == ()
    foreign = domain_name != ALIAS
    assert read(named=True, Origins=items(origin(domain_name))).origins == (Origin("s3", domain_name, foreign=foreign),)


def test_another_bucket_stays_another_bucket_whoever_says_so() -> None:
    assert read(named=True, Origins=items(origin("other.s3.amazonaws.com"))).origins == ()


def test_without_a_bucket_there_are_no_origins() -> None:
    assert read(bucket="", named=True, Origins=items(origin("example.com"))).origins == ()


def test_an_outline_says_what_may_be_the_bucket_under_another_name() -> None:
    summary = config(
        DomainName="d111111abcdef8.cloudfront.net", Origins=items(origin(ALIAS), origin("other.s3.amazonaws.com", "o2"))
    )
    assert outline("E1", "site", summary) == Distribution(
        "E1", "site", domain_name="d111111abcdef8.cloudfront.net", unrecognised=(ALIAS,)
    )


def test_what_does_not_exist_is_presumed_to_serve_every_key() -> None:
    assert served(presumed("E1", "site"), "a.css", PathRules()).paths == ("/a.css",)


ZEROS = {"MinTTL": 0, "DefaultTTL": 0, "MaxTTL": 0}


@pytest.mark.parametrize(
    ("settings", "never"),
    [
        ({"CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"}, True),
        ({"CachePolicyId": OPTIMIZED}, False),
        ({"ForwardedValues": {"QueryString": False, "Headers": items("*")}}, True),
        ({"ForwardedValues": {"QueryString": False, "Headers": items("Origin")}}, False),
        ({"ForwardedValues": {"QueryString": False}} | ZEROS, True),
        ({"ForwardedValues": {"QueryString": False}, "MinTTL": 0, "DefaultTTL": 0}, False),
        ({"ForwardedValues": {"QueryString": False}} | ZEROS | {"MaxTTL": 1}, False),
    ],
)
def test_a_behaviour_that_keeps_nothing_is_known(settings: dict[str, Any], never: bool) -> None:
    assert read(DefaultCacheBehavior={"TargetOriginId": "s3"} | settings).behaviors[0].never_caches is never


@pytest.mark.parametrize(("ttl", "never"), [(ZEROS, True), (ZEROS | {"MaxTTL": 60}, False), ({"MinTTL": 0}, False)])
def test_a_cache_policy_whose_times_to_live_are_all_zero_never_caches(ttl: dict[str, int], never: bool) -> None:
    policy = read_cache_policy({"CachePolicyConfig": ttl})
    assert (policy.never_caches, policy.max_ttl) == (never, ttl.get("MaxTTL", 31_536_000))


def pages(website: Website | None = None, *responses: dict[str, Any]) -> tuple[Any, ...]:
    document = config(
        Origins=items(origin("site.s3-website-eu-west-1.amazonaws.com")), CustomErrorResponses=items(*responses)
    )
    found = read_distribution("E1", "site", document, never_asked, lambda: website)
    return found.error_pages, found.brief_error_pages, found.errors_kept


def error_document(*responses: dict[str, Any]) -> tuple[str, bool]:
    document = config(
        Origins=items(origin("site.s3-website-eu-west-1.amazonaws.com")), CustomErrorResponses=items(*responses)
    )
    found = read_distribution("E1", "site", document, never_asked, lambda: DOCUMENTS)
    return found.website_error, found.website_error_kept


PAGE = {"ErrorCode": 403, "ResponsePagePath": "index.html"}
MISSING = {"ErrorCode": 404, "ErrorCachingMinTTL": 300}
DOCUMENTS = Website("index.html", "404.html")


def test_of_a_page_that_is_kept_for_a_short_time_its_own_max_age_decides() -> None:
    assert pages(None, PAGE) == ((), ("/index.html",), False)
    assert pages(None, PAGE | {"ErrorCachingMinTTL": 11}) == (("/index.html",), (), True)
    assert pages(None, PAGE, PAGE | {"ErrorCode": 404, "ErrorCachingMinTTL": 11}) == (("/index.html",), (), True)


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ([], ("404.html", False)),
        ([MISSING], ("404.html", True)),
        ([MISSING | {"ErrorCode": 403}], ("404.html", True)),
        ([MISSING | {"ErrorCode": 403}, {"ErrorCode": 404, "ErrorCachingMinTTL": 0}], ("404.html", True)),
        ([MISSING | {"ErrorCode": 500}], ("404.html", False)),
        ([MISSING | {"ResponsePagePath": "/gone.html"}], ("404.html", False)),
        ([PAGE, PAGE | {"ErrorCode": 404}], ("", False)),
    ],
)
def test_a_websites_error_document_is_seen_where_the_distribution_has_no_page_for_what_is_missing(
    responses: list[dict[str, Any]], expected: tuple[str, bool]
) -> None:
    assert error_document(*responses) == expected


def test_a_website_without_an_error_document_has_no_error_page() -> None:
    website = config(Origins=items(origin("site.s3-website-eu-west-1.amazonaws.com")))
    found = read_distribution("E1", "site", website, never_asked, lambda: Website("index.html"))
    assert (found.website_error, found.error_pages, found.brief_error_pages) == ("", (), ())


def test_a_websites_own_index_document_is_read_where_an_origin_is_its_endpoint() -> None:
    website = config(Origins=items(origin("site.s3-website-eu-west-1.amazonaws.com")))
    read_it = read_distribution("E1", "site", website, never_asked, lambda: Website("default.html"))
    assert served(read_it, "docs/default.html", PathRules()).paths == ("/docs", "/docs/", "/docs/default.html")

    def not_asked() -> Website:
        raise AssertionError

    assert read_distribution("E1", "site", config(), never_asked, not_asked).website_index == ""


@pytest.mark.parametrize(
    "domain_name", [ALIAS, ALIAS.upper(), "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com"]
)
def test_an_access_point_is_the_bucket_where_s3_says_so(domain_name: str) -> None:
    names = {"reader-abcdef-s3alias", "mfzwi23gnjvgw.mrap"}
    document = config(Origins=items(origin(domain_name)))
    assert has_origin(document, "site", lambda: names)
    assert not has_origin(document, "site", tuple)
    found = read_distribution("E1", "site", document, never_asked, aliases=lambda: names)
    assert [(each.id, each.foreign) for each in found.origins] == [("s3", False)]
    assert outline("E1", "site", document, lambda: names).unrecognised == ()


def test_access_points_are_asked_for_only_where_an_origin_may_be_one() -> None:
    def not_asked() -> tuple[str, ...]:
        raise AssertionError

    for name in ("images.example.com", "site.s3.amazonaws.com", "other.s3.amazonaws.com"):
        has_origin(config(Origins=items(origin(name))), "site", not_asked)
