"""Random schedules: what happens in each follows from its seed alone, so that a failure can be run again.

A schedule has a stormy part, in which faults strike, and a calm one, in which the clock moves on and the sweep runs as
it does every five minutes. Nothing else happens in the calm part: no further change comes to the rescue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from invalidation.batches import finish as abandoning
from invalidation.batches import head as pausing
from invalidation.batches.head import Window
from invalidation.batches.model import Batch
from invalidation.batches.model import Outcome as Ending
from invalidation.batches.sweep import RESERVE_SECONDS
from invalidation.batches.table import Item
from invalidation.events import Change
from tests.simulation import faults as trouble
from tests.simulation.faults import Fault, Faults
from tests.simulation.machine import RETENTION, Protocol, StateMachine
from tests.simulation.scheduler import Scheduler, Task
from tests.simulation.world import World

WINDOWS = (Window(10, 60), Window(10, 60, max_paths_a_day=1_000_000), Window(2, 8), Window(0, 0))
BUCKETS = ("one", "two")
KEYS = ("a1", "a2", "b1", "b2")
SWEEP_SECONDS = 600.0
SENDING_SECONDS = 120
"""With requests that are refused until they are small enough."""
SCHEDULE_SECONDS = 300.0
SCHEDULED_SWEEPS = 4
"""Within which all must be covered where Join alone fails."""
MANY_CALLS = 1_000_000
MOST_RETRIES = 2
MOST_SWEEPS = 20
"""In the calm part. Three tries of a batch need 5 + 15 minutes, and parked ones are retried by hand."""


class Lost(AssertionError):
    """An invariant is broken; the message says which, and how to see it again."""


@dataclass(slots=True)
class Outcome:
    """What one schedule came to."""

    seed: int
    broken: list[str] = field(default_factory=list)
    accepted: int = 0
    lost: int = 0
    parked: int = 0
    """Batches that were retried by hand in the end."""
    abandoned: int = 0
    steps: int = 0
    struck: Counter[Fault] = field(default_factory=Counter)
    trace: list[str] | None = None

    def check(self) -> None:
        if self.broken:
            how = f"python -m tests.simulation.soak --replay {self.seed}"
            raise Lost(f"{'; '.join(self.broken)} -- see it with: {how}")


class RandomChoices:
    """Any task may be next; now and then a second passes first.

    In some schedules a task tends to go on: one that is far ahead while another stands still in the middle of its work
    is what finds most mistakes, and turns taken evenly hardly ever come to it.

    ``in_time``: no more time passes than leaves every Close inside its window.
    """

    def __init__(self, world: World, *, in_time: bool = False) -> None:
        self._world = world
        self._in_time = in_time
        self._persistence = world.random.choice([0, 0.7, 0.9, 0.97])
        self._last: Task | None = None

    def choose(self, scheduler: Scheduler) -> Task | None:
        random, last = self._world.random, self._last
        goes_on = last is not None and last in scheduler.tasks and last.until <= scheduler.clock
        if goes_on and random.random() < self._persistence:
            return last
        ready = scheduler.ready()
        if ready and random.random() < 0.03:
            until = scheduler.clock + random.random() * 2
            latest = min([until, *self._world.deadlines.values()]) - 0.001 if self._in_time else until
            self._world.worked += max(0.0, latest - scheduler.clock)
            scheduler.clock = max(scheduler.clock, latest)
        self._last = ready[int(random.random() * len(ready))] if ready else None
        return self._last


def given_up(
    seed: int, abandon: Callable[..., object] = abandoning.abandon, *, among: Collection[Fault] = tuple(Fault)
) -> Outcome:
    """A stormy schedule in whose end a person gives up each batch that is parked, while another one retries it."""
    return stormy(seed, among=among, abandon=abandon)


def stormy(
    seed: int,
    protocol: Protocol | None = None,
    *,
    among: Collection[Fault] = tuple(Fault),
    trace: bool = False,
    abandon: Callable[..., object] | None = None,
) -> Outcome:
    """One schedule with faults: whatever was accepted is covered in the end, and nothing is left over."""
    random = Random(seed)  # noqa: S311 -- a schedule is to be repeatable, not secret
    faults = Faults.some(random, among)
    world, machine = _set_up(random, faults, protocol, trace=trace)
    _let_changes_come(world, machine)
    for _ in range(random.randrange(3)):
        cut = faults.strike((Fault.SWEEP_CUT_SHORT,), weight=4)
        calls = RESERVE_SECONDS + random.choice([5, 20, 60]) if cut else MANY_CALLS
        machine.sweep_once(at=random.uniform(0, 700), calls=calls)
    for bucket in BUCKETS:
        if faults.strike((Fault.PAUSED,), weight=4):
            machine.by_hand(partial(pausing.pause, world.table, bucket), at=random.uniform(0, 30))
    choices = RandomChoices(world)
    world.scheduler.run(choices, turns=random.randrange(20, 400))
    faults.calm = True
    broken = [f"{event} belonged to nobody when the faults ended" for event in _unowned(world)]
    world.scheduler.run(choices)
    for bucket in BUCKETS:
        machine.by_hand(partial(pausing.resume, world.table, bucket, WINDOWS[0], world.now), at=world.scheduler.clock)
    world.scheduler.run(choices)
    parked = _sweep_until_quiet(world, machine, abandon)
    if random.random() < 0.2 and abandon is None:  # what was given up is known by its records, which expire
        parked += _days_later(world, machine, abandon)
    broken += [f"{event} was never accepted" for event in machine.events() if event not in world.observed.accepted]
    return _judge(Outcome(seed, broken, parked=parked), world)


def _days_later(world: World, machine: StateMachine, abandon: Callable[..., object] | None) -> int:
    """An event is delivered once more; and when records have expired, again."""
    for days in (3, 2 * RETENTION.days):
        world.scheduler.clock += days * 86_400
        world.table.expire(world.now())
        machine.begin(f"duplicate {days}", machine.documents[0], at=world.scheduler.clock)
        world.scheduler.run(RandomChoices(world))
    return _sweep_until_quiet(world, machine, abandon)


def calm(seed: int, protocol: Protocol | None = None, *, trace: bool = False) -> Outcome:
    """One schedule without faults and without the sweep: everything is covered all the same, and once."""
    random = Random(seed)  # noqa: S311 -- a schedule is to be repeatable, not secret
    world, machine = _set_up(random, trouble.none(random), protocol, trace=trace)
    batching = machine.window.seconds > 0
    _let_changes_come(world, machine)
    world.scheduler.run(RandomChoices(world, in_time=True))
    outcome = _judge(Outcome(seed, _late(world, machine.window)), world)
    if batching:
        # Without it there is no window for a Close to end in.
        outcome.broken += [f"{event} is covered twice" for event in world.observed.covered_twice()]
    return outcome


def repeated(seed: int, protocol: Protocol | None = None, *, trace: bool = False) -> Outcome:
    """One schedule in which only Join fails, and is repeated: all is covered within bounds.

    That needs no sweep as long as an attempt of Join ends before the next one begins. In every other schedule it may go
    on beside it, or come minutes late. Then it may open, or freeze, a batch in the name of an execution that has ended
    as a follower, and what is in that batch waits for the sweep.
    """
    random = Random(seed)  # noqa: S311 -- a schedule is to be repeatable, not secret
    beside = random.random() < 0.5
    faults = trouble.FaultsInJoin(random, trouble.REPEATING + trouble.BESIDE if beside else trouble.REPEATING)
    world, machine = _set_up(random, faults, protocol, trace=trace)
    _let_changes_come(world, machine)
    for tick in range(SCHEDULED_SWEEPS if beside else 0):
        machine.sweep_once(at=random.uniform(0, SCHEDULE_SECONDS) + tick * SCHEDULE_SECONDS)
    world.scheduler.run(RandomChoices(world, in_time=True))
    # What comes late may write a change, or a batch, once more that is covered: that is left to a later sweep.
    late = _late(world, machine.window, machine.window.grace_seconds + 2 * SCHEDULE_SECONDS if beside else 0)
    return _judge(Outcome(seed, late), world, over=False)


def _late(world: World, window: Window, more: float = 0) -> list[str]:
    """Changes that waited for longer than a window, the sending, and what comes on top of that."""
    most = window.longest + SENDING_SECONDS + world.worked + more
    return [f"{event} was covered after {it:.0f} s" for event, it in world.observed.waited().items() if it > most]


def _set_up(random: Random, faults: Faults, protocol: Protocol | None, *, trace: bool) -> tuple[World, StateMachine]:
    world = World(random, faults, shards=random.choice([1, 1, 2]), page_size=random.choice([1, 10, 10]))
    world.trace = [] if trace else None
    return world, StateMachine(world, random.choice(WINDOWS), protocol or Protocol())


def _let_changes_come(world: World, machine: StateMachine) -> None:
    """Single events, lists of events, and requests, in bursts and apart, each perhaps twice."""
    random, faults = world.random, world.faults
    at = 0.0
    for number in range(random.choice([2, 2, 2, 3, 3, 4])):
        at += random.choice([0, 0, 0, 0.5, 3, 10, 40])
        document = _something(random, number)
        machine.begin(f"execution{number}", document, at=at)
        if "changes" in document and faults.strike((Fault.EVENT_TWICE,), weight=4):
            machine.begin(f"execution{number}again", document, at=at + random.choice([0, 5, 60, 200]))


def _something(random: Random, number: int) -> dict[str, object]:
    def change(bucket: str, part: int = 0) -> Change:
        return Change(bucket, random.choice(KEYS), event_id=f"event{number}.{part}")

    match random.random():
        case kind if kind < 0.1:
            return {"keys": [change("one")]}
        case kind if kind < 0.25:
            return {"changes": {"one": [change("one"), change("one", 1)], "two": [change("two", 2)]}}
        case _:
            bucket = random.choice(["one", "one", "two"])
            return {"changes": {bucket: [change(bucket)]}}


def _sweep_until_quiet(world: World, machine: StateMachine, abandon: Callable[..., object] | None) -> int:
    """As the schedule does, until there is nothing left to do; then a person retries what is parked, twice at most.

    A first retry may be the one to see that an invalidation has purged nothing; the second one sends another. Returns
    how many were retried. Where one is abandoned as well, that happens beside the retry: either may come first.
    """
    choices = RandomChoices(world)
    retried = retries = 0
    for _ in range(MOST_SWEEPS):
        world.scheduler.clock += SWEEP_SECONDS
        machine.sweep_once(at=world.scheduler.clock)
        world.scheduler.run(choices)
        swept = machine.swept[-1]
        records = _items(world, "META")
        owed = world.table.partitions.get("REPLAY") or any(item["state"] == "FROZEN" for item in records)
        if not owed and not swept.unfinished and not swept.started and not swept.waiting:
            parked = [item["batchId"] for item in records if item["state"] == "PARKED"]
            if retries == MOST_RETRIES or not parked:
                return retried
            retries += 1
            for number, batch_id in enumerate(parked, retried):
                machine.begin(f"byhand{number}", {"retryBatch": batch_id}, at=world.scheduler.clock)
                if abandon:
                    give_up = partial(abandon, world.table, batch_id, "enough", world.now, RETENTION)
                    machine.by_hand(give_up, at=world.scheduler.clock)
            retried += len(parked)
    return retried


def _judge(outcome: Outcome, world: World, *, over: bool = True) -> Outcome:
    """``over``: whether nothing is to be left."""
    outcome.broken += [*world.observed.crashes, *dict.fromkeys(world.observed.broken)]
    abandoned = {event for item in _abandoned(world) for event in world.listed(item)}
    lost = [event for event in world.observed.uncovered() if event not in abandoned]
    outcome.broken += [f"{event} is not covered" for event in lost]
    for pk, partition in world.table.partitions.items() if over else ():
        outcome.broken += [f"{pk} still has {sk}" for sk in partition if pk.startswith("PENDING")]
    for item in _items(world, "META") if over else ():
        outcome.broken += [f"{item['pk']} has not ended"] if item["state"] != "ENDED" else []
    outcome.broken += world.observed.in_vain
    outcome.broken += _kept_for_ever(world)
    outcome.accepted = len(world.observed.accepted)
    outcome.lost, outcome.abandoned = len(lost), len(_abandoned(world))
    outcome.steps = world.scheduler.steps
    outcome.struck = world.faults.struck
    outcome.trace = world.trace
    world.scheduler.close()
    return outcome


def _kept_for_ever(world: World) -> list[str]:
    """Lists and targets of batches that ended by themselves, and would never expire."""
    return [
        f"{item['pk']} / {item['sk']} never expires"
        for meta in _items(world, "META")
        if meta["state"] == "ENDED" and meta["outcome"] != Ending.ABANDONED.value
        for item in world.table.partitions[Batch.key_of(meta["batchId"]).pk].values()
        if item["sk"].startswith((f"KEYS#{meta['attempt']}#", *(f"TARGET#{each}" for each in meta.get("resolved", ()))))
        if "expiresAt" not in item
    ]


def _unowned(world: World) -> Sequence[str]:
    """Changes that are uncovered, and neither pending nor on the list of a batch that has not ended."""
    owned = {item["eventId"] for item in _items(world, "") if item["pk"].startswith("PENDING")}
    for item in _items(world, "META"):
        if item["state"] != "ENDED":
            owned |= world.listed(item).keys()
    return [event for event in world.observed.uncovered() if event not in owned]


def _abandoned(world: World) -> list[Item]:
    return [item for item in _items(world, "META") if item.get("outcome") == Ending.ABANDONED.value]


def _items(world: World, sk: str) -> list[Item]:
    partitions = world.table.partitions.values()
    return [item for partition in partitions for key, item in partition.items() if not sk or key == sk]
