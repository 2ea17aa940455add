"""What selftest makes of an execution that it stops: the sweep that comes, or does not, and a Stop that is too late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from invalidation.batches.head import Execution
from invalidation.batches.join import open_own_batch
from invalidation.batches.model import Batch
from invalidation.events import Change
from invalidations_cli.proofs import GOES_ON, STOPS, SWEEP_SECONDS, Answer, Interruption, NotificationListener, Tried
from tests.fakes.memory_table import MemoryTable
from tests.fakes.stack import Refused, World

REQUEST = {"bucket": "site", "keys": ["index.html"]}


@dataclass(slots=True)
class OneBatchEach:
    """Step Functions whose executions have a batch at once. `statuses`: what it says of the next ones, one by one."""

    table: MemoryTable
    statuses: Iterator[str]
    refusal: str = ""
    batches: list[str] = field(default_factory=list)

    def start_execution(self, **request: Any) -> Any:
        now = datetime.now(UTC)
        run = Execution(f"arn:{request['name']}", now)
        joined = open_own_batch(
            self.table, "site", [Change("site", "index.html", "")], run, lambda: now, request["name"]
        )
        self.batches.append(joined.batch_id)
        return {"executionArn": run.arn}

    def describe_execution(self, **_which: str) -> Any:
        return {"status": next(self.statuses)}

    def stop_execution(self, **_which: str) -> None:
        if self.refusal:
            raise Refused(self.refusal, "StopExecution")

    def sweep(self) -> None:
        done = {"owner": "arn:swept", "state": "ENDED", "outcome": "Completed"}
        assert self.table.update(Batch.key_of(self.batches[-1]), done, {})


@dataclass(slots=True)
class Listener:
    """Hears of everything, after something else has happened."""

    meanwhile: Callable[[], None]

    def hears(self, name: str, of: str, _seconds: float) -> Tried:
        self.meanwhile()
        return Tried(name, Answer.WORKS, of)


def proofs(states: OneBatchEach, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> list[Tried]:
    stack = World(states.table, clients={"stepfunctions": states}).stack()
    listener = cast(NotificationListener, Listener(meanwhile))
    return list(Interruption(stack, REQUEST, listener, "abcd", seconds, lambda _text: None).proofs())


def test_the_sweep_that_completes_the_batch_of_a_stopped_execution_is_seen() -> None:
    states = OneBatchEach(MemoryTable(), iter(["RUNNING", "RUNNING", "ABORTED"]))  # a Stop is not seen at once
    told, goes_on = proofs(states, 60, states.sweep)
    assert (told.answer, told.evidence) == (Answer.WORKS, "arn:selftest-abcd-0")
    assert (goes_on.name, goes_on.answer) == (GOES_ON, Answer.WORKS)
    assert states.batches[0] in goes_on.evidence


@pytest.mark.parametrize("seconds", [0, SWEEP_SECONDS], ids=["too short", "long enough"])
def test_a_sweep_that_does_not_come_is_a_failure_only_where_it_had_the_time(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    states = OneBatchEach(MemoryTable(), iter(["RUNNING", "ABORTED"]))
    _, goes_on = proofs(states, seconds)
    assert goes_on.answer is (Answer.FAILS if seconds else Answer.NOT_CHECKED)
    assert "--timeout 6m" in goes_on.remedy or seconds


@pytest.mark.parametrize("refusal", ["", "ValidationException"])
def test_executions_that_end_before_they_are_stopped_prove_nothing(refusal: str) -> None:
    states = OneBatchEach(MemoryTable(), iter(["RUNNING", "SUCCEEDED"] * STOPS), refusal)
    if refusal:
        states.statuses = iter(["RUNNING"] * STOPS)
    (only,) = proofs(states, 60)
    assert (only.name, only.answer, len(states.batches)) == (GOES_ON, Answer.NOT_CHECKED, STOPS)


def test_who_may_not_stop_executions_is_told() -> None:
    states = OneBatchEach(MemoryTable(), iter(["RUNNING"]), "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        proofs(states, 60)
