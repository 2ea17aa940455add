"""An Amazon States Language definition as a graph: what `tools.diagram` draws and `invalidations_cli.report` colours.

Shapes follow the Amazon States Language specification: a machine is a set of named states, and the containers Map and
Parallel hold machines of their own, which no transition enters or leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


TransitionKind = Literal["next", "choice", "default", "catch"]

COMPARISONS = {
    "Equals": "=",
    "LessThan": "<",
    "GreaterThan": ">",
    "LessThanEquals": "≤",
    "GreaterThanEquals": "≥",
    "Matches": "like",
}
KINDS = ("String", "Numeric", "Timestamp", "Boolean")


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition. `label` says when it is taken: a Choice's answer, or the errors that a Catch names (none: any)."""

    source: str
    target: str
    kind: TransitionKind
    label: str = ""


@dataclass(frozen=True, slots=True)
class FlowState:
    """One state. `machines` holds a Map's item processor or a Parallel's branches, and is empty for all others."""

    name: str
    type: str
    comment: str = ""
    resource: str = ""
    note: str = ""
    ends: bool = False
    machines: tuple[Flow, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """The states of one machine, in the definition's order, and the transitions between them."""

    start: str
    states: tuple[FlowState, ...]
    edges: tuple[Transition, ...]

    def walk(self, container: str | None = None) -> Iterator[tuple[FlowState, str | None]]:
        """Every state, also inside containers, each with the name of its container."""
        for state in self.states:
            yield state, container
            for machine in state.machines:
                yield from machine.walk(state.name)

    def transitions(self) -> dict[tuple[str, str], set[TransitionKind]]:
        """The kinds of transition between two states, those inside containers too."""
        kinds: dict[tuple[str, str], set[TransitionKind]] = {}
        for machine in (self, *(inner for state, _ in self.walk() for inner in state.machines)):
            for edge in machine.edges:
                kinds.setdefault((edge.source, edge.target), set()).add(edge.kind)
        return kinds


def flow(definition: Mapping[str, Any]) -> Flow:
    """The graph of a definition, as `json.loads` gives it.

    Raises:
        ValueError: it is no Amazon States Language definition.
    """
    states = definition.get("States")
    if not isinstance(states, dict) or definition.get("StartAt") not in states:
        raise ValueError("no state machine definition: it needs States, and a StartAt that names one of them")
    return Flow(
        start=definition["StartAt"],
        states=tuple(_state(name, body) for name, body in states.items()),
        edges=tuple(edge for name, body in states.items() for edge in _merged(name, body)),
    )


def _state(name: str, body: Mapping[str, Any]) -> FlowState:
    machines = [body[key] for key in ("ItemProcessor", "Iterator") if key in body] + list(body.get("Branches", []))
    return FlowState(
        name=name,
        type=str(body.get("Type", "")),
        comment=str(body.get("Comment", "")),
        resource=_resource(body),
        note=_note(body),
        ends=bool(body.get("End")),
        machines=tuple(flow(machine) for machine in machines),
    )


def _resource(body: Mapping[str, Any]) -> str:
    """What a Task calls, in a few words. The service's action, and the function that it invokes."""
    resource = str(body.get("Resource", ""))
    arguments = body.get("Parameters", body.get("Arguments"))
    function = arguments.get("FunctionName") if isinstance(arguments, dict) else None
    if isinstance(function, str):
        return function.strip("${}").rpartition(":function:")[2]
    return resource.strip("${}").rpartition(":states:::")[2].rpartition(":function:")[2]


def _note(body: Mapping[str, Any]) -> str:
    if body.get("Type") == "Map":
        at_once = body.get("MaxConcurrency", 0)
        return f"for each item, {at_once} at a time" if at_once else "for each item"
    if body.get("Type") == "Parallel":
        return "all branches at once"
    return ""


def _merged(name: str, body: Mapping[str, Any]) -> list[Transition]:
    """The state's transitions, one for each target and line style. Several answers that lead to one state share one."""
    merged: dict[tuple[str, bool], Transition] = {}
    for edge in _edges(name, body):
        key = (edge.target, edge.kind == "catch")
        known = merged.get(key)
        merged[key] = Transition(name, edge.target, known.kind, _joined(known, edge)) if known else edge
    return list(merged.values())


def _joined(first: Transition, second: Transition) -> str:
    """Both labels; a Catch without one means any error, which swallows the other."""
    if first.kind == "catch":
        return f"{first.label}, {second.label}" if first.label and second.label else ""
    return " / ".join(label for label in (first.label, second.label) if label)


def _edges(name: str, body: Mapping[str, Any]) -> Iterator[Transition]:
    if "Next" in body:
        yield Transition(name, body["Next"], "next")
    for rule in body.get("Choices", []):
        yield Transition(name, rule["Next"], "choice", condition(rule))
    if "Default" in body:
        yield Transition(name, body["Default"], "default", "otherwise")
    for catcher in body.get("Catch", []):
        errors = [error for error in catcher["ErrorEquals"] if error != "States.ALL"]
        yield Transition(name, catcher["Next"], "catch", ", ".join(errors))


def condition(rule: Mapping[str, Any]) -> str:
    """A Choice rule in a few words. `leader` for a text that is asked for, else a comparison: `n > 3 and not fresh`."""
    if "Condition" in rule:
        return str(rule["Condition"]).strip("{}% ")
    for word in ("And", "Or"):
        if word in rule:
            return f" {word.lower()} ".join(condition(part) for part in rule[word])
    if "Not" in rule:
        return f"not {condition(rule['Not'])}"
    subject = _leaf(rule.get("Variable", ""))
    for operator, value in rule.items():
        if operator.startswith("Is"):
            return f"{subject} is {'' if value else 'not '}{operator[2:].lower()}"
        if operator.startswith(KINDS):
            return _comparison(subject, operator, value)
    return ""


def _comparison(subject: str, operator: str, value: Any) -> str:
    kind = next(kind for kind in KINDS if operator.startswith(kind))
    by_path = operator.endswith("Path")
    symbol = COMPARISONS.get(operator.removeprefix(kind).removesuffix("Path"), operator)
    if kind == "Boolean" and not by_path:
        return subject if value else f"not {subject}"
    if kind == "String" and symbol == "=" and not by_path:
        return str(value)
    return f"{subject} {symbol} {_leaf(value) if by_path else value}"


def _leaf(path: str) -> str:
    return str(path).rpartition(".")[2].lstrip("$")
