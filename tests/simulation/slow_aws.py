"""A batch table and a Step Functions whose calls take time, on a clock that only they move."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from invalidation.batches.table import Index, Item, Key, Page
from tests.fakes.memory_table import MemoryTable

T = TypeVar("T")

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
CALL_SECONDS = 0.05
RATES = {"GetExecutionHistory": (400, 20), "DescribeExecution": (300, 15)}
"""Calls at once, and a second (Step Functions Developer Guide, "Quotas related to API action throttling")."""
MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:invalidation"
EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:invalidation:"


@dataclass
class SlowClock:
    """``busy`` is set while somebody's calls take time."""

    seconds: float = 0.0
    busy: bool = False

    def __call__(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def call(self) -> None:
        if self.busy:
            self.seconds += CALL_SECONDS


class SlowTable(MemoryTable):
    """Each request takes a call's time; 25 items are written in one, and a page of keys holds as many as a megabyte.

    Partitions and indexes are kept in order, for there are 100,000 items and a thousand sweeps.
    """

    def __init__(self, clock: SlowClock) -> None:
        super().__init__(shards=4, page_size=5_000)
        self._clock = clock
        self._in_one = False
        self._order: defaultdict[str, list[str]] = defaultdict(list)
        self._entries: defaultdict[tuple[str, str], list[Key]] = defaultdict(list)

    def _request(self, operation: str, key: Key, effect: Callable[[], T]) -> T:
        if not self._in_one:
            self._clock.call()
        return super()._request(operation, key, effect)

    def put_all(self, items: Iterable[Item]) -> None:
        self._written(list(items), super().put_all)

    def delete_all(self, keys: Iterable[Key]) -> None:
        self._written(list(keys), super().delete_all)

    def page(self, pk: str, prefix: str = "", *, after: Key | None = None, limit: int = 0, keys: bool = False) -> Page:
        del keys
        self._clock.call()
        order, size = self._order[pk], min(limit or self.page_size, self.page_size)
        first = bisect_right(order, after.sk) if after else bisect_left(order, prefix)
        last = bisect_left(order, prefix + "\U0010ffff")
        found = order[first : min(first + size, last)]
        items = tuple(dict(self.partitions[pk][sk]) for sk in found)
        return Page(items, Key(pk, found[-1]) if first + size < last else None)

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
        assert oldest_first, "the sweep asks in no other order"
        self._clock.call()
        entries, size = self._entries[index.value, value], min(limit or self.page_size, self.page_size)
        first = bisect_right(entries, after) if after else bisect_left(entries, Key(since, ""))
        last = bisect_right(entries, Key(until, "\U0010ffff")) if until else len(entries)
        found = entries[first : min(first + size, last)]
        items = tuple({"pk": key.pk, "sk": key.sk} for key in found)
        return Page(items, found[-1] if first + size < last else None)

    def _written(self, many: list[Any], write: Callable[[list[Any]], None]) -> None:
        for at in range(0, len(many), 25):
            self._clock.call()
            self._in_one = True
            try:
                write(many[at : at + 25])
            finally:
                self._in_one = False

    def _write(self, item: Item) -> None:
        key = Key(item["pk"], item["sk"])
        before = self.find(key)
        if before is None:
            insort(self._order[key.pk], key.sk)
        for index in Index:
            was, becomes = (before or {}).get(index.value), item.get(index.value)
            if was != becomes and was is not None:
                self._entries[index.value, was].remove(key)
            if was != becomes and becomes is not None:
                insort(self._entries[index.value, becomes], key)
        super()._write(item)

    def _remove(self, key: Key) -> None:
        before = self.find(key)
        if before is not None:
            self._order[key.pk].remove(key.sk)
            for index in Index:
                if index.value in before:
                    self._entries[index.value, before[index.value]].remove(key)
        super()._remove(key)


@dataclass
class Run:
    """An execution as Step Functions has it."""

    name: str
    document: Any
    started: datetime
    status: str = "RUNNING"
    stopped: datetime | None = None
    accepted: bool = False

    @property
    def arn(self) -> str:
        return EXECUTION + self.name


@dataclass
class SlowStepFunctions:
    """A boto3 client, as far as the sweep asks it. Who is too fast waits, as the SDK's adaptive mode lets it."""

    clock: SlowClock
    runs: dict[str, Run] = field(default_factory=dict)
    """By ARN."""
    refuses: Callable[[str, str], str] = lambda _operation, _arn: ""
    """The code of an error that a call is answered with."""
    new: list[Run] = field(default_factory=list)
    """What was started by a call."""
    _tokens: dict[str, tuple[float, float]] = field(default_factory=dict)

    class exceptions:  # noqa: N801 -- as botocore's clients have it
        ExecutionAlreadyExists = type("ExecutionAlreadyExists", (Exception,), {})
        ExecutionDoesNotExist = type("ExecutionDoesNotExist", (Exception,), {})

    def begin(self, name: str, document: Any = None) -> Run:
        run = self.runs[EXECUTION + name] = Run(name, document, self.clock())
        return run

    def end(self, run: Run, status: str = "SUCCEEDED", *, accepted: bool = True) -> None:
        run.status, run.stopped, run.accepted = status, self.clock(), accepted

    def start_execution(self, **asked: Any) -> dict[str, Any]:
        self._call("StartExecution", EXECUTION + asked["name"])
        found = self.runs.get(EXECUTION + asked["name"])
        if found is not None and found.status != "RUNNING":
            raise self.exceptions.ExecutionAlreadyExists
        if found is None:
            self.new.append(self.begin(asked["name"], json.loads(asked["input"])))
        return {}

    def describe_execution(self, **asked: Any) -> dict[str, Any]:
        self._call("DescribeExecution", asked["executionArn"])
        run = self.runs.get(asked["executionArn"])
        if run is None:
            raise self.exceptions.ExecutionDoesNotExist
        return {"status": run.status, "input": json.dumps(run.document)}

    def get_execution_history(self, **asked: Any) -> dict[str, Any]:
        self._call("GetExecutionHistory", asked["executionArn"])
        after = "Leads The Batch?" if self.runs[asked["executionArn"]].accepted else "Finish Batch"
        return {
            "events": [
                {"stateEnteredEventDetails": {"name": "Join Batch"}},
                {"stateExitedEventDetails": {"name": "Join Batch"}},
                {"stateEnteredEventDetails": {"name": after}},
            ]
        }

    def get_paginator(self, _operation: str) -> SlowStepFunctions:
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        size = asked["PaginationConfig"]["PageSize"]
        found = [run for run in reversed(self.runs.values()) if run.status == asked["statusFilter"]]
        for at in range(0, max(len(found), 1), size):
            self._call("ListExecutions", "")
            listed = [
                {"executionArn": run.arn, "name": run.name, "startDate": run.started, "stopDate": run.stopped}
                for run in found[at : at + size]
            ]
            yield {"executions": listed}

    def _call(self, operation: str, arn: str) -> None:
        self.clock.call()
        if code := self.refuses(operation, arn):
            raise ClientError({"Error": {"Code": code, "Message": f"{operation} is refused"}}, operation)
        if operation in RATES and self.clock.busy:
            most, rate = RATES[operation]
            tokens, since = self._tokens.get(operation, (most, self.clock.seconds))
            tokens = min(most, tokens + (self.clock.seconds - since) * rate) - 1
            if tokens < 0:
                self.clock.seconds -= tokens / rate
                tokens = 0
            self._tokens[operation] = (tokens, self.clock.seconds)
