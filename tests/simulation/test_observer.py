"""What the observer complains of, where no mistake in the protocol comes to it within a few schedules."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from invalidation.batches.table import Item
from tests.simulation import faults
from tests.simulation.world import MOST_EXECUTIONS, START, World


@pytest.fixture
def world() -> World:
    random = Random(0)  # noqa: S311 -- not secret
    return World(random, faults.none(random))


def record(executions: int = 1) -> Item:
    return {"pk": "BATCH#b", "sk": "META", "v": 1, "state": "FROZEN", "executions": ["arn"] * executions}


def test_a_batch_may_have_had_so_many_executions_and_no_more(world: World) -> None:
    world.table.partitions["BATCH#b"] = {"META": record()}
    world.table._write(record(MOST_EXECUTIONS))
    assert world.observed.broken == []
    world.table._write(record(MOST_EXECUTIONS + 1))
    assert world.observed.broken == [f"BATCH#b / META has had {MOST_EXECUTIONS + 1} executions"]


def test_nothing_of_a_batch_that_owes_expires(world: World) -> None:
    expires = int((START + timedelta(days=1)).timestamp())
    world.table.partitions["BATCH#b"] = {
        "META": record(),
        "KEYS#attempt1#0001": {"pk": "BATCH#b", "sk": "KEYS#attempt1#0001", "v": 1, "expiresAt": expires},
    }
    world.table.expire(START + timedelta(days=2))
    assert world.observed.broken == ["BATCH#b / KEYS#attempt1#0001 expires, and its batch has not ended"]
