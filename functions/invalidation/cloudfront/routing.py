"""Which keys of a bucket a distribution serves, and under which viewer paths.

The rule above all is never to invalidate too little: where the configuration cannot tell, the path is sent. Where an
edge function may rewrite, that is as far as it goes by default: nobody can guess a viewer path from a rewritten one
(``PathRules.directory_index`` and ``whole_behaviors`` are for telling). A function that replaces an origin's path, or
chooses another origin than its behaviour's, is not followed (with ``whole_behaviors`` the latter is). What a
viewer-request function has rewritten is cached under the new URI, what an origin-request function has under the
viewer's: both are sent.

Sources: CFD "Cache behavior settings", "Specify a default root object", "What you need to know when invalidating
paths" (functions that change the URI, query strings, directories); S3 User Guide "Configuring an index document".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from invalidation.cloudfront.limits import DEFAULT_ERROR_CACHING_SECONDS
from invalidation.cloudfront.paths import invalidation_paths, narrowed, with_query_strings
from invalidation.cloudfront.patterns import PathPattern, matched_forms
from invalidation.cloudfront.rules import InvalidateBy, PathRules
from invalidation.cloudfront.tags import tag_items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from invalidation.cloudfront.distribution import Behavior, Distribution, Origin

    ReadMaxAge = Callable[[str], int | None]


WEBSITE_INDEX: Final = "index.html"
"""The usual index document. CloudFront does not know a website's own; ``PathRules.directory_index`` adds it."""


class RouteVerdict(StrEnum):
    """Whether a key costs paths, and why. The first that applies to any way of reaching it."""

    SERVED = "Served"
    REWRITTEN = "Rewritten"
    """No behaviour sends this path to the bucket, but an edge function may: it is invalidated to be safe."""
    NEVER_CACHED = "NeverCached"
    """Every behaviour that sends it to the bucket keeps nothing: there is nothing to purge."""
    OTHER_ORIGIN = "OtherOrigin"
    OUTSIDE_ORIGIN_PATH = "OutsideOriginPath"
    NO_ORIGIN = "NoOrigin"
    DISABLED = "Disabled"


class Way(StrEnum):
    """Why a location leads to a key."""

    KEY = "Key"
    INDEX_DOCUMENT = "IndexDocument"
    DEFAULT_ROOT_OBJECT = "DefaultRootObject"
    ERROR_DOCUMENT = "ErrorDocument"
    """The website endpoint answers so to every path of its behaviours that fails, whatever OriginPath is."""
    EDGE_FUNCTION = "EdgeFunction"
    """An edge function is likely to add what is missing: ``index.html`` to a folder, ``.html`` to a page."""


@dataclass(frozen=True, slots=True)
class Route:
    """One way for a viewer to reach the key. ``location`` (decoded) by the behaviour ``pattern`` to ``origin_id``.

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
    """The paths to invalidate for one key (sorted, distinct), and how they were found."""

    verdict: RouteVerdict
    paths: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.paths)


def served(distribution: Distribution, key: str, rules: PathRules, max_age_of: ReadMaxAge | None = None) -> Served:
    """Whether the distribution serves the key of its bucket, and which paths purge it.

    ``max_age_of`` gives an object's own max-age in seconds, None where it could not be read. It is asked only for error
    pages that the distribution itself keeps for a short time.
    """
    return _Router(distribution, rules, max_age_of).served(key)


def paths_for(
    distribution: Distribution,
    keys: Iterable[str],
    rules: PathRules,
    tags_of: Callable[[str], str] | None = None,
    max_age_of: ReadMaxAge | None = None,
) -> Iterator[str]:
    """What to invalidate for the keys: paths, and ``#tag`` items. One key at a time; items may come more than once.

    ``tags_of(key)`` gives the value of the object's tag header, "" for one that has none or is gone. It is asked only
    for keys that the distribution serves, if the rules want tags and the distribution reads them from S3 metadata.
    """
    router = _Router(distribution, rules, max_age_of)
    by_tags = rules.invalidate_by is not InvalidateBy.PATHS and distribution.tag_metadata_key
    for key in keys:
        if found := router.served(key):
            tags = tag_items(tags_of(key)) if tags_of and by_tags else ()
            yield from tags
            if not tags or rules.invalidate_by is InvalidateBy.BOTH:
                yield from found.paths


def viewer_paths(distribution: Distribution, keys: Iterable[str], rules: PathRules) -> Iterator[str]:
    """The path of each object that the distribution serves. Its own, once, as it is documented to be spelled.

    All other paths of an object but its other spellings are beginnings of this one: whichever wildcard matches one of
    them matches this one as well, so that it stands for the object.
    """
    plain = replace(rules, spellings=False, error_pages=False, whole_behaviors=False, root_queries=False)
    router, known = _known_paths(distribution, plain)
    for key in keys if distribution.enabled else ():
        path = known.get(key)
        if path is None:
            found = [path for route in router.routes(key) for path in route.paths]
            path = max(found, key=len).removesuffix("*") if found else ""
            if len(known) == _REMEMBERED:
                known.clear()
            if len(path) <= _LONGEST_REMEMBERED:
                known[key] = path
        if path:
            yield path


_REMEMBERED: Final = 50_000
"""Keys whose paths are remembered, for a distribution: the batches of a storm find the same neighbours."""
_LONGEST_REMEMBERED: Final = 300
"""Characters of such a path, so that 50,000 of them never take much of a function's memory."""


@lru_cache(maxsize=2)
def _known_paths(distribution: Distribution, rules: PathRules) -> tuple[_Router, dict[str, str]]:
    return _Router(distribution, rules, None), {}


class _Router:
    """A distribution and rules, made ready for many keys."""

    def __init__(self, distribution: Distribution, rules: PathRules, max_age_of: ReadMaxAge | None) -> None:
        self._distribution = distribution
        self._rules = rules
        self._max_age_of = max_age_of or (lambda _key: None)
        self._behaviors = [(each, PathPattern(each.pattern)) for each in distribution.behaviors]
        self._rewriting = {
            origin.id: [b for b in distribution.behaviors if b.rewrites and origin.id in b.origin_ids]
            for origin in distribution.origins
        }
        self._unknown = {
            origin.id: [
                b
                for b in distribution.behaviors
                if origin.id in b.origin_ids and (b.rewrites or origin.foreign) and self._keeps(b)
            ]
            for origin in distribution.origins
        }
        self._indexes = {origin.id: self._indexes_of(origin) for origin in distribution.origins}
        self._root = "/" + distribution.default_root_object if distribution.default_root_object else ""

    def served(self, key: str) -> Served:
        if not self._distribution.enabled:
            return Served(RouteVerdict.DISABLED)
        routes = tuple(self.routes(key))
        verdicts = {route.verdict for route in routes}
        verdict = next((each for each in RouteVerdict if each in verdicts), RouteVerdict.NO_ORIGIN)
        return Served(verdict, narrowed({path for route in routes for path in route.paths}), routes)

    def routes(self, key: str) -> Iterator[Route]:
        """All ways to reach the key, whether or not the distribution is enabled."""
        for origin in self._distribution.origins:
            locations = list(dict.fromkeys(origin.locations(self._distribution.bucket, key)))
            if not locations:
                yield Route(origin.id, RouteVerdict.OUTSIDE_ORIGIN_PATH)
            for location in locations:
                for way, reached in self._ways(origin, location):
                    if route := self._route(origin, key, way, reached):
                        yield route
            if origin.website and key == self._distribution.website_error:
                yield from self._as_error_document(origin, key)

    def _as_error_document(self, origin: Origin, key: str) -> Iterator[Route]:
        leading = [b for b in self._distribution.behaviors if origin.id in b.origin_ids]
        keeping = [b for b in leading if self._keeps(b)]
        if keeping and (self._distribution.website_error_kept or self._stays(key)):
            paths = ("/*",) if self._rules.error_pages else ()
            yield Route(origin.id, RouteVerdict.SERVED, Way.ERROR_DOCUMENT, "/*", keeping[0].pattern, paths)
        elif leading:
            yield Route(origin.id, RouteVerdict.NEVER_CACHED, Way.ERROR_DOCUMENT, "/*", leading[0].pattern)

    def _ways(self, origin: Origin, location: str) -> list[tuple[Way, str]]:
        """The locations that lead to what is at ``location``."""
        ways = [(Way.KEY, location)]
        for index in self._indexes[origin.id]:
            if location.endswith("/" + index):
                ways += [(Way.INDEX_DOCUMENT, each) for each in _folders(location, index)]
        if self._rewriting[origin.id]:
            known = {reached for _way, reached in ways}
            ways += [(Way.EDGE_FUNCTION, each) for each in _without_html(location) if each not in known]
        if self._root:  # what "/" stands for is then decided before any index document is
            ways = [each for each in ways if each[1] != "/" or each[0] is Way.KEY]
        if any(reached == self._root for _, reached in ways):
            ways.append((Way.DEFAULT_ROOT_OBJECT, "/"))
        return ways

    def _indexes_of(self, origin: Origin) -> list[str]:
        of_website = (self._distribution.website_index or WEBSITE_INDEX) if origin.website else ""
        return sorted({self._rules.directory_index, of_website} - {""})

    def _route(self, origin: Origin, key: str, way: Way, location: str) -> Route | None:
        """None: an edge function is not likely to add anything there, since none runs."""
        forms = matched_forms(location)
        if way is Way.DEFAULT_ROOT_OBJECT:
            # Whether "/" or the root object's own path chooses the behaviour is not documented.
            forms |= matched_forms(self._root)
        possible = self._possible_behaviors(forms)
        direct = [b for b in possible if origin.id in b.origin_ids]
        # A function elsewhere that has the bucket may turn its requests into this URI, and they are cached under it.
        rewritten = [b for b in self._rewriting[origin.id] if not b.rewrites_late]
        if way is Way.EDGE_FUNCTION:
            direct, rewritten = [b for b in direct if b.rewrites], []
            if not direct:
                return None
        elif self._rules.whole_behaviors:  # a function here may choose the bucket
            rewritten = [b for b in possible if b.rewrites] + rewritten
        if not direct and not rewritten:
            return Route(origin.id, RouteVerdict.OTHER_ORIGIN, way, location, possible[0].pattern)
        leading = direct + rewritten
        keeping = [b for b in leading if self._keeps(b)]
        if not keeping:
            # Nothing is kept of it here, but it may be the error page of behaviours that keep what they get.
            page = ("/*",) if self._rules.error_pages and self._is_kept_error_page(location, key) else ()
            verdict = RouteVerdict.SERVED if page else RouteVerdict.NEVER_CACHED
            return Route(origin.id, verdict, way, location, leading[0].pattern, page)
        verdict = RouteVerdict.SERVED if direct else RouteVerdict.REWRITTEN
        paths = self._paths(origin, key, way, location, keeping)
        return Route(origin.id, verdict, way, location, keeping[0].pattern, paths)

    def _keeps(self, behavior: Behavior) -> bool:
        """Whether anything that an invalidation would purge is kept there. Errors are, whatever its cache policy."""
        return self._distribution.errors_kept or not behavior.never_caches

    def _possible_behaviors(self, forms: frozenset[str]) -> list[Behavior]:
        """In order, up to the first that is certain to match. The default at the latest."""
        possible: list[Behavior] = []
        for behavior, pattern in self._behaviors:
            if pattern.must_match(forms):
                return [*possible, behavior]
            if pattern.may_match(forms):
                possible.append(behavior)
        return possible

    def _paths(self, origin: Origin, key: str, way: Way, location: str, behaviors: list[Behavior]) -> tuple[str, ...]:
        # The root may be kept under its object's path, even where that path by itself leads elsewhere.
        locations = [location, self._root] if way is Way.DEFAULT_ROOT_OBJECT else [location]
        paths = tuple(path for each in locations for path in invalidation_paths(each, spellings=self._rules.spellings))
        if any(each.query_strings for each in behaviors):
            paths = tuple(path for each in paths for path in self._with_query_strings(each))
        if self._rules.error_pages and self._is_kept_error_page(location, key):
            paths += ("/*",)
        if self._rules.whole_behaviors:
            paths += tuple(_everything(each) for each in self._unknown[origin.id])
        return paths

    def _with_query_strings(self, path: str) -> tuple[str, ...]:
        return ("/", "/?*") if path == "/" and self._rules.root_queries else (with_query_strings(path),)

    def _is_kept_error_page(self, location: str, key: str) -> bool:
        """Whether the location is an error page that stays longer than CloudFront's default."""
        if location in self._distribution.error_pages:
            return True
        return location in self._distribution.brief_error_pages and self._stays(key)

    def _stays(self, key: str) -> bool:
        """Whether an error page is kept for longer than CloudFront's default by its own max-age.

        Source: CFD "Control how long CloudFront caches errors": the greater of ErrorCachingMinTTL and the page's own
        max-age, up to the behaviour's maximum TTL. An object that cannot be read counts as kept.
        """
        if self._distribution.max_ttl <= DEFAULT_ERROR_CACHING_SECONDS:
            return False
        max_age = self._max_age_of(key)
        return max_age is None or max_age > DEFAULT_ERROR_CACHING_SECONDS


def _folders(location: str, index: str) -> list[str]:
    folder = location.removesuffix(index)
    return [each for each in (folder, folder[:-1]) if each]


def _without_html(location: str) -> list[str]:
    """What viewers ask for where a function adds ``index.html`` to folders, or ``.html`` to pages."""
    folders = _folders(location, "index.html") if location.endswith("/index.html") else []
    page = location.removesuffix(".html")
    return folders + ([page] if page != location and not page.endswith("/") else [])


def _everything(behavior: Behavior) -> str:
    return with_query_strings(invalidation_paths(PathPattern(behavior.pattern).literal_start)[0])
