"""The page of commands is their help, which fits into a terminal and says how each command ends."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from invalidations_cli.aws import ExitCode
from tests.definition import ROOT
from tools.commands import COLUMNS, contexts, exit_codes, generate, name_of, page

EACH = list(contexts())
each_command = pytest.mark.parametrize("context", EACH, ids=[name_of(each) for each in EACH])


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "cli.md").read_text("utf-8") == page(), "make fmt brings it up to date"


@each_command
def test_a_help_fits_into_a_terminal(context: click.Context) -> None:
    assert [line for line in context.get_help().splitlines() if len(line) > COLUMNS] == []


@each_command
def test_a_help_has_an_example_of_its_command(context: click.Context) -> None:
    _, _, examples = context.get_help().partition("\n  Example")
    assert f" {context.command_path}" in examples


@each_command
def test_a_help_lists_its_exit_codes_and_no_others_than_there_are(context: click.Context) -> None:
    codes = exit_codes(context.get_help())
    assert {ExitCode.OK, ExitCode.USAGE} <= codes.keys() <= set(ExitCode)
    assert (ExitCode.TIMED_OUT in codes) == (takes(context, "--timeout") and name_of(context) != "selftest")


def takes(context: click.Context, option: str) -> bool:
    return any(option in each.opts for each in context.command.params)


def test_a_page_that_is_behind_is_found_and_brought_up_to_date(tmp_path: Path) -> None:
    behind = tmp_path / "cli.md"
    behind.write_text("behind")
    assert CliRunner().invoke(generate, ["--check", str(behind)]).exit_code == 1
    assert CliRunner().invoke(generate, ["--write", str(behind)]).exit_code == 0
    assert CliRunner().invoke(generate, ["--check", str(behind)]).exit_code == 0
