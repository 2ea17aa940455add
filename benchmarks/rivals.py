"""Runs ``baseline.py`` in a simulated account, on the same clock, the same CloudFront and the same prices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import ceil
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ClientError

from benchmarks import baseline
from benchmarks.cloud import lambda_log
from benchmarks.cloud.assumed import LOG_EVENT_BYTES, RECEIVE_MESSAGES, SECONDS
from benchmarks.cloud.clock import Clock, Process
from benchmarks.cloud.cloudfront import CloudFront
from benchmarks.cloud.dynamodb import Table
from benchmarks.cloud.functions import Processor, Work, slower
from benchmarks.cloud.services import Invocation, Services, Switch
from benchmarks.cloud.usage import Meter, Usage

BUCKET = "my-site"
SDK_TRIES = 5
"""Calls that botocore makes of one that is throttled, where nothing else is configured (boto3 guide, "Retries")."""
LAMBDA_PAUSES = (60.0, 120.0)
"""Before Lambda runs a failed asynchronous invocation again: twice, then it is dropped (Lambda Developer Guide)."""

VISIBILITY, RECEIVES = 60.0, 5
"""Seconds until a queue gives a failed batch out again, and how often it does (a usual redrive policy)."""
BATCH = 10_000
"""Messages in one invocation from a queue (Lambda Developer Guide, "Using Lambda with Amazon SQS")."""
BATCH_BYTES = 6 * 2**20
MESSAGE_BYTES = 1_500
"""An S3 notification (some 800 bytes) in a message with its attributes; six megabytes are an invocation's most."""

Handler = Callable[[Any, Any], None]


@cache
def _switch() -> Switch:
    return Switch()


@cache
def _client() -> Any:
    return _switch().client("cloudfront")


@dataclass
class Rival:
    """One function on the bucket's notifications, or on a queue of them that it reads after so many seconds.

    ``lost`` are changes that it gave up. A queue is read by one reader: better for the rival than the five of Lambda's.
    """

    handler: Handler
    pages: int = 1
    limited: bool = False
    window: float = 0.0
    memory: int = baseline.MEMORY
    processor: Processor = SECONDS.processor
    lost: int = 0
    created: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock, self.usage = Clock(), Usage()
        self.work = Work(self.memory)
        self.cloudfront = CloudFront(self.clock, self.usage, BUCKET, pages=self.pages, limited=self.limited)
        self._services = Services(self.clock, self.usage, Table(self.usage), self.cloudfront)
        self._idle = 0

    def change(self, keys: Iterable[str], a_second: float, *, after: float = 0.0) -> None:
        """Let objects change one after the other, and go on until Lambda tries nothing again."""
        _switch().services = self._services
        with patch.object(baseline, "client", _client):
            if self.window:
                self._queue([(after + number / a_second, key) for number, key in enumerate(keys)])
                return
            for number, key in enumerate(keys):
                notified = self._notified(baseline.notification(BUCKET, key))
                self.clock.begin(notified, after + number / a_second + SECONDS.delivery)
            self.clock.run()

    def _queue(self, arrivals: list[tuple[float, str]]) -> None:
        most = min(BATCH, BATCH_BYTES // MESSAGE_BYTES)
        while arrivals:
            until = arrivals[0][0] + self.window
            batch = [key for at, key in arrivals[:most] if at <= until]
            full = arrivals[len(batch) - 1][0] if len(batch) == most else until
            del arrivals[: len(batch)]
            # Each is sent alone; they are received and deleted by the ten.
            self.usage.add(Meter.SQS_REQUESTS, len(batch) + 2 * ceil(len(batch) / RECEIVE_MESSAGES))
            event = {"Records": [baseline.message(BUCKET, key) for key in batch]}
            self.clock.begin(self._notified(event, [VISIBILITY] * (RECEIVES - 1)), full + SECONDS.delivery)
        self.clock.run()

    def _notified(self, event: Any, pauses: Sequence[float] = LAMBDA_PAUSES) -> Process[None]:
        for pause in (*pauses, None):
            cold = self._idle == 0
            self._idle = max(0, self._idle - 1)
            self.work.cold_starts += cold
            self.usage.cold_starts += cold
            yield SECONDS.invocation + (SECONDS.cold_start if cold else 0.0)
            succeeded, seconds = self._run(event)
            yield seconds
            self._idle += 1
            if succeeded:
                return
            if pause is None:
                self.lost += len(event["Records"])
            else:
                yield pause

    def _run(self, event: Any) -> tuple[bool, float]:
        """One invocation: whether it succeeded, and how long it took."""
        self._services.invocation = Invocation()
        self._services.answering = 0.0
        before = time.process_time()
        try:
            self.handler(event, None)
            succeeded = True
        except ClientError:
            succeeded = False
        self.work.cpu += time.process_time() - before - self._services.answering
        asked = self._services.invocation
        if not succeeded:  # the refused call was the SDK's last of so many
            asked.calls["cloudfront:CreateInvalidation"] += SDK_TRIES - 1
            self.usage.calls["cloudfront:CreateInvalidation"] += SDK_TRIES - 1
        self.work.invocations += 1
        self.work.calls += asked.calls
        self.work.aws_seconds += asked.aws_seconds
        self.usage.add(Meter.LAMBDA_REQUESTS)
        lines = lambda_log.INVOCATION
        self.usage.add(Meter.LOG_GB, (sum(lines) + len(lines) * LOG_EVENT_BYTES) / 2**30)
        if asked.created is not None:
            self.created.append(self.clock.seconds + self._seconds(asked.created))
        return succeeded, self._seconds(asked)

    def _seconds(self, asked: Invocation) -> float:
        processor = SECONDS.handler_cpu + self.processor(asked.calls, asked.items)
        return asked.aws_seconds + slower(self.memory) * processor
