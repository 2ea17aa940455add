"""`invalidations local demo`: a web site goes up, changes and shrinks, and CloudFront follows.

Everything that it prints was read from the running system; what should have happened and did not makes it exit with 1.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import click
from rich.console import Console
from rich.markup import escape as escape_markup

from invalidations_cli.canaries import EdgeView
from invalidations_cli.follow import Step, Watcher
from invalidations_cli.local import environment, readings
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.readings import ListedInvalidation, ReceivedNotification
from invalidations_cli.main import interruptible
from invalidations_cli.output import count, escape

SITE = {
    "index.html": "<h1>Welcome, version 1</h1>",
    "about/index.html": "<h1>About us</h1>",
    "offer.html": "<h1>This week only</h1>",
    "css/site.css": "h1 { color: teal }",
    "images/blue sky.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "menü.html": "<h1>Menü</h1>",
}
FOLLOWER_STATE = "Joined Open Batch"
UNDECIDED = ("Join Batch", "Leads The Batch?")
"""States in which an execution does not know yet whether it leads."""
TIMEOUT_SECONDS = 60.0
NEXT = """
What next?
  To change the site yourself, keep the local AWS running:
      .venv/bin/invalidations local up
  To use it on AWS, deploy the same template: README.md, "Deploy it".
"""


@dataclass(slots=True)
class SiteChange:
    """One change of the site, and what came of it."""

    title: str
    keys: Sequence[str]
    seconds: float = 0.0
    executions: dict[str, str] = field(default_factory=dict)
    invalidations: list[ListedInvalidation] = field(default_factory=list)
    notifications: list[ReceivedNotification] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def expect(self, happened: bool, what: str) -> None:
        if not happened:
            self.missing.append(f"{self.title}: {what}")


@dataclass(slots=True)
class Followers:
    """Holds back an execution's steps until it is known whether it leads a batch.

    `joined` are the last steps of those that joined: all of them are told in one line.
    """

    held: dict[str, list[Step]] = field(default_factory=dict)
    leading: set[str] = field(default_factory=set)
    joined: dict[str, Step] = field(default_factory=dict)

    def take(self, step: Step) -> list[Step]:
        """The steps that can be told now."""
        arn = step.execution_arn
        if step.name == FOLLOWER_STATE or (arn in self.joined and step.name == "SUCCEEDED"):
            self.joined[arn] = step
            self.held.pop(arn, None)
            return []
        if arn in self.leading or step.name not in UNDECIDED:
            self.leading.add(arn)
            return [*self.held.pop(arn, []), step]
        self.held.setdefault(arn, []).append(step)
        return []

    def summary(self, started: float) -> list[str]:
        """One line for all that joined, if any did."""
        if not self.joined:
            return []
        last = max(step.at for step in self.joined.values()).timestamp() - started
        subjects = ", ".join(escape(step.subject) for step in self.joined.values())
        many = count(len(self.joined), "execution")
        return [escape_markup(f"{last:7.1f} s  {many} joined the batch, and ended: {subjects}")]


@dataclass(slots=True)
class Demonstration:
    """The changes made so far, and where their steps are printed."""

    there: LocalEnvironment
    out: Console
    watcher: Watcher
    changes: list[SiteChange] = field(default_factory=list)

    def make(self, title: str, keys: Sequence[str], carry_out: Callable[[], None]) -> SiteChange:
        """Make a change, and print what happens until all is invalidated and nothing runs."""
        change = SiteChange(title, keys)
        self.changes.append(change)
        self.out.print(f"\n[bold]{len(self.changes)}. {escape_markup(title)}[/]")
        known = {invalidation.invalidation_id for invalidation in readings.invalidations(self.there)}
        before = set(self.watcher.executions)
        started, clock = time.time(), time.monotonic()
        carry_out()
        followers = Followers()
        for step in self.watcher.follow(lambda: self.is_settled(keys, known, before), TIMEOUT_SECONDS):
            for each in followers.take(step):
                self.out.print(line(each, started))
        self.out.print(*followers.summary(started), sep="\n", end="\n" if followers.joined else "")
        change.seconds = time.monotonic() - clock
        change.executions = {arn: each.status for arn, each in self.watcher.executions.items() if arn not in before}
        everything = readings.invalidations(self.there)
        change.invalidations = [one for one in everything if one.invalidation_id not in known]
        change.notifications = readings.notifications(self.there, wait_seconds=2)
        self.judge(change)
        return change

    def is_settled(self, keys: Sequence[str], known: set[str], before: set[str]) -> bool:
        """Whether each key has been invalidated, or something failed and no more will come."""
        if any(not each.succeeded for each in self.watcher.ended if each.arn not in before):
            return True
        new = [one for one in readings.invalidations(self.there) if one.invalidation_id not in known]
        done = [one for one in new if one.status == "Completed"]
        return all(any(one.covers(key) for one in done) for key in keys)

    def judge(self, change: SiteChange) -> None:
        change.expect(len(change.executions) >= len(change.keys), "not every change started an execution")
        for arn, status in change.executions.items():
            change.expect(status == "SUCCEEDED", f"execution {arn} is {status}")
        for key in change.keys:
            completed = [one for one in change.invalidations if one.covers(key) and one.status == "Completed"]
            change.expect(bool(completed), f"{key} was not invalidated")
        for one in change.invalidations:
            told = any(one.invalidation_id in notification.message for notification in change.notifications)
            change.expect(told, f"no notification tells of invalidation {one.invalidation_id}")

    def look(self, key: str, when: str) -> EdgeView:
        seen = readings.view(self.there, key)
        self.out.print(f"   {when}, the edge gives for /{escape_markup(key)}: [bold]{escape_markup(str(seen))}[/]")
        return seen


def line(step: Step, started: float) -> str:
    """One step as a line: when, about what, and which state."""
    name = f"● {step.name} {step.why}".rstrip() if step.is_end else step.name
    indent = f"{step.at.timestamp() - started:7.1f} s  {escape(step.subject):<26}"
    return f"{escape_markup(indent)} [{step.colour}]{escape_markup(name)}[/]"


def tell(there: LocalEnvironment, out: Console) -> Demonstration:
    """The whole demonstration."""
    s3 = there.aws.client("s3")
    demonstration = Demonstration(there, out, Watcher(there.aws.client("stepfunctions"), there.state_machine_arn))
    demonstration.watcher.new_steps()  # what happened before is not of this demonstration

    def put(key: str, body: str) -> None:
        s3.put_object(Bucket=there.bucket, Key=key, Body=body.encode(), ContentType="text/html; charset=utf-8")

    def upload() -> None:
        for key, body in SITE.items():
            put(key, body)

    demonstration.make(f"A web site of {len(SITE)} files goes up", list(SITE), upload)
    for key in ("index.html", "offer.html"):
        demonstration.look(key, "A visitor comes")

    index = demonstration.make("index.html changes", ["index.html"], lambda: change_index(demonstration, put))
    fresh = demonstration.look("index.html", "Afterwards")
    index.expect("version 2" in fresh.body, "the edge still gives the old index.html")

    offer = demonstration.make("offer.html is deleted", ["offer.html"], lambda: delete_offer(demonstration))
    gone = demonstration.look("offer.html", "Afterwards")
    offer.expect(gone.status in {403, 404}, "the edge still gives the deleted offer.html")
    return demonstration


def change_index(demonstration: Demonstration, put: Callable[[str, str], None]) -> None:
    put("index.html", "<h1>Welcome, version 2</h1>")
    demonstration.look("index.html", "At once")


def delete_offer(demonstration: Demonstration) -> None:
    demonstration.there.aws.client("s3").delete_object(Bucket=demonstration.there.bucket, Key="offer.html")
    demonstration.look("offer.html", "At once")


def summarise(change: SiteChange, out: Console) -> None:
    """What one change led to. How many executions, how long, and each invalidation with its paths."""
    statuses = Counter(change.executions.values())
    ended = ", ".join(f"{count} {status}" for status, count in statuses.items())
    out.print(f"   {escape_markup(change.title)}: {ended}, in {change.seconds:.1f} s")
    for one in reversed(change.invalidations):
        out.print(f"      [bold]{one.invalidation_id}[/] {one.status}")
        for path in one.paths:
            out.print(f"         {escape_markup(path)}")


def close(demonstration: Demonstration, seconds: float) -> int:
    """Print how it went; returns the exit code."""
    out = demonstration.out
    out.print("\n[bold]What was invalidated[/]")
    for change in demonstration.changes:
        summarise(change, out)
    received = [notification for change in demonstration.changes for notification in change.notifications]
    out.print(f"\n[bold]Notifications received: {len(received)}[/]")
    for notification in received:
        out.print(f"   {escape_markup(notification.subject)}")
    if received:
        out.print("\n[bold]The last one, as received[/]")
        out.print(escape_markup(received[-1].pretty()))
    missing = [what for change in demonstration.changes for what in change.missing]
    for what in missing:
        out.print(f"[red]Did not happen:[/] {escape_markup(what)}")
    out.print(f"\n{'Not all of it happened' if missing else 'All of it happened'}, in {seconds:.0f} s.")
    if not missing:
        out.print(NEXT)
    return 1 if missing else 0


EXAMPLES = """\b
Example:
  invalidations local demo

\b
Exit codes:
  0    all of it happened
  1    not all of it happened: what did not is printed
  2    wrong usage
  130  interrupted
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="NUMBER", help="Where it listens; 4566 or, if taken, any free one."
)
def demo(port: int | None) -> None:
    """Put a web site up, change a file, delete one, and watch CloudFront follow."""
    out = Console(highlight=False, soft_wrap=True)
    started = time.monotonic()
    try:
        with interruptible(), environment.running(port=port, say=out.print) as there:
            code = close(tell(there, out), time.monotonic() - started)
    except environment.Problem as problem:
        raise click.ClickException(str(problem)) from None
    sys.exit(code)
