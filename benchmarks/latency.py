"""From a change to its created invalidation, beside the rivals: on one clock, with the same seconds for each call.

All have the same memory, the same time for the event to arrive, and the same CloudFront. Warm: the functions have run
half a minute ago. The rival lists all distributions for each change; the stack keeps the list for a minute, so both are
shown: with the list remembered, and read anew because the last change was longer ago. Cold: the last change was so long
ago that no function is left, nor what its process knew. The table still has the configuration of a distribution that
was read before, and it is used if the listing gives the same ETag. The very first change of a stack finds no such item.
The rival keeps nothing between changes, so that its cold figure is the same in both.
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
BURST = 10
"""Changes of a small deploy."""
RECENT, LONG_AGO = 40.0, DISTRIBUTIONS_CACHE_SECONDS + 60
QUIET = 20 * 60.0
"""Seconds after which the model lets all idle functions stop; Lambda does not say when it does."""
ONE_PAGE, FROM_FIVE = 1.3, 1.0
COLD, READ_ANEW = 1.8, 1.3
MEMORY = 512
"""MB for the rival, as the stack's own functions have that talk to CloudFront: it reads long lists."""


@dataclass(frozen=True, slots=True)
class Row:
    """Seconds from the change to the created invalidation."""

    pages: int
    warm: float
    read_anew: float
    rival: float
    cold: float
    """After quiet minutes, with what an earlier change has left in the table."""
    first: float
    """The very first change of a stack: all is cold, and the table is empty."""
    rival_cold: float
    at_once: float
    """The stack behind a queue that is read without a window, warm."""
    batching: float
    """The rival with a queue that it reads after five seconds, warm."""

    @property
    def ratio(self) -> float:
        return self.warm / self.rival

    @property
    def ratio_read_anew(self) -> float:
        return self.read_anew / self.rival

    @property
    def ratio_cold(self) -> float:
        return self.cold / self.rival_cold

    @property
    def ratio_first(self) -> float:
        return self.first / self.rival_cold


def run(calibration: Calibration) -> list[Row]:
    """For accounts with so many pages of distributions."""
    return [
        Row(
            pages,
            warm=ours(pages, RECENT, calibration),
            read_anew=ours(pages, LONG_AGO, calibration),
            rival=rival(pages, calibration),
            cold=ours(pages, QUIET, calibration),
            first=ours(pages, None, calibration),
            rival_cold=rival(pages, calibration, warm=False),
            at_once=ours(pages, RECENT, calibration, at_once=True),
            batching=rival(pages, calibration, window=5.0),
        )
        for pages in PAGES
    ]


def ours(pages: int, since: float | None, calibration: Calibration, *, at_once: bool = False) -> float:
    """``since`` the last change, in seconds: all is cold from ``QUIET`` on. None: there was none."""
    account = Account(pages=pages, processor=calibration.processor)
    if since is None:
        account.change(["index.html"], 1)
        return account.functions.created[-1]
    begun = _after(since, account)
    account.change(["index.html"], 1, after=begun - account.clock.seconds, at_once=at_once)
    return account.functions.created[-1] - begun


def burst(calibration: Calibration) -> tuple[float, float]:
    """When all is cold, the first and the last created invalidation of ten changes within half a second."""
    account = Account(processor=calibration.processor)
    begun = _after(QUIET, account)
    before = len(account.functions.created)
    account.change([f"{number}.html" for number in range(BURST)], BURST / 0.5, after=begun - account.clock.seconds)
    created = account.functions.created[before:]
    return created[0] - begun, created[-1] - begun


def _after(since: float, account: Account) -> float:
    """Let one change pass; the second at which the next one is to come, ``since`` then."""
    account.change(["warm-up.html"], 1)
    if since >= QUIET:
        account.functions.stop_idle_workers()
    return max(since, account.clock.seconds)


def rival(pages: int, calibration: Calibration, *, warm: bool = True, window: float = 0.0) -> float:
    handler = baseline.handler_of_batches if window else baseline.handler
    runner = Rival(handler, pages=pages, memory=MEMORY, processor=calibration.of_rival.processor, window=window)
    if warm:
        runner.change(["warm-up.html"], 1)
    begun = runner.clock.seconds
    runner.change(["index.html"], 1)
    return runner.created[-1] - begun


def verdicts(rows: list[Row]) -> list[Verdict]:
    form, what, lone = "{:.2f}", "time to a created invalidation", rows[0]
    return [
        at_most(f"{what}, {lone.pages} page, of the rival's", lone.ratio, ONE_PAGE, form),
        at_most(
            f"{what}, {lone.pages} page, list not remembered, of the rival's", lone.ratio_read_anew, READ_ANEW, form
        ),
        at_most(f"{what}, {lone.pages} page, all cold, of the rival's", lone.ratio_cold, COLD, form),
        below(f"{what}, {lone.pages} page, all cold, of the batching rival's", lone.cold / lone.batching, 1.0),
        *(below(f"{what}, {row.pages} pages, of the rival's", row.ratio, FROM_FIVE) for row in rows[1:]),
    ]
