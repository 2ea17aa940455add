"""What an earlier release left in the table, at whatever stage, this one brings to its end, and loses nothing of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, cast

import pytest

from invalidation.batches.head import Window, resume
from invalidation.batches.model import Batch, Outcome
from invalidation.batches.queries import batches_of_distribution, unfinished_batches
from invalidation.batches.snapshot import unpack
from invalidation.batches.table import VERSION
from invalidation.batches.targets import TargetState
from invalidation.bucket_events import BucketEvents, WatchedBuckets
from invalidation.config import Settings
from invalidation.outcome import BatchReport
from tests.upgrade.stages import KEYS, RECORDS, STAGES, Buckets, Golden, event, load, parsed, record
from tests.upgrade.world import DISTRIBUTIONS, Edge, MortalTable, World, worlds

Make = Callable[[MortalTable, Edge, datetime], World]
FORMS = range(1, VERSION + 1)
GOLDEN = [load(form, path.stem) for form in FORMS for path in sorted((RECORDS / f"v{form}").glob("*.json"))]
PATHS = ("/index.html", "/wir%20%C3%BCber%20uns.html")
UNTIL_SOMEBODY_ACTS = {"parked", "paused"}

each_golden = pytest.mark.parametrize("golden", GOLDEN, ids=[each.stage for each in GOLDEN])


@pytest.fixture(scope="module")
def make() -> Iterator[Make]:
    with worlds() as made:
        yield made


def upgraded(make: Make, golden: Golden) -> World:
    """A stack of this release on the records of an earlier one."""
    return make(golden.table(), golden.edge(), golden.now)


def continued(make: Make, golden: Golden) -> World:
    """The same after an hour, in which somebody has done what only a person can do."""
    world = upgraded(make, golden)
    if golden.stage == "paused":
        assert resume(world.table, golden.bucket, Window(), lambda: world.now)
    if golden.stage == "parked":
        world.run("retry", {"retryBatch": the_batch(world).batch_id})
    for _ in range(6):
        world.sweep()
    assert world.failed == []
    return world


def the_batch(world: World) -> Batch:
    (item,) = [item for item in world.table.items() if item["sk"] == "META"]
    return Batch.from_item(item)


def but_the_sweeps(world: World) -> list[dict[str, Any]]:
    """All items but the sweep's own notes."""
    return [item for item in world.table.items() if item["pk"] != "SWEEP"]


def owed_keys(golden: Golden) -> tuple[str, ...]:
    """The paths of what had been accepted at a stage."""
    if golden.stage == "pending":
        pending = [item["key"] for item in golden.items if item["pk"].startswith("PENDING#")]
        return tuple(path for key, path in zip(KEYS, PATHS, strict=True) if key in pending)
    return PATHS


def test_there_is_a_golden_file_for_every_stage() -> None:
    assert [each.stage for each in GOLDEN if each in GOLDEN[: len(STAGES)]] == sorted(STAGES)


@each_golden
def test_everything_that_was_accepted_is_invalidated_on_every_distribution(make: Make, golden: Golden) -> None:
    world = continued(make, golden)
    distributions = DISTRIBUTIONS[:1] if golden.stage == "of-paths" else DISTRIBUTIONS
    for path in owed_keys(golden):
        assert all(world.edge.covers(each, path) for each in distributions), path


@each_golden
def test_nothing_is_left_pending_unfinished_or_parked(make: Make, golden: Golden) -> None:
    world = continued(make, golden)
    assert [item["pk"] for item in world.table.items() if item["pk"].startswith("PENDING#")] == []
    assert list(unfinished_batches(world.table)) == []
    finished = BatchReport.read(world.table, the_batch(world))
    assert (finished.outcome, finished.parked) == (Outcome.COMPLETED, False)
    assert {target.state for target in finished.targets} == {TargetState.COMPLETED}


@each_golden
def test_what_had_been_created_is_found_and_not_paid_for_again(make: Make, golden: Golden) -> None:
    world = continued(make, golden)
    assert golden.cloudfront.items() <= world.edge.created.items()
    assert len(world.edge.created) == (1 if golden.stage == "of-paths" else 2)


@each_golden
def test_the_audit_reads_the_record_before_and_after(make: Make, golden: Golden) -> None:
    for world in (upgraded(make, golden), continued(make, golden)):
        found = batches_of_distribution(world.table, DISTRIBUTIONS[0]).batches
        for batch in found:
            document = BatchReport.read(world.table, batch).to_document()
            assert (document["changes"], document.get("bucket", "")) == (2, batch.bucket)
            assert set(document["sample"]) <= {*KEYS, *PATHS}
    assert len(found) == 1


@pytest.mark.parametrize("stage", sorted(UNTIL_SOMEBODY_ACTS))
def test_what_waits_for_a_person_waits_for_one_still(make: Make, stage: str) -> None:
    golden = load(VERSION, stage)
    world = upgraded(make, golden)
    assert world.sweep()["started"] == []
    assert but_the_sweeps(world) == list(golden.items)


def test_what_had_ended_is_left_as_it_is(make: Make) -> None:
    golden = load(VERSION, "ended")
    world = upgraded(make, golden)
    assert world.sweep() == {"started": [], "unfinished": 0, "parked": 0, "complete": True}
    assert world.run("again", {"retryBatch": the_batch(world).batch_id})["role"] == "ended"
    assert but_the_sweeps(world) == list(golden.items)


def test_what_skip_unchanged_remembers_and_whose_switch_it_was_is_known_still(make: Make) -> None:
    golden = load(VERSION, "remembered")
    world = upgraded(make, golden)
    world.setting("join_batch", "SETTINGS", Settings(skip_unchanged=True))
    later = event(golden.bucket, KEYS[0], sequencer="00617F08299329D199")
    assert world.run("again", later)["role"] == "ignored"
    buckets = Buckets()
    WatchedBuckets(cast("BucketEvents", buckets), world.table, timeout=0).leave([golden.bucket])
    assert buckets.off == [golden.bucket]


@pytest.mark.parametrize("stage", STAGES)
def test_this_release_writes_what_the_golden_files_of_its_form_hold(make: Make, stage: str) -> None:
    """If this fails you have changed what the table holds. Add to it rather, as here: see ``table.VERSION``.

    Before the form's first release: ``python -m tests.upgrade.stages``. After it: leave its files as they are, raise
    VERSION if an earlier release would misread what is new, and record the new form beside the old one. Which attempt
    froze a list, Join's or Close's, is not compared.
    """
    both = (re.sub(r"attempt\d+", "attempt", each.dumped()) for each in (record(make, stage), load(VERSION, stage)))
    now, then = (parsed(stage, each) for each in both)
    expected = [_open(item) for item in then.items]
    keys = {(item["pk"], item["sk"]) for item in then.items}
    same = [item for item in now.items if (item["pk"], item["sk"]) in keys]  # a later release may add others
    assert [_as_far_as(known, _open(item)) for item, known in zip(same, expected, strict=True)] == expected
    assert (now.now, now.cloudfront) == (then.now, then.cloudfront)


def _as_far_as(known: Any, found: Any) -> Any:
    """What was found without what has been added to it; the month's paths as a number, whenever they are counted."""
    if isinstance(known, dict) and isinstance(found, dict):
        if known.get("pk") == "USAGE":
            found = {**found, "paths": known["paths"]} if isinstance(found.get("paths"), int) else found
        return {name: _as_far_as(known[name], value) for name, value in found.items() if name in known}
    return found


def _open(item: dict[str, Any]) -> dict[str, Any]:
    """With the rows of a chunk unpacked: they may be packed differently by another build of zlib."""
    return {name: unpack(value) if isinstance(value, bytes) else value for name, value in item.items()}
