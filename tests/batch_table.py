"""The batch table's shape, for tests that create it in an emulator. A test holds the template to the same shape."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SHAPE: dict[str, Any] = {
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
        {"AttributeName": "unfinished", "AttributeType": "S"},
        {"AttributeName": "audit", "AttributeType": "S"},
    ],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": name,
            "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}, {"AttributeName": "pk", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
        for name in ("unfinished", "audit")
    ],
}


def create(client: "DynamoDBClient", name: str) -> None:
    client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **SHAPE)
