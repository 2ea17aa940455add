"""A model of an AWS account: the stack, deployed with its defaults, and changes that come to it."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import islice, takewhile
from math import ceil
from typing import Any

from benchmarks.cloud.assumed import (
    POLLERS,
    RECEIVE_MESSAGES,
    SECONDS,
    STARTS_A_SECOND,
    STARTS_BURST,
    TABLE_KEY_MINUTES,
    TRACED_SHARE,
)
from benchmarks.cloud.clock import Clock, Process
from benchmarks.cloud.cloudfront import CloudFront
from benchmarks.cloud.dynamodb import Table
from benchmarks.cloud.functions import Functions, Processor, whole_template
from benchmarks.cloud.services import Services
from benchmarks.cloud.states import StateMachine
from benchmarks.cloud.usage import Meter, Usage
from tests.definition import ROOT, rendered
from tests.fakes.bucket import Bucket

BUCKET = "my-site"
PIPE_CHUNK = 64 * 1024
"""Bytes for which a pipe's request is billed once (Amazon EventBridge Pricing)."""


class Account:
    """The stack in an account; ``serving`` and ``pages`` are those of ``CloudFront``."""

    def __init__(
        self,
        *,
        serving: int = 1,
        pages: int = 1,
        processor: Processor = SECONDS.processor,
        objects: Iterable[str] = (),
    ) -> None:
        self.clock, self.usage = Clock(), Usage()
        self.table = Table(self.usage)
        self.cloudfront = CloudFront(self.clock, self.usage, BUCKET, serving, pages)
        services = Services(self.clock, self.usage, self.table, self.cloudfront, Bucket(objects))
        self.functions = Functions(services, processor)
        self.machine = StateMachine(definition(), self.clock, self.usage, self.functions.invoke)
        self._chance = random.Random(1)
        self._tokens, self._refilled = float(STARTS_BURST), 0.0
        self._traced_second = -1
        self._keys_asked = 0

    def change(
        self,
        keys: Iterable[str],
        a_second: float,
        *,
        buffered: bool = False,
        at_once: bool = False,
        after: float = 0.0,
    ) -> None:
        """Let objects change one after the other, from ``after`` on, and go on until all has ended.

        ``buffered`` is the template's queue; ``at_once`` is one that is read without a window, which it does not have.
        """
        arrivals = [(number / a_second, self.event(key)) for number, key in enumerate(keys)]
        self.usage.add(Meter.S3_EVENTS, len(arrivals))
        if buffered:
            for poller in range(POLLERS):
                self.clock.begin(self._poll(arrivals[poller::POLLERS]), after)
        elif at_once:
            waiting = deque((self.clock.seconds + after + at + SECONDS.delivery, event) for at, event in arrivals)
            for _ in range(POLLERS):
                self.clock.begin(self._receive(waiting))
        else:
            for seconds, event in arrivals:
                self.clock.begin(self._start(event), after + seconds + SECONDS.delivery)
        self.clock.run()
        self._count_table_keys()

    def run(self, function: str, event: Any) -> None:
        """Run one function by itself, such as the sweep."""
        self.clock.begin(self._run_alone(function, event))
        self.clock.run()
        if traced(function):
            self._count_trace()
        self._count_table_keys()

    def event(self, key: str) -> dict[str, Any]:
        """The event about a change, as EventBridge delivers it."""
        event: dict[str, Any] = json.loads(_sample())
        event["id"] = str(uuid.UUID(int=self._chance.getrandbits(128)))
        event["detail"]["object"]["key"] = key
        event["detail"]["object"]["etag"] = f"{self._chance.getrandbits(128):032x}"
        return event

    def _run_alone(self, function: str, event: Any) -> Process[None]:
        yield from self.functions.invoke(function, event)

    def _start(self, document: Any) -> Process[None]:
        """An execution, as soon as StartExecution's rate allows; EventBridge tries again for a day."""
        yield self._until_a_start_is_allowed()
        self._count_trace()
        yield from self.machine.execution(document)

    def _until_a_start_is_allowed(self) -> float:
        elapsed, self._refilled = self.clock.seconds - self._refilled, self.clock.seconds
        self._tokens = min(STARTS_BURST, self._tokens + elapsed * STARTS_A_SECOND) - 1
        return max(0.0, -self._tokens / STARTS_A_SECOND)

    def _poll(self, arrivals: list[tuple[float, dict[str, Any]]]) -> Process[None]:
        """One of the pipe's readers: it gathers until its batch is full or its window over."""
        size, window = _gathering()
        begun = self.clock.seconds
        while arrivals:
            until = arrivals[0][0] + window
            batch = [event for at, event in arrivals[:size] if at <= until]
            full = arrivals[len(batch) - 1][0] if len(batch) == size else until
            del arrivals[: len(batch)]
            yield begun + full + SECONDS.delivery - self.clock.seconds
            self._start_with(batch)

    def _receive(self, waiting: deque[tuple[float, dict[str, Any]]]) -> Process[None]:
        """A reader of a queue: it takes what is there, up to ten messages, and hands that on before it asks again."""
        while waiting:
            if waiting[0][0] > self.clock.seconds:
                yield waiting[0][0] - self.clock.seconds
                continue
            there = takewhile(lambda each: each[0] <= self.clock.seconds, islice(waiting, RECEIVE_MESSAGES))
            batch = [event for _, event in there]
            for _ in batch:
                waiting.popleft()
            yield SECONDS.other_call
            self._start_with(batch)
            yield SECONDS.other_call

    def _start_with(self, batch: Sequence[dict[str, Any]]) -> None:
        document = [{"body": event} for event in batch]
        self.usage.add(Meter.SQS_REQUESTS, 2 * len(batch) + ceil(len(batch) / RECEIVE_MESSAGES))
        self.usage.add(Meter.PIPE_REQUESTS, ceil(len(json.dumps(document)) / PIPE_CHUNK))
        self.clock.begin(self._start(document))

    def _count_trace(self) -> None:
        second = int(self.clock.seconds)
        if second != self._traced_second or self._chance.random() < TRACED_SHARE:
            self.usage.add(Meter.TRACES)
        self._traced_second = second

    def _count_table_keys(self) -> None:
        """The key that AWS manages for DynamoDB has no monthly price; asking for it has. One that AWS owns is free."""
        if not encrypts_with_kms():
            return
        begun = int(self.clock.seconds // (60 * TABLE_KEY_MINUTES)) + 1
        self.usage.add(Meter.KMS_REQUESTS, begun - self._keys_asked)
        self._keys_asked = begun


@cache
def definition() -> dict[str, Any]:
    return rendered()


@cache
def _sample() -> str:
    return (ROOT / "events" / "object-created-put.json").read_text()


@cache
def _gathering() -> tuple[int, int]:
    """How many messages the pipe hands over at most, and the seconds for which it gathers them."""
    pipe = whole_template()["Resources"]["IntakePipe"]["Properties"]["SourceParameters"]["SqsQueueParameters"]
    return int(pipe["BatchSize"]), int(pipe["MaximumBatchingWindowInSeconds"])


def alarm_metrics() -> int:
    """Metrics that the template's alarms read: each is charged like an alarm of one metric."""
    alarms = [each for each in whole_template()["Resources"].values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    return sum(str(each["Properties"]).count("MetricName") for each in alarms if "Condition" not in each)


def encrypts_with_kms() -> bool:
    """Whether the table's key is one in KMS."""
    properties = whole_template()["Resources"]["BatchTable"]["Properties"]
    return bool(properties.get("SSESpecification", {}).get("SSEEnabled"))


def traced(function: str) -> bool:
    """Whether the function begins traces of its own."""
    document = whole_template()
    tracing = document["Resources"][function]["Properties"].get("Tracing")
    return str(tracing or document["Globals"]["Function"]["Tracing"]) == "Active"


def keys() -> int:
    """Customer keys, which have a monthly price."""
    return sum(each["Type"] == "AWS::KMS::Key" for each in whole_template()["Resources"].values())


def sweeps_a_month(hours: int) -> float:
    """From the schedule of the template."""
    schedule = whole_template()["Resources"]["SweepFunction"]["Properties"]["Events"]["EveryFiveMinutes"]["Properties"]
    (minutes,) = re.findall(r"^rate\((\d+) minutes\)$", schedule["Schedule"])
    return hours * 60 / int(minutes)
