"""What a rule lets through: as a second reading of AWS's rules, the emulator's, has it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ministack.services.eventbridge import _matches_pattern

from invalidation.event_pattern import S3_KINDS, excluded_keys, lets_through, s3_event, without_keys

TEXTS = st.text("ab/*.", min_size=1, max_size=4)
WILDCARDS = st.lists(st.text("ab/.", min_size=1, max_size=2), min_size=1, max_size=3).map("*".join)
COMPARISONS = st.one_of(
    st.fixed_dictionaries({"prefix": TEXTS}),
    st.fixed_dictionaries({"suffix": TEXTS}),
    st.fixed_dictionaries({"equals-ignore-case": TEXTS}),
    st.fixed_dictionaries({"wildcard": WILDCARDS}),
)
CONDITIONS = st.one_of(
    TEXTS,
    COMPARISONS,
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.fixed_dictionaries({"anything-but": st.one_of(TEXTS, st.lists(TEXTS, min_size=1, max_size=3), COMPARISONS)}),
    st.fixed_dictionaries(
        {"anything-but": st.fixed_dictionaries({"wildcard": st.lists(WILDCARDS, min_size=1, max_size=2)})}
    ),
)


def as_the_emulator_has_it(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    told = {"Source": event["source"], "DetailType": event["detail-type"], "Account": event["account"]}
    return bool(_matches_pattern(json.dumps(pattern), told | {"Detail": json.dumps(event["detail"])}))


@given(st.lists(CONDITIONS, min_size=1, max_size=3), st.sampled_from(["site", "other"]), TEXTS)
def test_keys_and_buckets_pass_as_the_emulator_lets_them_pass(conditions: list[Any], bucket: str, key: str) -> None:
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": ["site"]}, "object": {"key": conditions}}}
    event = s3_event("123456789012", bucket, key, "Object Created")
    assert lets_through(pattern, event) is as_the_emulator_has_it(pattern, event)


@pytest.mark.parametrize("field", ["source", "detail-type", "account"])
def test_each_field_of_the_envelope_is_compared(field: str) -> None:
    event = s3_event("123456789012", "site", "a", S3_KINDS[0])
    assert lets_through({field: [event[field]]}, event) is True
    assert lets_through({field: ["another", "x"]}, event) is False
    assert lets_through({field: [event[field]]}, {}) is False


@pytest.mark.parametrize("condition", [{"cidr": "10.0.0.0/8"}, {"numeric": [">", 1]}, {"prefix": {"x": "y"}}, {}])
def test_what_is_not_known_here_is_not_guessed_at(condition: object) -> None:
    pattern = {"detail": {"object": {"key": [condition]}}}
    assert lets_through(pattern, s3_event("1", "site", "a", S3_KINDS[0])) is None
    assert lets_through({"detail": {"object": {"key": [condition, "a"]}}}, s3_event("1", "site", "a", "x")) is True
    assert lets_through({**pattern, "source": ["aws.ec2"]}, s3_event("1", "site", "a", S3_KINDS[0])) is False
    assert lets_through({"$or": []}, {}) is None


def test_what_the_template_leaves_out_is_told_from_what_somebody_wrote() -> None:
    ours = {"detail": {"object": {"key": [{"anything-but": {"wildcard": ["logs/*", "*.tmp"]}}]}}}
    assert excluded_keys(ours) == ["logs/*", "*.tmp"]
    assert excluded_keys({"detail": {}}) == []
    assert excluded_keys({"detail": {"object": {"key": [{"prefix": "a"}]}}}) is None
    assert without_keys(ours) == {"detail": {}}
