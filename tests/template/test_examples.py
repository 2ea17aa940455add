"""What people copy: the examples, and the page that explains them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from invalidation.events import parse
from tests.definition import ROOT

EXAMPLES = ROOT / "examples"
PAGE = ROOT / "docs" / "downstream.md"


def test_statelint_finds_nothing_in_the_parent() -> None:
    command = [sys.executable, "-m", "statelint", "--ignore=FLOAT,URI", str(EXAMPLES / "parent.asl.json")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.stderr.strip(), ran.returncode) == ("", "", 0)


@pytest.mark.slow
def test_cfn_lint_finds_nothing_in_the_templates() -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), *map(str, sorted(EXAMPLES.glob("*.yaml")))]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("", 0), ran.stderr


def test_the_parent_is_stopped_by_whatever_is_not_fresh() -> None:
    states = json.loads((EXAMPLES / "parent.asl.json").read_text())["States"]
    (task,) = (state for state in states.values() if state["Type"] == "Task")
    assert task["Resource"].endswith(":states:startExecution.sync:2")
    assert states[task["Catch"][-1]["Next"]]["Type"] == "Fail"
    (choice,) = (state for state in states.values() if state["Type"] == "Choice")
    assert [rule["StringEquals"] for rule in choice["Choices"]] == ["Completed"]
    assert states[choice["Default"]]["Type"] == "Fail"


def test_the_parent_starts_again_what_was_not_started_however_the_error_is_spelled() -> None:
    states = json.loads((EXAMPLES / "parent.asl.json").read_text())["States"]
    (task,) = (state for state in states.values() if state["Type"] == "Task")
    retried = {error for retrier in task["Retry"] for error in retrier["ErrorEquals"]}
    assert {"StepFunctions.ExecutionLimitExceeded", "StepFunctions.ExecutionLimitExceededException"} <= retried


def test_the_page_s_inputs_are_accepted_and_its_links_lead_somewhere() -> None:
    page = PAGE.read_text(encoding="utf-8")
    inputs = [line for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert len(inputs) == 2
    for line in inputs:
        parse(json.loads(line))
    titles = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > 6
    for link in links:
        assert link[1:] in anchors if link.startswith("#") else (PAGE.parent / link).resolve().is_file(), link
