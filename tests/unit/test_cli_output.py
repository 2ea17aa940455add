"""What commands print: nothing of a stranger's text is interpreted, whoever reads it."""

import csv
import io
import json
from typing import Any

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from invalidations_cli import output
from invalidations_cli.output import Form, with_forms
from tests.fakes.stack import HOSTILE, SHOWN_HOSTILE

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "\uff1d1"]


def printed(thing: Any, *, terminal: bool = False, width: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, force_terminal=terminal, width=width, highlight=False, markup=False, emoji=False).print(thing)
    return out.getvalue()


@click.command()
@with_forms()
def forms(form: Form) -> None:
    click.echo(form.value)


@click.command()
@click.argument("cells", nargs=-1)
def as_csv(cells: tuple[str, ...]) -> None:
    output.csv_line(cells)


def test_control_characters_markup_and_directions_are_spelled_out_in_a_table() -> None:
    made = output.table("key")
    made.add_row(output.text(HOSTILE))
    text = printed(made, terminal=True)
    assert SHOWN_HOSTILE in text
    assert HOSTILE not in text
    assert "\x1b[31m" not in text


def test_emoji_names_and_markup_are_not_replaced() -> None:
    assert ":smile: [red]x[/red] [link=http://x]y[/link]" in printed(
        output.text(":smile: [red]x[/red] [link=http://x]y[/link]")
    )


def test_a_lone_surrogate_and_a_line_separator_are_spelled_out() -> None:
    assert output.plain("a\ud800b\u2028c") == r"a\ud800b\u2028c"


def test_a_cell_leaves_empty_lines_out() -> None:
    assert printed(output.lines("a", "", None, "b")).split() == ["a", "b"]


def test_facts_without_a_value_are_left_out_and_zero_is_a_value() -> None:
    text = printed(output.facts([("bucket", "site"), ("error", ""), ("next", None), ("dead letters", 0)]))
    assert text.split("\n")[:2] == [line for line in text.split("\n")[:2] if line]
    assert "error" not in text
    assert "next" not in text
    assert "dead letters  0" in text


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_csv_cell_is_a_formula(formula: str) -> None:
    assert output.csv_cell(formula).startswith("'")


@pytest.mark.parametrize(
    ("value", "cell"), [("a=1", "a=1"), (-3, "-3"), (None, ""), (0, "0"), ("index.html", "index.html")]
)
def test_other_csv_cells_are_as_they_are(value: object, cell: str) -> None:
    assert output.csv_cell(value) == cell


def test_csv_reads_back_as_one_line_whatever_is_in_it() -> None:
    cells = ["a,b", 'a"b', "a\nb", HOSTILE]
    output = CliRunner().invoke(as_csv, cells).output
    assert output.count("\n") == 1
    assert next(csv.reader([output])) == ["a,b", 'a"b', r"a\nb", SHOWN_HOSTILE]


def test_json_is_one_line_of_ascii_that_reads_back_exactly() -> None:
    @click.command()
    def command() -> None:
        output.json_line({"key": HOSTILE + "\x7f\x9b\ud800"})

    printed = CliRunner().invoke(command).output
    assert printed.count("\n") == 1
    assert printed.rstrip("\n").isprintable()
    assert printed.isascii()
    assert json.loads(printed) == {"key": HOSTILE + "\x7f\x9b\ud800"}


@pytest.mark.parametrize(("option", "form"), [((), "people"), (("--json",), "json"), (("--csv",), "csv")])
def test_the_options_choose_the_form(option: tuple[str, ...], form: str) -> None:
    assert CliRunner().invoke(forms, option).output == f"{form}\n"


def test_json_and_csv_together_are_wrong_usage() -> None:
    result = CliRunner().invoke(forms, ["--json", "--csv"])
    assert result.exit_code == 2
    assert "exclude each other" in result.output


@pytest.mark.parametrize("text", ["a;=1+1", "a,+1", "a|@x", "a | =1", "a;\n-1", "a; ＝1"])  # noqa: RUF001 - the wide form is meant
def test_no_csv_cell_holds_a_formula_for_a_spreadsheet_that_separates_otherwise(text: str) -> None:
    separator = next(each for each in ";,|" if each in text)
    assert output.csv_cell(text).split(separator)[1].startswith("'")


def test_no_csv_cell_holds_a_tab() -> None:
    assert output.csv_cell("a\t=1+1") == r"a\t=1+1"


@pytest.mark.parametrize("key", ["a-b.html", "mail@example.com", "x=1;y=2", "1 - 2 + 3", "a, b"])
def test_what_holds_no_formula_stays_as_it_is(key: str) -> None:
    assert output.csv_cell(key) == key
