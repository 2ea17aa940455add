"""Map iterations where the history has no event of them (ministack): the items are read from the Map's own input."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from invalidations_cli.report.run import Event, Iteration, Visit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


# Reference Paths of the Amazon States Language: fields and array indexes, no filters.
STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\['([^']*)'\]")


def derived(
    definition: Mapping[str, Any], visits: Sequence[Visit], events: Sequence[Event], *, first: int
) -> Iterator[Iteration]:
    """An iteration for each item of each Map visit that no MapStateStarted event belongs to, numbered from `first`."""
    maps = dict(_maps(definition))
    started = {event.visit for event in events if event.type == "MapStateStarted"}
    by_id = {event.id: event for event in events}
    for visit in visits:
        if visit.type != "Map" or visit.number in started or visit.state not in maps:
            continue
        body = maps[visit.state]
        items = at(_json(by_id[visit.entered].details.get("input")), body.get("ItemsPath", "$"))
        left = _json(by_id[visit.exited].details.get("output")) if visit.exited else None
        results = at(left, body.get("ResultPath") or "$")
        for index, item in enumerate(items if isinstance(items, list) else []):
            told = isinstance(results, list) and len(results) == len(items) and visit.status == "succeeded"
            yield Iteration(
                number=first,
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
            first += 1


def at(value: Any, path: str) -> Any:
    """What a Reference Path names in a value; None where there is nothing, or the path is of another kind."""
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
