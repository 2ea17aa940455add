"""The plan: changed keys, or paths, become the cheapest invalidation within a budget.

Few paths go as they are, and so do few changes, in all their spellings. More than that is a storm: CloudFront charges
for each path and takes few wildcards at a time, so a storm becomes a small cover with wildcards in it, and ``cover``
says which of all covers is the best one. Few paths with too many wildcards among them need a cover as well, but one
that may have as many paths as go as they are.

How far a wildcard may reach is bounded by ``widest_path``. What lies outside it cannot be widened and goes as it is,
whatever it costs; what lies inside it gets what that leaves of the budget, and one path, which may be a wildcard, in
any case. So the budget is never passed but where the bound forces it, and then by no more than it forces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from invalidation.cloudfront.cover import MOST_ASKED, Cover, count, least_evicting_cover, narrowest_cover, span
from invalidation.cloudfront.limits import FEW_PATHS, MAX_PATHS_OF_BATCH, MAX_WILDCARDS_OF_BATCH
from invalidation.cloudfront.listing import Listing
from invalidation.cloudfront.paths import common_folder, count_locations, encoding_fault
from invalidation.cloudfront.routing import paths_for, viewer_paths
from invalidation.cloudfront.rules import Budget, InvalidateBy, PathRules, Widening
from invalidation.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from invalidation.cloudfront.distribution import Distribution
    from invalidation.cloudfront.routing import ReadMaxAge


class Surroundings(NamedTuple):
    """The paths of the objects around, sorted and distinct, changed ones or not.

    After each of those in ``incomplete`` there are more, at least ``PAGES_WITHOUT_CHANGE`` thousands of them listed.
    """

    paths: Sequence[str]
    incomplete: Sequence[str] = ()

    def evicted_by(self, prefix: str) -> int | None:
        """How many begin with the prefix; None if more do than are here."""
        return None if any(path.startswith(prefix) for path in self.incomplete) else count(prefix, self.paths)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send.

    Attributes:
        paths: tags, then encoded paths, sorted and distinct; each path that was asked for is matched by one of them.
        widened: those of them that are wildcards which nobody asked for, in the same order.
    """

    paths: tuple[str, ...]
    widened: tuple[Widening, ...] = ()

    @property
    def wildcards(self) -> int:
        """How many of the paths are wildcards, asked for or not."""
        return _count_wildcards(self.paths)


def plan_keys(
    distribution: Distribution,
    keys: Callable[[], Iterable[str]],
    rules: PathRules,
    budget: Budget,
    *,
    tags_of: Callable[[str], str] | None = None,
    max_age_of: ReadMaxAge | None = None,
    listed: Callable[[], Listing] | None = None,
) -> Plan:
    """The cheapest invalidation for changed keys, by their tags where the rules want it.

    ``keys`` gives the keys, each time anew; ``tags_of`` the value of an object's tag header, None: only paths count;
    ``max_age_of`` that of an error page. ``listed`` gives what the bucket holds around them; only a storm asks.
    """

    def others() -> Surroundings | None:
        found = listed() if listed else Listing(None)
        if found.keys is None:
            return None
        before_gaps = (list(viewer_paths(distribution, gap, rules))[-1:] for gap in found.gaps)
        return Surroundings(
            sorted(set(viewer_paths(distribution, found.keys, rules))), [path for last in before_gaps for path in last]
        )

    if tags_of:
        items = set(paths_for(distribution, keys(), rules, tags_of, max_age_of))
        if sum(item.startswith("#") for item in items) <= budget.max_exact_paths:
            return plan_paths(items, budget, others)
    by_paths = replace(rules, invalidate_by=InvalidateBy.PATHS)
    return plan_paths(paths_for(distribution, keys(), by_paths, None, max_age_of), budget, others)


def plan_paths(items: Iterable[str], budget: Budget, others: Callable[[], Surroundings | None] | None = None) -> Plan:
    """The invalidation, within the budget, that matches all the paths and evicts least besides.

    Args:
        items: encoded paths in any order, repeated or not, and ``#tag`` items. Paths that end in ``*`` are wildcards
            that were asked for: they stay unless there are too many of them, or a wider one stands for them. Tags go
            as they are, each at the price of one path: no wildcard can cover them.
        budget: what the invalidation may cost, and how far it may reach.
        others: gives what there is around the paths; None, or giving None, where nobody knows: then the narrowest
            cover is the best guess. Only a storm asks.

    Raises:
        InvalidRequest: one of ``items`` is nothing that CloudFront can invalidate.
    """
    distinct = sorted(set(items))
    asked = [item for item in distinct if not item.startswith("#")]
    for path in asked:
        if fault := encoding_fault(path):
            raise InvalidRequest(f"path {path[:100]!r} {fault}: CloudFront cannot invalidate it")
    planned = _plan(asked, budget, others)
    return replace(planned, paths=(*(item for item in distinct if item.startswith("#")), *planned.paths))


def wildcard_for(paths: Sequence[str], within: str = "/*") -> str:
    """One wildcard within ``within`` that matches all of the paths, two at least. "": none does."""
    needed = _without_covered(sorted(set(paths)))
    if len(paths) < 2 or span(within[:-1], needed) != (0, len(needed)):
        return ""
    cover = narrowest_cover(needed, max_paths=1, max_wildcards=1)
    return cover.introduced[0] + "*" if cover.introduced else cover.unchanged[0]


def are_few(paths: Collection[str], max_exact_paths: int) -> bool:
    """Whether the distinct paths go as they are, unless too many of them are wildcards."""
    if len(paths) <= max_exact_paths:
        return True
    return len(paths) <= MAX_PATHS_OF_BATCH and count_locations(paths) <= min(FEW_PATHS, max_exact_paths)


def _plan(asked: list[str], budget: Budget, others: Callable[[], Surroundings | None] | None) -> Plan:
    """For sorted, distinct paths."""
    needed = _without_covered(asked)
    max_paths, max_wildcards = budget.max_cover_paths, budget.max_wildcards
    if are_few(needed, budget.max_exact_paths):
        wildcards = [path for path in needed if path.endswith("*")]
        if len(wildcards) > max_wildcards:
            spellings = len(wildcards) - count_locations(wildcards)
            max_wildcards = max(max_wildcards, min(MAX_WILDCARDS_OF_BATCH, max_wildcards + spellings))
        if len(wildcards) <= max_wildcards:
            return Plan(tuple(needed))
        max_paths = max(len(needed), budget.max_exact_paths)

    low, high = span(budget.widest_path[:-1], needed)
    outside = needed[:low] + needed[high:]
    cover, around = _cover(
        needed[low:high],
        others,
        max_paths=max(1, max_paths - len(outside)),
        max_wildcards=max(1, max_wildcards - _count_wildcards(outside)),
    )
    widened = tuple(
        Widening(prefix + "*", count(prefix, asked), around.evicted_by(prefix) if around else None)
        for prefix in sorted(cover.introduced)
    )
    return Plan(tuple(sorted([*outside, *cover.unchanged, *(each.path for each in widened)])), widened)


def _cover(
    needed: list[str], others: Callable[[], Surroundings | None] | None, max_paths: int, max_wildcards: int
) -> tuple[Cover, Surroundings | None]:
    """The best cover, and what there is around without what is purged anyway.

    Where all is below one folder, each spelling of that folder has a cover of its own, as far as the budget has room
    for one each: a wildcard for two of them would reach other folders.
    """
    around = others() if others and 1 < len(needed) <= MOST_ASKED else None
    if around is not None:
        around = around._replace(paths=_not_matched(around.paths, needed))
    parts, alone = _spelled_folders(needed)
    if len(parts) + len(alone) > max_paths or len(parts) > max_wildcards:
        parts, alone = [needed], []
    whole, left = Cover([], alone), max_paths - len(alone)
    for number, part in enumerate(sorted(parts, key=len)):
        share, wildcards = left // (len(parts) - number), max_wildcards // (len(parts) - number)
        found = _best_cover(part, around, share, wildcards)
        whole = Cover([*whole.introduced, *found.introduced], [*whole.unchanged, *found.unchanged])
        left -= len(found.introduced) + len(found.unchanged)
        max_wildcards -= len(found.introduced) + _count_wildcards(found.unchanged)
    return whole, around


def _best_cover(needed: list[str], around: Surroundings | None, max_paths: int, max_wildcards: int) -> Cover:
    least = None
    if around is not None:
        least = least_evicting_cover(needed, around.paths, max_paths=max_paths, max_wildcards=max_wildcards)
    return least or narrowest_cover(needed, max_paths=max_paths, max_wildcards=max_wildcards)


def _spelled_folders(needed: list[str]) -> tuple[list[list[str]], list[str]]:
    """The sorted paths by the spelling of the folder that all of them are in. Apart from them those of its index page.

    One part, and nothing apart, where they have no folder in common.
    """
    folder, index = common_folder(needed)
    if folder == "/":
        return [needed], []
    depth, alone = folder.count("/"), []
    parts: dict[str, list[str]] = {}
    for path in needed:
        if path in index:
            alone.append(path)
        else:
            parts.setdefault("/".join(path.split("/", depth)[:depth]), []).append(path)
    return list(parts.values()), alone


def _not_matched(paths: Sequence[str], needed: Sequence[str]) -> list[str]:
    """Those of the sorted ``paths`` that none of the needed ones purges anyway."""
    purged = set(needed)
    for path in needed:
        if path.endswith("*"):
            low, high = span(path[:-1], paths)
            purged.update(paths[low:high])
    return [path for path in paths if path not in purged]


def _count_wildcards(paths: Sequence[str]) -> int:
    return sum(path.endswith("*") for path in paths)


def _without_covered(asked: list[str]) -> list[str]:
    """The sorted paths without those that another one, a wildcard, matches.

    What begins with ``p`` stands together, but not all of it after ``p*``: ``p!`` and ``p`` itself sort before it.
    """
    needed: list[str] = []
    covering: str | None = None
    for path in asked:
        if covering is not None and path.startswith(covering):
            continue
        if path.endswith("*"):
            covering = path[:-1]
            while needed and needed[-1].startswith(covering):
                needed.pop()
        needed.append(path)
    return needed
