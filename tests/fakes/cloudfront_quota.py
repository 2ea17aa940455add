"""CloudFront's invalidation quotas, one class for each that has been published, on whatever clock the caller has.

Each is called with a distribution, the paths of a request and the second, and says whether the request is taken. What
is taken counts, and what is refused costs nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from invalidation.cloudfront.limits import (
    MAX_PATHS_IN_PROGRESS,
    MAX_WILDCARDS_IN_PROGRESS,
    PATHS_A_SECOND,
    WILDCARDS_A_SECOND,
)


def wildcards_in(paths: tuple[str, ...]) -> int:
    return sum(path.endswith("*") for path in paths)


class Answers:
    """How many requests were accepted and refused, by distribution, and what the accepted ones held."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.paths: dict[str, list[str]] = defaultdict(list)

    def note(self, distribution_id: str, paths: tuple[str, ...], *, taken: bool) -> bool:
        (self.accepted if taken else self.refused)[distribution_id] += 1
        if taken:
            self.paths[distribution_id] += paths
        return taken

    @property
    def ratio(self) -> float:
        """Refused requests for each accepted one."""
        return self.refused.total() / max(1, self.accepted.total())


@dataclass
class RateQuota:
    """150 paths and one wildcard a second, for the account; the strictest reading allows no burst beyond one second.

    ``counts_requests``: a request with wildcards counts as one, however many it has. The other reading counts paths.
    """

    counts_requests: bool = False
    answers: Answers = field(default_factory=Answers)
    _paths: float = PATHS_A_SECOND
    _wildcards: float = WILDCARDS_A_SECOND
    _at: float = 0.0

    def __call__(self, distribution_id: str, paths: tuple[str, ...], second: float) -> bool:
        elapsed, self._at = second - self._at, second
        self._paths = min(PATHS_A_SECOND, self._paths + elapsed * PATHS_A_SECOND)
        self._wildcards = min(WILDCARDS_A_SECOND, self._wildcards + elapsed * WILDCARDS_A_SECOND)
        wildcards = min(1, wildcards_in(paths)) if self.counts_requests else wildcards_in(paths)
        exact = len(paths) - wildcards_in(paths)
        taken = exact <= self._paths and wildcards <= self._wildcards
        if taken:
            self._paths -= exact
            self._wildcards -= wildcards
        return self.answers.note(distribution_id, paths, taken=taken)


@dataclass
class InProgressQuota:
    """3,000 paths and, apart from them, 15 wildcards in progress for a distribution; each is for ``seconds``."""

    seconds: float = 25.0
    answers: Answers = field(default_factory=Answers)
    _going: dict[str, list[tuple[float, int, int]]] = field(default_factory=lambda: defaultdict(list))

    def __call__(self, distribution_id: str, paths: tuple[str, ...], second: float) -> bool:
        going = [each for each in self._going[distribution_id] if each[0] > second]
        wildcards = wildcards_in(paths)
        exact = len(paths) - wildcards
        taken = (
            sum(each[1] for each in going) + exact <= MAX_PATHS_IN_PROGRESS
            and sum(each[2] for each in going) + wildcards <= MAX_WILDCARDS_IN_PROGRESS
        )
        if taken:
            going.append((second + self.seconds, exact, wildcards))
        self._going[distribution_id] = going
        return self.answers.note(distribution_id, paths, taken=taken)
