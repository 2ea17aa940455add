"""The long form: ``python -m tests.simulation.soak --schedules 1000000``.

First every interleaving of a few larger casts, then random schedules. Four in six have faults of every kind; one has
faults in Join only, and is to be over in time; one has none, and no sweep either.

One schedule is run again, and shown request by request, with ``--replay SEED``.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.exhaustive import Explorer, Stage
from tests.simulation.faults import Fault
from tests.simulation.scenarios import (
    frozen,
    frozen_after_sweeps,
    frozen_once,
    owned,
    three_joiners_of_a_quiet_bucket,
    two_attempts_of_close_and_a_joiner,
    two_attempts_of_join_and_a_joiner,
    two_joiners_and_a_leader,
)
from tests.simulation.schedules import Outcome, calm, repeated, stormy

AT_A_TIME = 500
OFTEN = 50_000
"""Schedules between two lines of progress, where no terminal shows it."""
CASTS = (
    (three_joiners_of_a_quiet_bucket, frozen_once, 0),
    (three_joiners_of_a_quiet_bucket, frozen_after_sweeps, 1),
    (two_joiners_and_a_leader, frozen_after_sweeps, 2),
    (two_attempts_of_close_and_a_joiner, frozen_after_sweeps, 2),
    (two_attempts_of_join_and_a_joiner, frozen, 0),
    (two_attempts_of_join_and_a_joiner, frozen_after_sweeps, 2),
)


@dataclass(slots=True)
class Totals:
    schedules: int = 0
    accepted: int = 0
    steps: int = 0
    lost: int = 0
    struck: Counter[Fault] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, other: Totals) -> None:
        self.schedules += other.schedules
        self.accepted += other.accepted
        self.steps += other.steps
        self.lost += other.lost
        self.struck += other.struck
        self.broken += other.broken


def one(seed: int, *, trace: bool = False) -> Outcome:
    kinds = {0: calm, 1: repeated}
    return kinds.get(seed % 6, stormy)(seed, trace=trace)


def some(seeds: Iterable[int]) -> Totals:
    """Collecting garbage in between takes a tenth of the time, and finds what there is in the end as well."""
    totals = Totals()
    gc.disable()
    for seed in seeds:
        outcome = one(seed)
        totals.schedules += 1
        totals.accepted += outcome.accepted
        totals.steps += outcome.steps
        totals.lost += outcome.lost
        totals.struck += outcome.struck
        if outcome.broken:
            totals.broken.append(f"seed {seed}: {'; '.join(outcome.broken)}")
    gc.enable()
    gc.collect()
    return totals


def many(schedules: int, first: int, processes: int) -> Iterator[Totals]:
    parts = [range(at, min(at + AT_A_TIME, first + schedules)) for at in range(first, first + schedules, AT_A_TIME)]
    if processes == 1:
        yield from map(some, parts)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(some, parts)


def report(totals: Totals, seconds: float) -> str:
    lines = [
        f"schedules tried    {totals.schedules:>12,}   in {seconds:,.0f} s",
        f"changes accepted   {totals.accepted:>12,}",
        f"turns taken        {totals.steps:>12,}",
        f"faults injected    {sum(totals.struck.values()):>12,}",
        *(f"  {totals.struck[fault]:>10,}  {fault.value}" for fault in Fault),
        f"invariants broken  {len(totals.broken):>12,}",
        f"keys lost          {totals.lost:>12,}",
    ]
    return "\n".join([*lines, *totals.broken[:10]])


def explore() -> list[str]:
    """Search the larger casts; what is broken."""
    return [complaint for cast in CASTS for complaint in explore_one(*cast)]


def explore_one(scenario: Callable[[Stage], None], finally_: Callable[[Stage], list[str]], deaths: int) -> list[str]:
    explored = Explorer(scenario, owned, finally_, deaths).explore()
    cast = f"{scenario.__name__.replace('_', ' ')}, {deaths} of whom may die"
    say(f"{explored.interleavings:,} interleavings of {cast}: {len(explored.broken)} broken")
    return [f"{cast}: {complaint}, after {moves}" for complaint, moves in explored.broken.items()]


def replay(seed: int) -> int:
    outcome = one(seed, trace=True)
    say("\n".join(outcome.trace or []))
    say("\n".join(outcome.broken) or "nothing is broken")
    return 1 if outcome.broken else 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--replay", type=int, metavar="SEED", help="show one schedule, request by request")
    parser.add_argument("--no-casts", dest="casts", action="store_false", help="random schedules only")
    options = parser.parse_args(arguments)
    if options.replay is not None:
        return replay(options.replay)
    began = time.monotonic()
    totals = Totals(broken=explore() if options.casts else [])
    for part in many(options.schedules, options.first, options.processes):
        totals.add(part)
        for broken in part.broken:
            sys.stderr.write(f"{broken}\n")
        if sys.stderr.isatty() or totals.schedules % OFTEN == 0:
            end = "\r" if sys.stderr.isatty() else "\n"
            sys.stderr.write(
                f"{totals.schedules:,} of {options.schedules:,} schedules, {len(totals.broken)} broken{end}"
            )
    say(report(totals, time.monotonic() - began))
    return 1 if totals.broken else 0


if __name__ == "__main__":
    sys.exit(main())
