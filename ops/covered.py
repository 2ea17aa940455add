"""Whether every change of a bucket that was accepted so far has been invalidated: the decision of `invalidations wait`.

Two things must hold: nothing is owed, and nothing has arrived for some time. The second is there because a change that
S3 has told EventBridge of, and EventBridge nobody yet, is nowhere to be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from invalidation.lifecycle.records import Batch
from invalidation.lifecycle.times import LONG_AGO
from ops.owed import Facts
from ops.shown import count, shown


class Result(StrEnum):
    """How the wait ends; WAITING does not end it."""

    WAITING = "waiting"
    FRESH = "fresh"
    FAILED = "failed"
    PAUSED = "paused"


@dataclass(slots=True)
class Watch:
    """Judges one look after the other.

    Attributes:
        quiet: Seconds in which nothing new may arrive.
        parked_after: Batches that were opened earlier and are parked only get a mention.
        batches: Every batch that was seen, as it was when it was seen last.
        failed: What failed, once `look` has answered FAILED.
        arrived: When something new was seen last, in the seconds that `look` is told.
    """

    quiet: float
    parked_after: datetime = LONG_AGO
    batches: dict[str, Batch] = field(default_factory=dict)
    failed: tuple[Batch, ...] = ()
    arrived: float = 0.0
    first: Facts | None = None
    _seen: set[str] = field(default_factory=set)

    def look(self, facts: Facts, at: float) -> Result:
        """What follows from the facts at this time, in seconds since the command began."""
        first = self.first or facts
        if self._is_news(facts) or self.first is None:
            self.arrived = at
        before = {each.batch_id: each.tries for each in first.unfinished}
        self.first = first
        parked = [each for each in facts.parked if each.opened >= self.parked_after]
        self.batches |= {each.batch_id: each for each in (*facts.unfinished, *parked)}
        if facts.paused:
            return Result.PAUSED
        failed_now = [each for each in facts.unfinished if each.tries > before.get(each.batch_id, 0)]
        self.failed = (*parked, *failed_now)
        if self.failed or facts.dead_letters > first.dead_letters:
            return Result.FAILED
        return Result.FRESH if facts.clear and at - self.arrived >= self.quiet else Result.WAITING

    def _is_news(self, facts: Facts) -> bool:
        """Whether a change may have arrived since the last look: an execution, a batch, or anything on its way."""
        now = {facts.head, *facts.running, *(each.batch_id for each in facts.unfinished)}
        new = not now <= self._seen
        self._seen |= now | {each.owner for each in facts.unfinished}
        return new or bool(facts.pending or facts.queued)


def progress(facts: Facts, watch: Watch, at: float) -> str:
    """One line about where things stand."""
    parts = [
        count(facts.pending, "change") + " waiting" if facts.pending else "",
        count(len(facts.unfinished), "batch", "batches") + " under way" if facts.unfinished else "",
        _next_try(facts),
        count(len(facts.running), "execution") + " running" if facts.running else "",
        count(facts.queued, "message") + " in the intake queue" if facts.queued else "",
        _lost(facts),
        count(len(facts.parked), "batch", "batches") + " parked" if facts.parked else "",
        count(facts.dead_letters, "event") + " in the dead-letter queue" if facts.dead_letters else "",
    ]
    said = ", ".join(part for part in parts if part) or "nothing owed"
    return f"{said}; quiet for {int(min(at - watch.arrived, watch.quiet))} of {watch.quiet:g} s"


def _next_try(facts: Facts) -> str:
    """Batches that had failed before the command began are tried again some time."""
    due = sorted(each.next_try_at for each in facts.unfinished if each.next_try_at)
    return f"one that failed before is tried again at {due[0]:%H:%M:%S} UTC" if due else ""


def _lost(facts: Facts) -> str:
    if not facts.lost:
        return ""
    return f"{shown(facts.lost[0])} failed before its change was accepted and is replayed by the sweep"
