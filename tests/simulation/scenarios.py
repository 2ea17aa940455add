"""Small casts for the exhaustive search, and what has to hold of them.

A change counts as safe when a batch record owns it: what comes after that is the random schedules' part.
"""

from __future__ import annotations

from collections.abc import Sequence

from invalidation.batches import close as closing
from invalidation.batches import head as pausing
from invalidation.batches import join as joining
from invalidation.batches.finish import RetryPolicy
from invalidation.batches.head import Execution, Role, Window
from invalidation.batches.sweep import sweep
from invalidation.events import Change
from tests.fakes.state_machine import FakeStateMachine
from tests.simulation.exhaustive import BUCKET, START, Stage

WINDOW = Window(seconds=10, max_seconds=60)


def execution(name: str) -> Execution:
    return Execution(f"arn:aws:states:eu-central-1:123456789012:execution:invalidation:{name}", START)


def joiner(stage: Stage, name: str, changes: Sequence[Change] | None = None, attempt: int = 1) -> None:
    """An execution from Join to Close, as far as its role goes; with more attempts, old ones go on beside the retry."""
    accepted = (Change(BUCKET, f"{name}.html", event_id=name),) if changes is None else changes

    def steps() -> None:
        run, now = execution(name), stage.now
        joined = joining.join_each(stage.table, {BUCKET: accepted}, run, WINDOW, now, f"join {name} {attempt}").joined
        if joined.role is Role.LEADER and joined.closed is None:
            stage.scheduler.sleep((joined.closes_at - START).total_seconds())
            closing.close(stage.table, BUCKET, joined.batch_id, run, f"close {name} {attempt}", now)

    stage.enter(f"{name} {attempt}", steps)


def leader(stage: Stage, attempts: int = 1) -> None:
    """An execution that leads already, and whose batch is due; with more attempts, old ones go on beside the retry."""
    changes = (Change(BUCKET, "leader.html", event_id="leader"),)
    joined = joining.join(stage.table, BUCKET, changes, execution("leader"), WINDOW, stage.now, "join leader")
    stage.table.accepted.append("leader")

    for attempt in range(attempts):

        def run(attempt: int = attempt) -> None:
            name = f"close leader {attempt}"
            closing.close(stage.table, BUCKET, joined.batch_id, execution("leader"), name, stage.now)

        stage.enter(f"leader {attempt}", run)


def a_joiner_while_the_bucket_is_resumed(stage: Stage) -> None:
    pausing.pause(stage.table, BUCKET)
    joiner(stage, "first")

    def run() -> None:
        if pausing.resume(stage.table, BUCKET, WINDOW, stage.now):
            joined = joining.join(stage.table, BUCKET, (), execution("lead"), WINDOW, stage.now, "join lead")
            if joined.role is Role.LEADER:
                closing.close(stage.table, BUCKET, joined.batch_id, execution("lead"), "close lead", stage.now)

    stage.enter("person", run)


def two_joiners_and_a_leader(stage: Stage) -> None:
    leader(stage)
    joiner(stage, "first")
    joiner(stage, "second")


def two_joiners_of_a_quiet_bucket(stage: Stage) -> None:
    for name in ("first", "second"):
        joiner(stage, name)


def three_joiners_of_a_quiet_bucket(stage: Stage) -> None:
    for name in ("first", "second", "third"):
        joiner(stage, name)


def two_attempts_of_join(stage: Stage) -> None:
    for attempt in (1, 2):
        joiner(stage, "first", attempt=attempt)


def two_attempts_of_join_and_a_joiner(stage: Stage) -> None:
    two_attempts_of_join(stage)
    joiner(stage, "second")


def two_attempts_of_close_and_a_joiner(stage: Stage) -> None:
    leader(stage, attempts=2)
    joiner(stage, "first")


def owned(stage: Stage) -> list[str]:
    """At every moment: each accepted change is pending, or on the list of a batch record."""
    safe = {*stage.table.pending(), *stage.table.listed()}
    return stage.failures + [f"{event} belongs to nobody" for event in stage.table.accepted if event not in safe]


def frozen_once(stage: Stage) -> list[str]:
    """In the end, without anything dying: a batch owns each change, and only one."""
    listed = stage.table.listed()
    return [
        f"{event} is frozen {listed.count(event)} times" for event in stage.table.accepted if listed.count(event) != 1
    ]


def frozen(stage: Stage) -> list[str]:
    """In the end, when attempts may run beside each other: a batch owns each change."""
    listed = stage.table.listed()
    return [f"{event} is left over" for event in stage.table.accepted if event not in listed]


def frozen_after_sweeps(stage: Stage) -> list[str]:
    """In the end, when somebody may have died: so it is when the sweep has run after a while, and again."""
    for _ in range(2):
        stage.scheduler.clock += 1_000
        machine = FakeStateMachine()
        sweep(stage.table, machine, WINDOW, stage.now, stage.now(), RetryPolicy(), lambda: 300)
        for name in (name for name, document in machine.started.items() if "lead" in document):
            joiner(stage, name, ())
            while moves := stage.moves():
                stage.make((moves[0], "goes"))
    return [*frozen(stage), *(f"{event} is still pending" for event in stage.table.pending())]
