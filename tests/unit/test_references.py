"""Caller references: the same request always has the same one, another request another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from invalidation.cloudfront.client import caller_reference

BATCH = "20261112T091401Z-5f2b8c41d0"
paths = st.lists(st.text(min_size=1).filter(lambda path: "\n" not in path), min_size=1, unique=True)


def test_a_reference_names_batch_target_and_request() -> None:
    assert caller_reference(BATCH, "E1/dt_2", 3, ["/a"]).startswith(f"{BATCH}.E1/dt_2.3.")


@given(paths.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_of_paths_does_not_matter(orders: tuple[list[str], list[str]]) -> None:
    one, other = orders
    assert caller_reference(BATCH, "E1", 0, one) == caller_reference(BATCH, "E1", 0, other)


@given(paths, paths)
def test_other_paths_have_another_reference(one: list[str], other: list[str]) -> None:
    same = sorted(one) == sorted(other)
    assert (caller_reference(BATCH, "E1", 0, one) == caller_reference(BATCH, "E1", 0, other)) is same


def test_each_batch_target_and_request_has_its_own() -> None:
    references = {
        caller_reference(batch, target, number, ["/a"])
        for batch in (BATCH, "20261112T091402Z-5f2b8c41d0")
        for target in ("E1", "E2", "E1/dt_2")
        for number in range(3)
    }
    assert len(references) == 2 * 3 * 3


def test_a_reference_of_the_longest_ids_is_far_from_any_limit() -> None:
    assert len(caller_reference(BATCH, "E" * 32 + "/dt_" + "x" * 64, 99_999, ["/" + "a" * 3_999])) < 200


def test_what_is_sent_anew_has_another_reference_each_time() -> None:
    assert len({caller_reference(BATCH, "E1", 0, ["/a"], resends) for resends in range(3)}) == 3
    assert caller_reference(BATCH, "E1", 0, ["/a"], 0) == caller_reference(BATCH, "E1", 0, ["/a"])
