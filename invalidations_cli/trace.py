"""Follows changes of objects through a stack. Event, batch, invalidation, completion, as far as each has come.

It reads what the stack keeps: the inputs of its executions, which are the events as EventBridge delivered them, and
the records of its batches. Times are what was seen on this machine's clock, and so no finer than the looks at it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from invalidation.batches.model import Batch, BatchState, Outcome
from invalidation.batches.queries import batches_of_bucket
from invalidation.batches.snapshot import frozen_changes
from invalidation.batches.targets import invalidations_of_each, targets_of
from invalidation.errors import BatchNotFound, InvalidRequest
from invalidation.events import Change, Changes, parse
from invalidations_cli.aws import Stack
from invalidations_cli.canaries import CanaryChange

LONGEST_WINDOW = timedelta(minutes=20)
"""How long before a change the batch that takes it may have been opened: BatchWindowSeconds goes up to 900."""
LOOKED_AT = 100
"""Executions, and batches, that one look reads at most."""
POLL_SECONDS = 1.0
HOPS = ("event", "execution", "invalidation", "completion", "edge")


@dataclass(slots=True)
class ChangeTrace:
    """How far one change has come.

    Attributes:
        change: Which.
        seconds: Hop → seconds after the change at which it was seen.
        key: The key as the event had it.
        execution: ARN of the execution that the event started.
        batch_id: The batch that owns the change.
        invalidations: Distribution and id of each invalidation of that batch.
        failure: Why it comes no further, if it does not.
    """

    change: CanaryChange
    seconds: dict[str, float] = field(default_factory=dict)
    key: str = ""
    execution: str = ""
    batch_id: str = ""
    invalidations: tuple[tuple[str, str], ...] = ()
    failure: str = ""

    @property
    def settled(self) -> bool:
        return bool(self.failure) or "completion" in self.seconds

    def reach(self, hop: str) -> None:
        """Note that it was seen there now; the first time counts."""
        self.seconds.setdefault(hop, round(time.monotonic() - self.change.at, 1))

    @property
    def got_to(self) -> str:
        """The last hop that was seen, "" before the first."""
        return next((hop for hop in reversed(HOPS) if hop in self.seconds), "")

    def to_document(self) -> dict[str, Any]:
        return {
            "key": self.change.canary.key,
            "change": "deleted" if self.change.deleted else "put",
            "keyInEvent": self.key,
            "execution": self.execution,
            "batchId": self.batch_id,
            "invalidations": [{"distributionId": one, "id": other} for one, other in self.invalidations],
            "seconds": dict(self.seconds),
            **({"failure": self.failure} if self.failure else {}),
        }


class ChangeTracer:
    """Looks again and again where changes of one bucket are.

    Args:
        stack: the deployed stack.
        bucket: the bucket.
        began: no execution that started earlier is looked at.
    """

    def __init__(self, stack: Stack, bucket: str, began: datetime) -> None:
        self._stack, self._bucket, self._began = stack, bucket, began
        self._table = stack.table()
        self._states = stack.client("stepfunctions")
        self._looked_at: set[str] = set()
        self._events: list[tuple[str, Change]] = []
        self._lists: dict[str, list[Change]] = {}

    def follow(self, changes: Iterable[CanaryChange], timeout: float, say: Callable[[str], None]) -> list[ChangeTrace]:
        """Wait until each has completed or failed, or `timeout` seconds have passed. Returns how far each came."""
        traces = [ChangeTrace(each) for each in changes]
        deadline, said = time.monotonic() + timeout, ""
        while True:
            self.look(traces)
            stands = ", ".join(f"{sum(hop in each.seconds for each in traces)} {hop}" for hop in HOPS[:-1])
            if stands != said:
                said = stands
                say(f"of {len(traces)}: {stands}")
            if all(each.settled for each in traces) or time.monotonic() >= deadline:
                return traces
            time.sleep(POLL_SECONDS)

    def look(self, traces: Iterable[ChangeTrace]) -> None:
        """One look; what is new is noted in the traces."""
        open_traces = [each for each in traces if not each.settled]
        self._read_executions()
        for each in open_traces:
            self._find_event(each)
        batches = [each for each in self._batches() if any(self._owns(each, trace) for trace in open_traces)]
        for trace in open_traces:
            for batch in batches:
                if self._owns(batch, trace):
                    self._note_batch(trace, batch)
            if not trace.batch_id and trace.execution:
                self._note_end(trace)

    def _read_executions(self) -> None:
        listed = self._states.list_executions(stateMachineArn=self._stack.state_machine_arn, maxResults=LOOKED_AT)
        for each in listed["executions"]:
            arn = each["executionArn"]
            if arn in self._looked_at or each["startDate"] < self._began:
                continue
            self._looked_at.add(arn)
            told = json.loads(self._states.describe_execution(executionArn=arn)["input"])
            self._events += [(arn, change) for change in changes_in(told)]

    def _find_event(self, trace: ChangeTrace) -> None:
        for arn, change in self._events:
            if not trace.execution and is_of(change, trace.change):
                trace.execution, trace.key = arn, change.key
                trace.reach("event")

    def _batches(self) -> list[Batch]:
        since = self._began - LONGEST_WINDOW
        return list(batches_of_bucket(self._table, self._bucket, since=since, limit=LOOKED_AT).batches)

    def _owns(self, batch: Batch, trace: ChangeTrace) -> bool:
        if batch.batch_id not in self._lists:
            try:
                self._lists[batch.batch_id] = list(frozen_changes(self._table, batch))
            except (BatchNotFound, ValueError):  # expired, or of paths that somebody asked for
                self._lists[batch.batch_id] = []
        return any(is_of(change, trace.change) for change in self._lists[batch.batch_id])

    def _note_batch(self, trace: ChangeTrace, batch: Batch) -> None:
        trace.batch_id = batch.batch_id
        trace.reach("execution")
        records = invalidations_of_each(self._table, batch.batch_id)
        trace.invalidations = tuple([(where, record.invalidation_id) for where, record in records])
        if records:
            trace.reach("invalidation")
        if batch.outcome is Outcome.COMPLETED and batch.state is BatchState.ENDED:
            trace.reach("completion")
        elif batch.outcome and batch.outcome is not Outcome.COMPLETED:
            trace.failure = self._why(batch)

    def _why(self, batch: Batch) -> str:
        owed = [f"{each.distribution_id}: {each.error}: {each.message}" for each in targets_of(self._table, batch)]
        said = batch.message or "; ".join(owed)
        return f"batch {batch.batch_id} ended as {batch.outcome}" + (f" ({said})" if said else "")

    def _note_end(self, trace: ChangeTrace) -> None:
        """An execution may end without any batch: ignored, paused, failed."""
        found = self._states.describe_execution(executionArn=trace.execution)
        name = trace.execution.rpartition(":")[2]
        role = json.loads(found.get("output") or "{}").get("role", "")
        if found["status"] in {"FAILED", "TIMED_OUT", "ABORTED"}:
            trace.failure = f"execution {name} {found['status']}: {found.get('error', '')} {found.get('cause', '')}"
        elif role in {"ignored", "paused"}:
            trace.failure = f"execution {name} took the change as {role}"


def changes_in(document: object) -> Iterator[Change]:
    """The changes of objects that an execution's input tells of."""
    try:
        found = parse(document)
    except InvalidRequest:
        return
    if isinstance(found, Changes):
        yield from found.changes


def is_of(told: Change, made: CanaryChange) -> bool:
    """Whether an event tells of this change, however it spells the key."""
    return made.canary.mark in told.key and told.deleted == made.deleted and (made.deleted or told.etag == made.etag)
