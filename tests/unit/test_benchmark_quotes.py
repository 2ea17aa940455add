"""What the README and the costs page quote is what the last run of the benchmarks wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.quotes import PAGES, quoted, table_of
from tests.definition import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COSTS = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_table_that_a_page_quotes_is_that_of_the_last_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<!-- results: " in text
    assert quoted(text, RESULTS) == text


def test_a_table_is_found_by_its_heading_and_one_that_is_not_there_is_told() -> None:
    results = "# A\n\n## One\n\ntext\n\n| a |\n| --- |\n| 1 |\n\n| b |\n\n## Two\n\ntext\n"
    assert table_of(results, "One") == "| a |\n| --- |\n| 1 |"
    assert quoted("<!-- results: One -->\nold\n<!-- end of results -->", results).count("| 1 |") == 1
    for missing in ("Two", "Three"):
        with pytest.raises(KeyError):
            table_of(results, missing)


def test_the_cost_of_an_idle_month_and_of_one_change_are_those_of_the_last_run() -> None:
    for what in ("one change of one path, alone in its hour", "an idle month"):
        (verdict,) = re.findall(rf"^\| {what} \| (\S+) \|.*\| met \|$", RESULTS, re.MULTILINE)
        (line,) = [each for each in README.splitlines() if each.startswith(f"| {what}")]
        assert f"**{verdict}**" in line
    (month,) = re.findall(r"^\| an idle month \| \$(\S+) \|", RESULTS, re.MULTILINE)
    assert f"worth its ${month} a month" in COSTS


def test_what_is_said_of_the_batching_rivals_idle_month_is_what_was_counted() -> None:
    (queue,) = re.findall(r"A queue that Lambda's five readers ask all month costs \$(\S+),", RESULTS)
    assert f"${queue} in an idle month" in COSTS
