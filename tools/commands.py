"""The page of commands, made from click's own help: `python -m tools.commands --check docs/cli.md`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path

import click

from invalidations_cli.main import EXIT_CODES, INTERRUPTED, main

COLUMNS = 80
MARGIN = 2
"""Columns that click leaves free in a terminal."""
EXIT_CODE = re.compile(r"^ +(\d+)  +(\S.*)$", re.MULTILINE)
EXIT_CODES_OF = "Exit codes:\n"
HEAD = """\
# Commands

The help of every command, as `--help` prints it in a terminal of 80 columns. `make fmt` makes this page from it, and
`make lint` fails where it is behind. [pipelines.md](pipelines.md) says how to install the command without a clone.

"""


def contexts() -> Iterator[click.Context]:
    """A context for each command that does something, in the order of `--help`."""
    options = {"help_option_names": ["-h", "--help"], "terminal_width": COLUMNS - MARGIN}
    yield from _below(click.Context(main, info_name="invalidations", **options))  # type: ignore[arg-type] # as above


def _below(context: click.Context) -> Iterator[click.Context]:
    command = context.command
    if not isinstance(command, click.Group):
        yield context
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None  # noqa: S101 - it is listed
        fresh = copy(found)
        fresh._help_option = None  # noqa: SLF001 - click keeps that of the first context it was called in
        yield from _below(click.Context(fresh, info_name=name, parent=context))


def name_of(context: click.Context) -> str:
    """`bucket enable`: a command's name below `invalidations`."""
    return context.command_path.partition(" ")[2]


def exit_codes(text: str) -> dict[int, str]:
    """The codes that a help lists, and what it says of each. None where it has no such list."""
    _, _, listed = text.partition(EXIT_CODES_OF)
    return {int(code): meaning for code, meaning in EXIT_CODE.findall(listed.split("\n\n")[0])}


def exit_code_table() -> str:
    """Every exit code, what it means, and the commands that can end with it."""
    of_commands = {name_of(context): exit_codes(context.get_help()) for context in contexts()}
    lines = ["## Exit codes", "", "| code | meaning | commands |", "| ---: | --- | --- |"]
    for code, meaning in EXIT_CODE.findall(EXIT_CODES):
        having = [name for name, codes in of_commands.items() if int(code) in codes or int(code) == INTERRUPTED]
        missing = [name for name in of_commands if name not in having]
        told = _links(having) if len(having) < len(missing) else f"all but {_links(missing)}" if missing else "all"
        lines.append(f"| {code} | {meaning} | {told} |")
    return "\n".join([*lines, "", ""])


def _links(names: Sequence[str]) -> str:
    return ", ".join(f"[{name}](#{name.replace(' ', '-')})" for name in names)


def page() -> str:
    """The whole page."""
    sections = [f"## {name_of(each)}\n\n```text\n{each.get_help().rstrip()}\n```\n" for each in contexts()]
    names = _links([name_of(each) for each in contexts()])
    return f"{HEAD}{names}.\n\n{exit_code_table()}{chr(10).join(sections)}"


@click.command()
@click.option("--check", type=click.Path(dir_okay=False, path_type=Path), help="Fail if FILE is behind.")
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Bring FILE up to date.")
def generate(check: Path | None, write: Path | None) -> None:
    """Keep the page of commands equal to their help."""
    current = page()
    if write:
        write.write_text(current, encoding="utf-8")
    elif check is None:
        click.echo(current, nl=False)
    elif not check.exists() or check.read_text(encoding="utf-8") != current:
        raise click.ClickException(f"{check} is behind: run python -m tools.commands --write {check}")


if __name__ == "__main__":
    generate()
