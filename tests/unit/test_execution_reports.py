"""A test that fails leaves the reports of what it ran: shown by tests that fail, in a pytest of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.definition import ROOT
from tests.execution_reports import FOLDER, MOST

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.slow

BEGINNING = """
import pytest
from tests import execution_reports
from tests.statemachine.machine import aws, deployed

BREAKS = {"StartAt": "Break", "States": {
    "Break": {
        "Type": "Choice", "Choices": [{"Variable": "$.ok", "BooleanEquals": True, "Next": "Well"}], "Default": "Ill"
    },
    "Well": {"Type": "Succeed"},
    "Ill": {"Type": "Fail", "Error": "Broken", "Cause": "it broke"},
}}

@pytest.fixture(scope="module")
def machine():
    with aws(), deployed(BREAKS) as machine:
        yield machine

@pytest.fixture(scope="module")
def ran(machine):
    return machine.run({"ok": False}, name="shared")
"""


@pytest.fixture
def failing(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "functions")]))
    pytester.makeconftest('pytest_plugins = ("tests.execution_reports",)')
    return pytester


def run(failing: pytest.Pytester, tests: str, *options: str) -> str:
    failing.makepyfile(test_it=BEGINNING + tests)
    return failing.runpytest_subprocess("-p", "no:cacheprovider", *options).stdout.str()


def pages(failing: pytest.Pytester, test: str) -> dict[str, Path]:
    return {page.stem: page for page in (failing.path / FOLDER / f"test_it.py-{test}").glob("*.html")}


def test_a_failed_test_names_the_reports_of_what_it_ran_the_failing_first(failing: pytest.Pytester) -> None:
    out = run(
        failing,
        """
def test_passes(machine):
    assert machine.run({"ok": False}, name="earlier").status == "FAILED"

def test_fails(machine):
    for number in range(5):
        machine.run({"ok": number != 1}, name=f"run-{number}")
    assert machine.run({"ok": True}, name="last").status == "it never is"
""",
        *("-n", "1"),
    )
    assert "1 failed, 1 passed" in out
    assert "it never is" in out
    assert "- Execution reports -" in out
    found = pages(failing, "test_fails")
    assert set(found) == {"run-1", "run-2", "run-3", "run-4", "last"}
    assert len(found) == MOST
    told = [line.split()[2:] for line in out.splitlines() if line.startswith("Execution reports: ")]
    assert told[0] == [str(found["run-1"]), "FAILED", "Broken"]
    assert {path: status for path, status, *_ in told[1:]} == {
        str(found[name]): "SUCCEEDED" for name in ("run-2", "run-3", "run-4", "last")
    }
    page = found["run-1"].read_text()
    assert "it broke" in page
    assert "<title>run-1" in page
    assert pages(failing, "test_passes") == {}


def test_what_a_shared_fixture_ran_is_reported_as_well(failing: pytest.Pytester) -> None:
    tests = """
def test_looks(ran):
    assert ran.status == "FAILED"

def test_looks_again(ran):
    assert ran.status == "SUCCEEDED"
"""
    assert "1 failed, 1 passed" in run(failing, tests)
    assert set(pages(failing, "test_looks_again")) == {"shared"}


def test_what_is_gone_with_the_test_itself_is_read_before_it_goes(failing: pytest.Pytester) -> None:
    tests = """
def test_has_a_machine_of_its_own():
    with aws(), deployed(BREAKS) as machine:
        machine.run({"ok": False}, name="own")
        pytest.fail("on purpose")
"""
    assert "on purpose" in run(failing, tests)
    assert set(pages(failing, "test_has_a_machine_of_its_own")) == {"own"}


def test_what_cannot_be_read_or_written_is_said_and_hides_no_failure(failing: pytest.Pytester) -> None:
    (failing.path / FOLDER).mkdir(parents=True)
    (failing.path / FOLDER / "test_it.py-test_cannot_write").write_text("a file where the folder would be")
    out = run(
        failing,
        """
def test_cannot_read(machine):
    execution_reports.note(machine._client, "arn:aws:states:us-east-1:123456789012:execution:invalidation:gone")
    assert "the one" == "the other"

def test_cannot_write(machine):
    machine.run({"ok": False}, name="run")
    assert "this" == "that"
""",
    )
    assert "2 failed" in out
    for text in ("'the one' == 'the other'", "'this' == 'that'"):
        assert text in out
    assert "an execution could not be read: ExecutionDoesNotExist" in out
    assert "a report could not be written: FileExistsError" in out


def test_a_failure_without_any_execution_has_no_such_section(failing: pytest.Pytester) -> None:
    out = run(failing, "def test_fails(): assert 1 == 2")
    assert "1 failed" in out
    assert "Execution reports" not in out
    assert not (failing.path / FOLDER).exists()
