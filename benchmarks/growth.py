"""How cost and time grow with the changes, with the distributions that serve a bucket, and with those of the account.

Nothing may grow faster than the work: on double logarithmic scales, no line may be steeper than 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.calibration import Calibration
from benchmarks.cloud.account import Account
from benchmarks.cloud.usage import Meter
from benchmarks.deploys import DOCUMENTATION, RIVALS, TARGETS
from benchmarks.deploys import Row as Deployed
from benchmarks.sites import deploy
from benchmarks.verdicts import Verdict, at_most

SERVING = (1, 4, 12, 40)
CHANGES = 100
STEEPEST = 1.05
"""A line that is straight but for its beginning comes out a little above 1."""

MEASURES: dict[str, Callable[[Deployed], float]] = {
    "executions": lambda row: row.usage.executions,
    "state transitions": lambda row: row.usage[Meter.TRANSITIONS],
    "CloudFront calls": lambda row: row.usage.cloudfront_calls,
    "DynamoDB units": lambda row: row.usage[Meter.WRITE_UNITS] + row.usage[Meter.READ_UNITS],
    "handlers' processor time": lambda row: row.cpu,
    "bill": lambda row: row.dollars,
}


@dataclass(frozen=True, slots=True)
class Row:
    """What 100 changes come to with so many distributions in front of the bucket."""

    serving: int
    transitions: float
    cloudfront_calls: int
    units: float
    seconds: float
    """Until the last distribution was fresh."""
    cpu: float


def run(calibration: Calibration, *, short: bool = False) -> list[Row]:
    """With each number of distributions."""
    return [_with(serving, calibration) for serving in (SERVING[:2] if short else SERVING)]


def _with(serving: int, calibration: Calibration) -> Row:
    account = Account(serving=serving)
    account.change(deploy(DOCUMENTATION, CHANGES).changed, CHANGES, buffered=True)
    usage = account.usage
    return Row(
        serving=serving,
        transitions=usage[Meter.TRANSITIONS],
        cloudfront_calls=usage.cloudfront_calls,
        units=usage[Meter.WRITE_UNITS] + usage[Meter.READ_UNITS],
        seconds=account.clock.seconds,
        cpu=sum(work.cpu + calibration.processor(work.calls, work.items) for work in account.functions.work.values()),
    )


def steepness(points: Sequence[tuple[float, float]]) -> float:
    """The steepest of the slopes between neighbours, on double logarithmic scales."""
    slopes = [
        math.log(high_y / low_y) / math.log(high_x / low_x)
        for (low_x, low_y), (high_x, high_y) in itertools.pairwise(points)
    ]
    return max(slopes)


def series(deployed: Sequence[Deployed], who: str, measure: Callable[[Deployed], float]) -> list[tuple[float, float]]:
    """A measure by the number of objects, for the documentation site at its first rate."""
    rows = {row.objects: row for row in reversed(deployed) if (row.who, row.site) == (who, DOCUMENTATION)}
    return [(size, measure(row)) for size, row in sorted(rows.items())]


def slopes(deployed: Sequence[Deployed]) -> list[tuple[str, ...]]:
    """Each measure with its steepness, direct and buffered."""
    return [
        (name, *(f"{steepness(series(deployed, who, measure)):.2f}" for who in TARGETS))
        for name, measure in MEASURES.items()
    ]


def verdicts(deployed: Sequence[Deployed], rows: Sequence[Row]) -> list[Verdict]:
    found = []
    for who in TARGETS:
        by_measure = {name: steepness(series(deployed, who, measure)) for name, measure in MEASURES.items()}
        steepest = max(by_measure, key=lambda name: by_measure[name])
        found.append(_verdict(f"growth with the changes, {who}", steepest, by_measure))
    by_measure = {
        name: steepness([(row.serving, getattr(row, name)) for row in rows])
        for name in ("transitions", "cloudfront_calls", "units", "seconds", "cpu")
    }
    steepest = max(by_measure, key=lambda name: by_measure[name])
    return [*found, _verdict("growth with the distributions", steepest, by_measure)]


def _verdict(what: str, steepest: str, slopes: dict[str, float]) -> Verdict:
    return at_most(f"{what}: steepest slope (of {steepest.replace('_', ' ')})", slopes[steepest], STEEPEST, "{:.2f}")


def lines(deployed: Sequence[Deployed]) -> dict[str, list[tuple[float, float]]]:
    """The bill by the number of objects: what the picture shows. The rivals cost the same."""
    names = [*TARGETS, next(iter(RIVALS))]
    return {name: series(deployed, name, lambda row: row.dollars) for name in names}
