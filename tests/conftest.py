"""What every test starts from: nothing of the caller's terminal or AWS set-up."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from itertools import accumulate, groupby
from typing import Any

import pytest
from botocore.loaders import Loader, create_loader

pytest_plugins = ("tests.execution_reports",)

SHORT = 8
LONGEST = {
    "test_random_schedules.py": 172,
    "test_local_chaos.py": 67,
    "test_local_selftest.py": 67,
    "test_local_sam_cli.py": 64,
    "test_local_ten_distributions.py": 61,
    "test_local_adopt.py": 55,
    "test_installed.py": 55,
    "test_report_by_keyboard.py": 54,
    "test_local_operate.py": 53,
    "test_report.py": 48,
    "test_local_least_privilege.py": 45,
    "test_local_up.py": 44,
    "test_report_of_a_batch.py": 43,
    "test_canaries.py": 38,
    "test_local_buffered.py": 38,
    "test_policies.py": 37,
    "test_mutants.py": 35,
    "test_local_storm.py": 33,
    "test_cli_wait_simulated.py": 33,
    "test_execution_reports.py": 32,
    "test_local_bucket_events.py": 30,
    "test_local_page.py": 30,
}
"""Seconds that a file takes in a whole run on two processors, where it is half a minute or more. For the order only."""


@pytest.fixture(scope="session", autouse=True)
def _models_of_aws_are_read_once() -> Iterator[None]:
    """Each session of boto3's reads and parses them again otherwise, which is up to a third of a test's time."""
    shared: dict[str | None, dict[Any, Any]] = {}

    def loader(data_path: str | None = None) -> Loader:
        made = create_loader(data_path)
        vars(made)["_cache"] = shared.setdefault(data_path, {})
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", loader)
        yield


@pytest.fixture(autouse=True)
def _no_terminal_of_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES", *(name for name in os.environ if name.startswith("INVALIDATIONS_"))):
        monkeypatch.delenv(name, raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait for an emulator or a browser among those that compute, and the longest of either first.

    Workers then share the processors well, and none is left alone with a long file in the end.
    """
    waiting = [item for item in items if item.get_closest_marker("local") or item.get_closest_marker("browser")]
    computing = [item for item in items if item not in set(waiting)]
    placed: list[tuple[float, list[pytest.Item]]] = []
    for some in (waiting, computing):
        files = [list(group) for _, group in groupby(some, key=lambda item: item.path)]
        files.sort(key=_seconds, reverse=True)
        ends = list(accumulate(_seconds(each) for each in files))
        placed += [((end - _seconds(each) / 2) / ends[-1], each) for end, each in zip(ends, files, strict=True)]
    items[:] = [item for _, group in sorted(placed, key=lambda each: each[0]) for item in group]


def _seconds(file: list[pytest.Item]) -> int:
    return LONGEST.get(file[0].path.name, SHORT)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is there once all is imported stays: the garbage collector need not look at it again and again.

    It also comes less often from then on, for a tenth to a third of the time of what makes clients of AWS.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of bad days, a line from each test of one."""
    reports = [each for some in terminalreporter.stats.values() for each in some if getattr(each, "when", "") == "call"]
    lines = [each for report in reports for each in report.user_properties if each[0].startswith("what failed")]
    for number, (heading, line) in enumerate(lines):
        if not number:
            terminalreporter.section("bad days of the sweep")
            terminalreporter.line(heading)
        terminalreporter.line(str(line))
