"""The three implementations of the batch table that have to agree."""

import uuid
from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from invalidation.batches import DYNAMODB_CONFIG, DynamoBatchTable
from invalidation.lifecycle import BatchTable
from ops.local import server
from ops.local.aws import LocalAws
from ops.local.settings import Settings
from tests import batch_table
from tests.memory_table import MemoryTable

NAME = "batches"


@pytest.fixture(scope="session")
def memory() -> BatchTable:
    return MemoryTable(page_size=3)


@pytest.fixture(scope="session")
def moto() -> Iterator[BatchTable]:
    with mock_aws():
        client = boto3.client(
            "dynamodb",
            region_name="eu-central-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(**DYNAMODB_CONFIG),
        )
        batch_table.create(client, NAME)
        yield DynamoBatchTable(client, NAME)


@pytest.fixture(scope="session")
def ministack() -> Iterator[BatchTable]:
    with server.running(Settings(patches=())) as emulator:
        client = LocalAws(emulator.endpoint).client("dynamodb")
        batch_table.create(client, NAME)
        yield DynamoBatchTable(client, NAME)


@pytest.fixture(params=["memory", "moto", pytest.param("ministack", marks=pytest.mark.local)])
def table(request: pytest.FixtureRequest) -> BatchTable:
    found: BatchTable = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def pk() -> str:
    """A partition of the test's own: the tables are shared, as starting an emulator takes a while."""
    return f"TEST#{uuid.uuid4().hex}"
