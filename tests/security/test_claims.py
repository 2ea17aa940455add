"""What SECURITY.md claims is held by tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.definition import ROOT

TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
NAMED = re.compile(r"^  `([\w/]+\.py)(?:::(test_\w+))?`$", re.MULTILINE)


def claims(section: str) -> dict[str, list[tuple[str, str]]]:
    """The bold beginning of each claim of a section → the tests that stand below it."""
    text = TEXT.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return {each.split("\n")[0]: NAMED.findall(each) for each in re.split(r"^- ", text, flags=re.MULTILINE)[1:]}


def missing(path: str, function: str) -> bool:
    """Whether there is no such test; a whole file has at least one."""
    file: Path = ROOT / "tests" / path
    if not file.is_file():
        return True
    names = {each.name for each in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(each, ast.FunctionDef)}
    return function not in names if function else not any(each.startswith("test_") for each in names)


def test_each_claim_names_the_tests_that_hold_it() -> None:
    found = claims("What is protected, and how")
    assert len(found) >= 13
    assert [claim for claim, tests in found.items() if not tests] == []


@pytest.mark.parametrize(("path", "function"), sorted(set(NAMED.findall(TEXT))))
def test_a_test_that_is_named_exists(path: str, function: str) -> None:
    assert not missing(path, function)


@pytest.mark.parametrize(("path", "function"), [("unit/test_gone.py", ""), ("security/test_claims.py", "test_gone")])
def test_one_that_does_not_exist_is_found(path: str, function: str) -> None:
    assert missing(path, function)
