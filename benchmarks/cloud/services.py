"""A model of the AWS API: boto3 clients end here, and every call is counted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import boto3

from benchmarks.cloud.assumed import SECONDS, WRITERS
from benchmarks.cloud.clock import Clock
from benchmarks.cloud.cloudfront import CloudFront, Refused
from benchmarks.cloud.dynamodb import ConditionFailed, Table
from benchmarks.cloud.usage import Meter, Usage
from tests.fakes.bucket import Bucket

CREDENTIALS = {"aws_access_key_id": "benchmark", "aws_secret_access_key": "benchmark", "region_name": "us-east-1"}


@dataclass
class Invocation:
    """What one run of a handler has asked of AWS so far.

    ``items`` are those that calls have carried beyond their first, by call; ``aws_seconds`` is how long AWS took.
    """

    calls: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    aws_seconds: float = 0.0
    created: Invocation | None = None
    """How all this stood when the first CreateInvalidation had been answered."""


@dataclass
class Services:
    """The services of one simulation."""

    clock: Clock
    usage: Usage
    table: Table
    cloudfront: CloudFront
    bucket: Bucket = field(default_factory=lambda: Bucket(()))
    invocation: Invocation = field(default_factory=Invocation)
    answering: float = 0.0
    """Processor seconds that the stand-ins have taken for this invocation: not the handler's."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Raises ConditionFailed and Refused."""
        name = f"{service}:{operation}"
        beside = 1 if threading.current_thread() is threading.main_thread() else WRITERS
        with self._lock:
            self.usage.calls[name] += 1
            self.invocation.calls[name] += 1
            self.invocation.aws_seconds += SECONDS.of_call(name) / beside
            before = time.thread_time()
            try:
                answer = self._answer(service, operation, request)
            finally:
                self.answering += time.thread_time() - before
            self.invocation.items[name] += max(0, carried(request, answer) - 1)
            if operation == "CreateInvalidation" and self.invocation.created is None:
                self.invocation.created = deepcopy(self.invocation)
        return answer

    def _answer(self, service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if service in ("dynamodb", "cloudfront"):
            stand_in = self.table if service == "dynamodb" else self.cloudfront
            answer: dict[str, Any] = getattr(stand_in, _method(operation))(request)
            return answer
        match operation:
            case "Publish":
                self.usage.add(Meter.SNS_PUBLISHES)
                self.usage.add(Meter.KMS_REQUESTS, 2)  # a data key for the topic's key, and its decryption
                return {"MessageId": "1"}
            case "ListObjectsV2":
                self.usage.add(Meter.S3_LISTS)
                return self.bucket.list_objects_v2(**request)
            case "ListExecutions":
                return {"executions": []}
        raise NotCounted(f"the benchmark has no {service}:{operation}: give it an answer, and a meter")


class NotCounted(Exception):
    """A handler makes a call that nobody has put a price on: without it, the bill would be too small."""


class Switch:
    """Real boto3 clients, whose calls go to the services of whichever simulation runs."""

    def __init__(self) -> None:
        self.services: Services | None = None
        self.made: list[str] = []
        """The services that clients were made for."""
        self._create = boto3.client

    def client(self, service: str, **options: Any) -> Any:
        """In the place of ``boto3.client``."""
        self.made.append(service)
        made: Any = self._create(service, **{**CREDENTIALS, **options})  # type: ignore[call-overload] # any service

        def make_api_call(operation: str, request: dict[str, Any]) -> dict[str, Any]:
            if self.services is None:
                raise RuntimeError("a handler ran outside a simulation")
            try:
                return self.services.call(service, operation, request)
            except (ConditionFailed, Refused) as error:
                raise self._error(made, error, operation) from None

        made._make_api_call = make_api_call  # noqa: SLF001 # botocore's one way out
        return made

    @staticmethod
    def _error(client: Any, error: Exception, operation: str) -> Exception:
        code = str(error) or "ConditionalCheckFailedException"
        answer = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        made: Exception = client.exceptions.from_code(code)(answer, operation)
        return made


def carried(request: dict[str, Any], answer: dict[str, Any]) -> int:
    """How many items a call has carried in either direction."""
    return len(answer.get("Items", ())) + sum(len(each) for each in request.get("RequestItems", {}).values())


def _method(operation: str) -> str:
    """``GetItem`` -> ``get_item``."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
