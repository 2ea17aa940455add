"""What goes on while there is chaos: changes, a sweep every five minutes, and somebody who stops executions."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from types import TracebackType
from typing import Any, Self

from invalidations_cli.local.deploy import STACK
from invalidations_cli.local.environment import LocalEnvironment
from tests.local import fresh, tools
from tests.local.instruments import control

MOST_RUNNING = 40
DELETIONS = 0.3
"""The share of changes of an object that is there that delete it."""


@dataclass(slots=True)
class Changes:
    """What was changed in which bucket, round by round: uploads, of which some overwrite, and deletions.

    Only what is there is deleted: S3 tells of no other deletion, and it leaves nothing stale.
    """

    there: LocalEnvironment
    buckets: Sequence[str]
    random: Random
    keys: int
    """In each bucket."""
    made: int = 0
    there_now: set[tuple[str, str]] = field(default_factory=set)
    deleted: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def make(self, changes: int, every: float, enough: Callable[[], bool] = lambda: True, timeout: float = 0.0) -> None:
        """So many changes, one after `every` seconds; then more, but not for ever, until it is enough.

        They wait while much is still running: on AWS all of it would run at once, here one stands in the other's way.
        """
        until = self.made + changes
        while self.made < until:
            self.make_one()
            time.sleep(every)
            if self.made % 5 == 0:
                self.wait_while_much_runs()
        deadline = time.monotonic() + timeout
        while not enough() and time.monotonic() < deadline:
            self.make_one()
            time.sleep(5 * every)
            self.wait_while_much_runs()

    def wait_while_much_runs(self) -> None:
        tools.eventually(lambda: len(running_executions(self.there)) <= MOST_RUNNING, 30)

    def make_one(self) -> None:
        s3, number = self.there.aws.client("s3"), self.made // len(self.buckets) % self.keys
        bucket, key = self.buckets[self.made % len(self.buckets)], f"pages/{number}.html"
        if (bucket, key) in self.there_now and self.random.random() < DELETIONS:
            self.deleted[bucket, key] = datetime.now(UTC)
            s3.delete_object(Bucket=bucket, Key=key)
            self.there_now.remove((bucket, key))
        else:
            s3.put_object(Bucket=bucket, Key=key, Body=str(self.made).encode())
            self.there_now.add((bucket, key))
            self.deleted.pop((bucket, key), None)
        self.made += 1

    def last(self, bucket: str) -> dict[str, datetime]:
        """The last change of each key of a bucket."""
        gone = {key: at for (where, key), at in self.deleted.items() if where == bucket}
        return gone | fresh.last_written(self.there.aws, bucket)


class Repeated:
    """Does something every so many seconds, in a thread, for as long as the context lasts."""

    def __init__(self, do: Callable[[], object], every: float) -> None:
        self.do, self.every = do, every
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        while not self.done.wait(self.every):
            self.do()

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.done.set()
        self.thread.join()


@dataclass(slots=True)
class Stops:
    """Somebody who stops executions in the console."""

    there: LocalEnvironment
    random: Random
    stopped: int = 0

    def stop_one(self) -> None:
        """Any that runs, if one does."""
        states = self.there.aws.client("stepfunctions")
        running = running_executions(self.there)
        if running:
            try:
                states.stop_execution(executionArn=self.random.choice(running), error="Chaos")
            except states.exceptions.ClientError:
                return  # it has ended meanwhile
            self.stopped += 1


@dataclass(slots=True)
class Schedule:
    """The sweep's schedule, on a clock that is set ahead from one sweep to the next."""

    there: LocalEnvironment
    passed: timedelta = timedelta()
    sweeps: int = 0

    def come(self, after: timedelta = timedelta(minutes=5, seconds=1)) -> dict[str, Any]:
        """Let this much time pass, and the sweep come; what it answers, an error included."""
        self.passed += after
        self.sweeps += 1
        control.tell(self.there.endpoint, "clock", {"ahead": self.passed.total_seconds()})
        tick = {"time": (datetime.now(UTC) + self.passed).isoformat(timespec="seconds")}
        invoke = self.there.aws.client("lambda").invoke
        answer = invoke(FunctionName=self.function(), Payload=json.dumps(tick).encode())
        return dict(json.load(answer["Payload"]))

    def function(self) -> str:
        asked = {"StackName": STACK, "LogicalResourceId": "SweepFunction"}
        (found,) = self.there.aws.client("cloudformation").describe_stack_resources(**asked)["StackResources"]
        return str(found["PhysicalResourceId"])

    def come_until_nothing_is_left(self, most: int = 9) -> int:
        """Sweeps at growing distances, as retries are; how many batches owe something after the last."""
        swept: dict[str, Any] = {}
        for number in range(most):
            tools.eventually(lambda: not running_executions(self.there), 120)
            swept = self.come(timedelta(minutes=5 * 2**number, seconds=1))
            if not (swept["started"] or swept["unfinished"]):
                break
        return int(swept["unfinished"] + swept["parked"])


def running_executions(there: LocalEnvironment) -> list[str]:
    states = there.aws.client("stepfunctions")
    pages = states.get_paginator("list_executions").paginate(
        stateMachineArn=there.state_machine_arn, statusFilter="RUNNING"
    )
    return [each["executionArn"] for page in pages for each in page["executions"]]
