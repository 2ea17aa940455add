"""`invalidations dead-letters`: events that never started an execution, why, and how to replay them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice

import click
from rich.text import Text

from ops import tables
from ops.letters import MAX_LIST, Letter, Queue, execution_name, groups, input_of
from ops.moments import stamp
from ops.shown import count
from ops.stack import Stack, with_stack
from ops.tables import Form, with_forms

LISTED = 100
NEEDS_ATTENTION = 1
EXAMPLES = """\b
Examples:
  invalidations dead-letters
  invalidations dead-letters --replay

\b
Exit codes:
  0    the queue is empty, or all of it was replayed
  1    there are dead letters
"""


@click.command(epilog=EXAMPLES)
@click.option("--replay", is_flag=True, help="Start executions with them; each is deleted once its execution runs.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="Most messages that are looked at.  [default: 100; with --replay: all]",
)
@with_forms(csv_too=False)
@with_stack
def dead_letters(stack: Stack, *, form: Form, replay: bool, limit: int | None) -> None:
    """List the events that could not start an execution, and why; they stay where they are.

    EventBridge puts an event there after 24 hours of trying, or at once if it may not start the state machine. With
    buffered intake, messages that the pipe gave up on come there as well. SQS keeps them for 14 days.
    """
    queue = Queue(stack.client("sqs"), stack.dead_letter_queue_url)
    with queue:
        left = replay_all(stack, queue, limit, form) if replay else list_all(queue, limit or LISTED, form)
    if left:
        sys.exit(NEEDS_ATTENTION)


def list_all(queue: Queue, limit: int, form: Form) -> int:
    """How many there are."""
    with tables.console(stderr=True).status("Reading the queue …"):
        there = queue.count()
        letters = list(queue.receive(limit))
    show(letters, form)
    if form is Form.PEOPLE and letters:
        out = tables.console()
        if there > len(letters) >= limit:
            out.print(f"Of about {there:,}; --limit shows more.", style="dim")
        out.print("When the cause is mended: invalidations dead-letters --replay", style="dim")
    elif form is Form.PEOPLE:
        click.echo("There are no dead letters.")
    return len(letters)


def show(letters: Sequence[Letter], form: Form) -> None:
    if form is Form.JSON:
        for letter in letters:
            tables.json_line(letter.to_document())
        return
    out = tables.console()
    for (why, came_from), some in grouped(letters).items():
        out.print(tables.text(why or "Nothing says why", "bold"), soft_wrap=True)
        if came_from:
            out.print(tables.text(f"  from {came_from}", "dim"), soft_wrap=True)
        made = tables.table("put there (UTC)", "bucket", "what")
        for letter in some:
            made.add_row(Text(stamp(letter.sent)), tables.text(letter.bucket), tables.text(letter.about))
        out.print(made)


def grouped(letters: Sequence[Letter]) -> dict[tuple[str, str], list[Letter]]:
    """Those with the same cause together: there is usually one."""
    found: dict[tuple[str, str], list[Letter]] = {}
    for letter in letters:
        found.setdefault((letter.why, letter.came_from), []).append(letter)
    return found


def replay_all(stack: Stack, queue: Queue, limit: int | None, form: Form) -> int:
    """Start executions, deleting each letter only after its own has started; how many letters are left."""
    executions = stack.executions()
    replayed = started = 0
    received = queue.receive(limit)
    while some := list(islice(received, MAX_LIST)):
        for group in groups(letter for letter in some if not letter.problem):
            name = execution_name(group)
            executions.start(name, input_of(group))
            undeleted = queue.delete(group)
            started, replayed = started + 1, replayed + len(group)
            tell(stack, name, group, undeleted, form)
        show([letter for letter in some if letter.problem], form)
    if form is Form.PEOPLE and (started or queue.held):
        click.echo(f"{count(replayed, 'event')} replayed in {count(started, 'execution')}, {len(queue.held)} left.")
        if queue.held:
            click.echo("What no execution can be started with stays; delete it in the SQS console if nobody needs it.")
    elif form is Form.PEOPLE:
        click.echo("There are no dead letters.")
    return len(queue.held)


def tell(stack: Stack, name: str, group: Sequence[Letter], undeleted: Sequence[Letter], form: Form) -> None:
    if form is Form.JSON:
        for letter in group:
            extra = {"execution": stack.execution_arn(name), "deleted": letter not in undeleted}
            tables.json_line(letter.to_document() | extra)
        return
    click.echo(f"Started {name} with {count(len(group), 'event')}.")
    if undeleted:
        click.echo(f"{count(len(undeleted), 'message')} could not be deleted: the next replay deletes them.", err=True)
