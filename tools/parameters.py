"""The page of parameters, made from the template: `python -m tools.parameters --check docs/parameters.md`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from samtranslator.yaml_helper import yaml_parse

BEGIN = "<!-- parameters: begin -->"
END = "<!-- parameters: end -->"
TEMPLATE = Path("template.yaml")


def table(template: Mapping[str, Any]) -> str:
    """A Markdown table for each group of parameters, in the console's order."""
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    lines = []
    for group in groups:
        lines += [f"**{group['Label']['default']}**", "", "| parameter | default | what it decides |"]
        lines.append("| --- | --- | --- |")
        lines += [_row(name, template["Parameters"][name]) for name in group["Parameters"]]
        lines.append("")
    return "\n".join(lines)


def _row(name: str, parameter: Mapping[str, Any]) -> str:
    default = parameter.get("Default")
    shown = "none: required" if default is None else f"`{default}`" if default != "" else "empty"
    return f"| `{name}` | {shown} | {' '.join(parameter['Description'].split())} |"


def replaced(document: str, content: str) -> str:
    """The document with what stands between the two markers replaced."""
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}\n{content}{END}{rest.partition(END)[2]}"


@click.command()
@click.option("--check", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Fail if FILE is behind.")
@click.option("--write", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Bring FILE up to date.")
def main(check: Path | None, write: Path | None) -> None:
    """Keep the table of parameters in a Markdown file equal to the template."""
    document = check or write
    content = table(yaml_parse(TEMPLATE.read_text(encoding="utf-8")))
    if document is None:
        click.echo(content, nl=False)
        return
    text = document.read_text(encoding="utf-8")
    current = replaced(text, content)
    if write:
        write.write_text(current, encoding="utf-8")
    elif text != current:
        raise click.ClickException(f"{document} is behind: run python -m tools.parameters --write {document}")


if __name__ == "__main__":
    main()
