"""The schemas in `events/schemas`, as tests hold documents against them."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # jsonschema ships no types
from referencing import Registry, Resource

from tests.definition import ROOT

FOLDER = ROOT / "events" / "schemas"


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document


def faults(name: str, document: object) -> list[str]:
    """What is wrong with a document, by the schema of this name; and every field that the schema does not know.

    For a consumer an unknown field is no fault, as later releases may add some. Here it is one: it is not documented.
    """
    registry: Registry[Any] = Registry().with_resources(
        (f"{each}.json", Resource.from_contents(strict(schema(each))))
        for each in ("outcome", "event", "output", "chain-health")
    )
    validator = Draft202012Validator(
        strict(schema(name)), registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def strict(node: Any, *, name: str = "") -> Any:
    """A schema in which each object that lists its properties has no others; the event's own envelope stays open."""
    if isinstance(node, list):
        return [strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    changed = {key: strict(value, name=key) for key, value in node.items()}
    is_whole = node.get("type") == "object" and "properties" in node and node.get("$id") != "event.json"
    return changed | {"additionalProperties": False} if is_whole and name != "properties" else changed
