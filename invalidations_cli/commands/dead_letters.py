"""`invalidations dead-letters`: events that never started an execution, why, and how to replay them.

Nothing is taken out of the dead-letter queue before it is taken care of, and nothing is started that the stack's own
rule would not have let through.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click
from rich.text import Text

from invalidations_cli import output
from invalidations_cli.aws import ExitCode, Stack, with_stack
from invalidations_cli.commands.doctor import health_of
from invalidations_cli.dead_letter_queue import DeadLetter, DeadLetterQueue, Left, ReplayGuard
from invalidations_cli.output import Form, confirmed, count, stamp, with_forms

LISTED = 100
AT_MOST = 10_000
"""Messages that one replay looks at: so many are received long before the first of them is visible again."""
MAX_LIST = 100
"""Events that one execution takes, as with buffered intake."""
MAX_INPUT = 240_000
"""Characters of JSON; an execution's input goes to 262,144 bytes (SFD, "Quotas"), and JSON here is ASCII."""
EXAMPLES = """\b
Examples:
  invalidations dead-letters
  invalidations dead-letters --replay
  invalidations dead-letters --replay --yes --json

\b
Exit codes:
  0    the queue is empty, or all that was looked at was replayed
  1    there are dead letters
  2    wrong usage, or it was not confirmed: nothing was started
  4    AWS could not be asked
"""


@click.command(epilog=EXAMPLES)
@click.option("--replay", is_flag=True, help="Start executions with them; each is deleted once its execution runs.")
@click.option("--yes", is_flag=True, help="With --replay: do not ask before anything is started.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    metavar="NUMBER",
    help="Most messages that are looked at.  [default: 100; with --replay: 10,000]",
)
@with_forms(csv_too=False)
@with_stack
def dead_letters(stack: Stack, *, form: Form, replay: bool, yes: bool, limit: int | None) -> None:
    """List the events that could not start an execution, and why. They stay where they are.

    EventBridge puts an event there after 24 hours of trying, or at once if it may not start the state machine. With
    buffered intake, messages that the pipe gave up on come there as well. SQS keeps them for 14 days.

    --replay shows what it will start, then asks. It starts nothing but events of S3 that the stack's rule lets through
    as it is now: requests, and events of other buckets, stay in the queue, whoever put them there.
    """
    if yes and not replay:
        raise click.UsageError("--yes goes with --replay: a list starts nothing")
    queue = DeadLetterQueue(stack.client("sqs"), stack.dead_letter_queue_url)
    with queue:
        with output.console(stderr=True).status("Reading the queue …"):
            there = queue.count()
            letters = list(queue.receive(limit or (AT_MOST if replay else LISTED)))
        if letters:
            guard = ReplayGuard(health_of(stack).patterns(), stack.bucket_names)
            left = {letter.message_id: why for letter in letters if (why := guard.left(letter))}
            kept = (
                replay_all(stack, queue, letters, left, form, yes=yes)
                if replay
                else list_all(stack, letters, left, form)
            )
            more = there - len(letters) if limit is None or not replay else 0
            if more > 0 and form is Form.PEOPLE:
                again = "replay again for the others" if replay else "--limit shows more"
                output.console().print(f"Of about {there:,}; {again}.", style="dim")
        elif form is Form.PEOPLE:
            click.echo("There are no dead letters.")
    if letters and (kept or more > 0):
        sys.exit(ExitCode.FAILED)


def list_all(stack: Stack, letters: Sequence[DeadLetter], left: Mapping[str, Left], form: Form) -> int:
    """How many there are."""
    if form is Form.JSON:
        for letter in letters:
            output.json_line(document(letter, left))
        return len(letters)
    show(letters)
    if len(left) < len(letters):
        advice = f"When the cause is fixed:\n  {stack.command('dead-letters', '--replay')}"
        output.console().print(advice, style="dim", soft_wrap=True)
    show_left(letters, left, listed=False)
    return len(letters)


def document(letter: DeadLetter, left: Mapping[str, Left]) -> dict[str, Any]:
    """A message for machines, with why it would be left, and what to do."""
    why = left.get(letter.message_id)
    return letter.to_document() | {"left": why and why.why, "remedy": why and why.remedy}


def show(letters: Sequence[DeadLetter]) -> None:
    """Those with the same cause together: there is usually one."""
    out = output.console()
    causes: dict[tuple[str, str], list[DeadLetter]] = {}
    for letter in letters:
        causes.setdefault((letter.why, letter.came_from), []).append(letter)
    for (why, came_from), some in causes.items():
        out.print(output.text(why or "Nothing says why", "bold"), soft_wrap=True)
        if came_from:
            out.print(output.text(f"  from {came_from}", "dim"), soft_wrap=True)
        out.print(rows(some))


def rows(letters: Sequence[DeadLetter]) -> Any:
    """A table of messages."""
    made = output.table("put there (UTC)", "bucket", "what")
    for letter in letters[:LISTED]:
        made.add_row(Text(stamp(letter.sent)), output.text(letter.bucket), output.text(letter.about))
    if len(letters) > LISTED:
        made.add_row("", "", f"and {len(letters) - LISTED:,} more")
    return made


def show_left(
    letters: Sequence[DeadLetter], left: Mapping[str, Left], *, listed: bool = True, stderr: bool = False
) -> None:
    """What is not replayed, by the reason, with what to do."""
    out = output.console(stderr=stderr)
    reasons: dict[Left, list[DeadLetter]] = {}
    for letter in letters:
        if letter.message_id in left:
            reasons.setdefault(left[letter.message_id], []).append(letter)
    for reason, some in reasons.items():
        out.print(output.text(f"Not replayed: {count(len(some), 'message')}: {reason.why}", "bold"), soft_wrap=True)
        out.print(output.text(f"  {reason.remedy}", "dim"), soft_wrap=True)
        if listed:
            out.print(rows(some))


def replay_all(
    stack: Stack,
    queue: DeadLetterQueue,
    letters: Sequence[DeadLetter],
    left: Mapping[str, Left],
    form: Form,
    *,
    yes: bool,
) -> int:
    """Show, ask and start, deleting each message only after its execution has started. Returns how many are left."""
    started = list(groups(letter for letter in letters if letter.message_id not in left))
    if form is Form.PEOPLE or not yes:
        show_plan(letters, left, len(started), stderr=form is Form.JSON)
    if started and not yes and not confirmed("Start them?", "Nothing was started"):
        sys.exit(ExitCode.USAGE)
    for group in started:
        name = execution_name(group)
        stack.executions().start(name, input_of(group))
        tell(stack, name, group, queue.delete(group), form)
    if form is Form.JSON:
        for letter in letters:
            if letter.message_id in left:
                output.json_line(document(letter, left) | {"execution": None, "deleted": False})
    else:
        replayed = count(len(letters) - len(left), "event")
        click.echo(f"{replayed} replayed in {count(len(started), 'execution')}, {len(queue.held)} left.")
    return len(queue.held)


def show_plan(letters: Sequence[DeadLetter], left: Mapping[str, Left], executions: int, *, stderr: bool) -> None:
    """What will be started, and what is left, before anything is."""
    out = output.console(stderr=stderr)
    starting = [letter for letter in letters if letter.message_id not in left]
    if starting:
        out.print(f"Starts {count(executions, 'execution')} with {count(len(starting), 'event')}:", style="bold")
        out.print(rows(starting))
    show_left(letters, left, stderr=stderr)


def tell(stack: Stack, name: str, group: Sequence[DeadLetter], undeleted: Sequence[DeadLetter], form: Form) -> None:
    """What was started."""
    if form is Form.JSON:
        for letter in group:
            extra = {"execution": stack.execution_arn(name), "deleted": letter not in undeleted}
            output.json_line(document(letter, {}) | extra)
        return
    click.echo(f"Started {name} with {count(len(group), 'event')}.")
    if undeleted:
        click.echo(f"{count(len(undeleted), 'message')} could not be deleted: the next replay deletes them.", err=True)


def groups(letters: Iterable[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """What one execution is started with: up to 100 events that fit into its input."""
    group: list[DeadLetter] = []
    room = MAX_INPUT
    for letter in letters:
        length = len(json.dumps(letter.document, separators=(",", ":"))) + 1
        if group and (length > room or len(group) == MAX_LIST):
            yield group
            group, room = [], MAX_INPUT
        group.append(letter)
        room -= length
    if group:
        yield group


def input_of(group: Sequence[DeadLetter]) -> Any:
    return group[0].document if len(group) == 1 else [letter.document for letter in group]


def execution_name(group: Sequence[DeadLetter]) -> str:
    """The same for the same messages: a replay whose deleting failed starts nothing twice."""
    identity = "\n".join(sorted(letter.message_id for letter in group))
    return f"dead-letters-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
