from __future__ import annotations

import re
import string
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from invalidation.cloudfront.limits import MAX_PATH_LENGTH
from invalidation.cloudfront.paths import (
    count_locations,
    covers,
    encode,
    invalidation_paths,
    narrowed,
    normalised,
    valid_path,
    with_query_strings,
)
from invalidation.cloudfront.tags import tag_items
from invalidation.errors import InvalidRequest
from tests.unit.data import cases, rows

SPELLED = cases("invalidation_paths.json")
BY_HAND = rows("valid_paths.csv")

any_text = st.text(st.characters(codec=None), max_size=40)  # lone surrogates and control characters too
any_location = any_text.map(lambda text: "/" + text)


@pytest.mark.parametrize("case", SPELLED, ids=[ascii(case["location"]) for case in SPELLED])
def test_a_location_is_spelled_as_its_source_says(case: dict[str, Any]) -> None:
    found = invalidation_paths(case["location"])
    assert sorted(found) == sorted(case["paths"])
    assert found[0] == case["paths"][0], "the documented spelling comes first"


@pytest.mark.parametrize("case", SPELLED, ids=[ascii(case["location"]) for case in SPELLED])
def test_with_one_spelling_there_is_the_documented_path_only(case: dict[str, Any]) -> None:
    assert invalidation_paths(case["location"], spellings=False) == (case["paths"][0],)


@settings(deadline=None)
@given(any_location)
@example("/\ud800")
@example("/" + "\ud83d")
def test_any_text_gives_paths_that_cloudfront_accepts(location: str) -> None:
    for path in invalidation_paths(location):
        assert valid_path(path) == path


@settings(deadline=None)
@given(any_location)
def test_the_first_path_reads_back_as_the_location_or_as_its_start(location: str) -> None:
    path = invalidation_paths(location)[0]
    if path.endswith("*"):
        start = unquote(path[:-1])
        assert location.startswith(start)
        assert re.match(r"[*~\x00-\x1f\x7f\ud800-\udfff]|\.\.?(/|\Z)", location[len(start) :]), "cut where it must be"
    else:
        assert unquote(path) == location


@settings(deadline=None)
@given(st.text("ab+ &=%/~?ü", max_size=12).map(lambda text: "/" + text))
def test_all_spellings_of_a_location_count_once(location: str) -> None:
    assert count_locations(invalidation_paths(location)) == 1


def test_locations_that_differ_in_more_than_their_spelling_count_each() -> None:
    assert count_locations(["/a", "/a*", "/a/", "/A", "/%C3%BC", "/u", "/a%2Fb", "/a%3Fb"]) == 8


@settings(deadline=None)
@given(st.text(string.ascii_letters + string.digits + "-_.!'()/", max_size=40).filter(lambda t: "//" not in "/" + t))
def test_a_key_without_special_characters_costs_one_path(text: str) -> None:
    location = "/" + text
    if not re.search(r"/\.\.?(/|\Z)", location):
        assert invalidation_paths(location) == (location,)


@pytest.mark.parametrize("char", ["ü", "日", "𝄞", " ", "a", "+"])
def test_a_path_that_would_be_too_long_is_cut_between_two_characters(char: str) -> None:
    for padding in range(12):
        location = "/" + "x" * padding + char * 4_000
        for path in invalidation_paths(location):
            assert MAX_PATH_LENGTH - 12 < len(path) <= MAX_PATH_LENGTH
            assert path.endswith("*")
            assert valid_path(path) == path
            assert "\ufffd" not in unquote(path), "no UTF-8 sequence is cut in two"


@pytest.mark.parametrize("length", [MAX_PATH_LENGTH - 1, MAX_PATH_LENGTH, MAX_PATH_LENGTH + 1])
def test_the_longest_path_is_the_longest_that_cloudfront_takes(length: int) -> None:
    location = "/" + "x" * (length - 1)
    expected = location if length <= MAX_PATH_LENGTH else location[: MAX_PATH_LENGTH - 1] + "*"
    assert invalidation_paths(location) == (expected,)
    assert invalidation_paths(location + "~")[0] == location[: MAX_PATH_LENGTH - 1] + "*"
    with_all = with_query_strings(expected)
    assert len(with_all) == min(length + 1, MAX_PATH_LENGTH)
    assert with_all.endswith("*")


def test_the_longest_key_of_s3_is_not_cut_even_if_every_byte_is_encoded() -> None:
    key = "ü" * 512
    assert invalidation_paths("/" + key) == ("/" + "%C3%BC" * 512,)


def test_with_query_strings_leaves_a_wildcard_as_it_is() -> None:
    assert with_query_strings("/a*") == "/a*"


@settings(deadline=None)
@given(st.text(max_size=60))
@example("~")
def test_encoding_changes_nothing_that_needs_none(text: str) -> None:
    encoded = encode(text)
    assert unquote(encoded) == text
    assert encode("".join(c for c in text if encode(c) == c)) == "".join(c for c in text if encode(c) == c)
    assert re.fullmatch(r"(?:[!$&'()*+,/0-9:;=@A-Z_a-z.-]|%[0-9A-F]{2})*", encoded)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/a/b", "/a/b"),
        ("/a//b///c", "/a/b/c"),
        ("/a/./b", "/a/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a/../../b", "/b"),
        ("/..", "/"),
        ("/a..b/.c", "/a..b/.c"),
        ("/dir/", "/dir/"),
    ],
)
def test_locations_are_normalised_as_rfc_3986_says(location: str, expected: str) -> None:
    assert normalised(location) == expected


@settings(deadline=None)
@given(any_location)
def test_what_is_normalised_stays_as_it_is(location: str) -> None:
    assert normalised(normalised(location)) == normalised(location)


@pytest.mark.parametrize(
    ("sent", "path", "expected"),
    [
        ("/a", "/a", True),
        ("/a", "/ab", False),
        ("/a*", "/a", True),
        ("/a*", "/ab/c", True),
        ("/a/*", "/a", False),
        ("/a*", "/b", False),
        ("/*", "/", True),
    ],
)
def test_a_wildcard_covers_what_begins_as_it_does(sent: str, path: str, expected: bool) -> None:
    assert covers(sent, path) is expected


@settings(deadline=None)
@given(st.sets(st.text("ab/*", max_size=4).map(lambda text: "/" + text.replace("*", "") + "*" * ("*" in text))))
def test_narrowing_keeps_everything_covered_and_nothing_twice(paths: set[str]) -> None:
    kept = narrowed(paths)
    assert set(kept) <= paths
    assert all(any(covers(each, path) for each in kept) for path in paths)
    assert not any(covers(one, other) for one in kept for other in kept if one != other)


@pytest.mark.parametrize("row", BY_HAND, ids=[row["path"] or "nothing" for row in BY_HAND])
def test_a_path_by_hand_is_accepted_or_told_what_is_wrong(row: dict[str, str]) -> None:
    if not row["problem"]:
        assert valid_path(row["path"]) == row["path"]
        return
    with pytest.raises(InvalidRequest) as refused:
        valid_path(row["path"])
    assert str(refused.value).startswith(repr(row["path"]))
    assert row["problem"] in str(refused.value)
    assert "Accepted are" in str(refused.value)


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        ("/" + "x" * 3_999, True),
        ("/" + "x" * 4_000, False),
        ("#" + "x" * 256, True),
        ("#" + "x" * 257, False),
    ],
)
def test_paths_and_tags_by_hand_have_a_greatest_length(path: str, accepted: bool) -> None:
    if accepted:
        assert valid_path(path) == path
    else:
        with pytest.raises(InvalidRequest, match="characters long, more than"):
            valid_path(path)


def test_a_refusal_names_the_first_characters_of_a_long_path_only() -> None:
    with pytest.raises(InvalidRequest) as refused:
        valid_path("/" + "~" * 3_000)
    assert len(str(refused.value)) < 1_000


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("", ()),
        (" , ,", ()),
        ("product:electronics, category:tv, brand:example", ("#product:electronics", "#category:tv", "#brand:example")),
        ("Blog,blog, BLOG", ("#blog",)),
        ("a b,é,c*,ok", ("#ok",)),
        ("x" * 257, ()),
        ("x" * 256, ("#" + "x" * 256,)),
        (",".join(f"t{n}" for n in range(60)), tuple(f"#t{n}" for n in range(50))),
    ],
    ids=["none", "empty ones", "the documentation's", "any case", "not ASCII", "too long", "longest", "more than 50"],
)
def test_an_object_s_tags_are_those_that_cloudfront_stores(header: str, tags: tuple[str, ...]) -> None:
    assert tag_items(header) == tags
    assert [valid_path(tag) for tag in tags] == list(tags)
