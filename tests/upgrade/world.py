"""The real handlers, called in turn as the state machine does, on a table in memory; any may die anywhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

from invalidation.batches.dynamodb import DynamoBatchTable
from invalidation.batches.replay import Ended
from invalidation.batches.table import Item, Key
from invalidation.cloudfront.client import Invalidation
from invalidation.cloudfront.distribution import Behavior, Distribution, Origin
from invalidation.config import Settings
from invalidation.errors import InvalidationError
from tests.fakes.memory_table import MemoryTable
from tests.security.handlers import loaded

T = TypeVar("T")
LAMBDA = SimpleNamespace(get_remaining_time_in_millis=lambda: 300_000)
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:site-invalidation"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:site-invalidation:"
DISTRIBUTIONS = ("E1AAAAAAAAAAAA", "E2BBBBBBBBBBBB")
WORKFLOW = ("join_batch", "close_batch", "resolve_distributions", "create_invalidation", "get_invalidation")


class Died(BaseException):
    """A handler was killed in the middle of its work, and its execution with it."""


class MortalTable(MemoryTable):
    """Whoever makes a request for which ``dies`` is true, dies before it is carried out."""

    def __init__(self) -> None:
        super().__init__(shards=DynamoBatchTable.shards)
        self.dies: Callable[[str, Key], bool] = lambda _operation, _key: False

    def _request(self, operation: str, key: Key, effect: Callable[[], T]) -> T:
        if self.dies(operation, key):
            raise Died
        return effect()

    def items(self) -> list[Item]:
        return [item for _, partition in sorted(self.partitions.items()) for _, item in sorted(partition.items())]


@dataclass
class Edge:
    """CloudFront: two distributions in front of every bucket, one invalidation for each caller reference."""

    created: dict[str, dict[str, Any]] = field(default_factory=dict)
    fails: dict[str, InvalidationError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """The caller references of all requests, in their order."""

    def distributions_serving(self, bucket: str, named: Sequence[str] = ()) -> list[Distribution]:
        assert not named
        origins = (Origin("bucket", f"{bucket}.s3.amazonaws.com"),)
        behaviors = (Behavior("*", ("bucket",)),)
        return [Distribution(each, bucket, origins=origins, behaviors=behaviors) for each in DISTRIBUTIONS]

    def distribution(self, distribution_id: str) -> Distribution:
        return Distribution(distribution_id, "")

    def targets(self, distribution: Distribution) -> tuple[str, ...]:
        return (distribution.id,)

    def create_invalidation(self, to: str, paths: Sequence[str], reference: str) -> Invalidation:
        self.asked.append(reference)
        if to in self.fails:
            raise self.fails[to]
        new = {"id": f"I{len(self.created):013}", "distribution": to, "paths": list(paths)}
        made = self.created.setdefault(reference, new)
        assert made["paths"] == list(paths), "CloudFront refuses other paths under the same reference"
        return Invalidation(made["id"], "InProgress", datetime(2026, 11, 23, tzinfo=UTC))

    def get_invalidation(self, _target: str, invalidation_id: str) -> Invalidation:
        return Invalidation(invalidation_id, "Completed", datetime(2026, 11, 23, tzinfo=UTC))

    def covers(self, distribution: str, path: str) -> bool:
        return any(made["distribution"] == distribution and path in made["paths"] for made in self.created.values())


class World:
    """A stack. Executions that the application starts wait in ``to_start``."""

    def __init__(self, modules: Mapping[str, ModuleType], table: MortalTable, edge: Edge, now: datetime) -> None:
        self.table, self.edge, self.now = table, edge, now
        self.to_start: dict[str, Any] = {}
        self.failed: list[str] = []
        self._modules = modules
        modules["join_batch"].SETTINGS = Settings()  # type: ignore[attr-defined] # another world's may be another
        numbers = itertools.count(1)
        attempts = SimpleNamespace(uuid4=lambda: SimpleNamespace(hex=f"attempt{next(numbers)}"))
        collaborators = {"TABLE": table, "CLOUDFRONT": edge, "EXECUTIONS": self, "uuid": attempts}
        collaborators |= {"datetime": _clock(self), "now": lambda: self.now}
        for module in modules.values():
            for name, value in collaborators.items():
                if hasattr(module, name):
                    setattr(module, name, value)
        modules["join_batch"].start = lambda _arn, *what: self.start(*what)  # type: ignore[attr-defined] # likewise

    def run(self, name: str, document: Any, *, until: str = "finish_batch") -> Any:
        """What the state machine does with an input, as far as a function; that function's answer."""
        base = {"execution": EXECUTION + name, "startedAt": self.now.isoformat()}
        joined = self._call("join_batch", {**base, "stateMachine": MACHINE, "input": document})
        if joined["role"] != "leader" or until == "join_batch":
            return joined
        self.now = max(self.now, datetime.fromisoformat(joined["closesAt"]))
        state = {**base, "batchId": joined["batchId"], "bucket": joined["bucket"]}
        closed = joined.get("closed") or self._call("close_batch", state)
        if closed["status"] != "FROZEN" or until == "close_batch":
            return closed
        resolved = self._call("resolve_distributions", state)
        if until == "resolve_distributions":
            return resolved
        results = [self._invalidate({**state, **target}, resolved["roomUntil"]) for target in resolved["targets"]]
        return self._call("finish_batch", {**base, "state": {**state, "results": results}})

    def sweep(self) -> Any:
        """One visit, and all executions that it has started; ``failed`` are the errors of those that failed."""
        self.now += timedelta(minutes=10)
        answer = self._modules["sweep"].handler({"time": self.now.isoformat()}, LAMBDA)
        while self.to_start:
            name, document = self.to_start.popitem()
            try:
                self.run(name, document)
            except InvalidationError as error:
                self.failed.append(type(error).__name__)
        return answer

    def _invalidate(self, state: Mapping[str, Any], room_until: str) -> dict[str, Any]:
        """One iteration of the Map."""
        of = {"distributionId": state["distributionId"]}
        try:
            progress = self._call("create_invalidation", {**state, "roomUntil": room_until})
            while progress["status"] == "InProgress":
                self.now += timedelta(seconds=progress["waitSeconds"])
                progress = self._call("get_invalidation", {**state, "invalidation": progress})
        except InvalidationError as error:
            cause = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__})
            return {**of, "outcome": "Failed", "error": type(error).__name__, "cause": cause}
        if progress["status"] == "Completed":
            return {**of, "outcome": "Invalidated", "seconds": progress["seconds"]}
        return {**of, "outcome": progress["status"]}

    def _call(self, handler: str, event: Mapping[str, Any]) -> Any:
        return json.loads(json.dumps(self._modules[handler].handler(json.loads(json.dumps(event)), None)))

    def setting(self, handler: str, name: str, value: Any) -> None:
        """Another value for something in a handler's module."""
        setattr(self._modules[handler], name, value)

    def module(self, handler: str) -> Any:
        return self._modules[handler]

    # --- Step Functions, as the application sees it: executions that were there before run no more ---

    def start(self, name: str, document: Any) -> bool:
        self.to_start[name] = document
        return True

    def running(self) -> frozenset[str]:
        return frozenset()

    def is_running(self, _arn: str) -> bool:
        return False

    def ended_badly(self, _since: datetime) -> list[Ended]:
        return []


@contextmanager
def worlds() -> Iterator[Callable[[MortalTable, Edge, datetime], World]]:
    """Makes worlds, one after the other: the handlers are loaded once."""
    with ExitStack() as stack:
        modules = {name: stack.enter_context(loaded(f"{name}.app")) for name in (*WORKFLOW, "finish_batch", "sweep")}
        yield lambda table, edge, now: World(modules, table, edge, now)


def _clock(world: World) -> type[datetime]:
    class Now(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # a plain datetime, as others
            return world.now.astimezone(tz)

    return Now
