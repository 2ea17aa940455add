"""What several of these tests look at: two handlers."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.fakes.memory_table import MemoryTable
from tests.security.handlers import loaded


@pytest.fixture(autouse=True)
def _as_wide_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """GNU readline, which pytest loads, tells its child processes how wide a terminal is that they do not have."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="module")
def join_batch() -> Iterator[ModuleType]:
    with loaded("join_batch.app") as module:
        module.TABLE = MemoryTable()  # type: ignore[attr-defined] # the handler's collaborator
        yield module


@pytest.fixture
def notify() -> Iterator[ModuleType]:
    with loaded(
        "notify.app", NOTIFICATION_TOPIC_ARN="topic", EMAIL_TOPIC_ARN="email", CHAT_TOPIC_ARN="chat", NOTIFY_ON="All"
    ) as module:
        yield module
