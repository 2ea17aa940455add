"""Adapter: the batch table in DynamoDB. No other module knows that it is DynamoDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from invalidation.batches.table import VERSION, Index, Item, Key, Page, slices
from invalidation.errors import BatchTableUnavailable, code_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


DYNAMODB_CONFIG: dict[str, Any] = {
    "connect_timeout": 2,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 5},
    "max_pool_connections": 16,
    "parameter_validation": False,
}
"""For botocore's ``Config``: DynamoDB answers in milliseconds or has lost the request. The SDK does the waiting between
tries; what it gives up on is a Retry of the state machine's. All requests are made here, and DynamoDB validates them
anyway: to do so twice takes half the time of a BatchWriteItem."""

BATCH_GET = 100
"""Keys in one BatchGetItem, which answers with 16 MB at most (DynamoDB API Reference, BatchGetItem)."""
BATCH_WRITE = 25
"""Items in one BatchWriteItem (DynamoDB API Reference, BatchWriteItem)."""
_THREADS = 8
_AT_ONCE = 2_000
"""Writes that are in memory at a time."""
_FRUITLESS = 5
"""Batch requests in a row that come to nothing at all, before giving up."""

_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "LimitExceededException",
}


class DynamoBatchTable:
    """A ``BatchTable`` in DynamoDB. Safe to share between threads.

    Args:
        client: a low-level boto3 client.
        name: the table's name or ARN.
    """

    shards = 4
    """As many partitions as a table has that is billed on demand, until it has had more to do (DynamoDB Developer
    Guide, "On-demand capacity mode"): 4,000 writes a second, more than executions can be started. Close and the sweep
    ask each of them, whether or not anything is there."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name
        self._ensured: set[Key] = set()

    def get(self, key: Key) -> Item | None:
        with _failures("GetItem"):
            answer = self._client.get_item(TableName=self._name, Key=_key(key), ConsistentRead=True)
        return _item(answer["Item"]) if "Item" in answer else None

    def get_all(self, keys: Iterable[Key]) -> list[Item]:
        return [item for some in slices(dict.fromkeys(keys), BATCH_GET) for item in self._get_batch(some)]

    def ensure(self, key: Key) -> None:
        if key not in self._ensured:
            self.update(key, {"v": VERSION}, {"v": None})
            self._ensured.add(key)

    def put(self, item: Item) -> None:
        with _failures("PutItem"):
            self._client.put_item(TableName=self._name, Item=_attributes(item))

    def put_new(self, item: Item) -> bool:
        with _failures("PutItem"):
            try:
                self._client.put_item(
                    TableName=self._name, Item=_attributes(item), ConditionExpression="attribute_not_exists(pk)"
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True

    def put_all(self, items: Iterable[Item]) -> None:
        self._write_all({"PutRequest": {"Item": _attributes(item)}} for item in items)

    def update(self, key: Key, assign: Mapping[str, Any], expect: Mapping[str, Any]) -> Item | None:
        with _failures("UpdateItem"):
            try:
                answer = self._client.update_item(
                    TableName=self._name, Key=_key(key), ReturnValues="ALL_NEW", **_expressions(assign, expect)
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return None
        return _item(answer["Attributes"])

    def add(self, key: Key, attribute: str, number: int) -> int:
        with _failures("UpdateItem"):
            answer = self._client.update_item(
                TableName=self._name,
                Key=_key(key),
                UpdateExpression="SET v = if_not_exists(v, :version) ADD #attribute :number",
                ExpressionAttributeNames={"#attribute": attribute},
                ExpressionAttributeValues=_attributes({":version": VERSION, ":number": number}),
                ReturnValues="UPDATED_NEW",
            )
        return int(answer["Attributes"][attribute]["N"])

    def delete_all(self, keys: Iterable[Key]) -> None:
        self._write_all({"DeleteRequest": {"Key": _key(key)}} for key in keys)

    def page(self, pk: str, prefix: str = "", *, after: Key | None = None, limit: int = 0, keys: bool = False) -> Page:
        condition, values = "pk = :pk", {":pk": pk}
        if prefix:
            condition, values = f"{condition} AND begins_with(sk, :prefix)", {**values, ":prefix": prefix}
        request: dict[str, Any] = {"KeyConditionExpression": condition, "ConsistentRead": True}
        if after is not None:
            request["ExclusiveStartKey"] = _key(after)
        if keys:
            request["ProjectionExpression"] = "pk, sk, v, expiresAt"
        return self._query(request, values, limit)

    def index_page(
        self,
        index: Index,
        value: str,
        *,
        since: str = "",
        until: str = "",
        after: Key | None = None,
        limit: int = 0,
        oldest_first: bool = False,
    ) -> Page:
        bounds = {name: bound for name, bound in ((":since", since), (":until", until)) if bound}
        conditions = {
            (): "",
            (":since",): " AND pk >= :since",
            (":until",): " AND pk <= :until",
            (":since", ":until"): " AND pk BETWEEN :since AND :until",
        }
        request: dict[str, Any] = {
            "IndexName": index.value,
            "KeyConditionExpression": f"{index.value} = :value{conditions[tuple(bounds)]}",
            "ScanIndexForward": oldest_first,
        }
        if after is not None:
            request["ExclusiveStartKey"] = {index.value: {"S": value}, **_key(after)}
        return self._query(request, {":value": value, **bounds}, limit)

    def _query(self, request: dict[str, Any], values: Mapping[str, Any], limit: int) -> Page:
        if limit:
            request["Limit"] = limit
        with _failures("Query"):
            answer = self._client.query(TableName=self._name, ExpressionAttributeValues=_attributes(values), **request)
        last = answer.get("LastEvaluatedKey")
        after = Key(last["pk"]["S"], last["sk"]["S"]) if last else None
        return Page(tuple(_item(item) for item in answer["Items"]), after)

    def _get_batch(self, keys: Sequence[Key]) -> Iterator[Item]:
        """What DynamoDB leaves unprocessed is asked for again, as long as it answers anything."""
        left: list[Any] = [_key(key) for key in keys]
        fruitless = 0
        while left:
            with _failures("BatchGetItem"):
                answer = self._client.batch_get_item(RequestItems={self._name: {"Keys": left, "ConsistentRead": True}})
            found = answer["Responses"].get(self._name, [])
            yield from map(_item, found)
            unprocessed: Any = answer.get("UnprocessedKeys", {})
            left = unprocessed[self._name]["Keys"] if self._name in unprocessed else []
            fruitless = 0 if found else fruitless + 1
            if left and fruitless == _FRUITLESS:
                raise BatchTableUnavailable(f"DynamoDB left {len(left)} reads unprocessed, {_FRUITLESS} times in a row")

    def _write_all(self, requests: Iterable[dict[str, Any]]) -> None:
        """BatchWriteItem takes each key once. The last write of a key stands, as it would if they came in turn."""
        for some in slices(requests, _AT_ONCE):
            distinct = list({_written_key(request): request for request in some}.values())
            if len(distinct) <= BATCH_WRITE:
                self._write_batch(distinct)
                continue
            with ThreadPoolExecutor(_THREADS) as pool:
                # list() raises what a thread has raised.
                list(pool.map(self._write_batch, slices(distinct, BATCH_WRITE)))

    def _write_batch(self, requests: Sequence[dict[str, Any]]) -> None:
        """What DynamoDB leaves unprocessed is sent again, as long as it processes any."""
        left: list[Any] = list(requests)
        fruitless = 0
        while left:
            with _failures("BatchWriteItem"):
                answer = self._client.batch_write_item(RequestItems={self._name: left})
            unprocessed: list[Any] = answer.get("UnprocessedItems", {}).get(self._name, [])
            fruitless = fruitless + 1 if len(unprocessed) == len(left) else 0
            if fruitless == _FRUITLESS:
                raise BatchTableUnavailable(
                    f"DynamoDB left {len(left)} writes unprocessed, {_FRUITLESS} times in a row"
                )
            left = unprocessed


@contextmanager
def _failures(operation: str) -> Iterator[None]:
    """What trying again can fix becomes ``BatchTableUnavailable``. A denied or malformed request stays what it is."""
    try:
        yield
    except ClientError as error:
        code = code_of(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code not in _THROTTLED and status < 500:
            raise
        raise BatchTableUnavailable(f"DynamoDB answered {operation} with {code}; it is tried again") from None
    except BotoCoreError as error:
        raise BatchTableUnavailable(f"DynamoDB did not answer {operation}: {error}; it is tried again") from None


def _expressions(assign: Mapping[str, Any], expect: Mapping[str, Any]) -> dict[str, Any]:
    """UpdateItem's expressions. Names are all placeholders: ``state``, ``owner`` and many more are reserved words."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {}

    def name_of(attribute: str) -> str:
        return names.setdefault(attribute, f"#{len(names)}")

    def value_of(value: Any) -> str:
        values[f":{len(values)}"] = value
        return f":{len(values) - 1}"

    sets = [f"{name_of(each)} = {value_of(value)}" for each, value in assign.items() if value is not None]
    removals = [name_of(each) for each, value in assign.items() if value is None]
    conditions = [
        f"attribute_not_exists({name_of(each)})" if value is None else f"{name_of(each)} = {value_of(value)}"
        for each, value in expect.items()
    ]
    clauses = [("SET", sets), ("REMOVE", removals)]
    expressions: dict[str, Any] = {
        "UpdateExpression": " ".join(f"{verb} {', '.join(each)}" for verb, each in clauses if each),
        "ExpressionAttributeNames": {placeholder: attribute for attribute, placeholder in names.items()},
    }
    if values:
        expressions["ExpressionAttributeValues"] = _attributes(values)
    if conditions:
        expressions["ConditionExpression"] = " AND ".join(conditions)
    return expressions


def _key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def _written_key(request: dict[str, Any]) -> Key:
    """Of ``{"PutRequest": {"Item"}}``, or ``{"DeleteRequest": {"Key"}}``."""
    ((attributes,),) = (body.values() for body in request.values())
    return Key(attributes["pk"]["S"], attributes["sk"]["S"])


class _Deserializer(TypeDeserializer):
    """boto3's, with int in place of Decimal and bytes in place of Binary."""

    def _deserialize_n(self, value: str) -> int:
        return int(value)

    def _deserialize_b(self, value: bytes) -> bytes:
        return value


_TO_DYNAMODB = TypeSerializer().serialize
_FROM_DYNAMODB = _Deserializer().deserialize


def _attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _TO_DYNAMODB(value) for name, value in item.items()}


def _item(attributes: Mapping[str, Any]) -> Item:
    return {name: _FROM_DYNAMODB(attribute) for name, attribute in attributes.items()}


def batch_table(name: str) -> DynamoBatchTable:
    """The table of this name or ARN, with the function's own credentials."""
    return DynamoBatchTable(boto3.client("dynamodb", config=Config(**DYNAMODB_CONFIG)), name)
