from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invalidation.cloudfront.patterns import PathPattern, matched_forms
from tests.unit.data import rows

PATTERNS = rows("path_patterns.csv")


@pytest.mark.parametrize("row", PATTERNS, ids=[f"{row['pattern']} and {row['location']}" for row in PATTERNS])
def test_a_pattern_matches_as_its_source_says(row: dict[str, str]) -> None:
    pattern, forms = PathPattern(row["pattern"]), matched_forms(row["location"])
    assert (pattern.may_match(forms), pattern.must_match(forms)) == {
        "must": (True, True),
        "may": (True, False),
        "no": (False, False),
    }[row["matches"]]


@settings(deadline=None)
@given(st.text("ab*?/+.", min_size=1, max_size=8), st.text("ab/+ .ü*?~\n", max_size=10))
def test_what_must_match_may_match(pattern: str, text: str) -> None:
    compiled, forms = PathPattern(pattern), matched_forms("/" + text)
    assert compiled.may_match(forms) or not compiled.must_match(forms)


@settings(deadline=None)
@given(st.text("ab*?/+.", min_size=1, max_size=8), st.text("ab/.", max_size=10))
def test_everything_that_matches_begins_with_the_literal_start(pattern: str, text: str) -> None:
    if PathPattern(pattern).may_match(frozenset({"/" + text})):
        assert ("/" + text).startswith(PathPattern(pattern).literal_start)


@pytest.mark.parametrize("text", ["a" * 1_023, "ab ü" * 250], ids=["plain", "with several spellings"])
def test_a_hostile_key_does_not_keep_a_pattern_busy(text: str) -> None:
    pattern, forms = PathPattern("*a*a*a*a*a*a*a*a*b?c"), matched_forms("/" + text)
    started = time.process_time()
    assert not pattern.may_match(forms)
    assert not pattern.must_match(forms)
    assert time.process_time() - started < 1
