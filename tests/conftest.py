"""What every test starts from: nothing of the caller's terminal or AWS set-up."""

from __future__ import annotations

import os
from itertools import groupby

import pytest

pytest_plugins = ("tests.execution_reports",)


@pytest.fixture(autouse=True)
def _no_terminal_of_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES", *(name for name in os.environ if name.startswith("INVALIDATIONS_"))):
        monkeypatch.delenv(name, raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait for an emulator or a browser among those that compute: workers then share the processors well."""
    waiting = [item for item in items if item.get_closest_marker("local") or item.get_closest_marker("browser")]
    computing = [item for item in items if item not in set(waiting)]
    files = [[list(group) for _, group in groupby(some, key=lambda item: item.path)] for some in (waiting, computing)]
    placed = [((number + 0.5) / len(some), group) for some in files for number, group in enumerate(some)]
    items[:] = [item for _, group in sorted(placed, key=lambda each: each[0]) for item in group]
