"""A model of Lambda around the real handlers, in this process; what they take is measured.

Handlers run one at a time and at once, and then take their time: they never lose a conditional write to each other.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3

from benchmarks.cloud import lambda_log
from benchmarks.cloud.assumed import CONCURRENCY, LOG_EVENT_BYTES, PROCESSOR_MEGABYTES, SECONDS
from benchmarks.cloud.clock import Process
from benchmarks.cloud.services import Invocation, Services, Switch
from benchmarks.cloud.usage import Meter
from invalidation.batches.dynamodb import DynamoBatchTable
from invalidation.batches.targets import StoredConfigurations
from invalidation.cloudfront import routing
from invalidation.cloudfront.client import CloudFront
from invalidation.cloudfront.listing import BucketLister
from tests.definition import ROOT, template
from tests.statemachine.functions import environment, folder_of, parameters

TABLE = "batches"
TOPIC = "arn:aws:sns:us-east-1:123456789012:notifications"
REFS = {"BatchTable": TABLE, "NotificationTopic": TOPIC, "EmailTopic": TOPIC, "ChatNotificationTopic": TOPIC}
REFS |= dict.fromkeys(["ChangeRule", "IntakePipe", "IntakeQueue", "DeadLetterQueue"], "not-asked-here")
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:invalidation"


@dataclass
class Work:
    """What one function has done. ``cpu`` is processor seconds of the handler, without the SDK's calls."""

    memory: int
    invocations: int = 0
    cold_starts: int = 0
    cpu: float = 0.0
    aws_seconds: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)


Processor = Callable[[Counter[str], Counter[str]], float]
"""The SDK's processor seconds for calls, and for the items that they carry beyond their first."""


class Failed(Exception):
    """A function failed: the error's name as Step Functions sees it, and its cause."""


class Loaded:
    """The modules of all functions of the template, with its defaults; loaded once for a process."""

    def __init__(self) -> None:
        self.switch = Switch()
        self.output = io.StringIO()
        self._modules: dict[str, ModuleType] = {}
        if str(ROOT / "functions") not in sys.path:
            sys.path.append(str(ROOT / "functions"))

    def module(self, logical_id: str) -> ModuleType:
        if logical_id not in self._modules:
            self._modules[logical_id] = self.load(logical_id)
        return self._modules[logical_id]

    def start_anew(self, services: Services) -> None:
        """New workers: what the modules keep between invocations is forgotten."""
        self.switch.services = services
        for module in self._modules.values():
            forget(module, services)

    def load(self, logical_id: str) -> ModuleType:
        """The function's module, loaded anew as Lambda loads it."""
        folder = folder_of(logical_id)
        spec = importlib.util.spec_from_file_location(f"{folder}.benchmarked", ROOT / "functions" / folder / "app.py")
        if spec is None or spec.loader is None:
            raise ImportError(folder)
        module = importlib.util.module_from_spec(spec)
        # The bill knows no free tiers: so the stack behaves as in a month whose free paths are used up.
        refs = {**parameters(), **REFS, "InvalidationStateMachine": MACHINE, "MonthlyPathBudget": "0"}
        variables = environment(logical_id, refs)
        ours = (
            {"invalidation.observability": self._modules["invalidation.observability"]}
            if "invalidation.observability" in self._modules
            else {}
        )
        with (
            patch.dict(os.environ, {**variables, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}),
            patch.dict(sys.modules),
            patch.object(boto3, "client", self.switch.client),
            redirect_stdout(self.output),
        ):
            sys.modules.pop("invalidation.observability", None)  # reads its environment when it is imported
            sys.modules.update(ours)
            spec.loader.exec_module(module)
            self._modules.setdefault("invalidation.observability", sys.modules["invalidation.observability"])
        return module


def forget(module: ModuleType, services: Services) -> None:
    """What a cold start begins without."""
    kept = vars(module)
    if "TABLE" in kept:
        kept["TABLE"] = DynamoBatchTable(kept["TABLE"]._client, TABLE)  # noqa: SLF001 # the module's own client
    if "CLOUDFRONT" in kept:
        client, stored = kept["CLOUDFRONT"]._client, kept["CLOUDFRONT"]._store  # noqa: SLF001 # likewise
        if stored is not None:
            stored = StoredConfigurations(kept["TABLE"], services.clock.now)
        kept["CLOUDFRONT"] = CloudFront(client, clock=lambda: services.clock.seconds, configurations=stored)
    if "LISTER" in kept:
        kept["s3"] = cache(lambda: LOADED().switch.client("s3"))
        kept["LISTER"] = BucketLister(kept["s3"], print)
        routing._known_paths.cache_clear()  # noqa: SLF001 # likewise
    if "datetime" in kept:
        kept["datetime"] = services.clock.datetime  # what the handlers ask for the time


LOADED = cache(Loaded)


class Functions:
    """The functions of one simulation, each with its workers."""

    def __init__(self, services: Services, processor: Processor = SECONDS.processor) -> None:
        self._services = services
        self._processor = processor
        self._idle: Counter[str] = Counter()
        self._busy = 0
        self.work: dict[str, Work] = {}
        self.created: list[float] = []
        """The seconds at which invalidations were created, to a fraction."""
        LOADED().start_anew(services)

    def stop_idle_workers(self) -> None:
        """As Lambda does after quiet minutes: what comes next starts cold."""
        self._idle.clear()

    def invoke(self, logical_id: str, event: Any) -> Process[Any]:
        """The handler's answer, after the time that it takes. Raises Failed."""
        if self._busy >= CONCURRENCY:
            raise Failed("Lambda.TooManyRequestsException", "Rate Exceeded.")
        self._busy += 1
        yield SECONDS.invocation
        module = LOADED().module(logical_id)
        work = self.work.setdefault(logical_id, Work(memory_of(logical_id)))
        if self._idle[logical_id]:
            self._idle[logical_id] -= 1
        else:
            work.cold_starts += 1
            self._services.usage.cold_starts += 1
            self._log(*lambda_log.INIT)
            yield SECONDS.cold_start
            forget(module, self._services)
        try:
            answer, failure, seconds = self._run(logical_id, module, work, event)
            yield seconds
        finally:
            self._busy -= 1
        self._idle[logical_id] += 1
        if failure is not None:
            raise failure
        return answer

    def _run(self, logical_id: str, module: ModuleType, work: Work, event: Any) -> tuple[Any, Failed | None, float]:
        """The answer or failure, and how long the clock is to go on for it."""
        services, output = self._services, LOADED().output
        services.invocation = Invocation()
        context = SimpleNamespace(
            aws_request_id="0e0a8f8c-3d1b-4c55-9a35-6a9d3d7f7a10",
            function_name=logical_id,
            get_remaining_time_in_millis=lambda: 300_000,
        )
        forget_output(output)
        answer, failure = None, None
        with redirect_stdout(output):
            before = time.process_time()
            try:
                answer = module.handler(event, context)
            except Exception as error:  # noqa: BLE001 # whatever a handler raises, Lambda reports it
                failure = Failed(type(error).__name__, str(error))
            work.cpu += time.process_time() - before - services.answering
        services.answering = 0.0
        work.invocations += 1
        asked = services.invocation
        work.calls += asked.calls
        work.items += asked.items
        work.aws_seconds += asked.aws_seconds
        services.usage.add(Meter.LAMBDA_REQUESTS)
        self._read_output(output.getvalue())
        if asked.created is not None:
            self.created.append(services.clock.seconds + self._seconds(work, asked.created))
        return json.loads(json.dumps(answer)), failure, self._seconds(work, asked)

    def _seconds(self, work: Work, asked: Invocation) -> float:
        """How long a handler takes for all that it has asked."""
        processor = SECONDS.handler_cpu + self._processor(asked.calls, asked.items)
        return asked.aws_seconds + slower(work.memory) * processor

    def _read_output(self, text: str) -> None:
        """What the handler has written goes to the log; its metrics are read from it, as CloudWatch does."""
        self._log(*lambda_log.INVOCATION)
        for line in text.splitlines():
            self._log(len(line.encode()))
            for directive in json.loads(line).get("_aws", {}).get("CloudWatchMetrics", []):
                hour = int(self._services.clock.seconds // 3600)
                self._services.usage.emitted |= {(metric["Name"], hour) for metric in directive["Metrics"]}

    def _log(self, *lines: int) -> None:
        """Lines of so many bytes."""
        self._services.usage.add(Meter.LOG_GB, (sum(lines) + len(lines) * LOG_EVENT_BYTES) / 2**30)


def slower(memory: int) -> float:
    """How much longer work takes than at a whole processor."""
    return max(1.0, PROCESSOR_MEGABYTES / memory)


def forget_output(output: io.StringIO) -> None:
    output.seek(0)
    output.truncate()


whole_template = cache(template)


@cache
def memory_of(logical_id: str) -> int:
    """MB, from the template."""
    document = whole_template()
    own: Mapping[str, Any] = document["Resources"][logical_id]["Properties"]
    return int(own.get("MemorySize", document["Globals"]["Function"]["MemorySize"]))
