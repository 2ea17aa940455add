"""A DynamoDB table in memory, as far as the batch table's adapter asks of one, with what each request costs.

Units are those of on-demand capacity (DynamoDB Developer Guide, "Read and write operations"): a write for each begun
KB of the larger of the item before and after, once more for each index entry that changes; a strongly consistent read
for each begun 4 KB of what is read. Item sizes: same guide, "Item sizes and formats".
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from benchmarks.cloud.usage import Meter, Usage

INDEXES = ("unfinished", "audit")
PAGE_BYTES = 1_000_000

Item = dict[str, Any]
Request = Mapping[str, Any]


class ConditionFailed(Exception):
    """To be answered as ConditionalCheckFailedException."""


class Table:
    """The table's requests, by the name of their operation; each takes and returns what boto3 does."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._partitions: dict[str, dict[str, Item]] = {}
        self._order: dict[str, list[str]] = {}

    @property
    def size(self) -> int:
        """Bytes of all items."""
        return sum(size_of(item) for partition in self._partitions.values() for item in partition.values())

    def get_item(self, request: Request) -> dict[str, Any]:
        item = self._find(request["Key"])
        self._usage.add(Meter.READ_UNITS, read_units(size_of(item) if item else 0))
        return {"Item": dict(item)} if item else {}

    def batch_get_item(self, request: Request) -> dict[str, Any]:
        ((name, asked),) = request["RequestItems"].items()
        found = [self._find(key) for key in asked["Keys"]]
        share = 1.0 if asked.get("ConsistentRead") else 0.5
        self._usage.add(Meter.READ_UNITS, sum(read_units(size_of(item) if item else 0) for item in found) * share)
        return {"Responses": {name: [dict(item) for item in found if item]}, "UnprocessedKeys": {}}

    def put_item(self, request: Request) -> dict[str, Any]:
        self._write(request["Item"], request)
        return {}

    def update_item(self, request: Request) -> dict[str, Any]:
        item = {**(self._find(request["Key"]) or {}), **request["Key"]}
        values = request.get("ExpressionAttributeValues", {})
        for clause in re.split(r" ?(?=SET|REMOVE|ADD)", request["UpdateExpression"]):
            verb, _, assignments = clause.partition(" ")
            for each in re.split(r", (?=[#\w]+(?: =|,|$))", assignments) if assignments else []:
                _assign(item, verb, each, values, request)
        self._write(item, request)
        return {"Attributes": dict(item)}

    def batch_write_item(self, request: Request) -> dict[str, Any]:
        ((_, requests),) = request["RequestItems"].items()
        for each in requests:
            if "PutRequest" in each:
                self._write(each["PutRequest"]["Item"], {})
            else:
                self._delete(each["DeleteRequest"]["Key"])
        return {"UnprocessedItems": {}}

    def query(self, request: Request) -> dict[str, Any]:
        found, after = _page(list(self._asked(request)), request.get("Limit", 0))
        read = sum(map(size_of, found))
        share = 1.0 if request.get("ConsistentRead") else 0.5
        self._usage.add(Meter.READ_UNITS, read_units(read) * share)
        if "ProjectionExpression" in request:
            names = [_name(name, request) for name in request["ProjectionExpression"].split(", ")]
            found = [{name: item[name] for name in names if name in item} for item in found]
        answer = {"Items": [dict(item) for item in found], "Count": len(found)}
        return {**answer, "LastEvaluatedKey": after} if after else answer

    def _asked(self, request: Request) -> Iterator[Item]:
        """The items from where the page begins, as they are in the table or index."""
        values = {name: next(iter(value.values())) for name, value in request["ExpressionAttributeValues"].items()}
        start = request.get("ExclusiveStartKey")
        if "IndexName" in request:
            yield from self._indexed(request["IndexName"], values, start, forward=request.get("ScanIndexForward", True))
            return
        pk, prefix = values[":pk"], values.get(":prefix", "")
        order = self._order.get(pk, [])
        first = bisect_right(order, start["sk"]["S"]) if start else bisect_left(order, prefix)
        for sk in order[first:]:
            if not sk.startswith(prefix):
                return
            yield self._partitions[pk][sk]

    def _indexed(
        self, index: str, values: Mapping[str, str], start: Request | None, *, forward: bool
    ) -> Iterator[Item]:
        keys = [
            (pk, sk)
            for pk, partition in self._partitions.items()
            if values.get(":since", "") <= pk and (":until" not in values or pk <= values[":until"])
            for sk, item in partition.items()
            if item.get(index) == {"S": values[":value"]}
        ]
        begin = (start["pk"]["S"], start["sk"]["S"]) if start else None
        for key in sorted(keys, reverse=not forward):
            if begin is None or (key > begin if forward else key < begin):
                pk, sk = key
                yield {"pk": {"S": pk}, "sk": {"S": sk}}

    def _find(self, key: Mapping[str, Any]) -> Item | None:
        return self._partitions.get(key["pk"]["S"], {}).get(key["sk"]["S"])

    def _write(self, item: Item, request: Request) -> None:
        before = self._find(item)
        self._usage.add(Meter.WRITE_UNITS, write_units(max(size_of(before or {}), size_of(item))))
        if not _holds(before or {}, request):
            raise ConditionFailed
        pk, sk = item["pk"]["S"], item["sk"]["S"]
        self._partitions.setdefault(pk, {})[sk] = dict(item)
        if before is None:
            order = self._order.setdefault(pk, [])
            order.insert(bisect_left(order, sk), sk)
        self._count_index_writes(before or {}, item)

    def _delete(self, key: Mapping[str, Any]) -> None:
        item = self._find(key)
        self._usage.add(Meter.WRITE_UNITS, write_units(size_of(item or {})))
        if item is not None:
            pk, sk = key["pk"]["S"], key["sk"]["S"]
            del self._partitions[pk][sk]
            self._order[pk].remove(sk)
            self._count_index_writes(item, {})

    def _count_index_writes(self, before: Item, after: Item) -> None:
        """An entry that appears or goes is a write; one that moves is both."""
        for index in INDEXES:
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


def _page(items: list[Item], limit: int) -> tuple[list[Item], Item | None]:
    """As many as are asked for and fit into a page, and the key after which the next page begins."""
    room = PAGE_BYTES
    for position, item in enumerate(items):
        if room <= 0 or (limit and position == limit):
            last = items[position - 1]
            return items[:position], {"pk": last["pk"], "sk": last["sk"]}
        room -= size_of(item)
    return items, None


def _holds(item: Item, request: Request) -> bool:
    conditions = request.get("ConditionExpression", "")
    for condition in conditions.split(" AND ") if conditions else []:
        absent = re.fullmatch(r"attribute_not_exists\((.+)\)", condition)
        if absent:
            if _name(absent[1], request) in item:
                return False
            continue
        name, _, value = condition.partition(" = ")
        if item.get(_name(name, request)) != request["ExpressionAttributeValues"][value]:
            return False
    return True


def _assign(item: Item, verb: str, assignment: str, values: Mapping[str, Any], request: Request) -> None:
    """One part of an update expression: ``name = :value``, ``name = if_not_exists(name, :value)``, ``name :number``."""
    placeholder, _, value = assignment.replace(" = ", " ").partition(" ")
    name = _name(placeholder, request)
    if verb == "REMOVE":
        item.pop(name, None)
    elif verb == "ADD":
        item[name] = {"N": str(int(item.get(name, {"N": "0"})["N"]) + int(values[value]["N"]))}
    elif value.startswith("if_not_exists"):
        item.setdefault(name, values[value.removesuffix(")").rpartition(" ")[2]])
    else:
        item[name] = values[value]


def _name(placeholder: str, request: Request) -> str:
    return str(request.get("ExpressionAttributeNames", {}).get(placeholder, placeholder))
