"""`invalidations watch`: executions as they run, state by state. In a terminal as one table that is kept up to date."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from invalidations_cli import output
from invalidations_cli.aws import ExitCode, Stack, with_stack
from invalidations_cli.follow import COLOURS, FollowedExecution, Step, Watcher
from invalidations_cli.history import CONTAINERS, ExecutionHistory, Visit
from invalidations_cli.output import Duration, Form, clock, count, escape, moment, took, with_forms

POLL_SECONDS = 1.0
KEPT = timedelta(seconds=10)
"""How long an execution that ended well stays on the screen."""
KEPT_FAILURES = 5
FORGOTTEN = timedelta(minutes=2)
TAKE_NO_TIME = ("Choice", "Pass", "Succeed", "Fail")
"""States that the trail leaves out."""
LONGEST_NAME = 24
LONGEST_WHY = 200
MARKS = {"retried": " (retried)", "caught": " (failed, caught)", "failed": " (failed)", "aborted": " (aborted)"}
EXAMPLES = """\b
Examples:
  invalidations watch
  invalidations watch --until-idle 10 --timeout 10m && echo "all well"
  invalidations watch --json | jq -r 'select(.status=="FAILED") | .execution'

\b
With --json each change of state is one object on one line:
  at              when, ISO 8601 in UTC
  execution       the execution's ARN
  about           what it is about, in words: "index.html put"
  state, type     the state that was entered, and its type; null at the end
  distributionId  which distribution the state works on, or null
  status          null, and at the end SUCCEEDED, FAILED, TIMED_OUT or ABORTED
  why             error and cause, where it did not end well; else null

\b
Exit codes:
  0    ended as asked, or by Ctrl-C; with --until-idle: nothing failed
  1    with --until-idle: an execution failed meanwhile
  2    wrong usage
  4    AWS could not be asked
  124  not idle within --timeout
"""


@click.command(epilog=EXAMPLES)
@click.option("--once", is_flag=True, help="Show what runs now, and end.")
@click.option(
    "--until-idle",
    type=Duration(),
    help="End when nothing has run for so long: 90, 15m, 2h; a number alone is in seconds.",
)
@click.option("--timeout", type=Duration(), help="When to end in any case; written in the same way.")
@with_forms(csv_too=False)
@with_stack
def watch(stack: Stack, *, form: Form, once: bool, until_idle: float | None, timeout: float | None) -> None:
    """Show executions as they run, state by state. Those that run now, and those that start meanwhile.

    In a terminal the screen is kept up to date; anywhere else each step is a line. Ctrl-C ends it. Of those that run
    already, lines begin with what they have done so far; with --once --json that is all.
    """
    client = stack.client("stepfunctions")
    definition = json.loads(client.describe_state_machine(stateMachineArn=stack.state_machine_arn)["definition"])
    watcher = Watcher(client, stack.state_machine_arn, from_now=True)
    out = output.console()
    if once:
        steps = watcher.new_steps()
        if form is Form.JSON:
            print_json(steps)
        else:
            out.print(screen(watcher, EndedExecutions(), definition))
        return
    ended_ones, deadline = EndedExecutions(), Deadline(until_idle, timeout)
    with contextlib.suppress(KeyboardInterrupt):
        if form is Form.JSON:
            look(watcher, ended_ones, deadline, print_json)
        elif out.is_terminal:
            keep_a_screen(watcher, ended_ones, deadline, definition, out)
        else:
            look(watcher, ended_ones, deadline, lambda steps: print_lines(steps, watcher))
    (output.console(stderr=True) if form is Form.JSON else out).print(Text(ended_ones.summary(), "dim"))
    if deadline.is_over:
        sys.exit(ExitCode.TIMED_OUT)
    if until_idle is not None and ended_ones.failed:
        sys.exit(ExitCode.FAILED)


def keep_a_screen(
    watcher: Watcher, ended_ones: EndedExecutions, deadline: Deadline, definition: Mapping[str, Any], out: Console
) -> None:
    with Live(console=out, auto_refresh=False) as live:

        def redraw(_steps: list[Step]) -> None:
            live.update(screen(watcher, ended_ones, definition, out.height), refresh=True)

        look(watcher, ended_ones, deadline, redraw)


@dataclass(slots=True)
class EndedExecutions:
    """What has ended since the watching began."""

    ended: int = 0
    failed: list[FollowedExecution] = field(default_factory=list)

    def take(self, steps: list[Step], watcher: Watcher) -> None:
        for step in steps:
            if step.is_end:
                self.ended += 1
                if step.name != "SUCCEEDED":
                    self.failed.append(watcher.executions[step.execution_arn])

    def summary(self) -> str:
        failed = f", {count(len(self.failed), 'failure')}" if self.failed else ""
        return f"{count(self.ended, 'execution')} ended meanwhile{failed}."


@dataclass(slots=True)
class Deadline:
    """When to stop looking: after so many seconds without anything running, or in all."""

    until_idle: float | None
    timeout: float | None
    is_over: bool = False
    began: float = field(default_factory=time.monotonic)
    busy: float = field(default_factory=time.monotonic)

    def ends(self, *, something_runs: bool) -> bool:
        now = time.monotonic()
        self.busy = now if something_runs else self.busy
        if self.until_idle is not None and now - self.busy >= self.until_idle:
            return True
        late = self.timeout is not None and now - self.began >= self.timeout
        self.is_over = late and self.until_idle is not None
        return late


def look(watcher: Watcher, ended_ones: EndedExecutions, deadline: Deadline, show: Callable[[list[Step]], None]) -> None:
    """Look again and again until it is time to stop."""
    while True:
        steps = watcher.new_steps()
        ended_ones.take(steps, watcher)
        show(steps)
        watcher.forget(watcher.now() - FORGOTTEN)
        if deadline.ends(something_runs=bool(watcher.running)):
            return
        time.sleep(POLL_SECONDS)


def print_lines(steps: list[Step], watcher: Watcher) -> None:
    for step in steps:
        click.echo(line(step, short_name(watcher.executions[step.execution_arn].name)))
    sys.stdout.flush()


def print_json(steps: list[Step]) -> None:
    for step in steps:
        output.json_line(document(step))
    sys.stdout.flush()


def document(step: Step) -> dict[str, Any]:
    """One change of state; what it has not is null."""
    ended = step.is_end
    return {
        "at": step.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "execution": step.execution_arn,
        "about": step.subject or None,
        "state": None if ended else step.name,
        "type": None if ended else step.kind,
        "distributionId": step.distribution_id or None,
        "status": step.name if ended else None,
        "why": step.why or None,
    }


def line(step: Step, name: str) -> str:
    state = f"● {step.name}  {escape(step.why)}".rstrip() if step.is_end else escape(step.name)
    place = escape(step.distribution_id)
    return f"{clock(step.at)}  {escape(name)}  {escape(step.subject, 60):<30}  {state}  {place}".rstrip()


def screen(watcher: Watcher, ended_ones: EndedExecutions, definition: Mapping[str, Any], height: int = 0) -> Group:
    """What runs, what has just ended, and what failed."""
    now = watcher.now()
    ended = [each for each in watcher.executions.values() if each.stopped and each.stopped > now - KEPT]
    failed = [each for each in ended_ones.failed[-KEPT_FAILURES:] if each not in ended]
    rows = [*watcher.running, *sorted(ended, key=began), *failed]
    runs = count(len(watcher.running), "execution")
    head = Text(f"{clock(now)[:8]} UTC  {runs} running" if watcher.running else f"{clock(now)[:8]} UTC  nothing runs")
    if not rows:
        return Group(head)
    most = max(1, (height - 6) // 4) if height else len(rows)
    return Group(head, board(rows, definition, now, most=most))


def board(
    executions: Sequence[FollowedExecution], definition: Mapping[str, Any], now: datetime, *, most: int = 1_000
) -> Table:
    """A row for each execution, the first `most` of them."""
    made = output.table("what", "state", "for", "in all", right=("for", "in all"), leading=1)
    for execution in executions[:most]:
        made.add_row(*row(execution, definition, now))
    if len(executions) > most:
        made.add_row(Text(f"and {len(executions) - most} more", "dim"))
    return made


def row(execution: FollowedExecution, definition: Mapping[str, Any], now: datetime) -> tuple[Text, ...]:
    history = execution.history(definition)
    places = current(history)
    what = output.lines(execution.subject or "…", Text(output.plain(short_name(execution.name)), "dim"))
    total = took(((execution.stopped or now) - began(execution)).total_seconds())
    trail = Text(output.plain(", ".join(trail_of(history))), "dim")
    if execution.ended:
        colour = "green" if execution.status == "SUCCEEDED" else "red"
        ending = Text(f"● {execution.status}", colour)
        why = output.text(f" {history.error}: {history.cause}"[:LONGEST_WHY] if history.error else "", colour)
        return what, output.lines(ending + why, trail), Text(""), Text(total)
    states = [
        Text(output.plain(f"{each.state}  {each.distribution_id}".rstrip()), COLOURS.get(each.type, ""))
        for each in places
    ]
    durations = [took((now - moment(each.start)).total_seconds()) for each in places]
    return what, output.lines(*states, trail), output.lines(*durations), Text(total)


def current(history: ExecutionHistory) -> list[Visit]:
    """The states that the execution is in; of a Map with states inside, those."""
    inside = [visit for visit in history.visits if visit.status == "running"]
    return [visit for visit in inside if visit.type not in CONTAINERS] or inside


def trail_of(history: ExecutionHistory) -> Iterator[str]:
    """`Join Batch 0.2 s`, `Get Invalidation 0.3 s in 2 visits`. The states that are over, each once, in their order."""
    over: dict[str, list[Visit]] = {}
    for visit in history.visits:
        if visit.end is not None and visit.status != "running" and visit.type not in (*TAKE_NO_TIME, *CONTAINERS):
            over.setdefault(visit.state, []).append(visit)
    for state, visits in over.items():
        seconds = sum((visit.end or visit.start) - visit.start for visit in visits) / 1000
        times = f" in {len(visits)} visits" if len(visits) > 1 else ""
        mark = next((MARKS[visit.status] for visit in visits if visit.status in MARKS), "")
        yield f"{state} {took(seconds)}{times}{mark}"


def short_name(name: str) -> str:
    """Of the names that EventBridge gives, two UUIDs, the first part. Of others as much as a line has room for."""
    head = name.split("-", 1)[0]
    if len(head) == 8 and all(each in "0123456789abcdef" for each in head):
        return head
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def began(execution: FollowedExecution) -> datetime:
    return execution.started or datetime.now(UTC)
