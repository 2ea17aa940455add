"""A model of DynamoDB's metering; the items are in the tests' table in memory.

A request as boto3 makes it becomes a call of ``MemoryTable``, and is metered. Units are those of on-demand capacity
(DynamoDB Developer Guide, "Read and write operations"): a write for each begun KB of the larger of the item before and
after, once more for each index entry that changes; a strongly consistent read for each begun 4 KB of what is read. Item
sizes: same guide, "Item sizes and formats".
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from typing import Any

from benchmarks.cloud.data import NotUnderstood
from benchmarks.cloud.usage import Meter, Usage
from invalidation.batches.table import Index, Item, Key, Page
from tests.fakes.memory_table import MemoryTable

PAGE_BYTES = 1_000_000

Request = Mapping[str, Any]


class ConditionFailed(Exception):
    """To be answered as ConditionalCheckFailedException."""


class Table:
    """The table's requests, by the name of their operation; each takes and returns what boto3 does.

    Stored items have DynamoDB's own notation, but for ``pk`` and ``sk``, by which ``MemoryTable`` finds and sorts them.
    """

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._items = MemoryTable(page_size=sys.maxsize)

    @property
    def size(self) -> int:
        """Bytes of all items."""
        return sum(_size(item) for partition in self._items.partitions.values() for item in partition.values())

    def get_item(self, request: Request) -> dict[str, Any]:
        item = self._items.get(_key(request["Key"]))
        self._usage.add(Meter.READ_UNITS, read_units(_size(item or {})))
        return {"Item": _sent(item)} if item else {}

    def batch_get_item(self, request: Request) -> dict[str, Any]:
        ((name, asked),) = request["RequestItems"].items()
        found = self._items.get_all(map(_key, asked["Keys"]))
        units = sum(read_units(_size(item)) for item in found) + len(asked["Keys"]) - len(found)
        self._usage.add(Meter.READ_UNITS, units * _share(asked))
        return {"Responses": {name: [_sent(item) for item in found]}, "UnprocessedKeys": {}}

    def put_item(self, request: Request) -> dict[str, Any]:
        item = _stored(request["Item"])
        with self._metered(_key(request["Item"]), item):
            if "ConditionExpression" not in request:
                self._items.put(item)
            elif _expected(request) != {"pk": None}:
                raise NotUnderstood(f"a condition of PutItem's: {request['ConditionExpression']}")
            elif not self._items.put_new(item):
                raise ConditionFailed
        return {}

    def update_item(self, request: Request) -> dict[str, Any]:
        key = _key(request["Key"])
        before = self._items.find(key) or {}
        assign = _assigned(before, request)
        changed = {**before, "pk": key.pk, "sk": key.sk, **assign}
        with self._metered(key, {name: value for name, value in changed.items() if value is not None}):
            updated = self._items.update(key, assign, _expected(request))
            if updated is None:
                raise ConditionFailed
        return {"Attributes": _sent(updated)}

    def batch_write_item(self, request: Request) -> dict[str, Any]:
        ((_, requests),) = request["RequestItems"].items()
        for each in requests:
            if "PutRequest" in each:
                self.put_item(each["PutRequest"])
            else:
                key = _key(each["DeleteRequest"]["Key"])
                with self._metered(key, {}):
                    self._items.delete_all([key])
        return {"UnprocessedItems": {}}

    def query(self, request: Request) -> dict[str, Any]:
        page = _first_bytes(self._asked(request))
        found = [_sent(item) for item in page.items]
        self._usage.add(Meter.READ_UNITS, read_units(sum(map(size_of, found))) * _share(request))
        if "ProjectionExpression" in request:
            names = [_name(name, request) for name in request["ProjectionExpression"].split(", ")]
            found = [{name: item[name] for name in names if name in item} for item in found]
        answer = {"Items": found, "Count": len(found)}
        return {**answer, "LastEvaluatedKey": _sent(page.after._asdict())} if page.after else answer

    def _asked(self, request: Request) -> Page:
        """All items from where the page begins, as they are in the table or index."""
        values, start = request["ExpressionAttributeValues"], request.get("ExclusiveStartKey")
        after, limit = _key(start) if start else None, request.get("Limit", 0)
        since, until, prefix = (values.get(name, {"S": ""})["S"] for name in (":since", ":until", ":prefix"))
        if "IndexName" not in request:
            return self._items.page(values[":pk"]["S"], prefix, after=after, limit=limit)
        index, forward = Index(request["IndexName"]), request.get("ScanIndexForward", True)
        return self._items.index_page(
            index, values[":value"], since=since, until=until, after=after, limit=limit, oldest_first=forward
        )

    @contextmanager
    def _metered(self, key: Key, after: Item) -> Iterator[None]:
        """A write costs its units whether or not its condition holds, and those of index entries only if it does.

        An entry that appears or goes is a write; one that moves is both.
        """
        before = self._items.find(key) or {}
        self._usage.add(Meter.WRITE_UNITS, write_units(max(_size(before), _size(after))))
        yield
        for index in Index:
            if before.get(index) != after.get(index):
                self._usage.add(Meter.WRITE_UNITS, (index in before) + (index in after))


def read_units(size: int) -> int:
    return max(1, ceil(size / 4096))


def write_units(size: int) -> int:
    return max(1, ceil(size / 1024))


def size_of(item: Mapping[str, Any]) -> int:
    """Bytes of an item in DynamoDB's own notation."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(attribute: Mapping[str, Any]) -> int:
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
        case "N":
            return len(value) // 2 + 2
        case "B":
            return len(value)
        case "L":
            return 3 + sum(1 + _value_size(each) for each in value)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_size(each) for name, each in value.items())
    return 1


def _share(request: Request) -> float:
    """Of a strongly consistent read's units."""
    return 1.0 if request.get("ConsistentRead") else 0.5


def _size(stored: Item) -> int:
    return size_of(_sent(stored)) if stored else 0


def _key(attributes: Mapping[str, Any]) -> Key:
    return Key(attributes["pk"]["S"], attributes["sk"]["S"])


def _stored(item: Mapping[str, Any]) -> Item:
    return {**item, **_key(item)._asdict()}


def _sent(stored: Item) -> dict[str, Any]:
    return {**stored, "pk": {"S": stored["pk"]}, "sk": {"S": stored["sk"]}}


def _first_bytes(page: Page) -> Page:
    """As much of it as fits into an answer."""
    room = PAGE_BYTES
    for position, item in enumerate(page.items):
        if room <= 0:
            last = page.items[position - 1]
            return Page(page.items[:position], Key(last["pk"], last["sk"]))
        room -= _size(item)
    return page


def _expected(request: Request) -> dict[str, Any]:
    """A condition as ``BatchTable.update`` takes it."""
    expected = {}
    for condition in filter(None, request.get("ConditionExpression", "").split(" AND ")):
        absent = re.fullmatch(r"attribute_not_exists\((.+)\)", condition)
        name, _, value = (absent[1] if absent else condition).partition(" = ")
        expected[_name(name, request)] = None if absent else request["ExpressionAttributeValues"][value]
    return expected


def _assigned(before: Item, request: Request) -> dict[str, Any]:
    """An update expression's ``name = :value``, ``name = if_not_exists(name, :value)``, ``name :number``, likewise."""
    assign: dict[str, Any] = {}
    for clause in re.split(r" ?(?=SET|REMOVE|ADD)", request["UpdateExpression"]):
        verb, _, assignments = clause.partition(" ")
        for each in re.split(r", (?=[#\w]+(?: =|,|$))", assignments) if assignments else []:
            placeholder, _, operand = each.replace(" = ", " ").partition(" ")
            name = _name(placeholder, request)
            value = request.get("ExpressionAttributeValues", {}).get(operand.removesuffix(")").rpartition(" ")[2])
            if verb == "ADD":
                value = {"N": str(int(before.get(name, {"N": "0"})["N"]) + int(value["N"]))}
            elif operand.startswith("if_not_exists"):
                value = before.get(name, value)
            assign[name] = value
    return assign


def _name(placeholder: str, request: Request) -> str:
    return str(request.get("ExpressionAttributeNames", {}).get(placeholder, placeholder))
