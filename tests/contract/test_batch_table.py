"""What the protocol relies on, held against the table in memory, moto's DynamoDB and ministack's."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from invalidation.batches.table import BatchTable, Index, Item, Key, indexed, items

ODD_TEXT = 'ключ\x00\x1f\x7f \u2028"\\/%2B+🙂'


def put(table: BatchTable, pk: str, sk: str, **attributes: object) -> Key:
    table.put({"pk": pk, "sk": sk, **attributes})
    return Key(pk, sk)


def walk(table: BatchTable, pk: str, prefix: str = "", *, limit: int) -> list[str]:
    """Sort keys, page by page."""
    page = table.page(pk, prefix, limit=limit)
    found = [item["sk"] for item in page.items]
    while page.after is not None:
        assert len(page.items) <= limit
        page = table.page(pk, prefix, after=page.after, limit=limit)
        found += [item["sk"] for item in page.items]
    return found


@pytest.mark.parametrize(
    "value",
    [
        "text",
        "",
        ODD_TEXT,
        0,
        -1,
        1_764_000_000,
        True,
        False,
        b"",
        bytes(range(256)),
        [],
        ["a", 1, True],
        {},
        {"a": {"b": []}},
    ],
    ids=repr,
)
def test_a_value_reads_back_as_it_was_written(table: BatchTable, pk: str, value: object) -> None:
    item = table.get(put(table, pk, "one", value=value))
    assert item is not None
    assert item["value"] == value
    assert type(item["value"]) is type(value)


def test_a_chunk_of_300_kilobytes_fits_into_an_item(table: BatchTable, pk: str) -> None:
    rows = bytes(range(256)) * 1_172
    item = table.get(put(table, pk, "chunk", rows=rows))
    assert item is not None
    assert item["rows"] == rows


def test_an_item_that_is_missing_is_none(table: BatchTable, pk: str) -> None:
    assert table.get(Key(pk, "missing")) is None


def test_a_key_may_hold_any_unicode(table: BatchTable, pk: str) -> None:
    key = put(table, pk, ODD_TEXT, n=1)
    assert table.get(key) == {"pk": pk, "sk": ODD_TEXT, "n": 1}


def test_put_replaces_the_whole_item(table: BatchTable, pk: str) -> None:
    put(table, pk, "one", old=1)
    key = put(table, pk, "one", new=2)
    assert table.get(key) == {"pk": pk, "sk": "one", "new": 2}


def test_put_new_writes_once_and_then_changes_nothing(table: BatchTable, pk: str) -> None:
    assert table.put_new({"pk": pk, "sk": "one", "n": 1})
    assert not table.put_new({"pk": pk, "sk": "one", "n": 2})
    assert table.get(Key(pk, "one")) == {"pk": pk, "sk": "one", "n": 1}


def test_put_new_looks_at_the_whole_key_not_at_the_partition(table: BatchTable, pk: str) -> None:
    assert table.put_new({"pk": pk, "sk": "one"})
    assert table.put_new({"pk": pk, "sk": "two"})


def test_ensure_creates_what_is_missing(table: BatchTable, pk: str) -> None:
    table.ensure(Key(pk, "one"))
    assert table.get(Key(pk, "one")) is not None


def test_ensure_leaves_what_others_have_written(table: BatchTable, pk: str) -> None:
    put(table, pk, "one", mark=True)
    table.ensure(Key(pk, "one"))
    item = table.get(Key(pk, "one"))
    assert item is not None
    assert item["mark"] is True


def test_update_touches_only_the_attributes_that_it_names(table: BatchTable, pk: str) -> None:
    key = put(table, pk, "one", state="GATHERING", owner="a", paused=True)
    expected = {"pk": pk, "sk": "one", "state": "CLOSED", "paused": True}
    assert table.update(key, {"state": "CLOSED", "owner": None}, {}) == expected
    assert table.get(key) == expected


def test_update_may_remove_what_is_not_there(table: BatchTable, pk: str) -> None:
    key = put(table, pk, "one", state="a")
    assert table.update(key, {"closedAt": None}, {"state": "a"}) == {"pk": pk, "sk": "one", "state": "a"}


@pytest.mark.parametrize("value", ["GATHERING", 7, True, False, ["a", "b"], "", []], ids=repr)
def test_update_goes_through_when_the_expected_value_is_there(table: BatchTable, pk: str, value: object) -> None:
    key = put(table, pk, "one", attribute=value)
    assert table.update(key, {"done": 1}, {"attribute": value}) is not None


@pytest.mark.parametrize(
    ("found", "expected"),
    [("GATHERING", "CLOSED"), (7, 8), (True, False), (["a"], ["a", "b"]), ("1", 1), ("GATHERING", None), (False, None)],
    ids=repr,
)
def test_update_changes_nothing_when_another_value_is_there(
    table: BatchTable, pk: str, found: object, expected: object
) -> None:
    key = put(table, pk, "one", attribute=found)
    assert table.update(key, {"attribute": "x", "done": 1}, {"attribute": expected}) is None
    assert table.get(key) == {"pk": pk, "sk": "one", "attribute": found}


def test_every_expectation_has_to_hold(table: BatchTable, pk: str) -> None:
    key = put(table, pk, "one", a=1, b=1)
    assert table.update(key, {"c": 1}, {"a": 1, "b": 2}) is None
    assert table.update(key, {"c": 1}, {"a": 2, "b": 1}) is None
    assert table.update(key, {"c": 1}, {"a": 1, "b": 1}) is not None


def test_update_compares_with_the_item_as_it_was_before(table: BatchTable, pk: str) -> None:
    key = put(table, pk, "one", state="a")
    assert table.update(key, {"state": "b"}, {"state": "a"}) == {"pk": pk, "sk": "one", "state": "b"}


def test_update_creates_an_item_when_absence_is_expected(table: BatchTable, pk: str) -> None:
    created = table.update(Key(pk, "one"), {"batchId": "a"}, {"batchId": None})
    assert created == {"pk": pk, "sk": "one", "batchId": "a"}
    assert table.update(Key(pk, "one"), {"batchId": "b"}, {"batchId": None}) is None


def test_update_creates_an_item_when_nothing_is_expected(table: BatchTable, pk: str) -> None:
    assert table.update(Key(pk, "one"), {"paused": True}, {}) == {"pk": pk, "sk": "one", "paused": True}


def test_update_creates_nothing_when_a_value_is_expected(table: BatchTable, pk: str) -> None:
    assert table.update(Key(pk, "one"), {"state": "b"}, {"state": "a"}) is None
    assert table.get(Key(pk, "one")) is None


def test_of_many_who_update_on_the_same_expectation_one_wins(shared_table: BatchTable, pk: str) -> None:
    key = put(shared_table, pk, "HEAD", batchId="old")

    def race(name: int) -> bool:
        return shared_table.update(key, {"batchId": f"new {name}"}, {"batchId": "old"}) is not None

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(race, range(40))) == 1


def test_adding_counts_from_nothing_and_answers_with_the_new_total(table: BatchTable, pk: str) -> None:
    key = Key(pk, "2026-11")
    assert [table.add(key, "paths", number) for number in (3, 4, -2)] == [3, 7, 5]
    assert table.get(key) == {"pk": pk, "sk": "2026-11", "v": 1, "paths": 5}


def test_adding_leaves_the_other_attributes_as_they_are(table: BatchTable, pk: str) -> None:
    key = put(table, pk, "one", state="a", paths=1)
    table.add(key, "reserved", 2)
    item = table.get(key)
    assert item is not None
    assert (item["state"], item["paths"], item["reserved"]) == ("a", 1, 2)


def test_of_many_who_add_at_once_each_is_counted_and_each_sees_another_total(shared_table: BatchTable, pk: str) -> None:
    key = Key(pk, "one")
    with ThreadPoolExecutor(20) as pool:
        totals = list(pool.map(lambda _: shared_table.add(key, "paths", 2), range(40)))
    assert sorted(totals) == list(range(2, 82, 2))


def test_a_partition_is_read_in_the_order_of_its_sort_keys(table: BatchTable, pk: str) -> None:
    for sk in ("b", "a#2", "Z", "a#10", "é", "a"):
        put(table, pk, sk)
    put(table, f"{pk}-other", "a")
    assert [item["sk"] for item in items(table, pk)] == ["Z", "a", "a#10", "a#2", "b", "é"]


def test_a_prefix_selects_sort_keys(table: BatchTable, pk: str) -> None:
    for sk in ("KEYS#a#0001", "KEYS#b#0001", "META", "TARGET#E1"):
        put(table, pk, sk)
    assert [item["sk"] for item in items(table, pk, "KEYS#a")] == ["KEYS#a#0001"]
    assert list(items(table, pk, "NONE")) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_together_are_the_partition(table: BatchTable, pk: str, limit: int) -> None:
    names = [f"{number:02d}" for number in range(6)]
    for sk in names:
        put(table, pk, sk)
    assert walk(table, pk, limit=limit) == names


def test_a_page_goes_on_behind_an_item_that_has_been_deleted_meanwhile(table: BatchTable, pk: str) -> None:
    for sk in ("a", "b", "c"):
        put(table, pk, sk)
    first = table.page(pk, limit=2)
    assert first.after is not None
    table.delete_all([Key(pk, "b")])
    assert [item["sk"] for item in table.page(pk, after=first.after).items] == ["c"]


def test_a_partition_of_more_than_a_megabyte_is_read_to_its_end(table: BatchTable, pk: str) -> None:
    for number in range(5):
        put(table, pk, f"{number}", rows=bytes(300_000))
    assert [len(item["rows"]) for item in items(table, pk)] == [300_000] * 5


def test_only_keys_and_expiry_are_read_when_only_keys_are_asked_for(table: BatchTable, pk: str) -> None:
    put(table, pk, "one", rows=b"many")
    put(table, pk, "two", rows=b"many", expiresAt=1_764_000_000)
    found = list(items(table, pk, keys=True))
    assert found == [{"pk": pk, "sk": "one"}, {"pk": pk, "sk": "two", "expiresAt": 1_764_000_000}]


def test_put_all_writes_any_number_and_the_last_of_a_key_stands(table: BatchTable, pk: str) -> None:
    many: list[Item] = [{"pk": pk, "sk": f"{number % 60:02d}", "n": number} for number in range(120)]
    table.put_all(many)
    assert [item["n"] for item in items(table, pk)] == list(range(60, 120))


def test_delete_all_deletes_the_named_ones_whether_or_not_they_are_there(table: BatchTable, pk: str) -> None:
    table.put_all({"pk": pk, "sk": f"{number:02d}"} for number in range(60))
    table.delete_all([*(Key(pk, f"{number:02d}") for number in range(1, 90)), Key(pk, "01")])
    assert [item["sk"] for item in items(table, pk)] == ["00"]


def test_nothing_to_write_is_no_request_that_could_fail(table: BatchTable) -> None:
    table.put_all([])
    table.delete_all([])


def test_an_index_holds_only_items_with_its_attribute_newest_first(table: BatchTable, pk: str) -> None:
    for number in (2, 1, 3):
        put(table, f"{pk}#{number}", "META", unfinished=pk, audit=f"{pk}-audit")
        put(table, f"{pk}#{number}", "KEYS")
    put(table, f"{pk}#4", "META", unfinished="another value", audit=f"{pk}-audit")
    assert [key.pk for key in indexed(table, Index.UNFINISHED, pk)] == [f"{pk}#3", f"{pk}#2", f"{pk}#1"]
    assert [key.sk for key in indexed(table, Index.AUDIT, f"{pk}-audit")] == ["META"] * 4


def test_an_item_leaves_an_index_with_the_attribute(table: BatchTable, pk: str) -> None:
    key = put(table, pk, "META", unfinished=pk)
    table.update(key, {"unfinished": None}, {})
    assert list(indexed(table, Index.UNFINISHED, pk)) == []


def test_an_index_is_read_oldest_first_where_that_is_asked_for_on_all_pages(table: BatchTable, pk: str) -> None:
    for number in (3, 1, 4, 2, 5):
        put(table, f"{pk}#{number}", "META", unfinished=pk)
    found = [key.pk[-1] for key in indexed(table, Index.UNFINISHED, pk, oldest_first=True)]
    assert found == ["1", "2", "3", "4", "5"]
    page = table.index_page(Index.UNFINISHED, pk, since=f"{pk}#2", limit=2, oldest_first=True)
    rest = table.index_page(Index.UNFINISHED, pk, since=f"{pk}#2", after=page.after, oldest_first=True)
    assert [item["pk"][-1] for item in (*page.items, *rest.items)] == ["2", "3", "4", "5"]


def test_get_all_finds_those_that_are_there_of_any_number_of_keys(table: BatchTable, pk: str) -> None:
    table.put_all({"pk": pk, "sk": f"{number:03d}", "n": number} for number in range(0, 250, 2))
    asked = [Key(pk, f"{number:03d}") for number in range(250)]
    assert sorted(item["n"] for item in table.get_all([*asked, asked[0]])) == list(range(0, 250, 2))
    assert table.get_all([]) == []


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [("", "", "4321"), ("2", "", "432"), ("", "2", "21"), ("2", "3", "32"), ("5", "", ""), ("", "0", "")],
)
def test_an_index_is_bounded_at_both_ends_inclusively(
    table: BatchTable, pk: str, since: str, until: str, expected: str
) -> None:
    for number in range(1, 5):
        put(table, f"{pk}#{number}", "META", audit=pk)
    low, high = (f"{pk}#{bound}" if bound else "" for bound in (since, until))
    assert "".join(key.pk[-1] for key in indexed(table, Index.AUDIT, pk, since=low, until=high)) == expected


def test_pages_of_an_index_together_are_the_index(table: BatchTable, pk: str) -> None:
    for number in range(5):
        put(table, f"{pk}#{number}", "META", audit=pk)
    page = table.index_page(Index.AUDIT, pk, limit=2)
    found = [item["pk"][-1] for item in page.items]
    assert len(found) == 2
    while page.after is not None:
        page = table.index_page(Index.AUDIT, pk, after=page.after, limit=2)
        found += [item["pk"][-1] for item in page.items]
    assert found == ["4", "3", "2", "1", "0"]
