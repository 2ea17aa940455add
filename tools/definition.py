"""How the state machine's definition is laid out: `python -m tools.definition --check` or `--write`.

The file stays plain JSON, as the console shows it. A retrier, a rule of a Choice and a list of names take a line each,
so that states which retry alike can be compared at a glance; everything else is indented by two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from tools.diagram import DEFINITION

ON_ONE_LINE = {"Retry", "Choices"}
"""Fields of a state whose entries stand on one line each, however long."""


def laid_out(definition: Mapping[str, Any]) -> str:
    """The text of a definition, which ends in a line feed."""
    return _value(definition, 0) + "\n"


def _value(value: object, depth: int, key: str = "") -> str:
    indent, closing = "  " * (depth + 1), "  " * depth
    if isinstance(value, Mapping) and value:
        fields = [f"{indent}{_text(name)}: {_value(each, depth + 1, name)}" for name, each in value.items()]
        return "{\n" + ",\n".join(fields) + f"\n{closing}}}"
    if isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(each, Mapping) for each in value):
        entries = [_text(each) if key in ON_ONE_LINE else _value(each, depth + 1) for each in value]
        return "[\n" + ",\n".join(f"{indent}{each}" for each in entries) + f"\n{closing}]"
    return _text(value)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@click.command()
@click.option("--write", is_flag=True, help="Lay the file out anew, in place of telling whether it is laid out so.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=DEFINITION)
def main(file: Path, *, write: bool) -> None:
    """Lay out the state machine's definition, or fail where it is laid out otherwise."""
    text = file.read_text(encoding="utf-8")
    try:
        wanted = laid_out(json.loads(text))
    except ValueError as error:
        raise click.ClickException(f"{file} is no JSON: {error}") from None
    if text == wanted:
        return
    if not write:
        raise click.ClickException(f"{file} is laid out otherwise: run make fmt")
    file.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
