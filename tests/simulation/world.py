"""Everything that the simulated handlers touch: a table, CloudFront, clocks; and what an observer knows of them.

The observer sees each change when it is first written and each invalidation when it is created, in logical time. So it
can tell what was lost, which nobody inside could.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

from greenlet import getcurrent

from invalidation.batches.head import HeadState
from invalidation.batches.model import BatchState, Outcome
from invalidation.batches.snapshot import chunk_key, unpack
from invalidation.batches.table import BATCH, Index, Item, Key, Page
from invalidation.batches.targets import TARGETS
from invalidation.errors import AccessDenied, BatchTableUnavailable, CloudFrontUnavailable
from invalidation.events import Change
from tests.fakes.memory_table import MemoryTable
from tests.simulation.faults import AT_A_REQUEST, AT_CLOUDFRONT, Fault, Faults
from tests.simulation.scheduler import Scheduler, Task

T = TypeVar("T")

MOST_EXECUTIONS = 24
"""That a batch may have had: those that fail, die or never begin, before and after a retry by hand."""
FINAL = {"COMPLETED", "SKIPPED"}

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
DISTRIBUTIONS = ({"E1": ""}, {"E1": ""}, {"E1": "", "E2": "a"})
"""What may serve the buckets: distribution -> the keys that it serves, by their beginning."""


class HandlerFailed(Exception):
    """What the state machine sees of a handler that raised, died or timed out; the message is the error's name."""


@dataclass(slots=True)
class Observed:
    """What was accepted and invalidated, and when, in steps."""

    distributions: dict[str, str]
    accepted: dict[str, int] = field(default_factory=dict)
    """Event id -> the step in which the change was first written."""
    keys: dict[str, str] = field(default_factory=dict)
    """Event id -> key."""
    invalidated: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """Distribution and event id -> the steps in which an invalidation for it was created."""

    abandoned: set[str] = field(default_factory=set)
    """Batches that somebody has given up."""
    in_vain: list[str] = field(default_factory=list)
    """What was paid for although its batch had been given up by then."""

    crashes: list[str] = field(default_factory=list)
    """Errors in handlers that no error's name stands for."""

    broken: list[str] = field(default_factory=list)
    """What became of an item that must not become of it, in the step in which it did."""

    def uncovered(self) -> list[str]:
        """Accepted changes without a later invalidation at each distribution that serves them."""
        return [
            event
            for event, accepted in self.accepted.items()
            if any(
                not any(created > accepted for created in self.invalidated.get((distribution, event), ()))
                for distribution, beginning in self.distributions.items()
                if self.keys[event].startswith(beginning)
            )
        ]

    def covered_twice(self) -> list[str]:
        return [event for (_, event), created in self.invalidated.items() if len(created) > 1]


class World:
    """A table, CloudFront and a scheduler, under one set of faults."""

    def __init__(self, random: Random, faults: Faults, *, shards: int = 1, page_size: int = 2) -> None:
        self.random = random
        self.faults = faults
        self.scheduler = Scheduler()
        self.observed = Observed(random.choice(DISTRIBUTIONS))
        self.table = SimulatedTable(self, shards, page_size)
        self.cloudfront = SimulatedCloudFront(self)
        self.requested: dict[str, list[Change]] = {}
        """Changes of batches of one's own, by execution: they are accepted with the batch record."""
        self.deadlines: dict[str, float] = {}
        """Batch -> the end of the window in which its Close is to end, in seconds of the clock."""
        self.trace: list[str] | None = None
        self._skew: dict[str, timedelta] = {}

    def now(self) -> datetime:
        """The clock on the wall of whoever asks."""
        name = getattr(getcurrent(), "name", "")
        if name and name not in self._skew:
            wrong = self.faults.strike((Fault.CLOCK_WRONG,))
            self._skew[name] = timedelta(seconds=self.random.uniform(-300, 300) if wrong else 0)
        return START + timedelta(seconds=self.scheduler.clock) + self._skew.get(name, timedelta())

    def listed(self, record: Item) -> set[str]:
        """The events on the frozen list that a batch record names, looked up without a request."""
        found: set[str] = set()
        for number in range(1, record["chunks"] + 1):
            chunk = self.table.find(chunk_key(record["batchId"], record["attempt"], number))
            if chunk is not None:
                found.update(row["eventId"] for row in unpack(chunk["rows"]))
        return found

    def note(self, what: str) -> None:
        if self.trace is not None:
            name = getattr(getcurrent(), "name", "hub")
            self.trace.append(f"{self.scheduler.steps:5} {self.scheduler.clock:8.2f}s  {name:40} {what}")

    def request(
        self, what: tuple[str, ...], kinds: tuple[Fault, ...], failure: type[Exception], effect: Callable[[], T]
    ) -> T:
        """Somebody makes a request: others may go first, and anything may go wrong."""
        self.scheduler.pause()
        fault = self.faults.strike(kinds)
        if self.trace is not None:
            self.note(" ".join(what) + (f"  ** {fault}" if fault else ""))
        if fault is None:
            return effect()
        if fault in (Fault.REFUSED, Fault.LATE, Fault.DENIED):
            if fault is Fault.LATE:
                later = self.scheduler.clock + self.random.choice([0, 0, 1, 20, 400])
                self.scheduler.spawn(f"late {' '.join(what)}", effect, at=later)
            raise AccessDenied("denied") if fault is Fault.DENIED else failure(fault.value)
        if fault is Fault.ANSWER_LOST:
            effect()
            raise failure(fault.value)
        if fault is Fault.REPEATED:
            effect()
            return effect()
        return self._disturbed(fault, effect)

    def _disturbed(self, fault: Fault, effect: Callable[[], T]) -> T:
        """The request itself goes well, and something else does not."""
        task = getcurrent()
        assert isinstance(task, Task)
        call = task.call
        if fault is Fault.CLOCK_JUMPS:
            self.scheduler.clock += self.random.choice([15, 150, 400])
        elif fault is Fault.ABANDONED and call is not None:
            self.scheduler.answer(call, error="States.Timeout")
        elif fault is Fault.STOPPED and call is not None:
            self.scheduler.kill(call.waiter)
        elif fault in (Fault.DIES_BEFORE, Fault.DIES_AFTER):
            if fault is Fault.DIES_AFTER:
                effect()
            if call is not None:
                self.scheduler.answer(call, error="Lambda.Unknown")
            self.scheduler.kill(task)
            self.scheduler.pause()
        return effect()


class SimulatedTable(MemoryTable):
    """The table in memory; every request is a step."""

    def __init__(self, world: World, shards: int, page_size: int) -> None:
        super().__init__(shards, page_size)
        self._world = world
        self._stale: dict[str, Page] = {}

    def _request(self, operation: str, key: Key, effect: Callable[[], T]) -> T:
        return self._world.request((operation, *key), AT_A_REQUEST, BatchTableUnavailable, effect)

    def ensure(self, key: Key) -> None:
        """A warm handler has done so before: half of them are warm."""
        if self.find(key) is None or self._world.random.random() < 0.5:
            super().ensure(key)

    def page(self, pk: str, prefix: str = "", *, after: Key | None = None, limit: int = 0, keys: bool = False) -> Page:
        if self._world.faults.strike((Fault.EMPTY_PAGE,)):
            return self._request("page", Key(pk, prefix), lambda: Page((), after or Key(pk, "")))
        return super().page(pk, prefix, after=after, limit=limit, keys=keys)

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
        bounds: Any = {"since": since, "until": until, "after": after, "limit": limit, "oldest_first": oldest_first}
        page = super().index_page(index, value, **bounds)
        if after is None and self._world.faults.strike((Fault.INDEX_STALE,)):
            return self._stale.get(value, Page((), None))
        if after is None:
            self._stale[value] = Page(page.items, None)
        return page

    def _write(self, item: Item) -> None:
        before = self.find(Key(item["pk"], item["sk"])) or {}
        super()._write(item)
        self._observe(item)
        self._world.observed.broken += self._broken(before, item)

    def _broken(self, before: Item, item: Item) -> Iterator[str]:
        """What must not become of a batch's items, at any step and whoever comes late."""
        name = f"{item['pk']} / {item['sk']}"
        if item["sk"] == "META":
            if before.get("state") == BatchState.ENDED and item["state"] != BatchState.ENDED:
                yield f"{name} had ended, and is {item['state']} again"
            if "resolved" in before and item.get("resolved") != before["resolved"]:
                yield f"{name} owed to {before['resolved']}, and now to {item.get('resolved')}"
            if len(item["executions"]) > MOST_EXECUTIONS:
                yield f"{name} has had {len(item['executions'])} executions"
        elif item["sk"].startswith(TARGETS) and before.get("state") in FINAL and item["state"] != before["state"]:
            yield f"{name} was {before['state']} for good, and is {item['state']}"
        if item["pk"].startswith(BATCH) and item["sk"] != "META" and "expiresAt" in item and self._owes(item["pk"]):
            yield f"{name} is going to expire, and its batch still owes"

    def _owes(self, pk: str) -> bool:
        meta = self.find(Key(pk, "META"))
        if meta is None or meta["state"] == BatchState.ENDED or "resolved" not in meta:
            return meta is not None and meta["state"] != BatchState.ENDED
        targets = [self.find(Key(pk, f"{TARGETS}{each}")) for each in meta["resolved"]]
        return any(target is None or target["state"] not in FINAL for target in targets)

    def expire(self, now: datetime) -> None:
        """Time to live takes what is due, one by one in no order: a batch's record may go before or after the rest."""
        due = [
            Key(pk, sk)
            for pk, partition in self.partitions.items()
            for sk, item in partition.items()
            if item.get("expiresAt", math.inf) <= now.timestamp()
        ]
        self._world.random.shuffle(due)
        for key in due:
            meta = self.find(Key(key.pk, "META"))
            if key.pk.startswith(BATCH) and meta is not None and meta["state"] != BatchState.ENDED:
                self._world.observed.broken.append(f"{key.pk} / {key.sk} expires, and its batch has not ended")
            self._remove(key)

    def _observe(self, item: Item) -> None:
        observed, step = self._world.observed, self._world.scheduler.steps
        if item["pk"].startswith("PENDING"):
            observed.accepted.setdefault(item["eventId"], step)
            observed.keys[item["eventId"]] = item["key"]
        elif item["sk"] == "META" and item.get("outcome") == Outcome.ABANDONED.value:
            observed.abandoned.add(item["batchId"])
        elif item["sk"] == "META" and not item.get("gathered"):
            for change in self._world.requested.get(item["executions"][0], ()):
                observed.accepted.setdefault(change.event_id, step)
                observed.keys[change.event_id] = change.key
        elif item["sk"] == "HEAD" and item.get("state") == HeadState.GATHERING:
            closes = (datetime.fromisoformat(item["closesAt"]) - START).total_seconds()
            self._world.deadlines[item["batchId"]] = closes + item["window"]


class SimulatedCloudFront:
    """Creates invalidations, once for each caller reference."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._created: dict[str, str] = {}

    def create(self, distribution: str, reference: str, events: tuple[str, ...]) -> str:
        """Returns the invalidation's id."""

        def effect() -> str:
            if reference not in self._created:
                self._created[reference] = f"I{len(self._created)}"
                batch_id = reference.partition(".")[0]
                if batch_id in self._world.observed.abandoned:
                    self._world.observed.in_vain.append(f"{batch_id} had been given up, and is invalidated")
                for event in events:
                    steps = self._world.observed.invalidated.setdefault((distribution, event), [])
                    steps.append(self._world.scheduler.steps)
            return self._created[reference]

        what = ("create invalidation", distribution, *events)
        return self._world.request(what, AT_CLOUDFRONT, CloudFrontUnavailable, effect)
