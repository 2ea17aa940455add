"""Runs all benchmarks and writes ``RESULTS.md`` and ``growth.svg`` beside this file."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchmarks import cold_start, deploys, growth, latency, machine, months, planner, quotes, storms, throughput
from benchmarks.calibration import Calibration, calibrate
from benchmarks.chart import chart
from benchmarks.prices import total
from benchmarks.report import Results, document, verdicts
from benchmarks.sites import deploy
from benchmarks.verdicts import Verdict, at_most

HERE = Path(__file__).parent
IDLE_MONTH = 2.35
LIMITED = (deploys.UNBATCHED, deploys.BATCHING, deploys.PATIENT)

T = TypeVar("T")


def step(what: str, work: Callable[[], T]) -> T:
    """Do it, and say how long it took."""
    print(f"{what} …", end=" ", flush=True)
    begun = time.monotonic()
    done = work()
    print(f"{time.monotonic() - begun:.0f} s", flush=True)
    return done


def run(*, short: bool) -> Results:
    """All of it; about a minute in the short form, some minutes in the long one."""
    starts = step("Cold starts", lambda: cold_start.run(rounds=3 if short else 15, functions=1 if short else None))
    init = {row.function: row.init for row in starts}
    calibration = step("The SDK's calls", lambda: calibrate(init, rounds=8 if short else 25))
    deployed = step("Deploys", lambda: deploys.run(calibration, short=short))
    limited = [] if short else step("The rivals within limits", lambda: _limited(calibration))
    month = step("An idle month", lambda: months.idle_month(calibration))
    latencies = step("Time to an invalidation", lambda: latency.run(calibration))
    grown = step("Growth", lambda: growth.run(calibration, short=short))
    planned = step("Planner", lambda: _planned(short=short))
    stormed = step("Storms", lambda: [] if short else storms.run())
    listed = step("Large listings", lambda: [] if short else storms.listings())
    through = step("The local AWS", lambda: throughput.run(300 if short else 1_000))
    judged = [
        *deploys.verdicts(deployed),
        at_most("an idle month", total(month), IDLE_MONTH, deploys.DOLLARS),
        *latency.verdicts(latencies),
        *growth.verdicts(deployed, grown),
        *(_of_planner(text, met=met) for text, met in planner.verdicts(planned)),
        *(storms.verdicts(stormed, listed) if stormed else ()),
        *cold_start.verdicts(starts, machine.lambda_python()),
    ]
    return Results(
        deployed,
        limited,
        month,
        months.idle_queue(),
        latencies,
        grown,
        planned,
        stormed,
        listed,
        starts,
        cold_start.package(),
        through,
        calibration,
        judged,
    )


def _limited(calibration: Calibration) -> list[deploys.Row]:
    many = deploy(deploys.DOCUMENTATION, deploys.SIZES[-1])
    return [deploys.rival(name, many, deploys.RATES[0], calibration, limited=True) for name in LIMITED]


def _planned(*, short: bool) -> list[planner.Row]:
    """From a small process: on Linux, a child's peak of memory begins with that of the process that started it."""
    rows = f"[asdict(row) for row in planner.run(short={short})]"
    code = f"import json; from dataclasses import asdict; from benchmarks import planner; print(json.dumps({rows}))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - written above
    return [planner.Row(**each) for each in json.loads(done.stdout)]


def _of_planner(text: str, *, met: bool) -> Verdict:
    """From ``what: found of target``."""
    what, _, numbers = text.partition(": ")
    found, _, target = numbers.partition(" of ")
    return Verdict(f"planner: {what}", found, f"≤ {target}", met)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="within a minute, and print the results only")
    arguments = parser.parse_args()
    about = machine.described()
    begun = time.monotonic()
    results = run(short=arguments.short)
    text = document(results, about, short=arguments.short)
    if arguments.short:
        print(text)
    else:
        title = "The bill of a deploy, by the number of objects"
        (HERE / "growth.svg").write_text(chart(title, "objects that change", growth.lines(results.deployed)))
        (HERE / "RESULTS.md").write_text(text)
        quotes.write()
        print(f"\nWritten: {HERE / 'RESULTS.md'} and growth.svg\n")
    print(verdicts(results.verdicts))
    missed = sum(not each.met for each in results.verdicts)
    print(f"\n{len(results.verdicts) - missed} targets met, {missed} missed, in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
