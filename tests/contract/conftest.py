"""The three implementations of the batch table that have to agree."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from invalidation.batches.dynamodb import DYNAMODB_CONFIG, DynamoBatchTable
from invalidation.batches.table import BatchTable
from invalidations_cli.local import server
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.settings import LocalSettings
from tests.definition import resources
from tests.fakes.memory_table import MemoryTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NAME = "batches"
SHAPE = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


def create(client: "DynamoDBClient") -> None:
    """The batch table as the template has it."""
    properties = resources("AWS::DynamoDB::Table")["BatchTable"]
    client.create_table(TableName=NAME, **{name: properties[name] for name in SHAPE})


@pytest.fixture(scope="module")
def memory() -> BatchTable:
    return MemoryTable(page_size=3)


@pytest.fixture(scope="module")
def moto() -> Iterator[BatchTable]:
    with mock_aws():
        client = boto3.client(
            "dynamodb",
            region_name="eu-central-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(**DYNAMODB_CONFIG),
        )
        create(client)
        yield DynamoBatchTable(client, NAME)


@pytest.fixture(scope="module")
def ministack() -> Iterator[BatchTable]:
    with server.running(LocalSettings(patches=())) as emulator:
        client = LocalAws(emulator.endpoint).client("dynamodb")
        create(client)
        yield DynamoBatchTable(client, NAME)


@pytest.fixture(params=["memory", "moto", pytest.param("ministack", marks=pytest.mark.local)])
def table(request: pytest.FixtureRequest) -> BatchTable:
    found: BatchTable = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["memory", pytest.param("ministack", marks=pytest.mark.local)])
def shared_table(request: pytest.FixtureRequest) -> BatchTable:
    """A table for several threads at once, which moto's is not: it reads and writes an item without a lock."""
    found: BatchTable = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def pk() -> str:
    """A partition of the test's own: the tables are shared, as starting an emulator takes a while."""
    return f"TEST#{uuid.uuid4().hex}"
