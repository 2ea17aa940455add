"""How far invalidations are, and when waiting for them ends."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invalidation.cloudfront.progress import Pending, Progress
from invalidation.cloudfront.rules import Status
from invalidation.errors import InvalidationTimedOut, is_transient

CREATED = datetime(2026, 11, 12, 9, 14, 3, tzinfo=UTC)
ONE, OTHER = Pending("E1", "I1"), Pending("E1/dt_2", "I2")
STARTED = Progress(Status.IN_PROGRESS, CREATED, CREATED + timedelta(minutes=30), (ONE, OTHER))


def _after(seconds: float) -> datetime:
    return CREATED + timedelta(seconds=seconds)


def test_a_look_that_finds_some_in_progress_counts_and_goes_on() -> None:
    looked = STARTED.with_completed(ONE).polled(_after(5.2), "E1")
    assert (looked.status, looked.polls, looked.seconds) == (Status.IN_PROGRESS, 1, 5.2)
    assert looked.pending == (OTHER,)


def test_when_the_last_is_completed_the_whole_is() -> None:
    looked = STARTED.with_completed(ONE).with_completed(OTHER).polled(_after(7), "E1")
    assert (looked.status, looked.pending) == (Status.COMPLETED, ())


def test_waits_grow_and_then_stay() -> None:
    waits, progress = [], STARTED
    for number in range(13):
        waits.append(progress.wait_seconds)
        progress = progress.polled(_after(number), "E1")
    assert waits == [5, 5, 10, 20, 30, 30, 30, 60, 60, 60, 120, 120, 120]


def test_until_the_deadline_it_goes_on_and_from_then_on_it_is_timed_out() -> None:
    assert STARTED.polled(_after(1_799), "E1").status is Status.IN_PROGRESS
    with pytest.raises(InvalidationTimedOut, match=r"invalidation I1, I2 of distribution E1 was .* after 1800 s"):
        STARTED.polled(_after(1_800), "E1")
    assert is_transient(InvalidationTimedOut.__name__)


def test_what_is_completed_at_the_deadline_is_completed() -> None:
    done = STARTED.with_completed(ONE).with_completed(OTHER)
    assert done.polled(_after(99_999), "E1").status is Status.COMPLETED


def test_the_message_names_five_invalidations_at_most() -> None:
    many = replace(STARTED, invalidations=tuple(Pending("E1", f"I{number}") for number in range(300)))
    with pytest.raises(InvalidationTimedOut) as raised:
        many.polled(_after(9_999), "E1")
    assert "I4" in str(raised.value)
    assert "I5" not in str(raised.value)


def test_a_clock_that_goes_backwards_makes_no_negative_duration() -> None:
    assert STARTED.polled(_after(-3), "E1").seconds == 0.0


@given(
    st.builds(
        Progress,
        status=st.sampled_from(Status),
        created_at=st.datetimes(timezones=st.just(UTC)),
        complete_by=st.datetimes(timezones=st.just(UTC)),
        invalidations=st.lists(st.builds(Pending, st.text(), st.text(), st.booleans())).map(tuple),
        polls=st.integers(0, 1_000),
        seconds=st.floats(0, 1e6),
    )
)
def test_it_travels_through_state_as_json_and_stays_the_same(progress: Progress) -> None:
    assert Progress.from_document(json.loads(json.dumps(progress.to_document()))) == progress


def test_what_travels_has_what_the_state_machine_reads() -> None:
    document = STARTED.to_document()
    assert (document["status"], document["waitSeconds"]) == ("InProgress", 5)
    assert isinstance(document["waitSeconds"], int)
