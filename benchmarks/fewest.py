"""The fewest unchanged paths that any cover within a budget evicts, found another way than the planner does.

For each common prefix of the asked-for paths, from the longest to the shortest, each division of paths and wildcards
among its children is tried. It knows nothing of the planner's order of steps, bounds or short cuts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from os.path import commonprefix

Table = dict[tuple[int, int], int]
"""Wildcards and paths in all → the fewest evicted with just so many. What costs more and is no better is left out."""


def fewest_evicted(asked: list[str], unchanged: list[str], *, max_paths: int, max_wildcards: int) -> int:
    """Both lists are sorted; no asked-for wildcard matches another asked-for path, or an unchanged one."""
    return min(_table(asked, unchanged, max_paths, max_wildcards).values())


def _table(asked: list[str], unchanged: list[str], max_paths: int, max_wildcards: int) -> Table:
    if len(asked) == 1:
        return {(int(asked[0].endswith("*")), 1): 0}
    prefix = commonprefix((asked[0], asked[-1]))  # noqa: RUF071 - by character, not by directory, is what is meant
    divided: Table = {(0, 0): 0}
    for child in _children(asked, len(prefix)):
        below = _table(child, unchanged, max_paths, max_wildcards)
        sums: Table = {}
        for (wildcards, paths), evicted in below.items():
            for (others, more), evicted_there in divided.items():
                spent = (wildcards + others, paths + more)
                if spent[0] <= max_wildcards and spent[1] <= max_paths:
                    sums[spent] = min(sums.get(spent, evicted + evicted_there), evicted + evicted_there)
        divided = _worth_having(sums)
        if not divided:
            break
    whole: Table = {(1, 1): _beginning_with(prefix, unchanged)}
    return _worth_having(divided | {(1, 1): min(whole[1, 1], divided.get((1, 1), whole[1, 1]))})


def _worth_having(table: Table) -> Table:
    kept: Table = {}
    fewest: dict[int, int] = {}
    for (wildcards, paths), evicted in sorted(table.items(), key=lambda each: (each[0][1], each[0][0])):
        if all(evicted < other for used, other in fewest.items() if used <= wildcards):
            kept[wildcards, paths] = fewest[wildcards] = evicted
    return kept


def _children(asked: list[str], length: int) -> Iterator[list[str]]:
    low = 0
    while low < len(asked):
        beginning = asked[low][: length + 1]
        high = low + 1 if len(asked[low]) == length else low + _beginning_with(beginning, asked[low:])
        yield asked[low:high]
        low = high


def _beginning_with(prefix: str, paths: list[str]) -> int:
    return bisect_left(paths, prefix + "\x7f") - bisect_left(paths, prefix)
