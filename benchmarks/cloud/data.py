"""A model of states' input and output: the JSONPath that the definition uses."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

_PATH = re.compile(r"\$\$?(\.[A-Za-z]+)*")

_INTRINSIC = re.compile(r"States\.(MathRandom|MathAdd)\(([^,]+), ([^,]+)\)")
_CHANCE = random.Random(1)

Data = Any


class NotUnderstood(Exception):
    """Something is used that the model does not know: teach it, rather than count wrongly."""


def read(path: str, data: Data, context: Data) -> Data:
    """The value at a path such as ``$.a.b``, or in the context object as ``$$.Execution.Id``."""
    if not _PATH.fullmatch(path):
        raise NotUnderstood(path)
    found = context if path.startswith("$$") else data
    for name in path.lstrip("$").split(".")[1:]:
        found = found[name]
    return found


def fill(template: Data, data: Data, context: Data) -> Data:
    """A payload template: names that end in ``.$`` have paths as their values."""
    if isinstance(template, list):
        return [fill(each, data, context) for each in template]
    if not isinstance(template, dict):
        return template
    return {
        name.removesuffix(".$"): _computed(value, data, context) if name.endswith(".$") else fill(value, data, context)
        for name, value in template.items()
    }


def _computed(value: str, data: Data, context: Data) -> Data:
    """What a path or an intrinsic function of two numbers gives."""
    called = _INTRINSIC.fullmatch(value)
    if called is None:
        return read(value, data, context)
    one, other = (read(each, data, context) if each.startswith("$") else int(each) for each in called.groups()[1:])
    return _CHANCE.randrange(one, other) if called[1] == "MathRandom" else one + other


def placed(result: Data, state: Mapping[str, Any], data: Data) -> Data:
    """The state's input with its result where ResultPath says; the result alone without one."""
    path = state.get("ResultPath", "$")
    if path == "$":
        return result
    if path is None:
        return data
    name = str(path).removeprefix("$.")
    if not name.isalpha():
        raise NotUnderstood(path)
    return {**data, name: result}


def chosen(state: Mapping[str, Any], data: Data) -> str:
    """The next state of a Choice."""
    return next((str(rule["Next"]) for rule in state["Choices"] if _holds(rule, data)), str(state["Default"]))


def _holds(rule: Mapping[str, Any], data: Data) -> bool:
    (operator,) = rule.keys() - {"Variable", "Next"}
    wanted = rule[operator]
    match operator:
        case "And":
            return all(_holds(each, data) for each in wanted)
        case "Or":
            return any(_holds(each, data) for each in wanted)
        case "Not":
            return not _holds(wanted, data)
        case "StringEquals" | "BooleanEquals":
            return bool(read(rule["Variable"], data, {}) == wanted)
        case "IsPresent":
            return bool((str(rule["Variable"]).removeprefix("$.") in data) == wanted)
        case "NumericGreaterThan":
            return bool(read(rule["Variable"], data, {}) > wanted)
    raise NotUnderstood(operator)
