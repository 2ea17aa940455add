"""Bad days: what the real sweep makes of them, on a clock that its calls move. ``python -m tests.simulation.bad_days``.

A call takes 50 ms, and Step Functions keeps to its rates. What the sweep starts goes on as the case says, between the
ticks. A day is over when every change that is owed is covered, or its batch is parked and told of.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from invalidation.batches.close import close
from invalidation.batches.finish import RetryPolicy, TargetResult, finish
from invalidation.batches.head import Execution, Head, Joined, Role, Window
from invalidation.batches.join import join, open_paths_batch
from invalidation.batches.model import Batch, BatchState, PendingChange
from invalidation.batches.sweep import Swept, sweep
from invalidation.batches.table import BUCKETS, Item, Key
from invalidation.batches.targets import claim, freeze_targets
from invalidation.events import Change
from invalidation.executions import Executions
from tests.simulation.slow_aws import MACHINE, Run, SlowClock, SlowStepFunctions, SlowTable

TICK_SECONDS = 300.0
FUNCTION_SECONDS = 300.0
WINDOW = Window(10, 60)
RETRY = RetryPolicy()
RETENTION = timedelta(days=90)
MOST_TICKS = 300


@dataclass
class Day:
    """A stack on its bad day."""

    clock: SlowClock = field(default_factory=SlowClock)
    dies: bool = False
    """Whether what retries a batch dies after its claim."""
    swept: list[Swept] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """How long each tick took."""
    led: dict[str, int] = field(default_factory=dict)
    """Bucket -> the tick in which its waiting changes got a leader."""
    started: int = 0

    def __post_init__(self) -> None:
        self.table = SlowTable(self.clock)
        self.client = SlowStepFunctions(self.clock)
        client: Any = self.client
        self.executions = Executions(client, MACHINE)

    # --- What has happened before ---

    def waiting(self, bucket: str) -> None:
        """A change whose leader died before it closed."""
        run = self.client.begin(f"dead-leader-of-{bucket}")
        self._join(run, Change(bucket, "a", event_id=bucket))
        self.client.end(run, "FAILED")

    def batches(self, number: int, status: str) -> list[str]:
        """Batches of requests, whose executions run, or ended without Finish."""
        found = []
        for each in range(number):
            run = self.client.begin(f"{status}-{each}")
            opened = open_paths_batch(self.table, "E1", ["/a"], self._execution(run), self.clock, run.name)
            found.append(opened.batch_id)
            if status != "RUNNING":
                self.client.end(run, status)
        return found

    def failures(self, number: int, *, accepted: bool) -> None:
        for each in range(number):
            self.client.end(self.client.begin(f"failed-{each}", {"key": f"{each}"}), "FAILED", accepted=accepted)

    def change(self, batch_id: str, **assign: Any) -> None:
        self.table.update(Batch.key_of(batch_id), assign, {})

    # --- The sweep, and what it has started ---

    def tick(self) -> None:
        begun = self.clock.seconds
        self.clock.busy = True
        left = begun + FUNCTION_SECONDS
        swept = sweep(
            self.table, self.executions, WINDOW, self.clock, self.clock(), RETRY, lambda: left - self.clock.seconds
        )
        self.clock.busy = False
        self.swept.append(swept)
        self.seconds.append(self.clock.seconds - begun)
        new, self.client.new = self.client.new, []
        self.started += len(new)
        self._go_on(new)
        self.clock.seconds = max(self.clock.seconds, begun + TICK_SECONDS)

    def _go_on(self, new: Iterable[Run]) -> None:
        leaders = [led for run in new if (led := self._begin(run)) is not None]
        self.clock.seconds += 60
        for run, joined in leaders:
            closed = close(
                self.table, joined.bucket, joined.batch_id, self._execution(run), f"close {run.name}", self.clock
            )
            if closed.changes:
                self._finish(run, joined.batch_id)
            self.client.end(run)

    def _begin(self, run: Run) -> tuple[Run, Joined] | None:
        """What leads a batch that is still to close."""
        if "retryBatch" in run.document:
            claim(self.table, run.document["retryBatch"], self._execution(run), self.clock)
            if self.dies:
                self.client.end(run, "FAILED")
            else:
                self._finish(run, run.document["retryBatch"])
                self.client.end(run)
            return None
        if "lead" in run.document:
            self.led.setdefault(run.document["lead"], len(self.swept))
            joined = self._join(run, bucket=run.document["lead"])
        else:
            joined = self._join(run, Change("site", run.document["key"], event_id=run.document["key"]))
        if joined.role is Role.LEADER:
            return run, joined
        self.client.end(run)
        return None

    def _join(self, run: Run, *changes: Change, bucket: str = "") -> Joined:
        bucket = bucket or changes[0].bucket
        return join(self.table, bucket, changes, self._execution(run), WINDOW, self.clock, run.name)

    def _finish(self, run: Run, batch_id: str) -> None:
        freeze_targets(self.table, Batch.read(self.table, batch_id), {"E1": {}})
        done = [TargetResult("E1", seconds=12)]
        finish(self.table, batch_id, self._execution(run), done, None, self.clock, RETRY, RETENTION)

    @staticmethod
    def _execution(run: Run) -> Execution:
        return Execution(run.arn, run.started)

    # --- What is left ---

    def records(self) -> list[Item]:
        return [item for items in self.table.partitions.values() for sk, item in items.items() if sk == "META"]

    def pending(self) -> int:
        return sum(len(items) for pk, items in self.table.partitions.items() if pk.startswith("PENDING"))

    def unfinished(self) -> list[Item]:
        return [item for item in self.records() if item["state"] == BatchState.FROZEN.value]

    def to_look_at(self) -> int:
        return len(self.table.partitions.get("REPLAY", ()))

    def accepted(self) -> int:
        """Changes that batches own which have ended."""
        return sum(item["changes"] for item in self.records() if item["state"] == BatchState.ENDED.value)


@dataclass(frozen=True)
class Case:
    """``failed`` says what, ``number`` how many; ``arrange`` brings it about, and returns when it is over."""

    failed: str
    number: int
    arrange: Callable[[Day, int], Callable[[], bool]]
    short: float = 1
    """The part of the number that the short form has, where the whole takes too long."""


@dataclass(frozen=True)
class Result:
    case: Case
    number: int
    ticks: int
    longest: float
    led: int
    """The tick in which the bucket that waits beside all this got its leader."""
    started: int
    lost: int

    @property
    def good(self) -> bool:
        return self.lost == 0 and self.led == 1 and self.longest < FUNCTION_SECONDS and self.ticks < MOST_TICKS


def run(case: Case, share: float = 1) -> Result:
    """The day with a share of the number; each has a bucket beside, whose changes wait for a leader."""
    day, number = Day(), max(1, int(case.number * share))
    day.waiting("waits")
    day.clock.seconds += 1
    over = case.arrange(day, number)
    day.clock.seconds += 900
    while len(day.swept) < MOST_TICKS:
        day.tick()
        if over() and not day.pending():
            break
    lost = day.pending() + (0 if over() else 1)
    return Result(case, number, len(day.swept), max(day.seconds), day.led.get("waits", 0), day.started, lost)


def accepted_failures(day: Day, number: int) -> Callable[[], bool]:
    day.failures(number, accepted=True)
    return lambda: bool(day.swept) and not day.to_look_at() and not day.unfinished()


def failed_in_join(day: Day, number: int) -> Callable[[], bool]:
    day.failures(number, accepted=False)
    return lambda: day.accepted() == number + 1


def all_but_one_described(code: str) -> Callable[[Day, int], Callable[[], bool]]:
    """The one is answered with an error for three ticks."""

    def arrange(day: Day, number: int) -> Callable[[], bool]:
        day.batches(number, "FAILED")
        (denied,) = (each for each in day.client.runs if each.endswith(":FAILED-0"))
        day.client.refuses = lambda operation, arn: (
            code if operation == "DescribeExecution" and arn == denied and len(day.swept) < 3 else ""
        )
        return lambda: not day.unfinished() and all(each.failed for each in day.swept[:3])

    return arrange


def always_throttled(day: Day, number: int) -> Callable[[], bool]:
    """Every DescribeExecution, for an hour."""
    day.batches(number, "FAILED")
    day.client.refuses = lambda operation, _arn: (
        "ThrottlingException" if operation == "DescribeExecution" and len(day.swept) < 12 else ""
    )
    return lambda: not day.unfinished()


def corrupt_record(day: Day, number: int) -> Callable[[], bool]:
    day.change(day.batches(number, "FAILED")[0], opened="yesterday")
    return lambda: len(day.unfinished()) == 1 and len(day.swept[-1].left_alone) == 1


def in_flight(day: Day, number: int) -> Callable[[], bool]:
    day.batches(number, "RUNNING")
    return lambda: len(day.unfinished()) == number and day.started == 1


def parked(day: Day, number: int) -> Callable[[], bool]:
    for batch_id in day.batches(number, "SUCCEEDED"):
        day.change(batch_id, state="PARKED", unfinished="PARKED")
    return lambda: bool(day.swept) and day.swept[-1].parked == number


def die_before_finish(day: Day, number: int) -> Callable[[], bool]:
    day.batches(number, "FAILED")
    day.dies = True
    starts = number * (RETRY.max_tries - 1) + 1
    return lambda: bool(day.swept) and (day.swept[-1].parked, day.started) == (number, starts)


def dead_at_once(day: Day, number: int) -> Callable[[], bool]:
    day.batches(number, "TIMED_OUT")
    return lambda: not day.unfinished()


def many_waiting(day: Day, number: int) -> Callable[[], bool]:
    for each in range(number):
        day.waiting(f"bucket-{each:05}")
    return lambda: len(day.led) == number + 1


def many_buckets(day: Day, number: int) -> Callable[[], bool]:
    register(day, number)
    return lambda: bool(day.swept) and not day.unfinished()


def orphan_among_many(day: Day, number: int) -> Callable[[], bool]:
    """A change that was accepted, and whose execution vanished before it had read the head."""
    register(day, number)
    orphan = f"registered-{number - 1:06}"
    day.table.put(PendingChange.of(Change(orphan, "a", event_id="orphan"), day.table.shards).to_item())
    return lambda: orphan in day.led


def register(day: Day, number: int) -> None:
    """Buckets that have been quiet for long, each with its head."""
    for each in range(number):
        bucket = f"registered-{each:06}"
        day.table.put({"pk": BUCKETS, "sk": bucket, "v": 1})
        key: Key = Head.key_of(bucket)
        closed = {"batchId": f"b{each}", "state": "CLOSED", "closesAt": "2026-01-01T00:00:00.000000Z"}
        day.table.put({"pk": key.pk, "sk": key.sk, "v": 1, **closed})


CASES = (
    Case("executions that failed after their changes were accepted", 7_000, accepted_failures),
    Case("executions that failed in Join Batch", 3_000, failed_in_join),
    Case("dead batches; DescribeExecution denied for one, 3 ticks long", 50, all_but_one_described("AccessDenied")),
    Case("dead batches; DescribeExecution throttled for one, 3 ticks long", 50, all_but_one_described("Throttling")),
    Case("dead batches; every DescribeExecution throttled for an hour", 200, always_throttled),
    Case("dead batches, one of them with a damaged record", 50, corrupt_record),
    Case("batches in flight", 4_000, in_flight),
    Case("parked batches", 12_000, parked),
    Case("batches whose executions all die before Finish Batch", 500, die_before_finish, 0.4),
    Case("batches whose executions timed out at once", 5_000, dead_at_once, 0.2),
    Case("buckets whose leaders died at once", 2_000, many_waiting, 0.2),
    Case("registered buckets, all quiet", 100_000, many_buckets, 0.2),
    Case("registered buckets, one with a change that nothing points at", 100_000, orphan_among_many, 0.05),
)
HEADINGS = ("what failed", "how many", "ticks until all was covered", "longest tick", "executions", "lost")


def line(failed: str, *figures: str) -> str:
    """A row of the table."""
    return "  ".join(
        [failed.ljust(64), *(text.rjust(len(head)) for text, head in zip(figures, HEADINGS[1:], strict=True))]
    )


def line_of(result: Result) -> str:
    lost = f"{result.lost}" if result.good else f"{result.lost}, and another bucket waited for {result.led} ticks"
    figures = (f"{result.number:,}", f"{result.ticks:,}", f"{result.longest:.0f} s", f"{result.started:,}", lost)
    return line(result.case.failed, *figures)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer of some, in seconds")
    short = parser.parse_args(arguments).short
    good = True
    sys.stdout.write(line(*HEADINGS) + "\n")
    for case in CASES:
        result = run(case, case.short if short else 1)
        good = good and result.good
        sys.stdout.write(line_of(result) + "\n")
        sys.stdout.flush()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
