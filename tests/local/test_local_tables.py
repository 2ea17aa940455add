"""DynamoDB on the local AWS holds what the batching relies on."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.local import tools
from tests.local.conftest import Emulators

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("emulators")]

KEY = {"pk": {"S": "BUCKET#site"}, "sk": {"S": "HEAD"}}


@pytest.fixture(scope="module")
def table(emulators: Emulators) -> tuple[Any, str]:
    name = tools.new_name()
    attributes = ("pk", "sk", "due", "place")
    properties = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": each, "AttributeType": "S"} for each in attributes],
        "KeySchema": schema("pk", "sk"),
        "GlobalSecondaryIndexes": [
            {"IndexName": "Due", "KeySchema": schema("due", "place"), "Projection": {"ProjectionType": "ALL"}}
        ],
    }
    status = tools.stack(emulators.patched, {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": properties}})
    assert status == "CREATE_COMPLETE"
    return emulators.patched.client("dynamodb"), name


def schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


def test_of_many_conditional_writers_exactly_one_wins(table: tuple[Any, str]) -> None:
    dynamodb, name = table

    def claim(number: int) -> bool:
        try:
            dynamodb.update_item(
                TableName=name,
                Key=KEY,
                UpdateExpression="SET leader = :me, batchId = :me",
                ConditionExpression="attribute_not_exists(leader)",
                ExpressionAttributeValues={":me": {"S": str(number)}},
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    with ThreadPoolExecutor(8) as racers:
        winners = [number for number, won in enumerate(racers.map(claim, range(40))) if won]
    assert len(winners) == 1
    item = dynamodb.get_item(TableName=name, Key=KEY, ConsistentRead=True)["Item"]
    assert item["leader"] == item["batchId"] == {"S": str(winners[0])}


def test_an_index_holds_only_the_items_that_have_its_keys_in_the_order_of_the_sort_key(table: tuple[Any, str]) -> None:
    dynamodb, name = table
    places = ["b", "a", None, "c"]
    for number, place in enumerate(places):
        item = {"pk": {"S": f"BATCH#{number}"}, "sk": {"S": "META"}}
        if place is not None:
            item |= {"due": {"S": "unfinished"}, "place": {"S": place}}
        dynamodb.put_item(TableName=name, Item=item)
    question = {
        "TableName": name,
        "IndexName": "Due",
        "KeyConditionExpression": "due = :due",
        "ExpressionAttributeValues": {":due": {"S": "unfinished"}},
    }
    pages = dynamodb.get_paginator("query").paginate(**question, PaginationConfig={"PageSize": 2})
    assert [item["place"]["S"] for page in pages for item in page["Items"]] == ["a", "b", "c"]
    dynamodb.update_item(
        TableName=name,
        Key={"pk": {"S": "BATCH#1"}, "sk": {"S": "META"}},
        UpdateExpression="REMOVE due, place",
    )
    assert [item["place"]["S"] for item in dynamodb.query(**question)["Items"]] == ["b", "c"]


def test_twenty_five_items_are_written_and_deleted_at_once_and_a_query_counts_all_pages(table: tuple[Any, str]) -> None:
    dynamodb, name = table
    items = [{"pk": {"S": "PENDING#site#0"}, "sk": {"S": f"{number:02}"}} for number in range(25)]
    dynamodb.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": item}} for item in items]})
    question = {
        "TableName": name,
        "ConsistentRead": True,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :tens)",
        "ExpressionAttributeValues": {":pk": {"S": "PENDING#site#0"}, ":tens": {"S": "1"}},
    }
    pages = dynamodb.get_paginator("query").paginate(**question, PaginationConfig={"PageSize": 3})
    assert [item["sk"]["S"] for page in pages for item in page["Items"]] == [str(number) for number in range(10, 20)]
    dynamodb.batch_write_item(RequestItems={name: [{"DeleteRequest": {"Key": item}} for item in items]})
    assert dynamodb.query(**question)["Count"] == 0
