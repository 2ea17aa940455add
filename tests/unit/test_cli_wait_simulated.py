"""`invalidations wait` among everything that can happen: it never says "fresh" too early."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, cast

import pytest

from invalidation.batches.head import Head, Window
from invalidations_cli.aws import Stack
from invalidations_cli.backlog import BacklogReader, BucketBacklog
from invalidations_cli.commands.wait import QuietWatch, WaitResult
from tests.fakes.backlog import FakeAws, event
from tests.fakes.memory_table import MemoryTable
from tests.simulation import schedules
from tests.simulation.faults import Faults
from tests.simulation.machine import Protocol, StateMachine
from tests.simulation.world import START, World

pytestmark = pytest.mark.slow


class Bystander(MemoryTable):
    """The simulated world's table for somebody to whom no faults happen: each request is a turn."""

    def __init__(self, world: World) -> None:
        super().__init__(world.table.shards, page_size=100)
        self.world = world
        self.partitions = world.table.partitions

    def _request(self, operation: str, key: Any, effect: Any) -> Any:
        del operation, key
        self.world.scheduler.pause()
        return effect()


class Recorded(StateMachine):
    """Remembers with what each execution was begun, and when."""

    def __init__(self, world: World, window: Window) -> None:
        super().__init__(world, window, Protocol())
        self.world = world
        self.begun: dict[str, tuple[Mapping[str, Any], float]] = {}

    def begin(self, name: str, document: Mapping[str, Any], *, at: float) -> None:
        self.begun[self._arn(name)] = (document, at)
        super().begin(name, document, at=at)

    def events_of(self, bucket: str) -> set[str]:
        lists = [
            each
            for document, _ in self.begun.values()
            for each in (document.get("keys"), *document.get("changes", {}).values())
        ]
        return {change.event_id for changes in lists for change in changes or () if change.bucket == bucket}


class Observatory(FakeAws):
    """The simulated world, as the reader sees it."""

    def __init__(self, world: World, machine: Recorded) -> None:
        super().__init__(Bystander(world))
        self.world = world
        self.machine = machine

    def paginate(self, **_options: Any) -> Iterator[Any]:
        self.world.scheduler.pause()
        clock = self.world.scheduler.clock
        running = [arn for arn, (_, at) in self.machine.begun.items() if at <= clock and self.machine._goes_on(arn)]
        yield {"executions": [{"executionArn": arn} for arn in running]}

    def input_of(self, arn: str) -> Any:
        self.world.scheduler.pause()
        document = self.machine.begun[arn][0]
        match document:
            case {"changes": by_bucket}:
                return [event(bucket) for bucket in by_bucket]
            case {"keys": changes}:
                return {"bucket": changes[0].bucket, "keys": [change.key for change in changes]}
            case _:
                return document


class WrongWayRound(BacklogReader):
    """Looks at the batches before it looks at what is to become one."""

    def look(self) -> BucketBacklog:
        unfinished, parked = self._batches(Head("one"))
        return BucketBacklog(pending=self._pending(), unfinished=unfinished, parked=parked)


LOOKS = 40


def told_early(seed: int, kind: type[BacklogReader] = BacklogReader) -> list[str]:
    """Changes of the bucket that nothing covered although it was found fresh, and that had been accepted, or brought
    by a running execution, before the look that found it so.

    Without any quiet time, and going on when it could end: each look must be right by itself.
    """
    random = Random(seed)  # noqa: S311 # a schedule, not a secret
    world = World(random, Faults.some(random), shards=2, page_size=2)
    machine = Recorded(world, random.choice(schedules.WINDOWS))
    schedules._let_changes_come(world, machine)
    early: list[str] = []

    def observe() -> None:
        watch = QuietWatch(quiet=0)
        reader = kind(cast("Stack", Observatory(world, machine)), "one", START)
        for _ in range(LOOKS):
            before = set(world.observed.accepted) & machine.events_of("one")
            if watch.look(reader.look(), world.scheduler.clock) is WaitResult.FRESH:
                early.extend(each for each in world.observed.uncovered() if each in before)
            world.scheduler.sleep(world.scheduler.clock + random.choice([0, 0, 0, 0.1, 2]))

    world.scheduler.spawn("observer", observe)
    world.scheduler.run(schedules.RandomChoices(world), turns=2_000)
    world.scheduler.close()
    return early


SEEDS = range(300)


def test_in_no_schedule_is_a_bucket_called_fresh_while_an_accepted_change_is_uncovered() -> None:
    assert {seed: early for seed in SEEDS if (early := told_early(seed))} == {}


def test_a_reader_that_looks_the_wrong_way_round_is_caught_by_these_schedules() -> None:
    assert any(told_early(seed, WrongWayRound) for seed in SEEDS)
