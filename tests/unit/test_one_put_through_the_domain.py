"""One PUT of one key, one distribution, from its event to the recorded invalidation: how many files it passes."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from invalidation.batches.targets import INVALIDATIONS, StoredConfigurations
from invalidation.cloudfront.client import CloudFront
from tests.definition import ACCOUNT, REGION, ROOT
from tests.fakes.memory_table import MemoryTable
from tests.unit.cloudfront_documents import config, page, summary

if TYPE_CHECKING:
    from mypy_boto3_cloudfront import CloudFrontClient

DOMAIN = str(ROOT / "functions" / "invalidation") + os.sep
RUN = {
    "execution": f"arn:aws:states:{REGION}:{ACCOUNT}:execution:invalidation:one-put",
    "startedAt": "2026-11-12T09:14:01.482Z",
}
MAX_FILES = 16
MAX_CHANGES_OF_FILE = 90


class OneDistribution:
    """A CloudFront client's answers for an account with one distribution, which serves the bucket ``site``."""

    def get_paginator(self, _operation: str) -> OneDistribution:
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [page({**summary("E1EXAMPLE", "site.s3.amazonaws.com"), "ETag": "E2A"})]

    def get_distribution_config(self, **_: Any) -> dict[str, Any]:
        return {**config(), "ETag": "E2A"}

    def create_invalidation(self, **_: Any) -> dict[str, Any]:
        created = datetime(2026, 11, 12, 9, 14, 2, tzinfo=UTC)
        return {"Invalidation": {"Id": "I1EXAMPLE", "Status": "InProgress", "CreateTime": created}}


class Trace:
    """Calls of functions of the domain, in their order, by file; logs and metrics, around every handler, left out."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def __call__(self, frame: Any, event: str, _argument: object) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(DOMAIN) and not name.endswith("observability.py"):
            self.files.append(name.removeprefix(DOMAIN))

    @property
    def changes_of_file(self) -> int:
        return sum(before != after for before, after in zip(self.files, self.files[1:], strict=False))

    def running(self, step: Callable[[dict[str, Any], None], Any], event: dict[str, Any]) -> Any:
        sys.setprofile(self)
        try:
            return step(event, None)
        finally:
            sys.setprofile(None)


@dataclass
class Handlers:
    """The handlers by folder, over one table in memory."""

    table: MemoryTable

    def __call__(self, folder: str) -> Callable[[dict[str, Any], None], Any]:
        module: Any = importlib.import_module(f"{folder}.app")
        module.TABLE = self.table
        if hasattr(module, "CLOUDFRONT"):
            module.CLOUDFRONT = self.cloudfront()
        handler: Callable[[dict[str, Any], None], Any] = module.handler
        return handler

    def cloudfront(self) -> CloudFront:
        """As a worker that has just started has it."""
        stored = StoredConfigurations(self.table, lambda: datetime.now(UTC))
        return CloudFront(cast("CloudFrontClient", OneDistribution()), configurations=stored)


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Handlers]:
    for name, value in {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "made",
        "AWS_SECRET_ACCESS_KEY": "up",
        "BATCH_TABLE_NAME": "batches",
        "POWERTOOLS_METRICS_NAMESPACE": "test",
        "POWERTOOLS_SERVICE_NAME": "test",
    }.items():
        monkeypatch.setenv(name, value)
    for name in [name for name in sys.modules if name.endswith(".app")]:
        monkeypatch.delitem(sys.modules, name)  # read with another test's settings
    yield Handlers(MemoryTable(shards=4))
    for name in [name for name in sys.modules if name.endswith(".app")]:
        del sys.modules[name]


def test_one_put_passes_few_files_and_seldom_changes_between_them(handlers: Handlers) -> None:
    put = json.loads(Path(ROOT, "events", "object-created-put.json").read_text(encoding="utf-8"))
    put["detail"]["bucket"]["name"] = "site"
    handlers.cloudfront().distributions_serving("site")  # an earlier change has read its configuration
    trace = Trace()
    joined = trace.running(handlers("join_batch"), {**RUN, "stateMachine": "arn:aws:states:::x", "input": put})
    batch = {**RUN, "batchId": joined["batchId"], "bucket": "site"}
    assert joined["closed"]["status"] == "FROZEN", "a lone change does not wait for Close Batch"
    resolved = trace.running(handlers("resolve_distributions"), batch)
    target = {**batch, **resolved["targets"][0], "roomUntil": resolved["roomUntil"]}
    assert trace.running(handlers("create_invalidation"), target)["status"] == "InProgress"
    written = [sk for partition in handlers.table.partitions.values() for sk in partition]
    assert any(sk.startswith(INVALIDATIONS) for sk in written)
    files = sorted(set(trace.files))
    assert len(files) <= MAX_FILES, f"{len(files)} files: {', '.join(files)}"
    assert trace.changes_of_file <= MAX_CHANGES_OF_FILE
