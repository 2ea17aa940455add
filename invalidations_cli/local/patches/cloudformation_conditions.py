"""Conditions understand Fn::Join.

ministack does not evaluate it there: `!Equals [!Join ["", !Ref AList], ""]`, the usual way to ask whether a list
parameter is empty, is always false. Here a join is put in as the text that it makes, before conditions are evaluated.
"""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import changesets, engine, handlers, stacks

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

Parameters = dict[str, dict[str, Any]]


def apply(_settings: LocalSettings) -> None:
    evaluate = seam(engine, "_evaluate_conditions", "e7f9e29b6c01")

    def evaluate_joined(template: dict[str, Any], parameters: Parameters) -> Any:
        return evaluate({**template, "Conditions": joined(template.get("Conditions") or {}, parameters)}, parameters)

    for module in (engine, changesets, handlers, stacks):
        module._evaluate_conditions = evaluate_joined


def joined(node: Any, parameters: Parameters) -> Any:
    """A copy of the node in which each Fn::Join is text."""
    if isinstance(node, list):
        return [joined(item, parameters) for item in node]
    if not isinstance(node, dict):
        return node
    if "Fn::Join" not in node:
        return {key: joined(value, parameters) for key, value in node.items()}
    delimiter, items = node["Fn::Join"]
    if isinstance(items, dict):
        items = [item.strip() for item in text_of(items, parameters).split(",")]
    return str(delimiter).join(text_of(joined(item, parameters), parameters) for item in items)


def text_of(node: Any, parameters: Parameters) -> str:
    if isinstance(node, dict) and "Ref" in node:
        return str(parameters[node["Ref"]]["Value"])
    return str(node)
