"""Handlers without AWS: their clients are fakes, and Join Batch's table is in memory."""

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

from tests.memory_table import MemoryTable


class FakeClient:
    """Step Functions and SNS, as far as the handlers here call them; ``sent`` is what they were sent."""

    exceptions = SimpleNamespace(ExecutionAlreadyExists=KeyError)

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
    names = {"POWERTOOLS_METRICS_NAMESPACE": "security", "POWERTOOLS_SERVICE_NAME": "site", **environment}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "client", lambda *_, **__: client)
        for variable, value in names.items():
            patch.setenv(variable, value)
        for each in ("observed", name):
            patch.delitem(sys.modules, each, raising=False)
        module = importlib.import_module(name)
        patch.delitem(sys.modules, name)
        importlib.import_module("observed").logger.handlers[0].setStream(log)
        patch.setattr(module, "log", log, raising=False)
        patch.setattr(module, "client", client, raising=False)
        yield module


@pytest.fixture(scope="module")
def join_batch() -> Iterator[ModuleType]:
    with loaded("join_batch.app") as module:
        module.TABLE = MemoryTable()  # type: ignore[attr-defined] # the handler's collaborator
        module.count = lambda *_: None  # type: ignore[attr-defined] # metrics are printed
        yield module


@pytest.fixture
def notify() -> Iterator[ModuleType]:
    with loaded("notify.app", NOTIFICATION_TOPIC_ARN="topic", CHAT_TOPIC_ARN="chat") as module:
        yield module
