"""What every test starts from: nothing of the caller's terminal or AWS set-up."""

from __future__ import annotations

import os

import pytest

pytest_plugins = ("tests.execution_reports",)


@pytest.fixture(autouse=True)
def _no_terminal_of_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES", *(name for name in os.environ if name.startswith("INVALIDATIONS_"))):
        monkeypatch.delenv(name, raising=False)
