"""What a deploy costs: counted over the real definition and the real handlers, beside the two rivals."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from benchmarks import baseline
from benchmarks.calibration import Calibration
from benchmarks.cloud.account import Account
from benchmarks.cloud.usage import Meter, Usage
from benchmarks.prices import besides_paths, total
from benchmarks.rivals import Handler, Rival
from benchmarks.sites import SITES, Deploy, deploy
from benchmarks.verdicts import Verdict, at_most
from invalidation.cloudfront.paths import invalidation_paths
from invalidation.config import Settings

SIZES = (1, 100, 1_000, 10_000)
RATES = (100, 1_000)
DOCUMENTATION = "documentation"
LOG_MONTHS = 1
"""LogRetentionDays is 30."""
DAYS_A_MONTH = 30.4

AT_ONCE = "queue without a window"
"""An intake that the stack does not have: what SQS holds is taken at once, up to ten changes for an execution."""

DOLLARS, CENTS = "${:.2f}", "${:.4f}"
TARGETS = {"direct": (0.90, 1.40), "buffered": (0.10, 0.60)}
"""Dollars for 10,000 objects: without paths, and in all."""

RIVALS: dict[str, tuple[Handler, float]] = {
    "one invalidation an object": (baseline.handler, 0.0),
    "/* on every change": (baseline.handler_of_everything, 0.0),
    "queue, read after 5 s": (baseline.handler_of_batches, 5.0),
    "queue, read after 60 s": (baseline.handler_of_batches, 60.0),
}
"""Each with the batching window of its queue."""
UNBATCHED, BATCHING, PATIENT = "one invalidation an object", "queue, read after 5 s", "queue, read after 60 s"


@dataclass(frozen=True)
class Row:
    """One deploy by one contender."""

    who: str
    site: str
    objects: int
    a_second: int
    usage: Usage
    too_many: int
    """Objects that had not changed and were invalidated all the same."""
    missed: int
    """Objects that changed and were not invalidated after."""
    stays: int
    seconds: float
    """From the last change to the last invalidation's creation."""
    cpu: float
    """Processor seconds of all handlers, as measured here."""

    @property
    def dollars(self) -> float:
        return total(self.usage)

    @property
    def besides(self) -> float:
        return besides_paths(self.usage)


def run(calibration: Calibration, *, short: bool = False) -> list[Row]:
    """All deploys by all contenders."""
    return list(_short(calibration) if short else _long(calibration))


def _short(calibration: Calibration) -> Iterator[Row]:
    for size, rate in ((1, 100), (100, 100), (1_000, 100), (10_000, 1_000)):
        for buffered in (False, True):
            yield ours(deploy(DOCUMENTATION, size), rate, calibration, buffered=buffered)
        yield rival(UNBATCHED, deploy(DOCUMENTATION, size), rate, calibration)


def _long(calibration: Calibration) -> Iterator[Row]:
    for site in SITES:
        for size in SIZES:
            for rate in RATES if site == DOCUMENTATION else RATES[:1]:
                for buffered in (False, True):
                    yield ours(deploy(site, size), rate, calibration, buffered=buffered)
                if site == DOCUMENTATION:
                    yield ours(deploy(site, size), rate, calibration, at_once=True)
                for name in RIVALS if site == DOCUMENTATION else (BATCHING,):
                    yield rival(name, deploy(site, size), rate, calibration)


def ours(
    changes: Deploy, a_second: int, calibration: Calibration, *, buffered: bool = False, at_once: bool = False
) -> Row:
    """The stack with its defaults, new workers and an empty table."""
    account = Account(objects=(*changes.changed, *changes.unchanged))
    account.change(changes.changed, a_second, buffered=buffered, at_once=at_once)
    cpu = sum(work.cpu + calibration.processor(work.calls, work.items) for work in account.functions.work.values())
    for function, work in account.functions.work.items():
        account.usage.add(Meter.LAMBDA_GB_SECONDS, calibration.gb_seconds(function, work))
    count_storage(account)
    last_change = (len(changes.changed) - 1) / a_second
    paths = [path for each in account.cloudfront.created for path in each.paths]
    return Row(
        who=AT_ONCE if at_once else "buffered" if buffered else "direct",
        site=changes.site,
        objects=len(changes.changed),
        a_second=a_second,
        usage=account.usage,
        too_many=covered(changes.unchanged, paths),
        missed=len(changes.changed) - covered(changes.changed, paths),
        stays=len(changes.unchanged),
        seconds=max(account.functions.created) - last_change,
        cpu=cpu,
    )


def rival(name: str, changes: Deploy, a_second: int, calibration: Calibration, *, limited: bool = False) -> Row:
    """A rival, with a CloudFront that takes whatever comes, unless it is ``limited`` as CloudFront is."""
    handler, window = RIVALS[name]
    calibration = calibration.of_rival
    runner = Rival(handler, limited=limited, window=window)
    runner.change(changes.changed, a_second)
    runner.usage.add(Meter.LAMBDA_GB_SECONDS, calibration.gb_seconds(name, runner.work))
    runner.usage.add(Meter.LOG_GB_MONTHS, runner.usage[Meter.LOG_GB] * LOG_MONTHS)
    paths = {path for each in runner.cloudfront.created for path in each.paths}
    return Row(
        who=f"{name}, with CloudFront's limits" if limited else name,
        site=changes.site,
        objects=len(changes.changed),
        a_second=a_second,
        usage=runner.usage,
        too_many=covered(changes.unchanged, paths),
        missed=len(changes.changed) - covered(changes.changed, paths),
        stays=len(changes.unchanged),
        seconds=max(runner.created, default=inf) - (len(changes.changed) - 1) / a_second,
        cpu=runner.work.cpu + calibration.processor(runner.work.calls, runner.work.items),
    )


def count_storage(account: Account) -> None:
    """What a deploy leaves behind: records for as long as they are kept, and logs."""
    months = Settings().audit_retention.days / DAYS_A_MONTH
    account.usage.add(Meter.TABLE_GB_MONTHS, account.table.size / 2**30 * months)
    account.usage.add(Meter.LOG_GB_MONTHS, account.usage[Meter.LOG_GB] * LOG_MONTHS)


def verdicts(rows: Sequence[Row]) -> Iterator[Verdict]:
    """The targets for 10,000 objects, at the worst of the rates and sites, and for one change."""
    largest = {who: [row for row in rows if row.who == who and row.objects == SIZES[-1]] for who in TARGETS}
    for who, (besides, in_all) in TARGETS.items():
        paths = max(row.usage[Meter.PATHS] for row in largest[who])
        yield at_most(f"10,000 objects, {who}: paths", paths, 100)
        yield at_most(
            f"10,000 objects, {who}: bill without paths", max(row.besides for row in largest[who]), besides, DOLLARS
        )
        yield at_most(f"10,000 objects, {who}: bill in all", max(row.dollars for row in largest[who]), in_all, DOLLARS)
    rival = next(row for row in rows if row.who == UNBATCHED and row.objects == SIZES[-1])
    calls = max(row.usage.cloudfront_calls for each in largest.values() for row in each)
    yield at_most(
        "10,000 objects: CloudFront calls, of the rival's", calls / rival.usage.cloudfront_calls, 0.01, "{:.2%}"
    )
    exact = [row for row in rows if (row.who, row.site, row.objects) == (BATCHING, DOCUMENTATION, SIZES[-1])]
    batching = [row for row in exact if not row.too_many]
    if batching:
        dearest = max(row.dollars for each in largest.values() for row in each if row.site == DOCUMENTATION)
        share = dearest / min(row.dollars for row in batching)
        yield at_most(
            "10,000 objects: bill in all, of the batching rival's where it sends exact paths", share, 1.0, "{:.2f}"
        )
    lost = max(row.missed for row in rows if row.who in TARGETS)
    yield at_most("changed, not invalidated, at every size and site", lost, 0)
    lone = max(
        (row for row in rows if row.who in TARGETS and row.objects == row.usage[Meter.PATHS] == 1),
        key=lambda row: row.dollars,
    )
    yield at_most("one change of one path, alone in its hour", lone.dollars, 0.006, CENTS)


def covered(keys: Iterable[str], paths: Iterable[str]) -> int:
    """How many of the keys are reached by one of the paths, spelled as CloudFront documents it.

    One that cannot be spelled is reached only by a wildcard that ends before what cannot.
    """
    asked = sorted(invalidation_paths(f"/{key}", spellings=False)[0] for key in keys)
    reached: set[int] = set()
    for path in set(paths):
        low = bisect_left(asked, path.removesuffix("*"))
        high = bisect_left(asked, path[:-1] + "\x7f" if path.endswith("*") else path + "\0")
        reached.update(range(low, high))
    return len(reached)
