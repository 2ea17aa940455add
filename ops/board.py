"""What runs, as one table: the states that each execution is in, for how long, and those that it went through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from ops import tables
from ops.moments import took
from ops.report import read
from ops.report.run import Run, Visit
from ops.watching import COLOURS, Watched, distribution_in

CONTAINERS = ("Map", "Parallel")
UNTOLD = ("Choice", "Pass", "Succeed", "Fail")
"""States that take no time: the trail leaves them out."""
LONGEST_NAME = 24
LONGEST_WHY = 200
MARKS = {"retried": " (retried)", "caught": " (failed, caught)", "failed": " (failed)", "aborted": " (aborted)"}


@dataclass(frozen=True, slots=True)
class Here:
    """A state that an execution is in; `item` is the distribution, inside the Map."""

    state: str
    kind: str
    since: datetime
    item: str


def board(executions: Sequence[Watched], definition: Mapping[str, Any], now: datetime, *, most: int = 1_000) -> Table:
    """A row for each execution, the first `most` of them."""
    made = tables.table("what", "state", "for", "in all", right=("for", "in all"), leading=1)
    for execution in executions[:most]:
        made.add_row(*row(execution, definition, now))
    if len(executions) > most:
        made.add_row(Text(f"and {len(executions) - most} more", "dim"))
    return made


def row(execution: Watched, definition: Mapping[str, Any], now: datetime) -> tuple[Text, ...]:
    run = run_of(execution, definition)
    places = list(current(run))
    what = tables.lines(execution.about or "…", Text(tables.plain(short_name(execution.name)), "dim"))
    total = took(((execution.stopped or now) - execution.started).total_seconds())
    trail = Text(tables.plain(", ".join(trail_of(run))), "dim")
    if execution.ended:
        colour = "green" if execution.status == "SUCCEEDED" else "red"
        ending = Text(f"● {execution.status}", colour)
        why = tables.text(f" {run.error}: {run.cause}"[:LONGEST_WHY] if run.error else "", colour)
        return what, tables.lines(ending + why, trail), Text(""), Text(total)
    states = [Text(tables.plain(f"{each.state}  {each.item}".rstrip()), COLOURS.get(each.kind, "")) for each in places]
    durations = [took((now - each.since).total_seconds()) for each in places]
    return what, tables.lines(*states, trail), tables.lines(*durations), Text(total)


def run_of(execution: Watched, definition: Mapping[str, Any]) -> Run:
    described = {"executionArn": execution.arn, "name": execution.name, "status": execution.status}
    return read(definition, described, execution.events)


def current(run: Run) -> Iterator[Here]:
    """The states that the execution is in; of a Map with states inside, those."""
    inside = [visit for visit in run.visits if visit.status == "running"]
    told = [visit for visit in inside if visit.type not in CONTAINERS] or inside
    entered = {event.id: event for event in run.events}
    for visit in told:
        item = distribution_in(entered[visit.entered].details.get("input", ""))
        yield Here(visit.state, visit.type, moment(visit.start), item)


def trail_of(run: Run) -> Iterator[str]:
    """`Join Batch 0.2 s`, `Get Invalidation 0.3 s in 2 visits`: the states that are over, each once, in their order."""
    over: dict[str, list[Visit]] = {}
    for visit in run.visits:
        if visit.end is not None and visit.status != "running" and visit.type not in (*UNTOLD, *CONTAINERS):
            over.setdefault(visit.state, []).append(visit)
    for state, visits in over.items():
        seconds = sum((visit.end or visit.start) - visit.start for visit in visits) / 1000
        times = f" in {len(visits)} visits" if len(visits) > 1 else ""
        mark = next((MARKS[visit.status] for visit in visits if visit.status in MARKS), "")
        yield f"{state} {took(seconds)}{times}{mark}"


def short_name(name: str) -> str:
    """Of the names that EventBridge gives, two UUIDs, the first part; of others as much as a line has room for."""
    head = name.split("-", 1)[0]
    if len(head) == 8 and all(each in "0123456789abcdef" for each in head):
        return head
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
