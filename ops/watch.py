"""`invalidations watch`: executions as they run, state by state."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ops import tables
from ops.board import board, short_name
from ops.moments import clock
from ops.shown import count, shown
from ops.stack import Stack, with_stack
from ops.tables import Form, with_forms
from ops.watching import Step, Watched, Watcher

POLL_SECONDS = 1.0
KEPT = timedelta(seconds=10)
"""How long an execution that ended well stays on the screen."""
KEPT_FAILURES = 5
FORGOTTEN = timedelta(minutes=2)
FAILED, TIMED_OUT = 1, 124
EXAMPLES = """\b
Examples:
  invalidations watch
  invalidations watch --until-idle 10 --timeout 600 && echo "all well"
  invalidations watch --json | jq -r 'select(.status == "FAILED") | .execution'

\b
With --json each change of state is one object on one line, in the order in which it was read:
  at              when, ISO 8601 in UTC
  execution       the execution's ARN
  about           what it is about, in words: "index.html put"
  state, type     the state that was entered and its type (Task, Wait, …); null at the end
  distributionId  which distribution the state works on, inside the Map; else null
  status          null, and at the end SUCCEEDED, FAILED, TIMED_OUT or ABORTED
  why             error and cause, where it did not end well; else null

\b
Exit codes:
  0    ended as asked, or by Ctrl-C; with --until-idle: nothing failed
  1    with --until-idle: an execution failed meanwhile
  124  not idle within --timeout
"""


@click.command(epilog=EXAMPLES)
@click.option("--once", is_flag=True, help="Show what runs now, and end.")
@click.option(
    "--until-idle",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="End when nothing has run for so long.",
)
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="When to end in any case.")
@with_forms(csv_too=False)
@with_stack
def watch(stack: Stack, *, form: Form, once: bool, until_idle: float | None, timeout: float | None) -> None:
    """Show executions as they run, state by state: those that run now, and those that start meanwhile.

    In a terminal the screen is kept up to date; anywhere else each step is a line. Ctrl-C ends it. Of those that run
    already, lines begin with what they have done so far; with --once --json that is all.
    """
    client = stack.client("stepfunctions")
    definition = json.loads(client.describe_state_machine(stateMachineArn=stack.state_machine_arn)["definition"])
    watcher = Watcher(client, stack.state_machine_arn, from_now=True)
    out = tables.console()
    if once:
        steps = watcher.new_steps()
        if form is Form.JSON:
            print_json(steps)
        else:
            out.print(screen(watcher, Tally(), definition))
        return
    tally, patience = Tally(), Patience(until_idle, timeout)
    with contextlib.suppress(KeyboardInterrupt):
        if form is Form.JSON:
            look(watcher, tally, patience, print_json)
        elif out.is_terminal:
            keep_a_screen(watcher, tally, patience, definition, out)
        else:
            look(watcher, tally, patience, lambda steps: print_lines(steps, watcher))
    (tables.console(stderr=True) if form is Form.JSON else out).print(Text(tally.summary(), "dim"))
    if patience.is_over:
        sys.exit(TIMED_OUT)
    if until_idle is not None and tally.failed:
        sys.exit(FAILED)


def keep_a_screen(
    watcher: Watcher, tally: Tally, patience: Patience, definition: Mapping[str, Any], out: Console
) -> None:
    with Live(console=out, auto_refresh=False) as live:

        def redraw(_steps: list[Step]) -> None:
            live.update(screen(watcher, tally, definition, out.height), refresh=True)

        look(watcher, tally, patience, redraw)


@dataclass(slots=True)
class Tally:
    """What has ended since the watching began."""

    ended: int = 0
    failed: list[Watched] = field(default_factory=list)

    def take(self, steps: list[Step], watcher: Watcher) -> None:
        for step in steps:
            if step.kind == "Ended":
                self.ended += 1
                if step.name != "SUCCEEDED":
                    self.failed.append(watcher.executions[step.execution_arn])

    def summary(self) -> str:
        failed = f", {count(len(self.failed), 'failure')}" if self.failed else ""
        return f"{count(self.ended, 'execution')} ended meanwhile{failed}."


@dataclass(slots=True)
class Patience:
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


def look(watcher: Watcher, tally: Tally, patience: Patience, show: Callable[[list[Step]], None]) -> None:
    """Look again and again until it is time to stop."""
    while True:
        steps = watcher.new_steps()
        tally.take(steps, watcher)
        show(steps)
        watcher.forget(watcher.now() - FORGOTTEN)
        if patience.ends(something_runs=bool(watcher.running)):
            return
        time.sleep(POLL_SECONDS)


def print_lines(steps: list[Step], watcher: Watcher) -> None:
    for step in steps:
        click.echo(line(step, short_name(watcher.executions[step.execution_arn].name)))
    sys.stdout.flush()


def print_json(steps: list[Step]) -> None:
    for step in steps:
        tables.json_line(document(step))
    sys.stdout.flush()


def document(step: Step) -> dict[str, Any]:
    """One change of state; what it has not is null."""
    ended = step.kind == "Ended"
    return {
        "at": step.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "execution": step.execution_arn,
        "about": step.about or None,
        "state": None if ended else step.name,
        "type": None if ended else step.kind,
        "distributionId": step.item or None,
        "status": step.name if ended else None,
        "why": step.why or None,
    }


def line(step: Step, name: str) -> str:
    state = f"● {step.name}  {shown(step.why)}".rstrip() if step.kind == "Ended" else shown(step.name)
    return f"{clock(step.at)}  {shown(name)}  {shown(step.about, 60):<30}  {state}  {shown(step.item)}".rstrip()


def screen(watcher: Watcher, tally: Tally, definition: Mapping[str, Any], height: int = 0) -> Group:
    """What runs, what has just ended, and what failed."""
    now = watcher.now()
    ended = [each for each in watcher.executions.values() if each.stopped and each.stopped > now - KEPT]
    failed = [each for each in tally.failed[-KEPT_FAILURES:] if each not in ended]
    rows = [*watcher.running, *sorted(ended, key=lambda each: each.started), *failed]
    runs = count(len(watcher.running), "execution")
    head = Text(f"{clock(now)[:8]} UTC  {runs} running" if watcher.running else f"{clock(now)[:8]} UTC  nothing runs")
    if not rows:
        return Group(head)
    most = max(1, (height - 6) // 4) if height else len(rows)
    return Group(head, board(rows, definition, now, most=most))
