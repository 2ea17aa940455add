"""The plan: changed keys, or paths, become the cheapest invalidation within a budget.

Few paths go as they are. More than that is a storm: CloudFront charges for each path and takes few wildcards at a time,
so a storm becomes a small cover with wildcards in it, and ``cover`` says which of all covers is the best one. Few paths
with too many wildcards among them need a cover as well, but one that may have as many paths as go as they are.

How far a wildcard may reach is bounded by ``widest_path``. What lies outside it cannot be widened and goes as it is,
whatever it costs; what lies inside it gets what that leaves of the budget, and one path, which may be a wildcard, in
any case. So the budget is never passed but where the bound forces it, and then by no more than it forces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from invalidation.cloudfront.cover import begins_within_character, count, narrowest_cover, span
from invalidation.cloudfront.limits import (
    MAX_PATH_LENGTH,
    MAX_PATHS_A_REQUEST,
    MAX_WILDCARDS_BY_HAND,
    MAX_WILDCARDS_IN_PROGRESS,
)
from invalidation.cloudfront.routing import InvalidateBy, PathRules, paths_for
from invalidation.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from invalidation.cloudfront.distribution import Distribution
    from invalidation.cloudfront.routing import ReadMaxAge


_encoded_path = re.compile(r"/[!-)+-~]*\*?")
"""Visible ASCII characters, ``*`` only as the last of them (CFD, invalidation-specifying-objects)."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What an invalidation may cost, and how far it may reach.

    Attributes:
        max_exact_paths: up to so many paths go as they are, 1 to 3,000.
        max_cover_paths: so many paths may a cover of more than these have, 1 to 3,000.
        max_wildcards: so many of them may be wildcards, 1 to 150. With more than 15 they go in several requests, which
            wait for each other.
        widest_path: a wildcard; those that a plan introduces match nothing that it does not match.

    Raises:
        ValueError: a number is out of its range, or ``widest_path`` is not a wildcard.
    """

    max_exact_paths: int = 30
    max_cover_paths: int = 10
    max_wildcards: int = 5
    widest_path: str = "/*"

    def __post_init__(self) -> None:
        """Refuses a budget that no invalidation could keep."""
        for name, limit in (
            ("max_exact_paths", MAX_PATHS_A_REQUEST),
            ("max_cover_paths", MAX_PATHS_A_REQUEST),
            ("max_wildcards", MAX_WILDCARDS_BY_HAND),
        ):
            if not 1 <= getattr(self, name) <= limit:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be from 1 to {limit:,}")
        fault = _fault(self.widest_path)
        if not fault and not is_wildcard(self.widest_path):
            fault = "does not end in *"
        if not fault and begins_within_character(self.widest_path[:-1]):
            fault = "ends in the middle of a percent-encoded character"
        if fault:
            raise ValueError(f"widest_path {self.widest_path[:100]!r} {fault}: give a wildcard such as /assets/*")


@dataclass(frozen=True, slots=True)
class Widening:
    """A wildcard that nobody asked for, and how many of the paths that were asked for it stands for."""

    path: str
    asked: int


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
        return sum(map(is_wildcard, self.paths))

    def requests(self, max_paths: int = MAX_PATHS_A_REQUEST) -> tuple[tuple[str, ...], ...]:
        """The paths in their order, divided among requests of at most ``max_paths`` paths and 15 wildcards each."""
        return tuple(_requests(self.paths, max_paths))


def plan_keys(  # noqa: PLR0917 -- collaborators are arguments
    distribution: Distribution,
    keys: Callable[[], Iterable[str]],
    rules: PathRules,
    budget: Budget,
    tags_of: Callable[[str], str] | None,
    max_age_of: ReadMaxAge | None = None,
) -> Plan:
    """The cheapest invalidation for changed keys: by their tags too, where the rules want it and they are not too many.

    ``keys`` gives the keys, each time anew; ``tags_of`` the value of an object's tag header, None: only paths count;
    ``max_age_of`` that of an error page.
    """
    if tags_of:
        items = set(paths_for(distribution, keys(), rules, tags_of, max_age_of))
        if sum(item.startswith("#") for item in items) <= budget.max_exact_paths:
            return plan_paths(items, budget)
    by_paths = replace(rules, invalidate_by=InvalidateBy.PATHS)
    return plan_paths(paths_for(distribution, keys(), by_paths, None, max_age_of), budget)


def plan_paths(items: Iterable[str], budget: Budget) -> Plan:
    """The narrowest invalidation, within the budget, that matches all the paths.

    Args:
        items: encoded paths in any order, repeated or not, and ``#tag`` items. Paths that end in ``*`` are wildcards
            that were asked for: they stay unless there are too many of them, or a wider one stands for them. Tags go
            as they are, each at the price of one path: no wildcard can cover them.
        budget: what the invalidation may cost, and how far it may reach.

    Raises:
        InvalidRequest: one of ``items`` is nothing that CloudFront can invalidate.
    """
    distinct = sorted(set(items))
    asked = [item for item in distinct if not item.startswith("#")]
    for path in asked:
        if not _encoded_path.fullmatch(path) or len(path) > MAX_PATH_LENGTH:
            raise InvalidRequest(f"path {path[:100]!r} {_fault(path)}: CloudFront cannot invalidate it")
    planned = _plan(asked, budget)
    return replace(planned, paths=(*(item for item in distinct if item.startswith("#")), *planned.paths))


def _plan(asked: list[str], budget: Budget) -> Plan:
    """For sorted, distinct paths."""
    needed = _without_covered(asked)
    max_paths = budget.max_cover_paths
    if len(needed) <= budget.max_exact_paths:
        if _count_wildcards(needed) <= budget.max_wildcards:
            return Plan(tuple(needed))
        max_paths = budget.max_exact_paths

    low, high = span(budget.widest_path[:-1], needed)
    outside = needed[:low] + needed[high:]
    cover = narrowest_cover(
        needed[low:high],
        max_paths=max(1, max_paths - len(outside)),
        max_wildcards=max(1, budget.max_wildcards - _count_wildcards(outside)),
    )
    widened = tuple(Widening(prefix + "*", count(prefix, asked)) for prefix in cover.introduced)
    return Plan(tuple(sorted([*outside, *cover.unchanged, *(each.path for each in widened)])), widened)


def is_wildcard(path: str) -> bool:
    """Whether the encoded path stands for all that begin with what precedes its ``*``."""
    return path.endswith("*")


def _count_wildcards(paths: Sequence[str]) -> int:
    return sum(map(is_wildcard, paths))


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


def _requests(paths: Sequence[str], max_paths: int) -> Iterator[tuple[str, ...]]:
    if not 1 <= max_paths <= MAX_PATHS_A_REQUEST:
        raise ValueError(f"max_paths is {max_paths}: it must be from 1 to {MAX_PATHS_A_REQUEST:,}")
    start = wildcards = 0
    for at, path in enumerate(paths):
        wildcards += is_wildcard(path)
        if at - start == max_paths or wildcards > MAX_WILDCARDS_IN_PROGRESS:
            yield tuple(paths[start:at])
            start, wildcards = at, int(is_wildcard(path))
    if start < len(paths):
        yield tuple(paths[start:])


def _fault(path: str) -> str:
    """What is wrong with the path, or "" when CloudFront takes it (CFD, invalidation-specifying-objects)."""
    if not path.startswith("/"):
        return "does not begin with /"
    if len(path) > MAX_PATH_LENGTH:
        return f"has {len(path):,} characters, more than {MAX_PATH_LENGTH:,}"
    if "*" in path[:-1]:
        return "has a * that is not its last character"
    if not _encoded_path.fullmatch(path):
        return "is not percent-encoded"
    return ""
