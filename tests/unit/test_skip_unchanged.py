"""An overwrite with the same content may be left out; never one that could leave something stale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from invalidation.batches.join import without_unchanged
from invalidation.batches.table import Item, Key
from invalidation.errors import BatchContended
from invalidation.events import Change
from tests.fakes.memory_table import MemoryTable

NOW = datetime(2026, 11, 12, tzinfo=UTC)
FIRST = Change("my-site", "index.html", "event-1", etag="a", sequencer="0055AED6DCD90281E5")
AGAIN = replace(FIRST, event_id="event-2", sequencer="0055AED6DCD90281E6")
OTHER = replace(FIRST, event_id="event-3", sequencer="0055AED6DCD90281E7", etag="b")
GONE = replace(FIRST, event_id="event-4", sequencer="0055AED6DCD90281E8", etag="", deleted=True)


def _kept(*changes: Change) -> list[str]:
    table = MemoryTable()
    return [each.event_id for change in changes for each in without_unchanged(table, [change], NOW)]


def test_the_same_content_again_is_left_out() -> None:
    assert _kept(FIRST, AGAIN) == ["event-1"]


def test_other_content_is_kept() -> None:
    assert _kept(FIRST, OTHER) == ["event-1", "event-3"]


def test_what_was_there_before_a_deletion_is_kept() -> None:
    back = replace(FIRST, event_id="event-5", sequencer="0055AED6DCD90281E9")
    assert _kept(FIRST, GONE, back) == ["event-1", "event-4", "event-5"]


def test_the_same_event_is_kept_when_it_is_tried_again() -> None:
    assert _kept(FIRST, FIRST) == ["event-1", "event-1"]


def test_an_event_without_a_sequencer_or_an_etag_is_kept() -> None:
    assert _kept(FIRST, replace(AGAIN, sequencer="")) == ["event-1", "event-2"]
    assert _kept(replace(FIRST, etag=""), replace(AGAIN, etag="")) == ["event-1", "event-2"]


def test_content_that_differs_is_kept_in_whatever_order_the_events_come() -> None:
    back = replace(FIRST, event_id="event-5", sequencer="0055AED6DCD90281E9")
    for order in permutations([FIRST, OTHER, back]):
        assert OTHER.event_id in _kept(*order)


def test_content_that_came_back_is_kept_though_an_older_event_with_the_same_came_late() -> None:
    back, late = replace(AGAIN, event_id="back", sequencer="0055AED6DCD90281F0"), replace(OTHER, event_id="late")
    last = replace(late, event_id="last", sequencer="0055AED6DCD90281F1")
    assert _kept(FIRST, back, late, last) == ["event-1", "late", "last"], "between back and last viewers got the first"


def test_a_shorter_sequencer_counts_as_padded_with_zeros() -> None:
    longer = replace(AGAIN, sequencer=FIRST.sequencer + "01")
    assert _kept(FIRST, longer) == ["event-1"]
    assert _kept(longer, FIRST) == ["event-2", "event-1"]


class ContendedTable(MemoryTable):
    """Somebody else writes first, as often as is wanted."""

    lost = 0

    def update(self, key: Key, assign: Mapping[str, Any], expect: Mapping[str, Any]) -> Item | None:
        if self.lost:
            self.lost -= 1
            return None
        return super().update(key, assign, expect)


def test_who_is_overtaken_too_often_accepts_nothing_and_forgets_nothing() -> None:
    table = ContendedTable()
    without_unchanged(table, [FIRST], NOW)
    without_unchanged(table, [OTHER], NOW)
    table.lost = 3
    with pytest.raises(BatchContended, match="try again"):
        without_unchanged(table, [replace(GONE, key="index.html")], NOW)
    without_unchanged(table, [AGAIN], NOW)  # comes late
    back = replace(FIRST, event_id="back", sequencer="0055AED6DCD90281F0")
    assert without_unchanged(table, [back], NOW) == [back], "viewers may have got what was there in between"


@pytest.mark.parametrize("lost", [1, 2])
def test_who_is_overtaken_looks_again(lost: int) -> None:
    table = ContendedTable()
    table.lost = lost
    assert without_unchanged(table, [FIRST], NOW) == [FIRST]
    assert without_unchanged(table, [AGAIN], NOW) == []


@given(st.lists(st.sampled_from("ab-"), min_size=1, max_size=6))
def test_in_order_each_state_that_differs_from_the_one_before_is_kept(states: list[str]) -> None:
    changes = [
        Change("b", "k", f"{n}", deleted=state == "-", etag=state.strip("-"), sequencer=f"{n:016X}")
        for n, state in enumerate(states, 1)
    ]
    kept = _kept(*changes)
    assert kept == [
        after.event_id
        for before, after in zip([None, *changes], changes, strict=False)
        if before is None or after.deleted or before.etag != after.etag
    ]


@given(st.permutations(range(6)), st.lists(st.sampled_from("ab-"), min_size=6, max_size=6))
@example([1, 4, 2, 3, 0, 5], list("abaaba"))
def test_whatever_is_left_out_had_the_content_of_an_older_event_that_was_told_before(
    order: list[int], states: list[str]
) -> None:
    changes = [
        Change("b", "k", f"{n}", deleted=states[n] == "-", etag=states[n].strip("-"), sequencer=f"{n:016X}")
        for n in order
    ]
    kept = _kept(*changes)
    for told, change in enumerate(changes):
        if change.event_id not in kept:
            older = [each for each in changes[:told] if each.sequencer < change.sequencer]
            assert max(older, key=lambda each: each.sequencer).etag == change.etag != ""
