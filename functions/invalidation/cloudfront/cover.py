"""Covers are few paths, few of them wildcards, that match every path asked for.

Only a wildcard that nobody asked for widens. What it costs is what it evicts although it has not changed, so
``least_evicting_cover`` counts that, and is exact. Where nobody knows what else there is, ``narrowest_cover`` judges by
the wildcards alone.

**The cover that evicts least.** The wildcards that can be worth introducing are the longest common prefixes of asked-
for paths: any other matches the same asked-for paths as a longer one. They form a tree, and the sorted paths are its
leaves. So a cover is a way from the first leaf to the end in steps: past one leaf, which is then a path of its own, or
past all leaves of a wildcard that begins there. From the end backwards, the fewest unchanged paths that the rest of the
way evicts are found for each number of paths and of wildcards that may be left for it: a dynamic program. A wildcard
whose parent costs no more is left out, because the parent takes its place and that of others.

**The narrowest cover.** Only a wildcard that nobody asked for widens. Of two such wildcards the
*wider* is the one that

1. names fewer directories in full: ``/b*`` is wider than ``/blog/*``, and that is wider than ``/blog/2026/p*``;
2. or, naming as many, lies in a directory with fewer of the asked-for paths: ``/blog/*`` for 12 of them is wider than
   ``/docs/*`` for 5,000, for more of what it matches is likely to be something that nobody asked for;
3. or, alike in that too, has fewer characters: ``/img/photo-*`` is wider than ``/img/photo-1*``;
4. or, alike in all this, sorts first, so that no two are equally wide.

A cover is *narrower* than another if its widest wildcard is narrower; if they share that one, the next widest decides,
and so on; a cover that has no next one is the narrower. So the widest wildcard is as narrow as the budget allows, then
the next, and best is to introduce none. Wildcards differ in width, so exactly one cover is the narrowest, and the
order in which the paths came cannot matter.

**How it is found.** In the tree of common prefixes a parent is wider than its children. Start from its root and take
the widest undecided wildcard, again and again: if the paths below its children can still be covered within the budget
without it, replace it by its children; otherwise keep it.

**Why that is the optimum.** Covers that agree so far on every wider wildcard differ next in whether they have this one,
and by the definition each that does without it is narrower than each that has it: so it must go wherever any cover
without it is left. Whether one is left is decided exactly (``_fits``): the children match disjoint sets of paths, each
is covered either by one wildcard or path by path, and wildcards save most where most paths are.

**What it takes.** Nothing but sorting, which the caller does, looks at every path. Each replacement adds a path to the
cover, so there are fewer of them than ``max_paths``; each wildcard that is kept uses up one of ``max_wildcards``.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from itertools import islice, pairwise
from os.path import commonprefix
from typing import TYPE_CHECKING, NamedTuple

from invalidation.cloudfront.paths import character_at, whole_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_AFTER_ASCII = "\x7f"
"""Sorts after every character of an encoded path, so ``prefix + _AFTER_ASCII`` sorts after all that begin with it."""


class Part(NamedTuple):
    """Neighbours among the sorted asked-for paths: those from ``low`` up to, and without, ``high``."""

    low: int
    high: int
    has_wildcard: bool


class Wildcard(NamedTuple):
    """A wildcard that may be introduced. The fields are in the order that defines width: the widest compares least."""

    directories: int
    asked_in_directory: int
    characters: int
    prefix: str
    part: Part


class Cover(NamedTuple):
    """What covers the asked-for paths. Wildcards (without their ``*``) that are introduced, and paths that stay."""

    introduced: list[str]
    unchanged: list[str]


def span(prefix: str, paths: Sequence[str]) -> tuple[int, int]:
    """From where, and up to where, the sorted, encoded ``paths`` begin with ``prefix``."""
    low = bisect_left(paths, prefix)
    return low, bisect_left(paths, prefix + _AFTER_ASCII, low)


def count(prefix: str, paths: Sequence[str]) -> int:
    """How many of the sorted, encoded ``paths`` begin with ``prefix``."""
    low, high = span(prefix, paths)
    return high - low


def narrowest_cover(asked: Sequence[str], *, max_paths: int, max_wildcards: int) -> Cover:
    """The narrowest cover of ``asked``, as this module defines it.

    Args:
        asked: encoded paths, sorted, distinct, none of them matched by a wildcard among the others.
        max_paths: how many paths the cover may have, at least 1.
        max_wildcards: how many of these may be wildcards, asked-for ones included, at least 1.
    """
    return _Search(asked, max_paths, max_wildcards).run()


def least_evicting_cover(
    asked: Sequence[str], unchanged: Sequence[str], *, max_paths: int, max_wildcards: int
) -> Cover | None:
    """The cover of ``asked`` that matches the fewest of ``unchanged``.

    Of equal ones that which has fewer wildcards in the root directory: they reach other origins' objects too, which
    nobody has counted. Then that with fewer paths, then that with fewer wildcards.

    None where finding it would take too long: for more paths, or a larger budget, than is asked of a storm.

    Args:
        asked: as for ``narrowest_cover``.
        unchanged: the other paths that there are, encoded, sorted, none of them matched by ``asked``.
        max_paths: how many paths the cover may have, at least 1.
        max_wildcards: how many of these may be wildcards, asked-for ones included, at least 1.
    """
    if len(asked) < 2:
        return Cover([], list(asked))
    max_wildcards = min(max_paths, max_wildcards)
    if len(asked) > MOST_ASKED:
        return None
    candidates = list(_worth_introducing(asked, unchanged))
    if len(candidates) * max_paths * max_wildcards > _MOST_STEPS:
        return None
    return _Program(asked, candidates, max_paths, max_wildcards).run()


MOST_ASKED = 100_000
"""Paths: for more of them only the narrowest cover is looked for."""

_MOST_STEPS = 60_000_000
"""Some seconds of one processor, and what may be remembered in some hundred megabytes."""

_IMPOSSIBLE = 1 << 60


_OBJECT = 1 << 10
"""What an evicted object costs: more than all wildcards in the root directory together, of which each costs 1."""


class _Candidate(NamedTuple):
    """A wildcard for the asked-for paths from ``low`` up to ``high``, and what it costs."""

    low: int
    high: int
    characters: int
    cost: int


def _worth_introducing(asked: Sequence[str], unchanged: Sequence[str]) -> Iterator[_Candidate]:
    """The common prefixes, but those whose parent costs no more. Each comes before those that hold it."""
    for low, high, characters, parent_characters in _common_prefixes(asked):
        cost = _cost(asked[low][:characters], unchanged)
        if parent_characters < 0 or cost < _cost(asked[low][:parent_characters], unchanged):
            yield _Candidate(low, high, characters, cost)


def _cost(prefix: str, unchanged: Sequence[str]) -> int:
    return count(prefix, unchanged) * _OBJECT + (prefix.count("/") < 2)


def _common_prefixes(asked: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Each as first path, path after the last, its length, and its parent's (root: -1)."""
    open_: list[tuple[int, int]] = []  # where it began, and its length: each longer than the one before
    for at in range(1, len(asked) + 1):
        shared = len(_shared(asked[at - 1], asked[at])) if at < len(asked) else -1
        low = at - 1
        while open_ and open_[-1][1] > shared:
            low, characters = open_.pop()
            yield low, at, characters, max(shared, open_[-1][1] if open_ else -1)
        if shared >= 0 and (not open_ or open_[-1][1] < shared):
            open_.append((low, shared))


def _shared(path: str, other: str) -> str:
    return whole_prefix(commonprefix((path, other)))  # noqa: RUF071 - by character, not by directory, is what is meant


class _Move(NamedTuple):
    """One way to cover the asked-for paths from a stop up to ``high``. By a wildcard, or by so many ``paths``.

    ``characters`` is the length of a wildcard that is introduced.
    """

    high: int
    cost: int
    wildcard: bool
    paths: int
    characters: int = 0


class _Program:
    """The dynamic program. What is left to be covered begins at a *stop*: where a candidate begins or ends.

    ``_costs[stop][wildcards][paths]`` is the least that the rest costs, with at most so many wildcards, and at most
    so many paths beside them. It is as long as what can be left when everything before the stop is covered.
    """

    def __init__(
        self, asked: Sequence[str], candidates: Sequence[_Candidate], max_paths: int, max_wildcards: int
    ) -> None:
        self._asked = asked
        self._max_paths = max_paths
        self._max_wildcards = max_wildcards
        self._starting: dict[int, list[_Candidate]] = {}
        stops = {0, len(asked)}
        for each in candidates:
            self._starting.setdefault(each.low, []).append(each)
            stops |= {each.low, each.high}
        for at, path in enumerate(asked):
            if path.endswith("*"):
                stops |= {at, at + 1}
        ordered = sorted(stops)
        self._after = dict(pairwise(ordered))
        self._costs: dict[int, list[array[int]]] = {}

    def run(self) -> Cover:
        spent = self._least_spent()
        self._costs[len(self._asked)] = [array("q", bytes(8 * (self._max_paths + 1)))] * (self._max_wildcards + 1)
        for stop in reversed(self._after):
            # The more wildcards are left for the rest, the fewer there were for what comes before it.
            rooms = [max(0, self._max_paths + 1 - each) for each in reversed(spent.pop(stop))]
            steps = list(self._steps(stop))
            self._costs[stop] = [self._least(steps, wildcards, room) for wildcards, room in enumerate(rooms)]
        return self._cover(*self._cheapest())

    def _least_spent(self) -> dict[int, list[int]]:
        """The fewest paths that cover what is before each stop, by wildcards beside them."""
        spent = {stop: [_IMPOSSIBLE] * (self._max_wildcards + 1) for stop in (*self._after, len(self._asked))}
        spent[0] = [0] * (self._max_wildcards + 1)
        for stop in self._after:
            for step in self._steps(stop):
                here = [_IMPOSSIBLE, *spent[stop]] if step.wildcard else spent[stop]
                spent[step.high] = list(map(min, spent[step.high], map(step.paths.__add__, here)))
        return spent

    def _least(self, steps: list[_Move], wildcards: int, room: int) -> array[int]:
        """For each number of paths below ``room``, whichever step is taken. Nothing if none leads to the end."""
        best = [_IMPOSSIBLE] * room
        for step in steps:
            rest = self._costs[step.high][wildcards - step.wildcard] if step.wildcard <= wildcards else None
            if rest and step.paths < room:
                best[step.paths :] = map(min, best[step.paths :], map(step.cost.__add__, rest))
        return array("q", best if room and best[-1] < _IMPOSSIBLE else ())

    def _steps(self, stop: int) -> Iterator[_Move]:
        """The ways to cover what begins at the stop."""
        after = self._after[stop]
        wildcard = self._asked[stop].endswith("*")
        yield _Move(after, 0, wildcard, 0 if wildcard else after - stop)
        for each in self._starting.get(stop, ()):
            yield _Move(each.high, each.cost, True, 0, each.characters)

    def _cheapest(self) -> tuple[int, int]:
        """The wildcards of the best cover, and its other paths."""
        costs = (
            (cost, wildcards + paths, wildcards)
            for wildcards, each in enumerate(self._costs[0])
            for paths, cost in enumerate(each[: self._max_paths - wildcards + 1])
        )
        _, paths, wildcards = min(costs)
        return wildcards, paths - wildcards

    def _cover(self, wildcards: int, paths: int) -> Cover:
        cover = Cover([], [])
        stop = 0
        while stop < len(self._asked):
            cost = self._costs[stop][wildcards][paths]
            for step in self._steps(stop):
                if step.wildcard <= wildcards and step.paths <= paths:
                    rest = self._costs[step.high][wildcards - step.wildcard]
                    if rest and step.cost + rest[paths - step.paths] == cost:
                        break
            if step.characters:
                cover.introduced.append(self._asked[stop][: step.characters])
            else:
                cover.unchanged.extend(self._asked[stop : step.high])
            stop, wildcards, paths = step.high, wildcards - step.wildcard, paths - step.paths
        return cover


class _Search:
    """One run of the search for the narrowest cover. Of the tree there is only what has been looked at."""

    def __init__(self, asked: Sequence[str], max_paths: int, max_wildcards: int) -> None:
        self._asked = asked
        self._asked_wildcards = array("Q", (at for at, path in enumerate(asked) if path.endswith("*")))
        self._max_paths = max_paths
        self._max_wildcards = max_wildcards
        self._undecided: list[Wildcard] = []  # a heap
        self._introduced: list[str] = []
        self._unchanged: list[Part] = []  # each of one path

    def run(self) -> Cover:
        if self._asked:
            self._add(self._part(0, len(self._asked)))
        while self._undecided:
            widest = heapq.heappop(self._undecided)
            instead = list(islice(self._children(widest), self._max_paths + 1))
            if self._fits(instead):
                for part in instead:
                    self._add(part)
            else:
                self._introduced.append(widest.prefix)
        return Cover(sorted(self._introduced), sorted(self._asked[part.low] for part in self._unchanged))

    def _add(self, part: Part) -> None:
        if part.high - part.low == 1:
            self._unchanged.append(part)
            return
        ends = (self._asked[part.low], self._asked[part.high - 1])
        prefix = whole_prefix(commonprefix(ends))  # noqa: RUF071 - by character, not by directory, is what is meant
        directory = prefix[: prefix.rindex("/") + 1]
        beside = count(directory, self._asked)
        heapq.heappush(self._undecided, Wildcard(directory.count("/"), beside, len(prefix), prefix, part))

    def _children(self, parent: Wildcard) -> Iterator[Part]:
        """The parent's paths, divided by the character that follows its prefix. Always two parts at least."""
        low, end = parent.part.low, parent.part.high
        while low < end:
            path = self._asked[low]
            character = character_at(path, parent.characters)
            # A path that ends here, or within a character, shares what follows with no other.
            high = (
                bisect_left(self._asked, parent.prefix + character + _AFTER_ASCII, low, end) if character else low + 1
            )
            yield self._part(low, high)
            low = high

    def _part(self, low: int, high: int) -> Part:
        at = bisect_left(self._asked_wildcards, low)
        return Part(low, high, at < len(self._asked_wildcards) and self._asked_wildcards[at] < high)

    def _fits(self, instead: list[Part]) -> bool:
        """Whether a cover within the budget is left without the widest undecided wildcard.

        A part that holds an asked-for wildcard needs a wildcard in any case, and with one it needs nothing else. The
        wildcards that are left then go to the largest of the other parts, and what remains is covered path by path.
        """
        parts = [*instead, *self._unchanged, *(each.part for each in self._undecided)]
        introduced = len(self._introduced)
        left = self._max_wildcards - introduced - sum(part.has_wildcard for part in parts)
        if left < 0 or introduced + len(parts) > self._max_paths:
            return False
        sizes = sorted((1 if part.has_wildcard else part.high - part.low for part in parts), reverse=True)
        return introduced + len(sizes[:left]) + sum(sizes[left:]) <= self._max_paths
