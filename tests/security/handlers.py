"""Handlers without AWS: loaded as Lambda loads them, with clients that are fakes."""

from __future__ import annotations

import importlib
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest


class FakeClient:
    """Step Functions and SNS, as far as the handlers here call them; ``sent`` is what they were sent."""

    exceptions = SimpleNamespace(ExecutionAlreadyExists=KeyError)
    meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_: None, register_first=lambda *_: None))

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def start_execution(self, **request: Any) -> None:
        self.sent.append({**request, "input": json.loads(request["input"])})

    def publish(self, **request: Any) -> None:
        self.sent.append(request)


@contextmanager
def loaded(name: str, **environment: str) -> Iterator[ModuleType]:
    """A handler's module, loaded anew with these variables; ``log`` is what it logs, ``client`` whom it calls."""
    log, client = io.StringIO(), FakeClient()
    names = {"POWERTOOLS_METRICS_NAMESPACE": "fake", "POWERTOOLS_SERVICE_NAME": "site", **environment}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "client", lambda *_, **__: client)
        for variable, value in names.items():
            patch.setenv(variable, value)
        for each in ("invalidation.observability", name):
            patch.delitem(sys.modules, each, raising=False)
        module = importlib.import_module(name)
        patch.delitem(sys.modules, name)
        importlib.import_module("invalidation.observability").logger.handlers[0].setStream(log)
        fakes: dict[str, Any] = {"log": log, "client": client, "count": lambda *_: None, "seconds": lambda *_: None}
        for attribute, fake in fakes.items():
            patch.setattr(module, attribute, fake, raising=False)
        yield module
