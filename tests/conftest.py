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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of bad days, a line from each test of one."""
    reports = [each for some in terminalreporter.stats.values() for each in some if getattr(each, "when", "") == "call"]
    lines = [each for report in reports for each in report.user_properties if each[0].startswith("what failed")]
    for number, (heading, line) in enumerate(lines):
        if not number:
            terminalreporter.section("bad days of the sweep")
            terminalreporter.line(heading)
        terminalreporter.line(str(line))
