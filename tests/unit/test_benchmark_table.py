"""The benchmark's DynamoDB, held to the contract that the other implementations of the batch table are held to."""

from __future__ import annotations

import uuid
from functools import cache

import pytest

from benchmarks.cloud.clock import Clock
from benchmarks.cloud.cloudfront import CloudFront
from benchmarks.cloud.dynamodb import Table
from benchmarks.cloud.services import Services, Switch
from benchmarks.cloud.usage import Usage
from invalidation.batches.dynamodb import DynamoBatchTable
from invalidation.batches.table import BatchTable
from tests.contract.test_batch_table import *  # noqa: F403 # all of its tests, with the fixtures below


@cache
def _switch() -> Switch:
    return Switch()


@pytest.fixture
def table() -> BatchTable:
    clock, usage = Clock(), Usage()
    _switch().services = Services(clock, usage, Table(usage), CloudFront(clock, usage, "my-site"))
    return DynamoBatchTable(_switch().client("dynamodb"), "batches")


@pytest.fixture
def shared_table(table: BatchTable) -> BatchTable:
    """Asked by several threads at once."""
    return table


@pytest.fixture
def pk() -> str:
    return f"TEST#{uuid.uuid4().hex}"
