"""What the README and the costs page quote is what the last run of the benchmarks wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.quotes import FIGURES, PAGES, quoted, table_of
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
    for missing in ("Two", "Three"):
        with pytest.raises(KeyError):
            table_of(results, missing)


def test_a_run_with_other_figures_and_tables_needs_nobody_to_bring_the_pages_up_to_date() -> None:
    (month,) = re.findall(r"^\| an idle month \| \$(\S+) \|", RESULTS, re.MULTILINE)
    other = RESULTS.replace(month, "9.87")
    assert README.count(month) == quoted(README, other).count("9.87")
    assert "worth its $9.87 a month" in quoted(COSTS, other)


@pytest.mark.parametrize(("there", "here"), FIGURES)
def test_each_figure_stands_in_the_results_and_in_a_page(there: str, here: str) -> None:
    (found,) = re.findall(there, RESULTS, re.MULTILINE)
    assert found in re.findall(here, README + COSTS, re.MULTILINE)


def test_a_figure_that_the_results_lack_is_told() -> None:
    with pytest.raises(KeyError, match="no figure"):
        quoted(README, RESULTS.replace("an idle month", "a busy month"))
