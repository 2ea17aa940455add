"""What pages quote from the results: tables between two comments, and a few figures; put there by the run itself.

``<!-- results: An idle month -->`` stands for the first table under that heading of ``RESULTS.md``, up to
``<!-- end of results -->``. ``FIGURES`` are in sentences and other tables, wherever their words stand.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "docs" / "costs.md", ROOT / "README.md")
_QUOTE = re.compile(r"(<!-- results: (.+?) -->\n).*?(<!-- end of results -->)", re.DOTALL)


ONE_CHANGE = "one change of one path, alone in its hour"
DOLLARS = r"(\$[\d.]+\d)"
FIGURES = (
    (rf"^\| an idle month \| {DOLLARS} \|", rf"^\| an idle month \|.*\*\*{DOLLARS}\*\*"),
    (rf"^\| an idle month \| {DOLLARS} \|", rf"worth its {DOLLARS} a month"),
    (rf"^\| {ONE_CHANGE} \| {DOLLARS} \|", rf"^\| {ONE_CHANGE} \|.*\*\*{DOLLARS}\*\*"),
    (rf"Without that it is {DOLLARS}", rf"for the sweep: {DOLLARS}"),
    (rf"readers ask all month costs {DOLLARS}", rf"{DOLLARS} in an idle month"),
)
"""Where a figure stands in the results, and where in a page."""


def quoted(page: str, results: str) -> str:
    """The page with its quotes as the results have them.

    Raises:
        KeyError: the results have no such heading, no table under it, or no such figure.
    """
    for there, here in FIGURES:
        page = re.sub(here, partial(_with_figure, _figure(there, results)), page, flags=re.MULTILINE)
    return _QUOTE.sub(lambda found: f"{found[1]}\n{table_of(results, found[2])}\n\n{found[3]}", page)


def _figure(where: str, results: str) -> str:
    found = re.search(where, results, re.MULTILINE)
    if found is None:
        raise KeyError(f"no figure for {where}")
    return found[1]


def _with_figure(figure: str, quote: re.Match[str]) -> str:
    start, end = (each - quote.start() for each in quote.span(1))
    return quote[0][:start] + figure + quote[0][end:]


def table_of(results: str, heading: str) -> str:
    """The first table under a heading, as it stands."""
    sections = re.split(r"^#+ (.+)$", results, flags=re.MULTILINE)
    section = dict(zip(sections[1::2], sections[2::2], strict=True))[heading]
    table = re.search(r"(?:^\|.*\n?)+", section, re.MULTILINE)
    if table is None:
        raise KeyError(f"no table under {heading!r}")
    return table[0].strip()


def write() -> None:
    """Quote anew, wherever something is quoted."""
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        page.write_text(quoted(text, results), encoding="utf-8")


if __name__ == "__main__":
    write()
