"""What a storm of changes costs and evicts: with and without free paths, and the least that there could be.

The planner itself is run, with the paths that a plain distribution serves the keys under, and with the bucket's keys as
a listing gives them. The fewest possible are found another way (``fewest``). Processor time is that of planning alone.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.fewest import fewest_evicted
from benchmarks.sites import SITES, Deploy, deploy
from benchmarks.verdicts import Verdict, at_most
from invalidation.cloudfront.distribution import Distribution
from invalidation.cloudfront.limits import FREE_PATHS_A_MONTH, MAX_PATHS_OF_BATCH, MAX_WILDCARDS_OF_BATCH, price
from invalidation.cloudfront.listing import Listing
from invalidation.cloudfront.paths import covers
from invalidation.cloudfront.plan import Plan, are_few, plan_keys
from invalidation.cloudfront.routing import paths_for, viewer_paths
from invalidation.cloudfront.rules import Budget, PathRules

SIZES = (30, 100, 300, 1_000)
WITHIN, BEYOND, EXACT = "within the allowance", "beyond the allowance", "each path by itself"
UNLISTED = "beyond, without a listing"
THRIFTY, FREE = Budget(), Budget(MAX_PATHS_OF_BATCH, MAX_PATHS_OF_BATCH, MAX_WILDCARDS_OF_BATCH)
BUDGETS = {UNLISTED: THRIFTY, WITHIN: FREE, BEYOND: THRIFTY}

FIVE_PERCENT = 5.0
LISTED = 50_000
SECONDS_FOR_A_LISTING = 5.0

SERVING = Distribution.from_document(
    {
        "id": "E1",
        "bucket": "site",
        "origins": [{"id": "site", "domainName": "site.s3.us-east-1.amazonaws.com"}],
        "behaviors": [{"pattern": "*", "originIds": ["site"]}],
        "defaultRootObject": "index.html",
    }
)
RULES = PathRules()


@dataclass(frozen=True, slots=True)
class Row:
    """One storm by one rule. ``fewest`` is what the best cover of that size evicts, None where no cover was needed."""

    site: str
    objects: int
    changes: int
    rule: str
    paths: int
    wildcards: int
    evicted: int
    unchanged: int
    fewest: int | None

    @property
    def dollars(self) -> float:
        """In a month that has its free paths left."""
        return float(price(max(0, self.paths - FREE_PATHS_A_MONTH)))

    @property
    def dollars_beyond(self) -> float:
        """In a month whose free paths are used up."""
        return float(price(self.paths))

    @property
    def percent(self) -> float:
        return 100 * self.evicted / self.unchanged


@dataclass(frozen=True, slots=True)
class Large:
    """Planning with a listing of ``LISTED`` keys, of which so many changed."""

    case: str
    changes: int
    seconds: float
    evicted: int


def run() -> list[Row]:
    """All sites, sizes and rules."""
    return [row for site in SITES for size in SIZES for row in storm(deploy(site, size))]


def storm(made: Deploy) -> Iterator[Row]:
    asked = sorted(set(paths_for(SERVING, made.changed, RULES)))
    kept = sorted(set(viewer_paths(SERVING, made.unchanged, RULES)))
    for rule, budget in BUDGETS.items():
        yield _row(made, rule, _plan(made, budget, listed=rule != UNLISTED), kept, _fewest(asked, kept, budget))
    yield _row(made, EXACT, Plan(tuple(asked)), kept, None)


def listings() -> list[Large]:
    """As large as a listing may be: a deploy, and every other object of a site changed, in no order."""
    whole = deploy("documentation", round(LISTED / 2.7))
    keys = [*whole.changed, *whole.unchanged]
    random.Random(1).shuffle(keys)
    half = Deploy("scattered", tuple(keys[: len(keys) // 2]), tuple(keys[len(keys) // 2 :]))
    return [_listing(whole), _listing(half)]


def verdicts(rows: Sequence[Row], with_listings: Sequence[Large]) -> Iterator[Verdict]:
    within = [row for row in rows if row.rule == WITHIN]
    hundred = max((row for row in within if row.changes == 100), key=lambda row: row.evicted)
    yield at_most(f"100 changes within the allowance: evicted (most: {hundred.site})", hundred.evicted, 0)
    yield at_most("100 changes within the allowance: dollars", max(r.dollars for r in within if r.changes == 100), 0)
    release = next(row for row in within if (row.site, row.changes) == ("documentation", 1_000))
    yield at_most(
        "1,000 changes of the documentation: evicted, of the unchanged", release.percent, FIVE_PERCENT, "{:.1f}%"
    )
    beyond_best = max(row.evicted - row.fewest for row in rows if row.rule != UNLISTED and row.fewest is not None)
    yield at_most("evicted beyond the fewest that any cover of that size evicts", beyond_best, 0)
    slowest = max(with_listings, key=lambda each: each.seconds)
    yield at_most(
        f"planning with a listing of {LISTED:,} keys ({slowest.case})",
        slowest.seconds,
        SECONDS_FOR_A_LISTING,
        "{:.1f} s",
    )


def _plan(made: Deploy, budget: Budget, *, listed: bool) -> Plan:
    around = Listing((*made.changed, *made.unchanged) if listed else None)
    return plan_keys(SERVING, lambda: made.changed, RULES, budget, listed=lambda: around)


def _row(made: Deploy, rule: str, planned: Plan, kept: Sequence[str], fewest: int | None) -> Row:
    wildcards = [path for path in planned.paths if path.endswith("*")]
    evicted = sum(any(covers(each, path) for each in wildcards) for path in kept)
    objects = len(made.changed) + len(made.unchanged)
    return Row(
        made.site, objects, len(made.changed), rule, len(planned.paths), len(wildcards), evicted, len(kept), fewest
    )


def _fewest(asked: list[str], kept: list[str], budget: Budget) -> int | None:
    """What any cover evicts at least: what asked-for wildcards evict by themselves, and the fewest that are added."""
    wildcards = [path for path in asked if path.endswith("*")]
    needed = [path for path in asked if not any(path != each and covers(each, path) for each in wildcards)]
    if are_few(needed, budget.max_exact_paths) and sum(path.endswith("*") for path in needed) <= budget.max_wildcards:
        return None
    purged = {path for path in kept if path in asked or any(covers(each, path) for each in wildcards)}
    unchanged = [path for path in kept if path not in purged]
    return len(purged) + fewest_evicted(
        needed, unchanged, max_paths=budget.max_cover_paths, max_wildcards=budget.max_wildcards
    )


def _listing(made: Deploy) -> Large:
    around = Listing((*made.changed, *made.unchanged))
    begun = time.process_time()
    planned = plan_keys(SERVING, lambda: made.changed, RULES, FREE, listed=lambda: around)
    seconds = time.process_time() - begun
    return Large(made.site, len(made.changed), seconds, sum(each.unchanged or 0 for each in planned.widened))
