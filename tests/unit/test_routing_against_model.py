"""Property tests: whatever the model of CloudFront serves from the bucket, the planned paths purge."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from invalidation.cloudfront.distribution import UNREADABLE_POLICY, Distribution, Website, read_distribution
from invalidation.cloudfront.routing import served
from invalidation.cloudfront.rules import PathRules
from tests.cloudfront_model import (
    Answer,
    CacheBehavior,
    Edge,
    Reading,
    S3Origin,
    answers,
    api_document,
    error_pages,
    purged,
)

pytestmark = pytest.mark.slow

BUCKET = "site"
ELSEWHERE = "other"
INDEX = "index.html"

SEGMENTS = [
    *["a", "b", "A", "static", "img", INDEX, "x.jpg", "y.html", "..", ".", ""],
    *[
        "ü",
        "日本",
        "a b",
        "a+b",
        "c=d&e",
        "1%",
        "q?",
        "#",
        "~t",
        "s*r",
        "[id]",
        "p (1)",
        "l@2x.png",
        'q"',
        "a\tb",
        "é~",
    ],
]
PATTERN_PIECES = ["*", "?", "/", "a", "b", "static", "img", ".jpg", ".html", "+", "@", "=", "index", "t", "2", "C3"]
PATHS = ["", "/a", "/static/img", "/a b"]

segments = st.one_of(st.sampled_from(SEGMENTS), st.text(string.ascii_letters + "+ %~*ß[", min_size=1, max_size=4))
locations = st.lists(segments, max_size=4).map(lambda found: "/" + "/".join(found))
patterns = (
    st.lists(st.sampled_from(PATTERN_PIECES), min_size=1, max_size=5)
    .map("".join)
    .map(lambda p: "/*" if p == "*" else p)
)


def add_index(uri: str) -> str:
    if uri.endswith("/"):
        return uri + INDEX
    return uri if "." in uri.rsplit("/", 1)[-1] else f"{uri}/{INDEX}"


def add_html(uri: str) -> str:
    return uri if uri.endswith("/") or "." in uri.rsplit("/", 1)[-1] else f"{uri}.html"


@st.composite
def edges(
    draw: st.DrawFn,
    functions: tuple[Callable[[str], str], ...] = (),
    query_strings: bool = True,
    websites: tuple[str, ...] = ("", "", INDEX),
    hosts: tuple[str, ...] = ("",),
) -> Edge:
    def origin(number: int) -> S3Origin:
        host = draw(st.sampled_from(hosts))
        return S3Origin(
            id=f"o{number}",
            bucket=BUCKET if host else draw(st.sampled_from([BUCKET, BUCKET, ELSEWHERE])),
            path=draw(st.sampled_from(PATHS)),
            website_index="" if functions else draw(st.sampled_from(websites)),
            host=host,
            stage=bool(host) and draw(st.booleans()),
        )

    origins = tuple(map(origin, range(draw(st.integers(1, 3)))))
    ids = [origin.id for origin in origins]
    targets = st.sampled_from([*ids, "group"])
    members = tuple(draw(st.lists(st.sampled_from(ids), min_size=2, max_size=2)))
    function = st.sampled_from([None, *functions])
    at = st.sampled_from(["viewer-request", "origin-request"])
    never = st.sampled_from([False, False, True])
    queries_in_key = st.booleans() if query_strings else st.just(False)
    listed = [
        CacheBehavior(draw(patterns), draw(targets), draw(queries_in_key), draw(function), draw(at), draw(never))
        for _ in range(draw(st.integers(0, 4)))
    ]
    default = CacheBehavior("*", draw(targets), draw(queries_in_key), draw(function), draw(at), draw(never))
    root = draw(st.sampled_from(["", INDEX, "a/b", "ü.html"]))
    kept = draw(st.sampled_from([1, 10, 300]))
    open_to_both = (draw(st.booleans()), draw(st.booleans()))
    return Edge(origins, (*listed, default), {"group": members}, root, *open_to_both, error_seconds=kept)


def as_browsers_do(location: str) -> str:
    return quote(location, safe="/+&=:@$,;!'()*~[]|^", errors="surrogatepass")


def as_encode_uri_component(location: str) -> str:
    return quote(location, safe="/!'()*~")


def as_forms(location: str) -> str:
    return as_encode_uri_component(location).replace("%20", "+")


@st.composite
def any_spelling(draw: st.DrawFn, location: str) -> str:
    def spelled(char: str) -> str:
        encoded = "".join(f"%{byte:02X}" for byte in char.encode())
        raw = char in string.ascii_letters + string.digits + "-._~/!'()*+&=:@$,;[]|^"
        return char if char == "/" or (raw and draw(st.booleans())) else encoded

    return "".join(map(spelled, location))


def domain_of(origin: S3Origin) -> str:
    return origin.host or (
        f"{origin.bucket}.s3-website-eu-west-1.amazonaws.com"
        if origin.website_index
        else f"{origin.bucket}.s3.amazonaws.com"
    )


def as_planned_for(edge: Edge) -> Distribution:
    indexes = {each.website_index for each in edge.origins if each.bucket == BUCKET} - {""}
    error = max((each.website_error for each in edge.origins), default="")
    website = Website(min(indexes), error) if indexes else None
    named = any(each.host for each in edge.origins)
    document = api_document(edge, domain_of)
    return read_distribution("E1", BUCKET, document, lambda _policy: UNREADABLE_POLICY, lambda: website, named=named)


def mixes_plus_and_triplet(uri: str) -> bool:
    """Whether one URL spells a space in two ways, which no software does."""
    return "+" in uri and "%20" in uri


def not_purged(
    edge: Edge, found: list[Answer], rules: PathRules, reading: Reading
) -> list[tuple[Answer, tuple[str, ...]]]:
    distribution = as_planned_for(edge)
    left = []
    for answer in found:
        if answer.bucket == BUCKET:
            planned = served(distribution, answer.key, rules).paths
            if not any(purged(path, answer.cached_uri, reading) for path in planned):
                left.append((answer, planned))
    return left


queries = st.sampled_from(["", "v=1", "a=b&c=d"])


@settings(max_examples=250, deadline=None)
@given(edge=edges(), location=locations, query=queries, data=st.data())
def test_what_the_edge_serves_from_the_bucket_is_purged_however_the_viewer_spelled_it(
    edge: Edge, location: str, query: str, data: st.DataObject
) -> None:
    uri = data.draw(any_spelling(location))
    assume(not mixes_plus_and_triplet(uri))
    found = answers(edge, uri, query)
    event(f"served from the bucket: {any(each.bucket == BUCKET for each in found)}")
    assert not_purged(edge, found, PathRules(), Reading.ONE_SPELLING) == []


@settings(max_examples=250, deadline=None)
@given(
    edge=edges(),
    location=locations,
    query=queries,
    spell=st.sampled_from([as_browsers_do, as_encode_uri_component, as_forms]),
)
def test_it_is_purged_even_if_an_invalidation_only_finds_the_viewers_own_spelling(
    edge: Edge, location: str, query: str, spell: Callable[[str], str]
) -> None:
    uri = spell(location)
    assume(not mixes_plus_and_triplet(uri))
    found = answers(edge, uri, query)
    assert not_purged(edge, found, PathRules(), Reading.VIEWERS_SPELLING) == []


@settings(max_examples=250, deadline=None)
@given(edge=edges(functions=(add_index,)), location=locations, query=queries)
def test_with_a_directory_index_what_an_index_function_serves_is_purged_under_both_uris(
    edge: Edge, location: str, query: str
) -> None:
    assume(not mixes_plus_and_triplet(as_browsers_do(location)))
    found = answers(edge, as_browsers_do(location), query)
    assert not_purged(edge, found, PathRules(directory_index=INDEX), Reading.ONE_SPELLING) == []


@settings(max_examples=250, deadline=None)
@given(edge=edges(functions=(add_index, add_html)), location=locations, query=queries)
def test_what_the_usual_functions_serve_is_purged_without_a_parameter(edge: Edge, location: str, query: str) -> None:
    uri = as_browsers_do(location)
    assume(not mixes_plus_and_triplet(uri))
    assert not_purged(edge, answers(edge, uri, query), PathRules(), Reading.ONE_SPELLING) == []


@settings(max_examples=200, deadline=None)
@given(edge=edges(websites=("", "default.html")), location=locations)
def test_a_websites_own_index_document_is_purged_with_its_folder(edge: Edge, location: str) -> None:
    uri = as_browsers_do(location)
    assume(not mixes_plus_and_triplet(uri))
    assert not_purged(edge, answers(edge, uri), PathRules(), Reading.ONE_SPELLING) == []


@settings(max_examples=200, deadline=None)
@given(edge=edges(websites=("",), hosts=("", "abc.execute-api.eu-west-1.amazonaws.com")), location=locations)
def test_a_host_that_is_not_s3_is_purged_whatever_it_makes_of_its_path(edge: Edge, location: str) -> None:
    uri = as_browsers_do(location)
    assume(not mixes_plus_and_triplet(uri))
    assert not_purged(edge, answers(edge, uri), PathRules(), Reading.ONE_SPELLING) == []


@settings(max_examples=200, deadline=None)
@given(
    kept=st.integers(0, 20),
    max_age=st.one_of(st.none(), st.integers(0, 20)),
    page=st.sampled_from(["/404.html", "404.html"]),
    failing=locations,
)
def test_an_error_page_is_purged_under_every_path_exactly_where_it_is_kept_for_longer_than_ten_seconds(
    kept: int, max_age: int | None, page: str, failing: str
) -> None:
    edge = Edge((S3Origin("o", BUCKET),), (CacheBehavior("*", "o"),), error_page=page, error_seconds=kept)
    planned = served(as_planned_for(edge), "404.html", PathRules(), lambda _key: max_age).paths
    uri = as_browsers_do(failing)
    assume(uri != "/404.html")
    assert any(purged(path, uri, Reading.ONE_SPELLING) for path in planned) is (
        max(kept, 99 if max_age is None else max_age) > 10
    )


@st.composite
def with_error_pages(draw: st.DrawFn) -> Edge:
    """Two origins, the website's error document or one of the distribution's own, and behaviours that tell it apart."""
    page = draw(st.sampled_from(["", "/404.html", "/errors/404.html"]))
    document = draw(st.sampled_from(["404.html", "errors/404.html"]))
    website = S3Origin("site", BUCKET, draw(st.sampled_from(["", "/a"])), draw(st.sampled_from(["", INDEX])))
    origins = (replace(website, website_error=document if website.website_index else ""), S3Origin("other", ELSEWHERE))
    listed = [
        CacheBehavior(pattern, draw(st.sampled_from(["site", "other"])), never_caches=draw(st.booleans()))
        for pattern in draw(st.lists(st.sampled_from(["*.html", "/errors/*", "404*"]), max_size=2))
    ]
    default = CacheBehavior("*", draw(st.sampled_from(["site", "site", "other"])), never_caches=draw(st.booleans()))
    return Edge(origins, (*listed, default), error_page=page, error_seconds=draw(st.sampled_from([1, 10, 300])))


@settings(max_examples=250, deadline=None)
@given(with_error_pages(), st.sampled_from([0, 10, 11]), st.sampled_from(["/x", "/x.html", "/errors/x", "/404.jpg"]))
def test_an_error_page_of_the_bucket_is_purged_wherever_it_is_shown(edge: Edge, max_age: int, failing: str) -> None:
    found = [each for each in error_pages(edge, failing, max_age) if each.bucket == BUCKET]
    event(f"shown from the bucket: {bool(found)}")
    for shown in found:
        planned = served(as_planned_for(edge), shown.key, PathRules(), lambda _key: max_age).paths
        assert any(purged(path, failing, Reading.ONE_SPELLING) for path in planned)


def in_english(uri: str) -> str:
    return "/en" + uri


@settings(max_examples=250, deadline=None)
@given(edge=edges(), location=locations, which=st.integers(0, 4))
def test_with_whole_behaviors_even_a_rewrite_that_nobody_can_guess_is_purged(
    edge: Edge, location: str, which: int
) -> None:
    behaviors = [
        replace(each, function=in_english if number == which else None) for number, each in enumerate(edge.behaviors)
    ]
    rewriting = replace(edge, behaviors=tuple(behaviors))
    assume(not mixes_plus_and_triplet(as_browsers_do(location)))
    found = answers(rewriting, as_browsers_do(location))
    assert not_purged(rewriting, found, PathRules(whole_behaviors=True), Reading.ONE_SPELLING) == []


@settings(max_examples=250, deadline=None)
@given(
    edge=edges(query_strings=False),
    segments=st.lists(st.sampled_from(["a", "b", "static", "img", "x.jpg", "y.html", INDEX]), min_size=1),
)
def test_for_a_plain_key_every_path_without_a_wildcard_is_one_that_the_edge_serves_it_under(
    edge: Edge, segments: list[str]
) -> None:
    key = "/".join(segments)
    exact = [path for path in served(as_planned_for(edge), key, PathRules()).paths if not path.endswith("*")]
    event(f"costs something: {bool(exact)}")
    for path in exact:
        readings = [
            replace(edge, root_object_chooses=chooses, patterns_see_slash=see)
            for chooses in (True, False)
            for see in (True, False)
        ]
        assert any(Answer(BUCKET, key, path) in answers(each, path) for each in readings)
