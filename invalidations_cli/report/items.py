"""Map iterations where the history has no event of them (ministack). The items are read from the Map's own input."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from invalidations_cli.history import ExecutionHistory, Iteration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


# Reference Paths of the Amazon States Language: fields and array indexes, no filters.
STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\['([^']*)'\]")


def with_items(history: ExecutionHistory) -> ExecutionHistory:
    """The history with iterations also of Maps whose events tell of none."""
    return replace(history, iterations=(*history.iterations, *_derived(history)))


def _derived(history: ExecutionHistory) -> Iterator[Iteration]:
    maps = dict(_maps(history.definition))
    started = {event.visit for event in history.events if event.type == "MapStateStarted"}
    by_id = {event.id: event for event in history.events}
    number = len(history.iterations)
    for visit in history.visits:
        if visit.type != "Map" or visit.number in started or visit.state not in maps:
            continue
        body = maps[visit.state]
        items = at(_json(by_id[visit.entered].details.get("input")), body.get("ItemsPath", "$"))
        left = _json(by_id[visit.exited].details.get("output")) if visit.exited else None
        results = at(left, body.get("ResultPath") or "$")
        for index, item in enumerate(items if isinstance(items, list) else []):
            told = isinstance(results, list) and len(results) == len(items) and visit.status == "succeeded"
            yield Iteration(
                number=number,
                visit=visit.number,
                attempt=1,
                index=index,
                start=visit.start,
                end=visit.end,
                status="unrecorded",
                recorded=False,
                input=json.dumps(item),
                output=json.dumps(results[index]) if told else None,
            )
            number += 1


def at(value: Any, path: str) -> Any:
    """What a Reference Path names in a value. None where there is nothing, or the path is of another kind."""
    rest = path.removeprefix("$")
    for step in STEP.finditer(rest):
        name, index, quoted = step.groups()
        try:
            value = value[int(index)] if index else value[name or quoted]
        except (KeyError, IndexError, TypeError):
            return None
    return value if STEP.sub("", rest) == "" else None


def _maps(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, body in definition.get("States", {}).items():
        if body.get("Type") == "Map":
            yield name, body
        for machine in (body.get("ItemProcessor"), body.get("Iterator"), *body.get("Branches", [])):
            if machine:
                yield from _maps(machine)


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
