"""What the README quotes is what the last run of the benchmarks wrote."""

from __future__ import annotations

import re

from tests.definition import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
WHO = ("direct", "buffered", "one invalidation an object")


def _rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_the_cost_of_deploys_is_that_of_the_last_run() -> None:
    section = RESULTS.split("### Documentation, 100 objects a second")[1].split("###")[0]
    head, _, *rows = _rows(section)
    dollars = head.index("dollars")
    measured = {(row[0], row[1]): row[dollars] for row in rows}
    table = README.split("| objects that change |")[1].split("\n\n")[0]
    quoted = {(who, row[0]): cell for row in _rows(table)[1:] for who, cell in zip(WHO, row[1:], strict=True)}
    assert len(quoted) == 12
    assert quoted == {key: f"${measured[key]}" for key in quoted}


def test_the_cost_of_an_idle_month_and_of_one_change_are_those_of_the_last_run() -> None:
    for what in ("one change of one path, alone in its hour", "an idle month"):
        (verdict,) = re.findall(rf"^\| {what} \| (\S+) \|.*\| met \|$", RESULTS, re.MULTILINE)
        (line,) = [each for each in README.splitlines() if each.startswith(f"| {what}")]
        assert f"**{verdict}**" in line
