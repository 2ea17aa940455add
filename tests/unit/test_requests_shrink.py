"""In which requests a list of paths goes out: few wildcards in each, smaller ones after refusals, nothing twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from invalidation.cloudfront.limits import MAX_PATHS_A_REQUEST, MAX_WILDCARDS_A_REQUEST
from invalidation.cloudfront.progress import Pace, Request, all_requests, in_sending_order, next_request

NOW = datetime(2026, 11, 12, tzinfo=UTC)
paces = st.builds(Pace, st.integers(1, MAX_PATHS_A_REQUEST), st.integers(1, MAX_WILDCARDS_A_REQUEST))
lists = st.sets(st.from_regex(r"/[a-c]{1,6}\*?", fullmatch=True), max_size=60).map(in_sending_order)


def many(pattern: str, number: int) -> tuple[str, ...]:
    return tuple(pattern.format(each) for each in range(number))


def sizes(paths: tuple[str, ...]) -> list[int]:
    return [len(each.paths) for each in all_requests(paths)]


def test_a_request_has_150_paths_and_five_wildcards_at_most() -> None:
    assert sizes(many("/{:04}", 400)) == [150, 150, 100]
    assert sizes(many("/{:02}*", 12)) == [5, 5, 2]
    assert sizes(()) == []


def test_what_fits_together_goes_together_and_wildcards_go_apart_where_it_does_not() -> None:
    few = ("#tag", "/a", "/b", "/c/*")
    assert sizes(few) == [4]
    assert sizes(in_sending_order((*many("/{:03}", 150), "/x/*"))) == [150, 1]
    assert sizes(in_sending_order((*many("/{:03}", 10), *many("/w{}*", 7)))) == [10, 5, 2]


@given(lists, paces)
def test_all_paths_are_sent_once_in_requests_that_the_pace_allows(paths: tuple[str, ...], pace: Pace) -> None:
    requests = all_requests(paths, pace)
    assert tuple(path for each in requests for path in each.paths) == paths
    for each in requests:
        assert len(each.paths) <= max(pace.paths, pace.wildcards)
        assert each.wildcards <= pace.wildcards


@given(lists, st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=5), paces)
def test_what_was_accepted_is_never_in_a_request_again(
    paths: tuple[str, ...], accepted: list[tuple[int, int]], pace: Pace
) -> None:
    ranges = [range(start, start + length) for start, length in accepted]
    covered = {number for each in ranges for number in each}
    request = next_request(paths, ranges, pace)
    if request is None:
        assert set(range(len(paths))) <= covered
    else:
        sent = range(request.start, request.start + len(request.paths))
        assert not covered & set(sent)
        assert request.paths == paths[sent.start : sent.stop]
        assert request.paths


def test_a_second_refusal_halves_and_a_first_does_not() -> None:
    paths = many("/{}*", 5)
    pace = Pace()
    seen = []
    for _ in range(8):
        request = next_request(paths, [], pace)
        assert request is not None
        seen.append(len(request.paths))
        pace = pace.refused(request, NOW)
    assert seen == [5, 5, 2, 2, 1, 1, 1, 1]


def test_exact_paths_shrink_apart_from_wildcards_and_grow_again() -> None:
    refused = Pace(refusals=1).refused(Request(0, many("/{}", 100)), NOW)
    assert (refused.paths, refused.wildcards) == (50, MAX_WILDCARDS_A_REQUEST)
    assert refused.accepted().paths == 100
    assert refused.accepted().accepted().paths == MAX_PATHS_A_REQUEST


@given(lists.filter(bool))
def test_however_often_it_is_refused_a_single_path_is_left_to_try(paths: tuple[str, ...]) -> None:
    pace = Pace()
    for _ in range(40):
        request = next_request(paths, [], pace)
        assert request is not None
        pace = pace.refused(request, NOW)
    request = next_request(paths, [], pace)
    assert request is not None
    assert len(request.paths) == 1


def test_the_first_refusal_since_an_acceptance_is_remembered() -> None:
    later = datetime(2026, 11, 13, tzinfo=UTC)
    pace = Pace().refused(Request(0, ("/a",)), NOW).refused(Request(0, ("/a",)), later)
    assert (pace.since, pace.slow) == (NOW.isoformat(), True)
    assert (pace.accepted().since, pace.accepted().slow) == ("", True)


def test_a_pace_reads_back_as_it_was_written_and_from_nothing() -> None:
    pace = Pace(7, 2, 1, NOW.isoformat(), slow=True)
    assert Pace.from_document(json.loads(json.dumps(pace.to_document()))) == pace
    assert Pace.from_document({}) == Pace()
