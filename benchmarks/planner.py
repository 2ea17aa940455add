"""How long the planner takes, how much memory, and how much more than it must it invalidates.

Each case is measured in a fresh process: the peak of its memory with the paths coming from an iterator, as they do in
the function; the processor's time with the paths in a list, so that making them does not count.

How close to optimal: the planner's cover is the narrowest by its own definition, as its tests show against every cover
there is. The definition stands in for what a planner cannot know: what else the site holds. Here the site is known, so
the objects that were invalidated though they had not changed are counted, beside the fewest that any cover within the
same budget could have reached (``fewest``).
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

from benchmarks.fewest import fewest_evicted
from invalidation.cloudfront.plan import Plan, plan_paths
from invalidation.cloudfront.rules import Budget

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


def editors(keys: int) -> Site:
    """A magazine: one section is rewritten, and editors have touched single pages, or a folder of them, in others."""
    chance = random.Random(4)
    sections = ("arts", "books", "food", "money", "news", "science", "sport", "travel")
    for at in range(keys):
        yield f"/news/{chance.choice(('live', 'world', 'home', 'data'))}/{chance.getrandbits(48):012x}.html", True
        section, folder = chance.choice(sections), chance.randint(1, 12)
        touched = folder == 7 and section in {"food", "travel"} and chance.random() < 0.9
        yield f"/{section}/{folder:02}/{chance.getrandbits(48):012x}.html", touched or at % (keys // 4) == 0


def alike(keys: int) -> Site:
    """Paths near CloudFront's longest, which differ only at their end."""
    for at in range(keys):
        yield "/" + "%C3%BC" * 650 + f"/{at:07}", True


CASES: dict[str, Callable[[int], Site]] = {each.__name__: each for each in (release, photos, scattered, editors, alike)}
SHORT = [("release", 1_000), ("release", 10_000), ("release", 100_000)]
LONG = [
    *SHORT,
    ("release", 1_000_000),
    ("photos", 100_000),
    ("scattered", 100_000),
    ("editors", 100_000),
    ("alike", 10_000),
]


def run(*, short: bool = False) -> list[Row]:
    """Measure each case in a process of its own."""
    return [_in_a_fresh_process(case, keys) for case, keys in (SHORT if short else LONG)]


def verdicts(rows: list[Row]) -> Iterator[tuple[str, bool]]:
    """Each target that the rows say something about, and whether they meet it."""
    for row in rows:
        if row.keys == 100_000:
            seconds = row.microseconds_per_key * row.keys / 1e6
            yield (
                f"{row.case}, 100,000 keys: {seconds:.2f} s of {SECONDS_FOR_100_000:.2f}",
                seconds <= SECONDS_FOR_100_000,
            )
        if row.keys == 1_000_000:
            peak = row.peak_megabytes
            yield (
                f"{row.case}, 1,000,000 keys: {peak:.0f} MB of {MEGABYTES_FOR_1_000_000}",
                peak < MEGABYTES_FOR_1_000_000,
            )


def measure(case: str, keys: int) -> Row:
    """Measure one case in this process, which has done nothing else before."""
    found = plan_paths((path for path, changed in CASES[case](keys) if changed), BUDGET)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

    asked = [path for path, changed in CASES[case](keys) if changed]
    start = time.process_time()
    plan_paths(asked, BUDGET)
    seconds = time.process_time() - start

    asked = sorted(set(asked))
    site = sorted({path for path, _ in CASES[case](keys)})
    return Row(
        case=case,
        keys=keys,
        microseconds_per_key=seconds / keys * 1e6,
        peak_megabytes=peak,
        paths=len(found.paths),
        wildcards=found.wildcards,
        unchanged_percent=100 * (_covered(found, site) - len(asked)) / len(site),
        fewest_unchanged_percent=100 * (fewest_covered(asked, site, BUDGET) - len(asked)) / len(site),
    )


def mean_unchanged_percent(deploys: int) -> tuple[float, float]:
    """Over random small deploys: what was invalidated unchanged, in per cent of the site, and the least possible."""
    chance = random.Random(5)
    ours = least = 0.0
    done = 0
    while done < deploys:
        site = sorted(set(_random_folder(chance, "/", depth=0)))
        folders = sorted({path[: path.rindex("/") + 1] for path in site})
        rewritten = chance.sample(folders, min(len(folders), chance.randint(0, 6)))
        touched = set(chance.sample(site, min(len(site), chance.choice((0, 5, 20, 100)))))
        asked = [path for path in site if path in touched or path.startswith(tuple(rewritten))]
        if len(asked) > BUDGET.max_exact_paths:
            ours += 100 * (_covered(plan_paths(asked, BUDGET), site) - len(asked)) / len(site)
            least += 100 * (fewest_covered(asked, site, BUDGET) - len(asked)) / len(site)
            done += 1
    return ours / deploys, least / deploys


def _random_folder(chance: random.Random, folder: str, depth: int) -> Iterator[str]:
    stem = chance.choice(("", "img-", "2025-", "page"))
    for _ in range(chance.choice((1, 4, 40)) if depth else 4):
        yield f"{folder}{stem}{chance.getrandbits(chance.choice((8, 24))):x}.html"
    for _ in range(chance.randint(2, 9) if depth == 0 else chance.randint(0, 5) if depth < 4 else 0):
        yield from _random_folder(
            chance, f"{folder}{chance.choice(('a', 'blog', 'docs', 'v'))}{chance.randint(1, 30)}/", depth + 1
        )


def _covered(found: Plan, site: list[str]) -> int:
    return sum(_beginning_with(path[:-1], site) if path.endswith("*") else 1 for path in found.paths)


def fewest_covered(asked: list[str], site: list[str], budget: Budget) -> int:
    """The fewest objects of the site that any cover of the asked-for paths reaches. Both lists are sorted."""
    changed = set(asked)
    unchanged = [path for path in site if path not in changed]
    return len(asked) + fewest_evicted(
        asked, unchanged, max_paths=budget.max_cover_paths, max_wildcards=budget.max_wildcards
    )


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
    rows = run(short=arguments.short)
    print("| case | keys | µs a key | peak MB | paths | wildcards | unchanged, % of site | fewest possible, % |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        print(
            f"| {row.case} | {row.keys:,} | {row.microseconds_per_key:.2f} | {row.peak_megabytes:.0f} | {row.paths} "
            f"| {row.wildcards} | {row.unchanged_percent:.2f} | {row.fewest_unchanged_percent:.2f} |"
        )
    deploys = 100 if arguments.short else 1_000
    ours, least = mean_unchanged_percent(deploys)
    print(f"\nMean of {deploys:,} random deploys: {ours:.1f} % unchanged, fewest possible {least:.1f} %")
    for what, met in verdicts(rows):
        print(f"{'met' if met else 'MISSED'}: {what}")


if __name__ == "__main__":
    main()
