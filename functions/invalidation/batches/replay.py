"""Replay: executions that ended before their change was in the batch table run again.

Step Functions lists what has ended newest first, and a little late (Step Functions API Reference, ListExecutions). So
whatever has ended badly first gets an item in the batch table. The items are seen to in the order in which they are
due, over as many sweeps as that takes, and each of them once: it goes when its execution is known to have been
accepted, or has been started again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from invalidation.batches.head import SWEEP_PREFIX
from invalidation.batches.model import readable, to_text
from invalidation.batches.table import VERSION, BatchTable, Item, Key, items

MAX_REPLAYS = 5
_REPLAY_NAME = re.compile(r"replay-([0-9]+)-([0-9a-f]{32})")

LOOK_BACK = timedelta(days=1)
"""How far back the first sweep of a stack looks; each later one begins where the last one ended."""
LONGEST_EXECUTION = timedelta(days=1)
"""``TimeoutSeconds`` of the state machine: what ends now has begun since then."""
LISTED_LATE = timedelta(minutes=15)
"""For how long an execution that has ended may be missing in the list, and is looked for once more."""
MARKS = 40_000
"""Executions of that time that are remembered, by eight bytes each, in one item; with more, the time is shorter."""
MOST_NOTED = 10_000
"""Executions that one sweep notes, the oldest first: their items are written before any of them is seen to."""
MAX_LOOKS = 20
"""Failed attempts to find out about an execution, with up to a day in between, before it is given up."""

REPLAYS = "REPLAY"
_NOTES = Key("SWEEP", "REPLAY")


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution that failed, was aborted or timed out."""

    arn: str
    name: str
    stopped: datetime

    @property
    def replays(self) -> int:
        """How many replays led to this execution; 0 for an original."""
        match = _REPLAY_NAME.fullmatch(self.name)
        return int(match[1]) if match else 0

    @property
    def replay_name(self) -> str:
        """The name of the next replay: always the same, so that two sweeps start one."""
        match = _REPLAY_NAME.fullmatch(self.name)
        return f"replay-{self.replays + 1}-{match[2] if match else self._digest.hex()[:32]}"

    @property
    def due(self) -> datetime:
        """Replays come after 0, 10, 40, 130 and 400 minutes. What is broken for all must not become a storm."""
        return self.stopped + timedelta(minutes=5 * 3**self.replays - 5)

    @property
    def mark(self) -> bytes:
        return self._digest[:8]

    @property
    def _digest(self) -> bytes:
        return hashlib.sha256(self.arn.encode()).digest()


@dataclass(frozen=True, slots=True)
class Started:
    """An execution that the sweep has started, and the reason."""

    name: str
    document: Any
    why: str


class StateMachine(Protocol):
    """The state machine, as the sweep sees it. Each method may raise what AWS answers, for that call alone."""

    def running(self) -> frozenset[str]:
        """The ARNs of the executions that run, as the list has them: a little late."""

    def is_running(self, arn: str) -> bool:
        """False as well for an execution that Step Functions does not know any more."""

    def start(self, name: str, document: Any) -> bool:
        """Start an execution with this input; False if the name has been used before."""

    def ended_badly(self, started_since: datetime) -> Sequence[Ended]:
        """The executions begun since then that failed, were aborted or timed out, in no order."""

    def was_accepted(self, arn: str) -> bool:
        """Whether the execution left Join Batch, so that its change is in the batch table."""

    def input_of(self, arn: str) -> Any:
        """The JSON document that the execution was started with."""


@dataclass(frozen=True, slots=True)
class Look:
    """An execution that is to be looked at; ``looks`` counts the attempts that failed."""

    ended: Ended
    due: datetime
    looks: int = 0

    @property
    def key(self) -> Key:
        return Key(REPLAYS, f"{to_text(self.due)}#{self.ended.replay_name}")

    def to_item(self) -> Item:
        text = {"execution": self.ended.arn, "name": self.ended.name, "stopped": to_text(self.ended.stopped)}
        return {"pk": self.key.pk, "sk": self.key.sk, "v": VERSION, **text, "looks": self.looks}

    @classmethod
    def from_item(cls, item: Item) -> Look:
        """Raises RecordsOfLaterRelease."""
        readable(item)
        ended = Ended(item["execution"], item["name"], datetime.fromisoformat(item["stopped"]))
        return cls(ended, datetime.fromisoformat(item["sk"].partition("#")[0]), item["looks"])


def note_ended(table: BatchTable, machine: StateMachine, now: datetime) -> tuple[str, ...]:
    """Write an item for each execution that has ended badly since the last time.

    Returns the names of those that have been replayed as often as they may. Orders of the sweep get no item: they
    carry no change, and where they are still due the sweep gives them anew.
    """
    notes = table.get(_NOTES) or {}
    readable(notes)
    since = datetime.fromisoformat(notes["endedSince"]) if notes else now - LOOK_BACK
    marks = _split(notes.get("marks", b""))
    ended = machine.ended_badly(since - LONGEST_EXECUTION)
    listed = sorted(
        (each for each in ended if each.stopped >= since and not each.name.startswith(SWEEP_PREFIX)),
        key=lambda each: each.stopped,
    )
    fresh = [each for each in listed if each.mark not in marks]
    noted, left = fresh[:MOST_NOTED], fresh[MOST_NOTED:]
    table.put_all(Look(each, each.due).to_item() for each in noted if each.replays < MAX_REPLAYS)
    if listed:  # by the clock of Step Functions alone: the sweep's own may be another
        since = left[0].stopped if left else max(since, listed[-1].stopped - LISTED_LATE)
    marks |= {each.mark for each in noted}
    kept = [each for each in listed if each.stopped >= since and each.mark in marks]
    if len(kept) > MARKS:
        kept = kept[-MARKS:]
        since = kept[0].stopped
    notes = {"endedSince": to_text(since), "marks": b"".join(each.mark for each in kept)}
    table.put({"pk": _NOTES.pk, "sk": _NOTES.sk, "v": VERSION, **notes})
    return tuple(each.name for each in noted if each.replays >= MAX_REPLAYS)


def due_looks(table: BatchTable, now: datetime) -> Iterator[Item]:
    """The items that are due, those first that have been due for longest."""
    latest = to_text(now)
    for item in items(table, REPLAYS):
        if item["sk"].partition("#")[0] > latest:
            return
        yield item


def look_at(machine: StateMachine, ended: Ended) -> Started | None:
    """Start the execution again, unless its change is in the table or it carries none."""
    if machine.was_accepted(ended.arn):
        return None
    document = machine.input_of(ended.arn)
    if isinstance(document, dict) and {"lead", "retryBatch"} & set(document):
        return None
    replay = Started(ended.replay_name, document, f"the changes of {ended.name} were not accepted")
    return replay if machine.start(replay.name, replay.document) else None


def look_later(table: BatchTable, look: Look, now: datetime) -> bool:
    """Put a look that failed behind the others, for a growing time. False: it has failed too often."""
    looks = look.looks + 1
    if looks < MAX_LOOKS:
        wait = min(timedelta(minutes=5) * 3 ** min(looks - 1, 9), timedelta(days=1))
        table.put(Look(look.ended, now + wait, looks).to_item())
    table.delete_all([look.key])
    return looks < MAX_LOOKS


def _split(marks: bytes) -> frozenset[bytes]:
    return frozenset(marks[at : at + 8] for at in range(0, len(marks), 8))
