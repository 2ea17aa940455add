"""Why each path, or tag, of an invalidation is in it: for the person who looks at stale content, or at the bill.

A path is there because of a rule if it is gone without the rule: each is taken away in turn, so that nothing about
routing is told here a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from invalidation.paths import covers
from invalidation.routing import Distribution, PathRules, Served, Way, served

if TYPE_CHECKING:
    from invalidation.plan import Plan

_WAYS = {
    Way.KEY: "where viewers find the key",
    Way.INDEX_DOCUMENT: "the folder whose index document it is",
    Way.DEFAULT_ROOT_OBJECT: "the root, whose default object it is",
}
_RULES: tuple[tuple[Callable[[PathRules], PathRules], str], ...] = (
    (lambda rules: replace(rules, spellings=False), "another way to write it in a URL (OtherSpellings)"),
    (
        lambda rules: replace(rules, whole_behaviors=False),
        "an edge function may turn any request there into one for the key (EdgeRewrites)",
    ),
    (lambda rules: replace(rules, error_pages=False), "a custom error page is cached under every path that fails"),
)
"""Each rule taken away, and what is said of a path that is gone then."""
_QUERIES = ", with every query string: they are part of the cache key"
_CUT = ", cut before what CloudFront cannot purge as it is: a literal * or ~, or more than 4,000 characters"


@dataclass(frozen=True, slots=True)
class Reason:
    """A path or ``#tag`` that is sent, and why: one or more phrases in plain English."""

    item: str
    because: tuple[str, ...]


def reasons(distribution: Distribution, key: str, rules: PathRules, sent: Plan) -> tuple[Reason, ...]:
    """One for each item of the plan for the key, in its order."""
    known: dict[str, dict[str, None]] = {}
    for path, because in _of_paths(distribution, key, rules):
        known.setdefault(path, {}).setdefault(because)
    widened = {each.path: each.asked for each in sent.widened}
    return tuple(Reason(item, tuple(_of_item(item, known, widened.get(item, 0), rules))) for item in sent.paths)


def _of_item(item: str, known: dict[str, dict[str, None]], asked: int, rules: PathRules) -> Iterator[str]:
    if item.startswith("#"):
        yield f"a cache tag of the object (InvalidateBy is {rules.invalidate_by})"
        return
    if asked:
        yield f"stands for {asked} paths: MaxExactPaths, MaxCoverPaths and MaxWildcards allow no more"
    yield from known.get(item, ())
    yield from (f"covers {path} as well" for path in known if path != item and covers(item, path))


def _of_paths(distribution: Distribution, key: str, rules: PathRules) -> Iterator[tuple[str, str]]:
    """Each path of each way to the key, whether it is sent or covered by another, with a reason."""
    found = served(distribution, key, rules)
    without = {phrase: served(distribution, key, less(rules)) for less, phrase in _RULES}
    plain = served(_without_query_strings(distribution), key, rules)
    for number, route in enumerate(found.routes):
        for path in route.paths:
            phrases = [phrase for phrase, fewer in without.items() if path not in fewer.routes[number].paths]
            yield path, phrases[0] if phrases else _WAYS[route.way] + _ending(path, number, plain)


def _ending(path: str, number: int, plain: Served) -> str:
    if not path.endswith("*"):
        return ""
    return _CUT if path in plain.routes[number].paths else _QUERIES


def _without_query_strings(distribution: Distribution) -> Distribution:
    return replace(distribution, behaviors=tuple(replace(each, query_strings=False) for each in distribution.behaviors))
