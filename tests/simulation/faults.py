"""What can go wrong, how often, and a count of how often it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from enum import StrEnum
from random import Random

from greenlet import getcurrent


class Fault(StrEnum):
    """Each strikes at a request, or at the end of a handler."""

    DIES_BEFORE = "dies before the request"
    DIES_AFTER = "dies after the request"
    REFUSED = "request refused"
    ANSWER_LOST = "carried out, answer lost"
    REPEATED = "carried out twice, second answer heard"
    LATE = "no answer, carried out later"
    ABANDONED = "handler timed out, and goes on beside its retry"
    RESULT_LOST = "handler ended, result lost"
    INVOKED_TWICE = "handler invoked twice at once"
    STOPPED = "execution stopped"
    CLOCK_WRONG = "handler's clock wrong by up to five minutes"
    CLOCK_JUMPS = "clock moves on by minutes"
    EMPTY_PAGE = "a page without items, and not the last"
    INDEX_STALE = "index answers with what it held before"
    EVENT_TWICE = "event delivered twice"
    STEP_FUNCTIONS_LAGS = "Step Functions answers as it would have before"
    LIST_CHANGES = "one distribution more is listed than before"
    SWEEP_CUT_SHORT = "the sweep's time is over soon"
    DENIED = "CloudFront denies"
    THROTTLED = "CloudFront throttles"
    NO_ROOM = "CloudFront has no room for a while"
    EDGE_STALE = "invalidation completes, and has purged nothing"
    TIME_OVER = "the function's time is over before the next request"
    PAUSED = "bucket paused for a while"


AT_A_REQUEST = (
    Fault.DIES_BEFORE,
    Fault.DIES_AFTER,
    Fault.REFUSED,
    Fault.ANSWER_LOST,
    Fault.REPEATED,
    Fault.LATE,
    Fault.ABANDONED,
    Fault.STOPPED,
    Fault.CLOCK_JUMPS,
)
AT_STEP_FUNCTIONS = AT_A_REQUEST
AT_A_QUESTION = (*AT_A_REQUEST, Fault.DENIED, Fault.THROTTLED)
AT_CREATION = (*AT_A_QUESTION, Fault.NO_ROOM)


class Faults:
    """Strikes at random with some of the faults that there are, until ``calm`` is set.

    Some, because a schedule in which everything fails explores little: most runs then die early in the same way.
    """

    def __init__(self, random: Random, rate: float, kinds: Collection[Fault]) -> None:
        self._random = random
        self._rate = rate
        self.kinds = kinds
        self.calm = rate == 0
        self.struck: Counter[Fault] = Counter()
        self._likely: dict[tuple[Fault, ...], list[Fault]] = {}

    def strike(self, candidates: tuple[Fault, ...], *, weight: int = 1, state: str = "") -> Fault | None:
        """One of the candidates, or, as a rule, none. ``weight`` is for what there are fewer occasions for.

        ``state`` names the state whose handler it is about to strike, where that is not the one that asks.
        """
        del state
        if self.calm or self._random.random() >= self._rate * weight:
            return None
        likely = self._likely.get(candidates)
        if likely is None:
            likely = self._likely[candidates] = [fault for fault in candidates if fault in self.kinds]
        if not likely:
            return None
        fault = likely[int(self._random.random() * len(likely))]
        self.struck[fault] += 1
        return fault

    @staticmethod
    def some(random: Random, among: Collection[Fault] = tuple(Fault)) -> Faults:
        share = random.choice([0.15, 0.4, 0.9])
        return Faults(random, random.choice([0.01, 0.03, 0.1]), [fault for fault in among if random.random() < share])


REPEATING = (
    Fault.DIES_BEFORE,
    Fault.DIES_AFTER,
    Fault.REFUSED,
    Fault.ANSWER_LOST,
    Fault.REPEATED,
    Fault.RESULT_LOST,
    Fault.EMPTY_PAGE,
)
"""After these a state's handler is invoked again."""
BESIDE = (Fault.LATE, Fault.ABANDONED, Fault.INVOKED_TWICE)
"""With these an old attempt, or its last request, goes on beside a newer one, or after it."""


class FaultsInJoin(Faults):
    """Strikes only at the first attempts of Join, so that every Join is repeated until it ends well."""

    def __init__(self, random: Random, kinds: Collection[Fault]) -> None:
        super().__init__(random, random.choice([0.03, 0.1, 0.2]), kinds)

    def strike(self, candidates: tuple[Fault, ...], *, weight: int = 1, state: str = "") -> Fault | None:
        name = state or getattr(getcurrent(), "name", "").partition("/")[2]
        return super().strike(candidates, weight=weight) if name.startswith(("Join 1", "Join 2")) else None


def none(random: Random) -> Faults:
    return Faults(random, 0, ())
