"""From a change to its created invalidation, warm, beside the rival: on one clock, with the same seconds for each call.

Both have the same memory, the same time for the event to arrive, and the same CloudFront. Warm: the functions have run
half a minute ago. The rival lists all distributions for each change; the stack keeps what it has read for a minute, so
both are shown: with the list remembered, and read anew because the last change was longer ago.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import baseline
from benchmarks.calibration import Calibration
from benchmarks.cloud.account import Account
from benchmarks.rivals import Rival
from benchmarks.verdicts import Verdict, at_most, below
from invalidation.cloudfront.limits import DISTRIBUTIONS_CACHE_SECONDS

PAGES = (1, 5, 50)
RECENT, LONG_AGO = 40.0, DISTRIBUTIONS_CACHE_SECONDS + 60
ONE_PAGE, FROM_FIVE = 1.3, 1.0
MEMORY = 512
"""MB for the rival, as the stack's own functions have that talk to CloudFront: it reads long lists."""


@dataclass(frozen=True, slots=True)
class Row:
    """Seconds from the change to the created invalidation."""

    pages: int
    warm: float
    read_anew: float
    rival: float

    @property
    def ratio(self) -> float:
        return self.warm / self.rival


def run(calibration: Calibration) -> list[Row]:
    """For accounts with so many pages of distributions."""
    return [
        Row(pages, ours(pages, RECENT, calibration), ours(pages, LONG_AGO, calibration), rival(pages, calibration))
        for pages in PAGES
    ]


def ours(pages: int, since: float, calibration: Calibration) -> float:
    account = Account(pages=pages, processor=calibration.processor)
    account.change(["warm-up.html"], 1)
    begun = account.clock.seconds
    account.change(["index.html"], 1, after=max(0.0, since - begun))
    return account.functions.created[-1] - max(begun, since)


def rival(pages: int, calibration: Calibration) -> float:
    runner = Rival(baseline.handler, pages=pages, memory=MEMORY, processor=calibration.processor)
    runner.change(["warm-up.html"], 1)
    begun = runner.clock.seconds
    runner.change(["index.html"], 1)
    return runner.created[-1] - begun


def verdicts(rows: list[Row]) -> list[Verdict]:
    return [
        at_most(f"time to a created invalidation, {row.pages} page, of the rival's", row.ratio, ONE_PAGE, "{:.2f}")
        if row.pages == 1
        else below(f"time to a created invalidation, {row.pages} pages, of the rival's", row.ratio, FROM_FIVE)
        for row in rows
    ]
