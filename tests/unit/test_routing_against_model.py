"""Property tests: whatever the model of CloudFront serves from the bucket, the planned paths purge."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from invalidation.cloudfront.distribution import UNREADABLE_POLICY, Distribution, read_distribution
from invalidation.cloudfront.routing import PathRules, served
from tests.cloudfront_model import (
    Answer,
    CacheBehavior,
    Edge,
    Reading,
    S3Origin,
    answers,
    api_document,
    purged,
)

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


@st.composite
def edges(draw: st.DrawFn, functions: bool = False, query_strings: bool = True) -> Edge:
    origins = tuple(
        S3Origin(
            id=f"o{number}",
            bucket=draw(st.sampled_from([BUCKET, BUCKET, ELSEWHERE])),
            path=draw(st.sampled_from(PATHS)),
            website_index="" if functions else draw(st.sampled_from(["", "", INDEX])),
        )
        for number in range(draw(st.integers(1, 3)))
    )
    ids = [origin.id for origin in origins]
    targets = st.sampled_from([*ids, "group"])
    members = tuple(draw(st.lists(st.sampled_from(ids), min_size=2, max_size=2)))
    function = st.sampled_from([None, add_index]) if functions else st.none()
    queries_in_key = st.booleans() if query_strings else st.just(False)
    listed = [
        CacheBehavior(draw(patterns), draw(targets), draw(queries_in_key), draw(function))
        for _ in range(draw(st.integers(0, 4)))
    ]
    default = CacheBehavior("*", draw(targets), draw(queries_in_key), draw(function))
    root = draw(st.sampled_from(["", INDEX, "a/b", "ü.html"]))
    return Edge(origins, (*listed, default), {"group": members}, root, draw(st.booleans()), draw(st.booleans()))


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
    return (
        f"{origin.bucket}.s3-website-eu-west-1.amazonaws.com"
        if origin.website_index
        else f"{origin.bucket}.s3.amazonaws.com"
    )


def as_planned_for(edge: Edge) -> Distribution:
    return read_distribution("E1", BUCKET, api_document(edge, domain_of), lambda _policy: UNREADABLE_POLICY)


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


@settings(max_examples=400, deadline=None)
@given(edge=edges(), location=locations, query=queries, data=st.data())
def test_what_the_edge_serves_from_the_bucket_is_purged_however_the_viewer_spelled_it(
    edge: Edge, location: str, query: str, data: st.DataObject
) -> None:
    uri = data.draw(any_spelling(location))
    assume(not mixes_plus_and_triplet(uri))
    found = answers(edge, uri, query)
    event(f"served from the bucket: {any(each.bucket == BUCKET for each in found)}")
    assert not_purged(edge, found, PathRules(), Reading.ONE_SPELLING) == []


@settings(max_examples=400, deadline=None)
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


@settings(max_examples=400, deadline=None)
@given(edge=edges(functions=True), location=locations, query=queries)
def test_with_a_directory_index_what_an_index_function_serves_is_purged_under_both_uris(
    edge: Edge, location: str, query: str
) -> None:
    assume(not mixes_plus_and_triplet(as_browsers_do(location)))
    found = answers(edge, as_browsers_do(location), query)
    assert not_purged(edge, found, PathRules(directory_index=INDEX), Reading.ONE_SPELLING) == []


def in_english(uri: str) -> str:
    return "/en" + uri


@settings(max_examples=400, deadline=None)
@given(edge=edges(), location=locations, which=st.integers(0, 4))
def test_with_whole_behaviors_even_a_rewrite_that_nobody_can_guess_is_purged(
    edge: Edge, location: str, which: int
) -> None:
    behaviors = [
        CacheBehavior(each.pattern, each.target, each.query_strings, in_english if number == which else None)
        for number, each in enumerate(edge.behaviors)
    ]
    rewriting = replace(edge, behaviors=tuple(behaviors))
    assume(not mixes_plus_and_triplet(as_browsers_do(location)))
    found = answers(rewriting, as_browsers_do(location))
    assert not_purged(rewriting, found, PathRules(whole_behaviors=True), Reading.ONE_SPELLING) == []


@settings(max_examples=400, deadline=None)
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
