"""What may start an execution: each sample becomes the value it stands for, and anything else is told what is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invalidation.errors import MAX_MESSAGE, InvalidRequest
from invalidation.events import (
    MAX_KEY_BYTES,
    Change,
    Changes,
    Input,
    KeysRequest,
    Lead,
    PathsRequest,
    Rejected,
    RetryBatch,
    parse,
)
from tests.definition import ROOT

SAMPLES = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))}
PUT = SAMPLES["object-created-put"]
ETAG = "b1946ac92492d2347c6235b4d2611184"


def _created(number: int, key: str, **other: Any) -> Changes:
    """The value of a sample: they differ in their number (of the event's id, time and sequencer) and what is given."""
    common: dict[str, Any] = {
        "bucket": "my-site",
        "event_id": f"17793124-05d4-b198-2fde-7ededc63b1{number:02x}",
        "time": f"2026-11-12T09:14:{number:02}Z",
        "requester": "123456789012",
        "source_ip": "203.0.113.7",
        "etag": ETAG,
        "sequencer": f"00617F08299329D18{number + 9:X}",
        "reason": "PutObject",
    }
    return Changes((Change(**{**common, "key": key, **other}),))


def _deleted(number: int, key: str, **other: Any) -> Changes:
    gone = {"deleted": True, "etag": "", "reason": "DeleteObject", "deletion_type": "Permanently Deleted"}
    return _created(number, key, **{**gone, **other})


def _expired(number: int, key: str, **other: Any) -> Changes:
    by_rule = {"requester": "s3.amazonaws.com", "source_ip": "", "reason": "Lifecycle Expiration"}
    return _deleted(number, key, **{**by_rule, **other})


MARKER = {"etag": "d41d8cd98f00b204e9800998ecf8427e", "deletion_type": "Delete Marker Created"}
EXPECTED: dict[str, Input] = {
    "lead": Lead("my-site"),
    "list-of-events": Changes(
        (
            *_created(16, "index.html").changes,
            *_created(17, "style.css").changes,
            *_created(18, "index.html", bucket="my-other-site").changes,
        )
    ),
    "object-created-copy": _created(3, "index.html", reason="CopyObject"),
    "object-created-key-with-percent": _created(8, "reports/100%25 done.html"),
    "object-created-key-with-plus": _created(7, "c++/a+b.html"),
    "object-created-key-with-spaces": _created(6, "about us/our team.html"),
    "object-created-key-with-unicode": _created(9, "über/日本語 🎉.html"),
    "object-created-multipart": _created(
        4, "media/film.mp4", reason="CompleteMultipartUpload", etag="5d41402abc4b2a76b9719d911017c592-9"
    ),
    "object-created-post": _created(2, "uploads/form.html", reason="POST Object"),
    "object-created-put": _created(1, "blog/2026/hello-world.html"),
    "object-created-versioned": _created(5, "index.html", version_id="IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"),
    "object-deleted": _deleted(10, "blog/2026/old-news.html"),
    "object-deleted-delete-marker": _deleted(
        11, "blog/2026/old-news.html", version_id="3HL4kqtJvjVBH40Nrjfkd", **MARKER
    ),
    "object-deleted-lifecycle": _expired(13, "offers/summer.html"),
    "object-deleted-lifecycle-delete-marker": _expired(
        14, "offers/summer.html", version_id="QUpfdndhfd8438MNFDN93jdnJFkdmqnh893", **MARKER
    ),
    "object-deleted-lifecycle-noncurrent": Changes(()),
    "object-deleted-version": _deleted(12, "index.html", version_id="UIORUnfndfhnw89493jJFJ"),
    "request-dry-run": KeysRequest("my-site", ("index.html",), dry_run=True),
    "request-keys": KeysRequest("my-site", ("index.html", "about us/our team.html")),
    "request-paths": PathsRequest("E2QWRUHAPOMQZL", ("/index.html", "/images/*")),
    "retry-batch": RetryBatch("20261112T091401Z-5f2b8c41d0"),
}


def test_there_is_an_expected_value_for_every_sample() -> None:
    assert set(EXPECTED) == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_becomes_the_value_that_it_stands_for(name: str) -> None:
    assert parse(SAMPLES[name]) == EXPECTED[name]


@pytest.mark.parametrize("key", ["a+b", "100%25", "%2B", "a b", "?x=1#y", "/leading", "ü", "日本語", " ", "a//b"])
def test_a_key_stays_raw(key: str) -> None:
    assert _keys(parse(_changed(PUT, ("detail", "object", "key"), key))) == [key]


def test_an_event_from_the_buffered_intake_is_the_event_in_its_body() -> None:
    assert parse([{"body": PUT}, {"body": SAMPLES["object-deleted"]}]) == parse([PUT, SAMPLES["object-deleted"]])


def test_an_event_from_the_buffered_intake_is_the_same_when_its_body_arrives_as_text() -> None:
    assert parse([{"body": json.dumps(PUT)}, {"body": PUT}]) == parse([PUT, PUT])


def test_an_s3_event_that_changes_no_content_is_no_change() -> None:
    assert parse({**PUT, "detail-type": "Object Tags Added"}) == Changes(())


def test_what_is_asked_for_twice_is_asked_for_once() -> None:
    assert parse({"bucket": "my-site", "keys": ["b", "a", "b"]}) == KeysRequest("my-site", ("b", "a"))
    assert parse({"distributionId": "E12345", "paths": ["/b", "/b"]}) == PathsRequest("E12345", ("/b",))


@pytest.mark.parametrize("field", ["version-id", "sequencer", "etag"])
def test_what_an_event_may_leave_out_it_may_leave_out(field: str) -> None:
    event = copy.deepcopy(PUT)
    event["detail"]["object"].pop(field, None)
    assert _keys(parse(event)) == ["blog/2026/hello-world.html"]


def _changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    node = changed
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return changed


def _without(document: Any, path: tuple[Any, ...]) -> Any:
    changed = copy.deepcopy(document)
    node = changed
    for step in path[:-1]:
        node = node[step]
    del node[path[-1]]
    return changed


def _keys(wanted: Input) -> list[str]:
    assert isinstance(wanted, Changes)
    return [change.key for change in wanted.changes]


KEYS, PATHS = SAMPLES["request-keys"], SAMPLES["request-paths"]
NAME, KEY = ("detail", "bucket", "name"), ("detail", "object", "key")
HUGE = "k" * 262_144
BAD: dict[str, tuple[object, str]] = {
    # what it is altogether
    "nothing": (None, "the input is missing or null"),
    "a number": (7, "the input is a number"),
    "a text": ("index.html", "the input is a string"),
    "a truth": (True, "the input is true or false"),
    "an empty object": ({}, "none of the fields that say what it is (found: none)"),
    "an empty list": ([], "the list of events is empty"),
    "nonsense": ({"foo": {"bar": [1]}}, "(found: 'foo')"),
    "deep nonsense": (json.loads("[" * 200 + "]" * 200), "the event is a list"),
    "a list of numbers": ([1, 2], "event 1 of 2: the event is a number"),
    "S3's own notification": ({"Records": [{"eventSource": "aws:s3"}]}, "(found: 'Records')"),
    # events
    "another source": (_changed(PUT, ("source",), "aws.ec2"), "source is 'aws.ec2', not 'aws.s3'"),
    "no source": (_without(PUT, ("source",)), "source is missing or null"),
    "no kind": (_without(PUT, ("detail-type",)), "detail-type is missing or null"),
    "no id": (_without(PUT, ("id",)), "id is missing or null"),
    "an empty id": (_changed(PUT, ("id",), ""), "id is empty"),
    "a huge id": (_changed(PUT, ("id",), HUGE), "id is longer than the 1024 bytes"),
    "no detail": (_without(PUT, ("detail",)), "detail is missing or null"),
    "a detail that is text": (_changed(PUT, ("detail",), "x"), "detail is a string, not an object"),
    "no bucket": (_without(PUT, ("detail", "bucket")), "detail.bucket is missing or null"),
    "no bucket name": (_without(PUT, NAME), "detail.bucket.name is missing or null"),
    "an empty bucket name": (_changed(PUT, NAME, ""), "detail.bucket.name is '', not a bucket name"),
    "a bucket name that is a path": (_changed(PUT, NAME, "a/b/c"), "detail.bucket.name is 'a/b/c'"),
    "a bucket name that is a list": (_changed(PUT, NAME, ["my-site"]), "detail.bucket.name is a list"),
    "no object": (_without(PUT, ("detail", "object")), "detail.object is missing or null"),
    "no key": (_without(PUT, KEY), "detail.object.key is missing or null"),
    "an empty key": (_changed(PUT, KEY, ""), "detail.object.key is empty"),
    "a key that is a number": (_changed(PUT, KEY, 7), "detail.object.key is a number, not an object key"),
    "a huge key": (_changed(PUT, KEY, HUGE), "detail.object.key is longer than the 1024 bytes"),
    "half a surrogate pair": (_changed(PUT, KEY, "a\ud800b"), "detail.object.key has half of a surrogate pair"),
    "a requester that is a list": (_changed(PUT, ("detail", "requester"), []), "detail.requester is empty"),
    "a huge requester": (_changed(PUT, ("detail", "requester"), HUGE), "detail.requester is longer"),
    "a version that is a number": (_changed(PUT, ("detail", "object", "version-id"), 1), "version-id is a number"),
    "a body that is text": ([{"body": "not JSON"}], "body is text and no JSON: 'not JSON'"),
    "a body that is a text of a list": ([{"body": "[]"}], "body is empty, not an object"),
    "a body that nests without end": ([{"body": "[" * 100_000}], "body is text and no JSON"),
    # requests
    "keys without a bucket": (_without(KEYS, ("bucket",)), "bucket is missing or null"),
    "a bucket without keys": (_without(KEYS, ("keys",)), "keys is missing or null"),
    "no keys": (_changed(KEYS, ("keys",), []), "keys is empty"),
    "a key for keys": (_changed(KEYS, ("keys",), "index.html"), "keys is a string, not a list"),
    "one wrong key": (_changed(KEYS, ("keys", 1), None), "keys[1] is missing or null"),
    "one huge key": (_changed(KEYS, ("keys", 1), HUGE), "keys[1] is longer than the 1024 bytes"),
    "a dry run that is text": ({**KEYS, "dryRun": "yes"}, "dryRun is 'yes', neither true nor false"),
    "a mistyped field": ({**KEYS, "dryrun": True}, "unknown field 'dryrun'; accepted here are bucket, dryRun, keys"),
    "two requests in one": ({**KEYS, **PATHS}, "unknown field 'bucket', 'keys'"),
    "paths without a distribution": (_without(PATHS, ("distributionId",)), "distributionId is missing or null"),
    "a distribution's domain name": (
        {**PATHS, "distributionId": "d111111abcdef8.cloudfront.net"},
        "distributionId is 'd111111abcdef8.cloudfront.net', not a distribution id",
    ),
    "a path without a slash": (_changed(PATHS, ("paths", 0), "index.html"), "paths[0]: 'index.html' is not"),
    "a wildcard in the middle": (_changed(PATHS, ("paths", 1), "/a*b"), "paths[1]: '/a*b' is not"),
    "a path that is a number": (_changed(PATHS, ("paths", 0), 1), "paths[0] is a number"),
    "no paths": (_changed(PATHS, ("paths",), []), "paths is empty"),
    "a huge path": (_changed(PATHS, ("paths", 0), "/" + HUGE), "paths[0]: "),
    "a lead without a bucket": ({"lead": None}, "lead is missing or null, not a bucket name"),
    "a lead with more": ({"lead": "my-site", "keys": ["a"]}, "unknown field 'keys'; accepted here are lead"),
    "a retry of no batch id": ({"retryBatch": "latest"}, "retryBatch is 'latest', not a batch id"),
    "a retry of a list": ({"retryBatch": ["20261112T091401Z-5f2b8c41d0"]}, "retryBatch is a list"),
}


@pytest.mark.parametrize(("document", "told"), BAD.values(), ids=BAD)
def test_bad_input_is_an_invalid_request_that_names_the_field(document: object, told: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse(document)
    assert told in str(raised.value)


@pytest.mark.parametrize("document", [document for document, _ in BAD.values()], ids=BAD)
def test_the_message_never_repeats_the_whole_input(document: object) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse(document)
    assert len(str(raised.value)) <= MAX_MESSAGE
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize("document", [None, {}, [], {"foo": 1}, _changed(PUT, ("source",), "x")])
def test_who_sent_something_else_is_told_what_is_accepted(document: object) -> None:
    with pytest.raises(InvalidRequest, match="accepted are an S3 event from EventBridge"):
        parse(document)


def test_a_key_of_1024_bytes_is_accepted_and_one_more_is_not() -> None:
    longest = "é" * (MAX_KEY_BYTES // 2)
    assert _keys(parse(_changed(PUT, KEY, longest))) == [longest]
    with pytest.raises(InvalidRequest, match="longer than the 1024 bytes"):
        parse(_changed(PUT, KEY, longest + "x"))


def test_one_wrong_event_of_a_list_is_told_and_the_others_are_kept() -> None:
    parsed = parse([PUT, _changed(PUT, ("source",), "aws.ec2"), SAMPLES["object-deleted"], 7])
    assert isinstance(parsed, Changes)
    assert _keys(parsed) == ["blog/2026/hello-world.html", "blog/2026/old-news.html"]
    assert [each.position for each in parsed.rejected] == [1, 3]
    assert parsed.rejected[0].message.startswith("event 2 of 4: source is 'aws.ec2'")
    assert parsed.rejected[1] == Rejected(3, parsed.rejected[1].message)


def test_a_list_in_which_everything_is_wrong_is_rejected_as_a_whole() -> None:
    with pytest.raises(InvalidRequest, match="event 1 of 2: the event is a number"):
        parse([1, 2])


def _paths_of(document: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value of a document stands."""
    children = document.items() if isinstance(document, dict) else enumerate(document)
    for step, value in children:
        yield (*so_far, step)
        if isinstance(value, dict | list):
            yield from _paths_of(value, (*so_far, step))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def mutated_samples(draw: st.DrawFn) -> Any:
    """A sample with one to three of its values replaced, taken out, or put somewhere else."""
    document = copy.deepcopy(draw(st.sampled_from(list(SAMPLES.values()))))
    for _ in range(draw(st.integers(1, 3))):
        paths = list(_paths_of(document))
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        document = _without(document, path) if draw(st.booleans()) else _changed(document, path, draw(json_values))
    return document


@settings(deadline=None)
@given(mutated_samples() | json_values)
def test_whatever_comes_is_accepted_or_an_invalid_request(document: Any) -> None:
    try:
        parsed = parse(document)
    except InvalidRequest:
        return
    assert isinstance(parsed, Changes | KeysRequest | PathsRequest | Lead | RetryBatch)
    if isinstance(parsed, Changes):
        assert all(change.bucket and change.key and change.event_id for change in parsed.changes)


# ---------------------------------------------------------------- buckets that nobody watches

STRANGER = {**PUT, "detail": {**PUT["detail"], "bucket": {"name": "made-up"}}}


def test_an_event_of_a_bucket_that_is_not_watched_is_rejected() -> None:
    with pytest.raises(InvalidRequest, match="'made-up', which this stack does not watch: add it to BucketNames"):
        parse(STRANGER, ["my-site"])
    assert isinstance(parse(PUT, ["my-site"]), Changes)


def test_in_a_list_only_the_events_of_strangers_are_rejected() -> None:
    parsed = parse([STRANGER, PUT, STRANGER], ["my-site"])
    assert isinstance(parsed, Changes)
    assert [change.bucket for change in parsed.changes] == ["my-site"]
    assert [each.position for each in parsed.rejected] == [0, 2]


def test_a_request_for_a_bucket_that_is_not_watched_has_to_say_so() -> None:
    wanted = {"bucket": "elsewhere", "keys": ["a"]}
    with pytest.raises(InvalidRequest, match='"unwatched": true'):
        parse(wanted, ["my-site"])
    assert parse({**wanted, "unwatched": True}, ["my-site"]) == KeysRequest("elsewhere", ("a",), unwatched=True)
    with pytest.raises(InvalidRequest, match="unwatched is 'yes', neither true nor false"):
        parse({**wanted, "unwatched": "yes"}, ["my-site"])


@pytest.mark.parametrize("wanted", [{"lead": "made-up"}, {"retryBatch": "20261123T062719Z-0123456789"}])
def test_the_sweeps_own_orders_are_of_any_bucket(wanted: dict[str, Any]) -> None:
    """What waits is finished, also in a bucket that has left the list."""
    assert isinstance(parse(wanted, ["my-site"]), Lead | RetryBatch)
