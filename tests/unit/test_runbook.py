"""The runbook names every alarm and every error, and none that does not exist."""

from __future__ import annotations

import re

from invalidation.errors import ERRORS
from invalidations_cli.stale_page import PageVerdict
from tests.definition import ROOT, resources

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
NOT_OURS = {"States.Timeout", "States.Runtime", "Lambda.Unknown", "ABORTED"}


def _headings(section: str) -> set[str]:
    text = RUNBOOK.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^### (\S+)$", text, re.MULTILINE))


def test_each_error_has_an_entry_and_no_entry_is_stale() -> None:
    assert _headings("Errors") == set(ERRORS) | NOT_OURS


def test_each_alarm_has_an_entry_and_no_entry_is_stale() -> None:
    assert _headings("Alarms") == set(resources("AWS::CloudWatch::Alarm"))


def test_each_alarm_is_a_list_of_steps() -> None:
    entries = RUNBOOK.split("\n## Alarms\n")[1].split("\n## ")[0].split("\n### ")[1:]
    assert len(entries) == len(resources("AWS::CloudWatch::Alarm"))
    assert [entry.split()[0] for entry in entries if "\n1. " not in entry or "\n2. " not in entry] == []


def test_it_begins_with_what_no_alarm_tells() -> None:
    assert re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)[0] == "Nothing is invalidated, and no alarm rang"


def test_each_check_of_the_chain_has_an_entry_and_no_entry_is_stale() -> None:
    source = (ROOT / "functions" / "invalidation" / "health.py").read_text()
    names = set(re.findall(r'CheckQuestion\(\s*"([^"]+)",', source))
    section = RUNBOOK.split("\n## Checks\n")[1].split("\n## ")[0]
    assert len(names) == 18
    assert set(re.findall(r"^### (.+)$", section, re.MULTILINE)) == names


def test_each_check_is_in_the_table_of_checks() -> None:
    section = RUNBOOK.split("\n## Checks\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| \[(.+?)\]", section, re.MULTILINE) == re.findall(r"^### (.+)$", section, re.MULTILINE)


def test_each_verdict_on_a_page_is_in_the_table_of_verdicts() -> None:
    table = RUNBOOK.split("\n| verdict |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\S+)` \|", table, re.MULTILINE) == [each.value for each in PageVerdict]


def test_an_entry_says_whether_the_error_passes_by_itself() -> None:
    for name, error in ERRORS.items():
        entry = RUNBOOK.split(f"\n### {name}\n")[1].split("\n### ")[0]
        assert ("*Passing" in entry) == error.transient or "The stack was not changed" in entry or "may all" in entry
