"""Random distributions and keys, held against the model: all is covered, and few paths purge nothing.

    python -m tests.unit.test_paths_are_worth_their_price 10000

prints the table for that many pairs of a distribution and a key.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from invalidation.cloudfront.routing import served
from invalidation.cloudfront.rules import PathRules
from tests.cloudfront_model import CacheBehavior, Edge, Reading, answers, purged
from tests.unit.test_routing_against_model import (
    BUCKET,
    INDEX,
    add_html,
    add_index,
    as_browsers_do,
    as_encode_uri_component,
    as_forms,
    as_planned_for,
    edges,
    mixes_plus_and_triplet,
)

pytestmark = pytest.mark.slow

USUAL = (add_index, add_html)
SPELLINGS = (as_browsers_do, as_encode_uri_component, as_forms)
NAMES = ["a", "b", "static", "img", "docs", "about.html", INDEX, "x.jpg", "app.js", "a b.png", "c+1.whl", "ü.html"]
keys = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)


@dataclass
class Table:
    """What the pairs came to."""

    pairs: int = 0
    answers: int = 0
    covered: int = 0
    paths: int = 0
    useless: int = 0

    def look_at(self, edge: Edge, key: str) -> None:
        planned = served(as_planned_for(edge), key, PathRules()).paths
        kept = list(kept_under(edge, key, [edge]))
        everything = kept + list(kept_under(edge, key, readings_of(edge, key)))
        self.pairs += 1
        self.answers += len(kept)
        self.covered += sum(any(purged(path, uri, Reading.ONE_SPELLING) for path in planned) for uri in kept)
        self.paths += len(planned)
        self.useless += sum(
            not any(purged(path, uri, reading) for uri, reading in product(everything, Reading)) for path in planned
        )

    def __str__(self) -> str:
        return (
            f"{self.pairs:,} distributions and keys: {self.covered:,} of {self.answers:,} answers covered; "
            f"{self.useless:,} of {self.paths:,} paths purge nothing ({100 * self.useless / max(1, self.paths):.1f} %)"
        )


def readings_of(edge: Edge, key: str) -> Iterator[Edge]:
    """What the edge may be, as far as its configuration tells: what a function does, nobody can see.

    It adds what the usual ones add, does nothing, or makes of some request the very one for the key.
    """
    rewriting: list[Callable[[str], str]] = [*USUAL, lambda uri: uri]
    rewriting += [partial(instead, spell(to)) for to in locations_of(edge, key) for spell in SPELLINGS]
    for function, chooses, see in product(rewriting, (True, False), (True, False)):
        behaviors = tuple(replace(each, function=each.function and function) for each in edge.behaviors)
        yield replace(edge, behaviors=behaviors, root_object_chooses=chooses, patterns_see_slash=see)


def kept_under(edge: Edge, key: str, readings: Iterable[Edge]) -> Iterator[str]:
    """URIs under which an answer that depends on the key is kept."""
    uris = {spell(each) for each in asked_for(edge, key) for spell in SPELLINGS}
    for reading, uri in product(readings, uris):
        if mixes_plus_and_triplet(uri):
            continue
        for query in ("", "v=1"):
            for found in answers(reading, uri, query):
                if (found.bucket, found.key) == (BUCKET, key):
                    yield found.cached_uri


def instead(uri: str, _asked: str) -> str:
    return uri


def locations_of(edge: Edge, key: str) -> set[str]:
    paths = {"", *(origin.path for origin in edge.origins)}
    return {("/" + key)[len(path) :] for path in paths if ("/" + key).startswith(path + "/")}


def asked_for(edge: Edge, key: str) -> Iterator[str]:
    """Locations that viewers may ask for to get the key, and one that each behaviour matches."""
    yield "/"
    yield from ("/" + each.pattern.lstrip("/").replace("*", "x").replace("?", "y") for each in edge.behaviors)
    for location in locations_of(edge, key):
        yield from (location, location.removesuffix(".html"))
        if location.endswith("/" + INDEX):
            yield from (location.removesuffix(INDEX), location.removesuffix("/" + INDEX) or "/")


def table(pairs: int, functions: bool) -> Table:
    found = Table()

    @settings(
        max_examples=pairs,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(edge=edges(functions=USUAL if functions else ()), key=keys)
    def look(edge: Edge, key: str) -> None:
        found.look_at(edge, key)

    look()
    return found


@pytest.mark.parametrize(("functions", "limit"), [(False, 0.10), (True, 0.20)], ids=["no functions", "functions"])
def test_all_is_covered_and_few_paths_purge_nothing(functions: bool, limit: float) -> None:
    found = table(400, functions)
    print(found)  # noqa: T201 - the table
    assert found.covered == found.answers > 100
    assert found.useless <= limit * found.paths


def test_a_path_that_purges_nothing_is_counted() -> None:
    found = Table()
    edge = Edge((), (CacheBehavior("*", "o"),))
    found.paths, found.useless = 10, 1
    found.look_at(edge, "a")
    assert (found.pairs, found.answers, found.paths) == (1, 0, 10)
    assert "1 of 10 paths purge nothing (10.0 %)" in str(found)


if __name__ == "__main__":
    for with_functions in (False, True):
        name = "with functions:" if with_functions else "without functions:"
        print(name, table(int(sys.argv[1]), with_functions))  # noqa: T201 - the table
