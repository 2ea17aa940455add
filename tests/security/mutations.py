"""Samples of what the state machine accepts, put out of shape; and what fixes them, by the refusal's words alone."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from tests.definition import ROOT

SECRET = "AKIAIOSFODNN7EXAMPLE/wJalrXUtnFEMI"
"""Stands where a message has nothing to look for: in fields that are not read, and in ones that are right."""
SAMPLES = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))}

Place = tuple[Any, ...]


def with_secrets(document: Any) -> Any:
    """A sample with a secret in each of its events, where it does no harm."""
    changed = copy.deepcopy(document)
    for event in changed if isinstance(changed, list) else [changed]:
        if "detail" in event:
            event |= {"account": SECRET, "resources": [SECRET]}
            event["detail"] |= {"request-id": SECRET, "requester": SECRET}
    return changed


def places(document: Any, so_far: Place = ()) -> Iterator[Place]:
    """Where every value of a document stands."""
    children = document.items() if isinstance(document, dict) else enumerate(document)
    for step, value in children:
        yield (*so_far, step)
        if isinstance(value, dict | list):
            yield from places(value, (*so_far, step))


def parent_of(document: Any, place: Place) -> Any:
    for step in place[:-1]:
        document = document[step]
    return document


SECRETIVE = [with_secrets(sample) for sample in SAMPLES.values()]
PLACES = [list(places(sample)) for sample in SECRETIVE]
LEAVES = [
    value
    for sample, found in zip(SECRETIVE, PLACES, strict=True)
    for place in found
    if not isinstance(value := parent_of(sample, place)[place[-1]], dict | list) and value != SECRET
]
DEEP = json.loads("[" * 60 + "]" * 60)
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 2**64, 1e300, 0.5, "", " ", "\x00", "\r\nSubject: forged", "\u202egnp.exe", "a\ud800b",
    "x" * 1_024, "x" * 1_025, "ü" * 600, "x" * 300_000, "${aws:accountId}", "$.detail", "$$.Execution.Id", "*", "/*",
    "../../etc/passwd", "aws.s3", "Object Created", "my-site", "E2QWRUHAPOMQZL", "20261112T091401Z-5f2b8c41d0", "/a*b",
    "/a.html", [], {}, [[]], [{}], {"": ""}, DEEP, {"bucket": {}}, {"key": "k"}, ["k", None], ["/a", 1], *SECRETIVE[:3],
]  # fmt: skip

VALUES = [*HOSTILE, *LEAVES]
WAYS = ("replace", "replace", "remove", "add a field", "add a key", "wrap", "in a body", "in a list")

STEPS = len(WAYS) * len(VALUES) * 50
CODES = len(SECRETIVE) * STEPS**3
AT_ONCE = 20
"""Documents of one example: an example costs hypothesis more than a document does."""


def mutated(code: int) -> Any:
    """A sample with one to three of its values replaced, taken out, added, or put into something else."""
    rest, number = divmod(code, len(SECRETIVE))
    document = copy.deepcopy(SECRETIVE[number])
    for _ in range(1 + rest % 3):
        rest, mutation = divmod(rest, STEPS)
        left, way = divmod(mutation, len(WAYS))
        at, which = divmod(left, len(VALUES))
        value = copy.deepcopy(VALUES[which])
        place = PLACES[number][at % len(PLACES[number])]
        if WAYS[way] == "in a list":
            document = [document, value] if at % 2 else [value, document]
            continue
        try:
            _mutate(parent_of(document, place), place[-1], WAYS[way], value)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier mutation has taken away what this one is about
    return document


def _mutate(parent: Any, step: Any, way: str, value: Any) -> None:
    match way:
        case "replace":
            parent[step] = value
        case "remove":
            del parent[step]
        case "wrap":
            parent[step] = [parent[step]]
        case "in a body":
            parent[step] = {"body": parent[step]}
        case "add a field":
            parent["somebody's own"] = value
        case _:
            parent["key"] = value


documents = st.lists(st.integers(0, CODES - 1).map(mutated), min_size=AT_ONCE, max_size=AT_ONCE)

EVENT = re.compile(r"event (\d+) of \d+: ")
REFUSAL = re.compile(
    r"(?P<input>the input |the list of events )"
    r"|(?P<event>the event )is "
    r"|unknown field .*; accepted here are (?P<accepted>[\w, ]+)$"
    r"|(?P<field>[A-Za-z.-]+)(\[(?P<index>\d+)\])?(?: is | has |: )"
)
BATCH, DISTRIBUTION = "20261112T091401Z-5f2b8c41d0", "E2QWRUHAPOMQZL"
RIGHT: dict[str, Any] = {
    "source": "aws.s3", "detail-type": "Object Created", "id": "1", "detail": {}, "detail.bucket": {}, "body": {},
    "detail.object": {}, "detail.bucket.name": "my-site", "detail.object.key": "k", "bucket": "my-site", "keys": ["k"],
    "distributionId": DISTRIBUTION, "paths": ["/a"], "lead": "my-site", "retryBatch": BATCH,
}  # fmt: skip
"""A value for each field that has to be there."""
RIGHT_ITEMS = {"keys": "k", "paths": "/a"}
MAY_BE_LEFT_OUT = {
    "time", "dryRun", "detail.requester", "detail.source-ip-address", "detail.reason", "detail.deletion-type",
    "detail.object.etag", "detail.object.version-id", "detail.object.sequencer",
}  # fmt: skip


def fixed(document: Any, message: str) -> Any:
    """The document, in which just that is changed that a refusal names; AssertionError: it names nothing there is."""
    which = EVENT.match(message)
    refusal = REFUSAL.match(message, which.end() if which else 0)
    assert refusal, f"no field is named: {message}"
    if refusal["input"]:
        return {"lead": "my-site"}
    if refusal["accepted"]:
        return {name: value for name, value in document.items() if name in refusal["accepted"].split(", ")}
    position = int(which[1]) - 1 if which else 0
    if refusal["event"]:
        if not isinstance(document, list):
            return {"source": "aws.s3"}
        document[position] = {}
        return document
    event = document[position] if isinstance(document, list) else document
    if isinstance(event.get("body"), dict) and refusal["field"] != "body":
        event = event["body"]
    _mend(event, refusal["field"], refusal["index"])
    return document


def _mend(event: dict[str, Any], field: str, index: str | None) -> None:
    *path, name = [field] if field == "detail-type" else field.split(".")
    for step in path:
        event = event[step]
    if index is not None:
        event[name][int(index)] = RIGHT_ITEMS[name]
    elif field in RIGHT:
        event[name] = copy.deepcopy(RIGHT[field])
    else:
        assert field in MAY_BE_LEFT_OUT, f"there is no field {field}"
        del event[name]
