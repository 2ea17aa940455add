"""How commands show what they found. Tables for people, JSON lines and CSV for machines, and times in UTC.

Keys, messages and inputs are a stranger's text. People get it with whatever could steer a terminal escaped, and never
as rich's markup; spreadsheets get it so that no cell can be a formula; JSON escapes everything but ASCII by itself.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

LONGEST = 32_767
"""Characters in one cell (Excel, "Specifications and limits")."""
ROOMY = 120
"""Columns of a terminal from which on a table has room for ids and keys that are not folded."""
WIDTH_OF_A_FILE = 160
"""Columns where the output is no terminal, and COLUMNS does not say."""
FORMULA = re.compile("(^|[;,|])(?=[ \\n]*[=+@\t\r＝＋－＠-])")  # noqa: RUF001 - the wide forms are meant
"""Before what begins a formula in a spreadsheet (OWASP, "CSV Injection"), in some locales in its wide form.

That is the beginning of a cell, and what a spreadsheet may take for one that separates by semicolons, say."""


class Form(Enum):
    PEOPLE = "people"
    JSON = "json"
    CSV = "csv"


def plain(value: object) -> str:
    r"""A text in which nothing is invisible, moves the cursor or turns its direction. `\x1b`, `\n`, `\u202e`."""
    return escape(value, LONGEST)


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


def facts(pairs: Iterable[tuple[str, object]]) -> Table:
    """Names and values below each other, those without a value left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, ""):
            grid.add_row(f"  {name}", value if isinstance(value, Text) else text(value))
    return grid


def write_file(path: Path, content: str, *, force: bool) -> None:
    """Write a file; one that is there already only with `force`.

    Raises:
        click.UsageError: it is there.
        click.ClickException: it cannot be written.
    """
    try:
        with path.open("w" if force else "x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(content)
    except FileExistsError:
        raise click.UsageError(f"{escape(path)} is there already: name another file, or add --force") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise click.ClickException(f"{escape(path)} cannot be written: {escape(why)}") from None


def json_line(document: Mapping[str, Any]) -> None:
    """One object on one line, in ASCII."""
    click.echo(json.dumps(document).replace("\x7f", "\\u007f"))


def csv_line(values: Iterable[object]) -> None:
    """One line of CSV (RFC 4180, but for the line's end)."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([csv_cell(value) for value in values])
    click.echo(line.getvalue())


def csv_cell(value: object) -> str:
    """A cell in which no spreadsheet finds a formula. An apostrophe goes before what looks like one."""
    if value is None:
        return ""
    return plain(FORMULA.sub(r"\1'", value) if isinstance(value, str) else value)


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


SPAN = re.compile(r"([0-9]{1,6})\s*([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
YEAR = 366 * 86_400


def now() -> datetime:
    return datetime.now(UTC)


def span(written: str, alone: str = "") -> timedelta | None:
    """A span of time: `90s`, `15m`, `24h`, `7d`, `2w`. `alone` is the unit of a number without one, if that is allowed.

    Raises:
        OverflowError: more than Python has a `timedelta` for.
    """
    if found := SPAN.fullmatch(written):
        return timedelta(**{UNITS[found[2]]: int(found[1])})
    if not alone:
        return None
    try:
        number = float(written)
    except ValueError:
        return None
    return None if math.isnan(number) else timedelta(**{UNITS[alone]: number})


class Duration(click.ParamType[float]):
    """How long, in seconds: `90`, `90s`, `15m`, `24h`, `7d`; a number alone is in seconds. Up to a year."""

    name = "duration"

    def __init__(self, *, least: float = 0, longest: float = YEAR) -> None:
        self.least, self.longest = least, longest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        written = str(value).strip()
        try:
            found = span(written, "s")
        except OverflowError:
            found = timedelta.max
        if found is None:
            self.fail(f"{written!r} is no time such as 90, 15m, 24h or 7d (a number alone is in seconds)", param, ctx)
        seconds = found.total_seconds()
        if not self.least <= seconds <= self.longest:
            self.fail(f"{written!r} is not between {took(self.least)} and {took(self.longest)}", param, ctx)
        return seconds


MOST = click.IntRange(0, 1_000_000)
"""How many at most; 0 for all."""


class Moment(click.ParamType[datetime]):
    """A date, a time, or how long ago.

    Args:
        end: a day alone means its last moment, and not its first.
        alone: the unit of a number alone, as in `UNITS`; without one a number alone is refused.
    """

    name = "when"

    def __init__(self, *, end: bool = False, alone: str = "") -> None:
        self.end, self.alone = end, alone

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        written = str(value).strip()
        try:
            if (ago := span(written, self.alone)) is not None and ago >= timedelta(0):
                return now() - ago
            moment = datetime.fromisoformat(written)
            if self.end and DAY.fullmatch(written):
                moment = datetime.combine(moment, time.max)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{written!r} is neither a date or time such as 2026-11-23 or 2026-11-23T06:30 (UTC), "
                "nor how long ago, such as 15m, 24h or 7d",
                param,
                ctx,
            )


def moment(milliseconds: float) -> datetime:
    """A time of an execution's history, which has milliseconds since 1970."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def stamp(moment: datetime | None) -> str:
    """`2026-11-23 06:27:19`, in UTC; nothing for None."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def clock(moment: datetime) -> str:
    """`06:27:19.4`, in UTC."""
    return f"{moment.astimezone(UTC):%H:%M:%S}.{moment.microsecond // 100_000}"


def took(seconds: float | None) -> str:
    """A duration as `0.3 s`, `3 min 5 s` or `3 d 4 h`. Nothing for None."""
    if seconds is None:
        return ""
    if seconds < 10:  # where tenths still tell something
        return f"{max(seconds, 0):.1f} s".replace(".0 ", " ")
    whole = round(seconds)
    for size, unit, smaller, name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest} {name}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def confirmed(question: str, otherwise: str) -> bool:
    """Ask on standard error. No answer is a no, and after a no it says what came of that."""
    try:
        sure = click.confirm(question, err=True)
    except click.Abort:
        sure = False
        click.echo(err=True)
    if not sure:
        click.echo(f"{otherwise}; add --yes where nobody can be asked.", err=True)
    return sure


LONGEST_TEXT = 400


def escape(text: object, longest: int = LONGEST_TEXT) -> str:
    r"""The text in one line, cut where it is long. What does not print is spelled out (`\x1b`, `\u202e`)."""
    whole = str(text)
    kept = whole if len(whole) <= longest else whole[: longest - 1] + "…"
    return "".join(character if character.isprintable() else _spelled(character) for character in kept)


def _spelled(character: str) -> str:
    """As Python writes it; unlike `unicode_escape` for lone surrogates as well."""
    return repr(character)[1:-1]


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 key`, `2 keys`, `1,000 keys`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
