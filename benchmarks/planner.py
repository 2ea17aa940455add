"""How long the planner takes, how much memory, and how much more than it must it invalidates.

Each case is measured in a fresh process: the peak of its memory with the paths coming from an iterator, as they do in
the function; the time with the paths in a list, so that making them does not count.

How close to optimal: the planner's cover is the narrowest by its own definition, as its tests show against every cover
there is. The definition stands in for what a planner cannot know: what else the site holds. Here the site is known, so
the objects that were invalidated though they had not changed are counted, beside the fewest that any cover within the
same budget could have reached. That one is found by trying, for each common prefix, each division of the budget.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from math import inf
from os.path import commonprefix

from invalidation.plan import Budget, plan

BUDGET = Budget()
SECONDS_FOR_100_000 = 1.0
MEGABYTES_FOR_1_000_000 = 512

Site = Iterator[tuple[str, bool]]
"""Encoded paths, each with whether it changed. Some may come twice."""


@dataclass(frozen=True, slots=True)
class Row:
    """One case. The last two are objects that had not changed but were invalidated, in per cent of the site."""

    case: str
    keys: int
    microseconds_per_key: float
    peak_megabytes: float
    paths: int
    wildcards: int
    unchanged_percent: float
    fewest_unchanged_percent: float


def release(keys: int) -> Site:
    """A documentation site: a release rewrites its assets, one version's pages, a few old posts and top-level files."""
    chance = random.Random(1)
    yield from ((path, True) for path in ("/index.html", "/404.html", "/sitemap.xml"))
    for at in range(keys - 3):
        kind, section = chance.random(), chance.choice(("guide", "reference", "tutorials", "faq"))
        if kind < 0.3:
            yield f"/assets/{chance.getrandbits(64):016x}.js", True
        elif at % 1000 == 0:
            yield f"/blog/{chance.randint(2019, 2025)}/{at:06}-{section}/index.html", True
        else:
            yield f"/docs/latest/{section}/page-{at:06}/index.html", True
        yield f"/docs/v{chance.randint(1, 3)}/{section}/page-{at:06}/index.html", False
        yield f"/blog/{chance.randint(2015, 2025)}/{at:06}/index.html", False


def photos(keys: int) -> Site:
    """A photo archive: two months are imported, each picture with two thumbnails."""
    chance = random.Random(2)
    for at in range(keys // 3):
        month, old = chance.choice(("2025/11", "2025/12")), f"{chance.randint(2015, 2024)}/{chance.randint(1, 12):02}"
        for size in ("original", "large", "small"):
            yield f"/photos/{month}/{size}/IMG_{at:07}.jpg", True
            yield f"/photos/{old}/{size}/IMG_{at:07}.jpg", False


def scattered(keys: int) -> Site:
    """A shop: one in five of its product pages has changed, in no order."""
    chance = random.Random(3)
    for at in range(keys * 5):
        yield f"/products/{chance.getrandbits(40):010x}/index.html", at % 5 == 0


def alike(keys: int) -> Site:
    """Paths near CloudFront's longest, which differ only at their end."""
    for at in range(keys):
        yield "/" + "%C3%BC" * 650 + f"/{at:07}", True


CASES: dict[str, Callable[[int], Site]] = {each.__name__: each for each in (release, photos, scattered, alike)}
SHORT = [("release", 1_000), ("release", 10_000), ("release", 100_000)]
LONG = [*SHORT, ("release", 1_000_000), ("photos", 100_000), ("scattered", 100_000), ("alike", 10_000)]


def run(*, short: bool = False) -> list[Row]:
    """Measure each case in a process of its own."""
    return [_in_a_fresh_process(case, keys) for case, keys in (SHORT if short else LONG)]


def measure(case: str, keys: int) -> Row:
    """Measure one case in this process, which has done nothing else before."""
    found = plan((path for path, changed in CASES[case](keys) if changed), BUDGET)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

    asked = [path for path, changed in CASES[case](keys) if changed]
    start = time.perf_counter()
    plan(asked, BUDGET)
    seconds = time.perf_counter() - start

    asked = sorted(set(asked))
    site = sorted({path for path, _ in CASES[case](keys)})
    covered = sum(_beginning_with(path[:-1], site) if path.endswith("*") else 1 for path in found.paths)
    return Row(
        case=case,
        keys=keys,
        microseconds_per_key=seconds / keys * 1e6,
        peak_megabytes=peak,
        paths=len(found.paths),
        wildcards=found.wildcards,
        unchanged_percent=100 * (covered - len(asked)) / len(site),
        fewest_unchanged_percent=100 * (fewest_covered(asked, site, BUDGET) - len(asked)) / len(site),
    )


def fewest_covered(asked: list[str], site: list[str], budget: Budget) -> float:
    """The fewest objects of the site that any cover of the asked-for paths reaches. Both lists are sorted."""
    table = _fewest(asked, site, budget.max_wildcards, budget.max_cover_paths)
    return table[budget.max_wildcards, budget.max_cover_paths]


Table = dict[tuple[int, int], float]
"""The fewest objects covered, by how many wildcards and how many paths there may be."""


def _fewest(asked: list[str], site: list[str], wildcards: int, paths: int) -> Table:
    budgets = list(product(range(wildcards + 1), range(paths + 1)))
    if len(asked) == 1:
        return {(w, p): 1 if p else inf for w, p in budgets}
    prefix = commonprefix((asked[0], asked[-1]))  # noqa: RUF071 - by character, not by directory, is what is meant
    reached = _beginning_with(prefix, site)
    best: Table = {(w, p): reached if w and p else inf for w, p in budgets}
    children = list(_children(asked, len(prefix)))
    if len(children) > paths:
        return best
    divided: Table = dict.fromkeys(budgets, 0)
    for child in children:
        below = _fewest(child, site, wildcards, paths - len(children) + 1)
        divided = {
            (w, p): min(
                (
                    cost + divided[w - used_w, p - used_p]
                    for (used_w, used_p), cost in below.items()
                    if used_w <= w and used_p <= p
                ),
            )
            for w, p in budgets
        }
    return {each: min(best[each], divided[each]) for each in budgets}


def _children(asked: list[str], length: int) -> Iterator[list[str]]:
    low = 0
    while low < len(asked):
        beginning = asked[low][: length + 1]
        high = low + 1 if len(asked[low]) == length else low + _beginning_with(beginning, asked[low:])
        yield asked[low:high]
        low = high


def _beginning_with(prefix: str, paths: list[str]) -> int:
    return bisect_left(paths, prefix + "\x7f") - bisect_left(paths, prefix)


def _in_a_fresh_process(case: str, keys: int) -> Row:
    command = [sys.executable, "-m", "benchmarks.planner", "--measure", case, str(keys)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own module
    return Row(**json.loads(output))


def main() -> None:
    """Print the table, and whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--short", action="store_true", help="up to 100,000 keys, in a few seconds")
    parser.add_argument("--measure", nargs=2, metavar=("CASE", "KEYS"), help="one case in this process, as JSON")
    arguments = parser.parse_args()
    if arguments.measure:
        case, keys = arguments.measure
        print(json.dumps(asdict(measure(case, int(keys)))))
        return
    print("| case | keys | µs a key | peak MB | paths | wildcards | unchanged, % of site | fewest possible, % |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in run(short=arguments.short):
        print(
            f"| {row.case} | {row.keys:,} | {row.microseconds_per_key:.2f} | {row.peak_megabytes:.0f} | {row.paths} "
            f"| {row.wildcards} | {row.unchanged_percent:.2f} | {row.fewest_unchanged_percent:.2f} |"
        )


if __name__ == "__main__":
    main()
