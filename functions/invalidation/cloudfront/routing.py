"""Which keys of a bucket a distribution serves, and under which viewer paths.

The rule above all is never to invalidate too little: where the configuration cannot tell, the path is sent. Where an
edge function may rewrite, that is as far as it goes by default: nobody can guess a viewer path from a rewritten one
(``PathRules.directory_index`` and ``whole_behaviors`` are for telling). A function that replaces an origin's path, or
chooses a bucket that is no origin of the distribution, cannot be seen at all.

Sources: CFD "Cache behavior settings", "Specify a default root object", "What you need to know when invalidating
paths" (functions that change the URI, query strings, directories); S3 User Guide "Configuring an index document".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from invalidation.cloudfront.paths import invalidation_paths, narrowed, with_query_strings
from invalidation.cloudfront.patterns import PathPattern, matched_forms
from invalidation.cloudfront.tags import tag_items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from invalidation.cloudfront.distribution import Behavior, Distribution, Origin


WEBSITE_INDEX: Final = "index.html"
"""The usual index document. CloudFront does not know a website's own; ``PathRules.directory_index`` adds it."""


class InvalidateBy(StrEnum):
    """What is invalidated for an object that carries cache tags, where the distribution reads them."""

    PATHS = "Paths"
    TAGS = "Tags"
    """Its tags instead of its paths. For objects that keep their tags: what is cached under a tag that the object no
    longer has, or as a 404 from before it existed, is reached by its paths only."""
    BOTH = "Both"


@dataclass(frozen=True, slots=True)
class PathRules:
    """What parameters decide about paths.

    ``directory_index``: the name of an index document (``index.html``) that something at the edge or the origin serves
    for a folder; a key that ends so is then invalidated as ``dir/`` and ``dir`` too. Website origins need no such
    parameter unless theirs has another name. ``spellings``: also send the other ways in which a viewer may have spelled
    the path, for keys with such characters. ``whole_behaviors``: where an edge function may rewrite requests,
    invalidate everything that its behaviour matches, as one wildcard. ``error_pages``: invalidate ``/*`` for a custom
    error page that stays cached under the failing paths.
    """

    directory_index: str = ""
    spellings: bool = True
    whole_behaviors: bool = False
    error_pages: bool = True
    invalidate_by: InvalidateBy = InvalidateBy.PATHS


class RouteVerdict(StrEnum):
    """Whether a key costs paths, and why; the first that applies to any way of reaching it."""

    SERVED = "Served"
    REWRITTEN = "Rewritten"
    """No behaviour sends this path to the bucket, but an edge function may: it is invalidated to be safe."""
    OTHER_ORIGIN = "OtherOrigin"
    OUTSIDE_ORIGIN_PATH = "OutsideOriginPath"
    NO_ORIGIN = "NoOrigin"
    DISABLED = "Disabled"


class Way(StrEnum):
    """Why a location leads to a key."""

    KEY = "Key"
    INDEX_DOCUMENT = "IndexDocument"
    DEFAULT_ROOT_OBJECT = "DefaultRootObject"


@dataclass(frozen=True, slots=True)
class Route:
    """One way for a viewer to reach the key: ``location`` (decoded) by the behaviour ``pattern`` to ``origin_id``.

    ``paths`` is what it adds to the invalidation, nothing when it does not lead to the bucket.
    """

    origin_id: str
    verdict: RouteVerdict
    way: Way = Way.KEY
    location: str = ""
    pattern: str = ""
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Served:
    """The paths to invalidate for one key (sorted, distinct), true if there are any, and how that was found."""

    verdict: RouteVerdict
    paths: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.paths)


def served(distribution: Distribution, key: str, rules: PathRules) -> Served:
    """Whether the distribution serves the key of its bucket, and which paths purge it."""
    return _Router(distribution, rules).served(key)


def paths_for(
    distribution: Distribution,
    keys: Iterable[str],
    rules: PathRules,
    tags_of: Callable[[str], str] | None = None,
) -> Iterator[str]:
    """What to invalidate for the keys: paths, and ``#tag`` items. One key at a time; items may come more than once.

    ``tags_of(key)`` gives the value of the object's tag header, "" for one that has none or is gone. It is asked only
    for keys that the distribution serves, if the rules want tags and the distribution reads them from S3 metadata.
    """
    router = _Router(distribution, rules)
    by_tags = rules.invalidate_by is not InvalidateBy.PATHS and distribution.tag_metadata_key
    for key in keys:
        if found := router.served(key):
            tags = tag_items(tags_of(key)) if tags_of and by_tags else ()
            yield from tags
            if not tags or rules.invalidate_by is InvalidateBy.BOTH:
                yield from found.paths


class _Router:
    """A distribution and rules, made ready for many keys."""

    def __init__(self, distribution: Distribution, rules: PathRules) -> None:
        self._distribution = distribution
        self._rules = rules
        self._behaviors = [(each, PathPattern(each.pattern)) for each in distribution.behaviors]
        self._rewriting = {
            origin.id: [b for b in distribution.behaviors if b.rewrites and origin.id in b.origin_ids]
            for origin in distribution.origins
        }
        self._root = "/" + distribution.default_root_object if distribution.default_root_object else ""

    def served(self, key: str) -> Served:
        if not self._distribution.enabled:
            return Served(RouteVerdict.DISABLED)
        routes = tuple(self._routes(key))
        verdicts = {route.verdict for route in routes}
        verdict = next((each for each in RouteVerdict if each in verdicts), RouteVerdict.NO_ORIGIN)
        return Served(verdict, narrowed({path for route in routes for path in route.paths}), routes)

    def _routes(self, key: str) -> Iterator[Route]:
        for origin in self._distribution.origins:
            locations = list(origin.locations(self._distribution.bucket, key))
            if not locations:
                yield Route(origin.id, RouteVerdict.OUTSIDE_ORIGIN_PATH)
            for location in locations:
                for way, reached in self._ways(origin, location):
                    yield self._route(origin, way, reached)

    def _ways(self, origin: Origin, location: str) -> list[tuple[Way, str]]:
        """The locations that lead to what is at ``location``."""
        ways = [(Way.KEY, location)]
        for index in self._indexes(origin):
            if location.endswith("/" + index):
                folder = location.removesuffix(index)
                ways += [(Way.INDEX_DOCUMENT, each) for each in (folder, folder[:-1]) if each]
        if self._root:  # what "/" stands for is then decided before any index document is
            ways = [each for each in ways if each != (Way.INDEX_DOCUMENT, "/")]
        if any(reached == self._root for _, reached in ways):
            ways.append((Way.DEFAULT_ROOT_OBJECT, "/"))
        return ways

    def _indexes(self, origin: Origin) -> list[str]:
        names = {self._rules.directory_index, WEBSITE_INDEX if origin.website else ""}
        return sorted(names - {""})

    def _route(self, origin: Origin, way: Way, location: str) -> Route:
        forms = matched_forms(location)
        if way is Way.DEFAULT_ROOT_OBJECT:
            # Whether "/" or the root object's own path chooses the behaviour is not documented.
            forms |= matched_forms(self._root)
        possible = self._possible_behaviors(forms)
        direct = [b for b in possible if origin.id in b.origin_ids]
        # A function here may choose the bucket; one elsewhere that has the bucket may turn its requests into this URI,
        # under which they are then cached.
        rewritten = [b for b in possible if b.rewrites] + self._rewriting[origin.id]
        if not direct and not rewritten:
            return Route(origin.id, RouteVerdict.OTHER_ORIGIN, way, location, possible[0].pattern)
        verdict = RouteVerdict.SERVED if direct else RouteVerdict.REWRITTEN
        leading = direct + rewritten
        paths = self._paths(origin, location, leading)
        return Route(origin.id, verdict, way, location, leading[0].pattern, paths)

    def _possible_behaviors(self, forms: frozenset[str]) -> list[Behavior]:
        """In order, up to the first that is certain to match: the default at the latest."""
        possible: list[Behavior] = []
        for behavior, pattern in self._behaviors:
            if pattern.must_match(forms):
                return [*possible, behavior]
            if pattern.may_match(forms):
                possible.append(behavior)
        return possible

    def _paths(self, origin: Origin, location: str, behaviors: list[Behavior]) -> tuple[str, ...]:
        paths = invalidation_paths(location, spellings=self._rules.spellings)
        if any(each.query_strings for each in behaviors):
            paths = tuple(map(with_query_strings, paths))
        if self._rules.error_pages and location in self._distribution.error_pages:
            paths += ("/*",)
        if self._rules.whole_behaviors:
            paths += tuple(_everything(each) for each in self._rewriting[origin.id])
        return paths


def _everything(behavior: Behavior) -> str:
    return with_query_strings(invalidation_paths(PathPattern(behavior.pattern).literal_start)[0])
