"""Everything that the simulated handlers touch: a table, CloudFront, clocks; and what an observer knows of them.

The observer sees each change when it is first written and each invalidation when it is created, in logical time. So it
can tell what was lost, which nobody inside could.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, TypeVar

from botocore.exceptions import ClientError
from greenlet import getcurrent

from invalidation.batches.model import BatchState, Outcome
from invalidation.batches.snapshot import chunk_key, unpack
from invalidation.batches.table import BATCH, Index, Item, Key, Page
from invalidation.batches.targets import TARGETS
from invalidation.errors import BatchTableUnavailable
from invalidation.events import Change
from tests.fakes.memory_table import MemoryTable
from tests.simulation.cloudfront import Created, SimulatedCloudFront, matches, serves
from tests.simulation.faults import AT_A_REQUEST, Fault, Faults
from tests.simulation.scheduler import Scheduler, Task

T = TypeVar("T")

MOST_EXECUTIONS = 8
"""That a batch may have had: three tries, three more after a retry by hand, and two that were overtaken."""
FINAL = {"COMPLETED", "SKIPPED"}
REFUSALS = (Fault.REFUSED, Fault.DENIED, Fault.THROTTLED, Fault.NO_ROOM)

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
    accepted_at: dict[str, float] = field(default_factory=dict)
    """The same in seconds of the clock."""
    keys: dict[str, str] = field(default_factory=dict)
    """Event id -> key."""
    invalidated: dict[tuple[str, str], list[Created]] = field(default_factory=dict)
    """Distribution and event id -> the invalidations that its batch has purged it with."""

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
                not any(each.step > accepted for each in self.invalidated.get((distribution, event), ()))
                for distribution, beginning in self.distributions.items()
                if self.keys[event].startswith(beginning)
            )
        ]

    def waited(self) -> dict[str, float]:
        """For how many seconds each change was accepted before the last distribution that serves it was invalidated."""
        found: dict[str, float] = {}
        for (_, event), created in self.invalidated.items():
            first = min((each.at for each in created if each.step > self.accepted[event]), default=math.inf)
            found[event] = max(found.get(event, 0), first - self.accepted_at[event])
        return found

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
        self.worked = 0.0
        """Seconds that have passed while somebody could go on."""
        self.trace: list[str] | None = None
        self._skew: dict[str, timedelta] = {}

    def now(self) -> datetime:
        """The clock on the wall of whoever asks."""
        name = getattr(getcurrent(), "name", "")
        if name and name not in self._skew:
            wrong = self.faults.strike((Fault.CLOCK_WRONG,))
            self._skew[name] = timedelta(seconds=self.random.uniform(-300, 300) if wrong else 0)
        return START + timedelta(seconds=self.scheduler.clock) + self._skew.get(name, timedelta())

    @staticmethod
    def moment(seconds: float) -> datetime:
        """On a clock that is right."""
        return START + timedelta(seconds=seconds)

    def listed(self, record: Item) -> dict[str, str]:
        """Event id -> key, on the frozen list that a batch record names; looked up without a request."""
        found: dict[str, str] = {}
        for number in range(1, record["chunks"] + 1):
            chunk = self.table.find(chunk_key(record["batchId"], record["attempt"], number))
            if chunk is not None:
                found.update((row["eventId"], row["key"]) for row in unpack(chunk["rows"]))
        return found

    def observe_invalidation(self, created: Created) -> None:
        """It counts for the changes of its batch that it purges, and for no others."""
        record = self.table.find(Key(f"{BATCH}{created.batch_id}", "META"))
        if created.batch_id in self.observed.abandoned:
            self.observed.in_vain.append(f"{created.batch_id} had been given up, and is invalidated")
        if record is not None and created.purges:
            for event, key in self.listed(record).items():
                if any(matches(path, key) for path in created.paths):
                    self.observed.invalidated.setdefault((created.distribution, event), []).append(created)

    def not_fresh(self, target: Item) -> list[str]:
        """The batch's changes that the distribution serves, and that the edge still has as they were before."""
        document, record = json.loads(target["document"]), self.table.find(Key(target["pk"], "META"))
        served = [event for event, key in self.listed(record or {}).items() if serves(document, key)]
        return [event for event in served if not self._completed(target["distributionId"], event)]

    def _completed(self, distribution: str, event: str) -> bool:
        clock = self.scheduler.clock
        return any(each.completes <= clock for each in self.observed.invalidated.get((distribution, event), ()))

    def later(self) -> float:
        """When something happens that is late; at once, as often as not."""
        return self.scheduler.clock + self.random.choice([0, 0, 1, 20, 400])

    def note(self, what: str) -> None:
        if self.trace is not None:
            name = getattr(getcurrent(), "name", "hub")
            self.trace.append(f"{self.scheduler.steps:5} {self.scheduler.clock:8.2f}s  {name:40} {what}")

    def request(
        self,
        what: tuple[str, ...],
        kinds: tuple[Fault, ...],
        failure: Callable[[Fault], Exception],
        effect: Callable[[], T],
    ) -> T:
        """Somebody makes a request: others may go first, and anything may go wrong."""
        self.scheduler.pause()
        fault = self.faults.strike(kinds)
        if self.trace is not None:
            self.note(" ".join(what) + (f"  ** {fault}" if fault else ""))
        if fault is None:
            return effect()
        if fault in REFUSALS:
            raise failure(fault)
        if fault is Fault.LATE:
            self.scheduler.spawn(f"late {' '.join(what)}", partial(_unheard, effect), at=self.later())
            raise failure(fault)
        if fault is Fault.ANSWER_LOST:
            effect()
            raise failure(fault)
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
            self.scheduler.sleep(self.later())
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


def _unheard(effect: Callable[[], object]) -> None:
    """Nobody hears that it is refused."""
    with suppress(ClientError):
        effect()


def _unavailable(fault: Fault) -> BatchTableUnavailable:
    return BatchTableUnavailable(fault.value)


class SimulatedTable(MemoryTable):
    """The table in memory; every request is a step."""

    def __init__(self, world: World, shards: int, page_size: int) -> None:
        super().__init__(shards, page_size)
        self._world = world
        self._stale: dict[str, Page] = {}

    def _request(self, operation: str, key: Key, effect: Callable[[], T]) -> T:
        return self._world.request((operation, *key), AT_A_REQUEST, _unavailable, effect)

    def ensure(self, key: Key) -> None:
        """A warm handler has done so before: half of them are warm."""
        if self.find(key) is None or self._world.random.random() < 0.5:
            super().ensure(key)

    def update(self, key: Key, assign: Mapping[str, Any], expect: Mapping[str, Any]) -> Item | None:
        """Opening a batch is part of what is to be over within its window: its times are of before the request."""
        opened = assign.get("batchId") if key.sk == "HEAD" else None
        if opened:
            closes = (datetime.fromisoformat(assign["closesAt"]) - START).total_seconds()
            self._world.deadlines[opened] = closes + assign["window"]
        item = super().update(key, assign, expect)
        if opened and item is None:
            self._world.deadlines.pop(opened, None)
        return item

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
        elif item["sk"].startswith(TARGETS):
            yield from self._broken_target(name, before, item)
        if item["pk"].startswith(BATCH) and item["sk"] != "META" and "expiresAt" in item and self._owes(item["pk"]):
            yield f"{name} is going to expire, and its batch still owes"

    def _broken_target(self, name: str, before: Item, item: Item) -> Iterator[str]:
        if before.get("state") in FINAL:
            if item["state"] != before["state"]:
                yield f"{name} was {before['state']} for good, and is {item['state']}"
        elif item["state"] in FINAL:
            stale = self._world.not_fresh(item)
            yield from (f"{name} is {item['state']}, and the edge has not seen {event}" for event in stale)
        if "frozen" in before and item.get("frozen") != before["frozen"]:
            yield f"{name} had its paths frozen, and has others"

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
        observed = self._world.observed
        if item["pk"].startswith("PENDING"):
            self._observe_accepted(item["eventId"], item["key"])
        elif item["sk"] == "META" and item.get("outcome") == Outcome.ABANDONED.value:
            observed.abandoned.add(item["batchId"])
        elif item["sk"] == "META" and not item.get("gathered"):
            for change in self._world.requested.get(item["executions"][0], ()):
                self._observe_accepted(change.event_id, change.key)

    def _observe_accepted(self, event: str, key: str) -> None:
        observed, scheduler = self._world.observed, self._world.scheduler
        if event not in observed.accepted:
            observed.accepted[event], observed.accepted_at[event] = scheduler.steps, scheduler.clock
            observed.keys[event] = key
