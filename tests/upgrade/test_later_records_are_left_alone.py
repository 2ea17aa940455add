"""A stack that was set back: what a later release wrote is left as it is, and somebody is told; the rest goes on."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from invalidation.batches.table import VERSION
from invalidation.errors import RecordsOfLaterRelease
from tests.upgrade.stages import KEYS, STAGES, Golden, event, load
from tests.upgrade.test_old_records_are_continued import Make
from tests.upgrade.world import DISTRIBUTIONS, World, worlds

LATER = VERSION + 1
KINDS = ("META", "TARGET#", "INVALIDATION#", "KEYS#", "HEAD", "PENDING#")
"""What begins the key of an item that the protocol reads, by its sort key; of pending items by its partition key."""


@pytest.fixture(scope="module")
def make() -> Iterator[Make]:
    with worlds() as made:
        yield made


def kind_of(item: dict[str, Any]) -> str:
    return next((kind for kind in KINDS if item["sk"].startswith(kind) or item["pk"].startswith(kind)), "")


def of_later_release(golden: Golden, kind: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The items, those of one kind in a later form with something in it that nobody knows; and just those."""
    items = copy.deepcopy(list(golden.items))
    changed = [item for item in items if kind_of(item) == kind]
    for item in changed:
        item |= {"v": LATER, "whatItMeans": "something else"}
    return items, changed


CASES = [
    (stage, kind)
    for stage in STAGES
    for kind in KINDS
    if any(kind_of(item) == kind for item in load(VERSION, stage).items)
    # What a frozen list owns is let go of, in whatever form the very same event has been written again.
    and (stage, kind) != ("frozen", "PENDING#")
]


@pytest.mark.parametrize(("stage", "kind"), CASES)
def test_what_a_later_release_wrote_is_never_changed(make: Make, stage: str, kind: str) -> None:
    golden = load(VERSION, stage)
    items, later = of_later_release(golden, kind)
    world = make(golden.table(), golden.edge(), golden.now)
    for item in items:
        world.table.put(item)
    for _ in range(4):
        world.sweep()
    for name, document in {"an event": event(golden.bucket, "new.html"), "a lead": {"lead": golden.bucket}}.items():
        _try(world, name, document)
    assert all(item in world.table.items() for item in later)
    assert set(world.failed) <= {"RecordsOfLaterRelease"}


def _try(world: World, name: str, document: Any) -> None:
    try:
        world.run(name, document)
    except RecordsOfLaterRelease:
        return


@pytest.mark.parametrize("kind", ["META", "HEAD"])
def test_the_sweep_tells_of_it_counts_it_for_an_alarm_and_sees_to_the_rest(make: Make, kind: str) -> None:
    owed, other = load(VERSION, "owed"), load(VERSION, "frozen")
    world = make(other.table(), other.edge(), other.now)
    items, later = of_later_release(owed, kind)
    for item in items:
        world.table.put(item)
    counted: list[tuple[str, float]] = []
    world.setting("sweep", "emit_metric", lambda name, value, *_unit: counted.append((name, value)))
    sweep = world.module("sweep")
    sweep.log.seek(0)
    sweep.log.truncate()
    world.sweep()
    told = [line for line in map(json.loads, sweep.log.getvalue().splitlines()) if line["level"] == "ERROR"]
    assert [line["reason"].split(" in the batch table")[0] for line in told] == [
        f"{item['pk']} / {item['sk']}" for item in later
    ]
    assert counted == [("BatchesParked", 1)]
    assert all(world.edge.covers(each, "/index.html") for each in DISTRIBUTIONS)


def test_the_error_says_what_it_found_and_what_to_do(make: Make) -> None:
    golden = load(VERSION, "owed")
    world = make(golden.table(), golden.edge(), golden.now)
    (meta,) = of_later_release(golden, "META")[1]
    world.table.put(meta)
    with pytest.raises(RecordsOfLaterRelease) as raised:
        world.run("retry", {"retryBatch": meta["batchId"]})
    assert f"{meta['pk']} / META in the batch table has form {LATER}" in str(raised.value)
    assert "deploy that one again, or a later one" in str(raised.value)


def test_a_change_that_comes_while_the_head_cannot_be_read_is_kept(make: Make) -> None:
    golden = load(VERSION, "gathering")
    world = make(golden.table(), golden.edge(), golden.now)
    (head,) = of_later_release(golden, "HEAD")[1]
    world.table.put(head)
    _try(world, "an event", event(golden.bucket, "new.html"))
    pending = [item["key"] for item in world.table.items() if item["pk"].startswith("PENDING#")]
    assert sorted(pending) == sorted([*KEYS, "new.html"])


def test_of_mixed_changes_those_that_can_be_read_are_invalidated_and_the_others_stay_pending(make: Make) -> None:
    golden = load(VERSION, "gathering")
    world = make(golden.table(), golden.edge(), golden.now)
    later = next(item for item in golden.items if item["pk"].startswith("PENDING#") and item["key"] == KEYS[0])
    world.table.put({**later, "v": LATER})
    world.sweep()
    assert all(world.edge.covers(each, "/wir%20%C3%BCber%20uns.html") for each in DISTRIBUTIONS)
    assert [item["key"] for item in world.table.items() if item["pk"].startswith("PENDING#")] == [KEYS[0]]
