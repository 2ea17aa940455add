"""The month's budget: what a batch may cost, decided once and reserved atomically.

The month's paths are one item, in UTC as the bill is. While they and the batch stay within ``MonthlyPathBudget``, whose
default is what AWS gives free, being exact costs nothing. So that one storm does not eat the month:

- a batch of at most 150 paths, for all its distributions and their tenants together, goes out exact if they are at most
  half of what is left of the month;
- a batch of more may have a fifth of what is left, 150 paths at most, and gets the best cover of so many;
- beyond that it is thrifty: ten paths for each distribution, of which five wildcards.

Up to 30 paths for a distribution go as they are in any case, and so do up to 30 locations that are spelled in several
ways: where a batch owes no more than that to one distribution, nothing is to be decided, and they are counted once they
have been sent. Who dies between reserving and recording leaves the month with some paths too many, so that later
batches are thriftier than need be; who dies while sending so few leaves it with as many too few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from invalidation.batches.model import Batch
from invalidation.batches.targets import count_paths
from invalidation.cloudfront.limits import (
    FEW_PATHS,
    MAX_PATHS_BY_HAND,
    MAX_PATHS_OF_BATCH,
    MAX_REQUESTS_OF_TARGET,
    MAX_WILDCARDS_BY_HAND,
    MAX_WILDCARDS_OF_BATCH,
    THRIFTY_PATHS,
)
from invalidation.cloudfront.rules import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from invalidation.batches.table import BatchTable

EXACT_SHARE: Final = 2
WIDENED_SHARE: Final = 5
"""One batch has at most the half, or a fifth, of what is left of the month."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a distribution would cost if nothing was widened: ``paths`` for each of its ``copies``.

    More than ``MAX_PATHS_OF_BATCH`` need not be counted. ``copies`` are its tenants, or one. ``few``: the paths are the
    spellings of so few locations that nothing is widened (``plan.are_few``); up to 30 paths always are.
    """

    paths: int
    copies: int = 1
    few: bool = False

    def within(self, allowed: int) -> int:
        """Paths of one copy where it may have so many; few are never widened."""
        return self.paths if self.few or self.paths <= max(FEW_PATHS, allowed) else max(THRIFTY_PATHS, allowed)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a batch may cost, decided once for all its distributions.

    Attributes:
        month_before: the month's paths before this batch.
        free: paths for one copy of a distribution, by its id; those that are not here have to be thrifty.
        charged: what the month has been charged for each distribution.
    """

    month_before: int
    free: Mapping[str, int]
    charged: Mapping[str, int]

    @property
    def reserved(self) -> int:
        """Paths, for all distributions and their tenants together."""
        return sum(self.charged.values())

    def budget(self, distribution_id: str, widest_path: str) -> Budget:
        """What the plan of a distribution may cost."""
        if distribution_id not in self.free:
            return Budget(widest_path=widest_path)
        allowed = self.free[distribution_id]
        return Budget(max(FEW_PATHS, allowed), max(THRIFTY_PATHS, allowed), MAX_WILDCARDS_OF_BATCH, widest_path)

    def to_document(self) -> dict[str, Any]:
        """``{"monthBefore", "free", "charged"}``."""
        return {"monthBefore": self.month_before, "free": dict(self.free), "charged": dict(self.charged)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of ``to_document``."""
        return cls(document["monthBefore"], document["free"], document["charged"])


def by_hand(widest_path: str, copies: int = 1) -> Budget:
    """For paths that somebody names: just those; what is beyond it is merged, and told."""
    wildcards = min(MAX_WILDCARDS_BY_HAND, MAX_REQUESTS_OF_TARGET // max(1, copies))
    return Budget(MAX_PATHS_BY_HAND, MAX_PATHS_BY_HAND, wildcards, widest_path)


def decide(costs: Mapping[str, Cost], month_before: int, monthly: int) -> Allowance:
    """The rule of this module, for what each distribution would cost."""
    left = max(0, monthly - month_before)
    total = sum(each.paths * each.copies for each in costs.values())
    if total <= min(MAX_PATHS_OF_BATCH, left // EXACT_SHARE):
        free = {name: cost.paths for name, cost in costs.items()}
    else:
        free = _shared(costs, min(MAX_PATHS_OF_BATCH, left // WIDENED_SHARE))
    charged = {name: cost.within(free.get(name, 0)) * cost.copies for name, cost in costs.items()}
    return Allowance(month_before, free, charged)


def _shared(costs: Mapping[str, Cost], allowed: int) -> dict[str, int]:
    """Who needs few paths gets them. The others share the rest, where it is a gain."""
    shares: dict[str, int] = {}
    copies = sum(each.copies for each in costs.values())
    for name, cost in sorted(costs.items(), key=lambda each: (each[1].paths, each[0])):
        share = min(cost.paths, max(0, allowed) // max(1, copies))
        if share == cost.paths or share > THRIFTY_PATHS:
            shares[name] = share
        allowed -= cost.within(share) * cost.copies
        copies -= cost.copies
    return shares


def reserve(
    table: BatchTable, batch: Batch, costs: Callable[[], Mapping[str, Cost]], monthly: int, now: datetime
) -> Allowance:
    """What the batch may cost, decided and reserved by whoever is first."""
    if batch.allowance is not None:
        return Allowance.from_document(batch.allowance)
    needed = costs()
    likely = decide(needed, 0, monthly).reserved
    if not likely:
        return decide(needed, 0, monthly)
    before = count_paths(table, likely, now) - likely
    allowance = decide(needed, before, monthly)
    if allowance.reserved != likely:
        count_paths(table, allowance.reserved - likely, now)
    undecided = {"batchId": batch.batch_id, "allowance": None}
    if table.update(Batch.key_of(batch.batch_id), {"allowance": allowance.to_document()}, undecided) is not None:
        return allowance
    count_paths(table, -allowance.reserved, now)
    first = Batch.read(table, batch.batch_id).allowance
    return allowance if first is None else Allowance.from_document(first)
