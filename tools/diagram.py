"""The picture of the state machine, made from its definition: `python -m tools.diagram --check PAGE`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invalidations_cli.report.flow import flow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from invalidations_cli.report.flow import Flow, FlowState, Transition


BEGIN = "<!-- state machine: begin -->"
END = "<!-- state machine: end -->"
DEFINITION = Path("statemachine/invalidation.asl.json")
LONGEST_LABEL = 64

# Legible on GitHub's light and dark pages alike: each class brings its own background and text.
STYLES = {
    "choice": "fill:#fff8c5,stroke:#9a6700,color:#4d2d00",
    "wait": "fill:#eaeef2,stroke:#57606a,color:#24292f",
    "task": "fill:#ddf4ff,stroke:#0969da,color:#0a3069",
    "succeed": "fill:#dafbe1,stroke:#1a7f37,color:#044f1e",
    "fail": "fill:#ffebe9,stroke:#cf222e,color:#82071e",
    "pass": "fill:#f6f8fa,stroke:#57606a,color:#24292f",
    "container": "fill:#8c959f22,stroke:#8c959f",
}
SHAPES = {
    "Choice": ('{"', '"}'),
    "Wait": ('("', '")'),
    "Pass": ('("', '")'),
    "Succeed": ('(["', '"])'),
    "Fail": ('(["', '"])'),
}


def mermaid(definition: Mapping[str, Any]) -> str:
    """A Mermaid flowchart of a definition, the same for the same definition.

    Choices are diamonds, Map and Parallel are subgraphs, a dotted line is a Catch: labelled with the errors that it
    names, and unlabelled when it takes any.
    """
    machine = flow(definition)
    ids = _ids([state.name for state, _ in machine.walk()])
    used = {"container" if state.machines else state.type.lower() for state, _ in machine.walk()}
    lines = ["flowchart TD", f"    start(( )) --> {ids[machine.start]}"]
    lines += [f"    {line}" for line in _machine(machine, ids)]
    lines += [f"    classDef {name} {style}" for name, style in STYLES.items() if name in used]
    frames = list(_frames(machine, ids))
    lines += [f"    class {','.join(frames)} container"] if frames else []
    return "\n".join(lines) + "\n"


def _ids(names: list[str]) -> dict[str, str]:
    """An identifier for each state that reads like its name. Two that would be equal get a number."""
    ids: dict[str, str] = {}
    for name in names:
        base = "".join(word[0].upper() + word[1:] for word in re.findall("[A-Za-z0-9]+", name)) or "State"
        taken = [known for known in ids.values() if known == base or known.startswith(f"{base}_")]
        ids[name] = f"{base}_{len(taken) + 1}" if taken else base
    return ids


def _machine(machine: Flow, ids: dict[str, str]) -> Iterator[str]:
    for state in machine.states:
        yield from _state(state, ids)
    for edge in machine.edges:
        yield _arrow(edge, ids)


def _state(state: FlowState, ids: dict[str, str]) -> Iterator[str]:
    if not state.machines:
        opening, closing = SHAPES.get(state.type, ('["', '"]'))
        css = state.type.lower()
        yield f"{ids[state.name]}{opening}{_text(state.name)}{closing}" + (f":::{css}" if css in STYLES else "")
        return
    yield f'subgraph {ids[state.name]}["{_text(state.name)} ({state.note})"]'
    yield "    direction TB"
    for number, machine in enumerate(state.machines, 1):
        yield from (f"    {line}" for line in _inside(state, machine, _branch(state, number, ids), ids))
    yield "end"


def _branch(state: FlowState, number: int, ids: dict[str, str]) -> str:
    return f"{ids[state.name]}_branch{number}"


def _frames(machine: Flow, ids: dict[str, str]) -> Iterator[str]:
    for state, _ in machine.walk():
        if state.machines:
            yield ids[state.name]
        if state.type == "Parallel":
            yield from (_branch(state, number, ids) for number in range(1, len(state.machines) + 1))


def _inside(state: FlowState, machine: Flow, branch: str, ids: dict[str, str]) -> Iterator[str]:
    """A Map's item processor as it is. A Parallel's branch in a frame of its own."""
    if state.type == "Map":
        yield from _machine(machine, ids)
        return
    yield f'subgraph {branch}[" "]'
    yield from (f"    {line}" for line in _machine(machine, ids))
    yield "end"


def _arrow(edge: Transition, ids: dict[str, str]) -> str:
    line = "-.->" if edge.kind == "catch" else "-->"
    label = f'|"{_text(_short(edge.label))}"|' if edge.label else ""
    return f"{ids[edge.source]} {line}{label} {ids[edge.target]}"


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1].rstrip() + "…"


def _text(text: str) -> str:
    """Text inside a quoted Mermaid label. Its own entity codes for what Mermaid or HTML would read otherwise."""
    return re.sub(r'["<>&#;`\\]', lambda match: f"#{ord(match[0])};", " ".join(text.split()))


def replaced(document: str, diagram: str) -> str:
    """The document with the block between the two markers replaced by the diagram.

    Raises:
        ValueError: the document has not exactly one pair of markers, in order.
    """
    if document.count(BEGIN) != 1 or document.count(END) != 1 or document.index(BEGIN) > document.index(END):
        raise ValueError(f"expected one line {BEGIN} and, after it, one line {END}")
    before, _, rest = document.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n```mermaid\n{diagram}```\n{END}{after}"


@click.command()
@click.option("--check", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Fail if FILE is behind.")
@click.option("--write", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Bring FILE up to date.")
@click.option(
    "--definition",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=DEFINITION,
    show_default=True,
    help="The state machine's definition.",
)
def main(check: Path | None, write: Path | None, definition: Path) -> None:
    """Draw the state machine as a Mermaid flowchart. Print it, or keep it between the markers in a Markdown file."""
    try:
        diagram = mermaid(json.loads(definition.read_text(encoding="utf-8")))
    except ValueError as error:
        raise click.ClickException(f"{definition}: {error}") from None
    document = check or write
    if document is None:
        click.echo(diagram, nl=False)
        return
    text = document.read_text(encoding="utf-8")
    try:
        current = replaced(text, diagram)
    except ValueError as error:
        raise click.ClickException(f"{document}: {error}") from None
    if write and text != current:
        write.write_text(current, encoding="utf-8")
    if check and text != current:
        raise click.ClickException(
            f"{document} shows another state machine: run python -m tools.diagram --write {document}"
        )


if __name__ == "__main__":
    main()
