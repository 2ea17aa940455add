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

SHORT = 4
LONGEST = {
    "test_random_schedules.py": 138,
    "test_local_selftest.py": 86,
    "test_local_chaos.py": 84,
    "test_local_sam_cli.py": 75,
    "test_local_adopt.py": 75,
    "test_local_health.py": 74,
    "test_local_operate.py": 70,
    "test_every_interleaving.py": 65,
    "test_local_page.py": 62,
    "test_installed.py": 60,
    "test_local_storm.py": 50,
    "test_policies.py": 49,
    "test_canaries.py": 44,
    "test_cli_explain.py": 43,
    "test_local_least_privilege.py": 41,
    "test_execution_reports.py": 37,
    "test_local_ten_distributions.py": 36,
    "test_report_by_keyboard.py": 34,
    "test_a_failure_is_told_and_owed.py": 33,
    "test_report_of_a_batch.py": 29,
    "test_report.py": 29,
    "test_local_up.py": 28,
    "test_cli_options.py": 28,
    "test_local_buffered.py": 27,
    "test_least_evicting_cover.py": 25,
    "test_the_stack_is_deleted_or_updated.py": 22,
    "test_local_demo.py": 22,
    "test_resolve_create_and_get.py": 21,
    "test_local_quota.py": 21,
    "test_routing_against_model.py": 21,
    "test_paths_are_worth_their_price.py": 21,
    "test_a_change_reaches_the_edge.py": 19,
    "test_bad_days.py": 18,
    "test_local_parameters.py": 18,
    "test_local_is_closed.py": 18,
    "test_finish_and_notify.py": 17,
    "test_changes_gather_in_batches.py": 17,
    "test_batches_on_each_table.py": 17,
    "test_mocked_cases.py": 17,
    "test_sending_under_quotas.py": 16,
    "test_mutants.py": 16,
    "test_local_three_distributions.py": 16,
    "test_paths_a_day.py": 15,
    "test_local_verify_at_edge.py": 15,
    "test_local_bucket_events.py": 14,
}
"""Seconds that files take in a whole run on two processors, where they are many: only their order matters."""


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
