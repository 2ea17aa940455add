"""How commands show what they found: tables for people, JSON lines and CSV for machines.

Keys, messages and inputs are a stranger's text. People get it with whatever could steer a terminal escaped, and never
as rich's markup; spreadsheets get it so that no cell can be a formula; JSON escapes everything but ASCII by itself.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

import click
from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from ops.shown import shown

LONGEST = 32_767
"""Characters in one cell (Excel, "Specifications and limits")."""
WIDTH_OF_A_FILE = 160
"""Columns where the output is no terminal, and COLUMNS does not say."""
FORMULA = tuple("=+-@\t\r＝＋－＠")  # noqa: RUF001 - the wide forms are meant
"""What begins a formula in a spreadsheet (OWASP, "CSV Injection"), in some locales in its wide form."""


class Form(Enum):
    PEOPLE = "people"
    JSON = "json"
    CSV = "csv"


def plain(value: object) -> str:
    r"""A text in which nothing is invisible, moves the cursor or turns its direction: `\x1b`, `\n`, `\u202e`."""
    return shown(value, LONGEST)


def text(value: object, style: str = "") -> Text:
    """A stranger's text for a table or a line, escaped."""
    return Text(plain(value), style=style)


def lines(*values: object) -> Text:
    """A cell of several lines, each escaped; those that are empty are left out."""
    return Text("\n").join([value if isinstance(value, Text) else text(value) for value in values if value])


def console(*, stderr: bool = False) -> Console:
    """A console that interprets nothing in what it prints."""
    where = sys.stderr if stderr else sys.stdout
    wide = None if where.isatty() or "COLUMNS" in os.environ else WIDTH_OF_A_FILE
    return Console(file=where, width=wide, highlight=False, markup=False, emoji=False, soft_wrap=False)


def table(*headings: str, right: Iterable[str] = (), whole: Iterable[str] = (), leading: int = 0) -> Table:
    """A table without rules, whose cells wrap rather than hide what they hold.

    Args:
        headings: of the columns.
        right: those of columns of numbers.
        whole: those of columns that do not wrap, such as of names to be copied.
        leading: empty lines between rows.
    """
    made = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, leading=leading)
    for heading in headings:
        justify: JustifyMethod = "right" if heading in right else "left"
        made.add_column(heading, justify=justify, overflow="fold", no_wrap=heading in whole)
    return made


def facts(pairs: Iterable[tuple[str, object]], *, indent: int = 2) -> Table:
    """Names and values below each other, those without a value left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, ""):
            grid.add_row(" " * indent + name, value if isinstance(value, Text) else text(value))
    return grid


def json_line(document: Mapping[str, Any]) -> None:
    """One object on one line, in ASCII."""
    click.echo(json.dumps(document).replace("\x7f", "\\u007f"))


def csv_line(values: Iterable[object]) -> None:
    """One line of CSV (RFC 4180, but for the line's end)."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([csv_cell(value) for value in values])
    click.echo(line.getvalue())


def csv_cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before what looks like one."""
    if value is None:
        return ""
    written = plain(value)
    looks_like_one = isinstance(value, str) and value.lstrip(" \n").startswith(FORMULA)
    return f"'{written}" if looks_like_one else written


def with_forms(*, csv_too: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command `--json` (and `--csv`); it is called with `form`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_form(*arguments: Any, as_json: bool, as_csv: bool = False, **options: Any) -> Any:
            if as_json and as_csv:
                raise click.UsageError("--json and --csv exclude each other")
            form = Form.JSON if as_json else Form.CSV if as_csv else Form.PEOPLE
            return command(*arguments, form=form, **options)

        wanted = click.option("--json", "as_json", is_flag=True, help="For machines: JSON, one object a line.")(
            with_form
        )
        return (
            click.option("--csv", "as_csv", is_flag=True, help="For spreadsheets: CSV.")(wanted) if csv_too else wanted
        )

    return decorate
