import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from invalidation.batches.snapshot import RAW_CHUNK_BYTES, pack, unpack

ROWS = st.lists(st.dictionaries(st.text(max_size=5), st.text() | st.booleans(), max_size=3) | st.text())


@given(ROWS)
def test_rows_come_back_as_they_were_and_in_their_order(rows: list[object]) -> None:
    assert [row for chunk, _ in pack(rows) for row in unpack(chunk)] == rows


def test_no_rows_make_no_chunk() -> None:
    assert list(pack([])) == []


def test_a_chunk_fits_into_an_item_even_if_nothing_can_be_compressed() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    generator = random.Random(1)  # noqa: S311 -- only has to be hard to compress
    rows = ["".join(generator.choices(letters, k=1_024)) for _ in range(2_000)]
    chunks = [chunk for chunk, _ in pack(rows)]
    assert max(map(len, chunks)) <= RAW_CHUNK_BYTES * 1.001
    assert len(chunks) == 7


def test_chunks_are_as_few_as_the_limit_allows() -> None:
    row = "x" * 9_997
    assert [len(unpack(chunk)) for chunk, _ in pack([row] * 60)] == [29, 29, 2]


def test_a_row_that_is_longer_than_a_chunk_has_one_of_its_own() -> None:
    rows = ["a", "é" * RAW_CHUNK_BYTES, "b"]
    assert [unpack(chunk) for chunk, _ in pack(rows)] == [["a"], [rows[1]], ["b"]]


def test_memory_does_not_grow_with_the_number_of_rows() -> None:
    tracemalloc.start()
    for _ in pack({"key": f"{n:01000d}"} for n in range(10_000)):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000 * 1_000 / 4
