"""Why a change is invalidated on a distribution or not, and why by these paths.

A path is there because of a rule if it is gone without the rule: each is taken away in turn, so that nothing about
routing is told here a second time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from invalidation.cloudfront.limits import DEFAULT_ERROR_CACHING_SECONDS, MAX_WILDCARDS_OF_BATCH, THRIFTY_WILDCARDS
from invalidation.cloudfront.paths import count_locations, covers
from invalidation.cloudfront.plan import Plan, plan_keys
from invalidation.cloudfront.routing import WEBSITE_INDEX, Route, RouteVerdict, Served, Way, served
from invalidation.cloudfront.rules import Budget, InvalidateBy, PathRules
from invalidation.cloudfront.tags import tag_items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from invalidation.cloudfront.distribution import Distribution
    from invalidation.cloudfront.routing import ReadMaxAge

_REACHED = {RouteVerdict.SERVED, RouteVerdict.REWRITTEN, RouteVerdict.NEVER_CACHED}
_WAYS = {
    Way.KEY: "",
    Way.INDEX_DOCUMENT: ", as the folder's index document",
    Way.DEFAULT_ROOT_OBJECT: ", as the default root object",
    Way.ERROR_DOCUMENT: ", as the website's error document",
    Way.EDGE_FUNCTION: ", if the edge function there adds what is missing",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a distribution makes of a key. ``sentences`` say so in plain English, one fact each.

    ``sent`` is what a change of the key alone would send, and ``reasons`` say why, item by item.
    """

    distribution: Distribution
    key: str
    served: Served
    sent: Plan
    reasons: tuple[Reason, ...]
    sentences: tuple[str, ...]

    def to_document(self) -> dict[str, Any]:
        """JSON-able. ``served`` says whether the change costs this distribution anything."""
        distribution = self.distribution
        origins = {origin.id: origin for origin in distribution.origins}
        return {
            "distributionId": distribution.id,
            "domainName": distribution.domain_name,
            "aliases": list(distribution.aliases),
            "bucket": distribution.bucket,
            "key": self.key,
            "served": bool(self.served),
            "verdict": str(self.served.verdict),
            "paths": list(self.sent.paths),
            "reasons": {each.item: list(each.because) for each in self.reasons},
            "routes": [
                {
                    "origin": route.origin_id,
                    "originDomain": origins[route.origin_id].domain_name,
                    "originPath": origins[route.origin_id].path,
                    "viewerPath": route.location,
                    "way": str(route.way),
                    "behavior": route.pattern,
                    "verdict": str(route.verdict),
                    "paths": list(route.paths),
                }
                for route in self.served.routes
            ],
            "because": list(self.sentences),
        }


def explain(  # noqa: PLR0917 -- collaborators are arguments
    distribution: Distribution,
    key: str,
    rules: PathRules,
    budget: Budget | None = None,
    tags: str | None = "",
    max_age_of: ReadMaxAge | None = None,
) -> Explanation:
    """Whether the distribution serves the key, how, and what would be invalidated and why.

    ``tags`` is the value of the object's tag header: "" where it has none or is gone, None where nobody could tell.
    ``max_age_of`` reads the max-age of an error page.
    """
    found = served(distribution, key, rules, max_age_of)
    sent = plan_keys(
        distribution, lambda: [key], rules, budget or Budget(), tags_of=lambda _key: tags or "", max_age_of=max_age_of
    )
    sentences = [
        *_sentences(distribution, key, found),
        *(_of_paths(distribution, rules, found) if found else ()),
        *_of_error_pages(distribution, key, rules, found, max_age_of),
        *(_of_tags(distribution, rules, tags, sent) if found and distribution.tag_header else ()),
        f"Invalidated: {' '.join(sent.paths)}" if found else "Nothing is invalidated for it.",
    ]
    return Explanation(
        distribution, key, found, sent, reasons(distribution, key, rules, sent, max_age_of), tuple(sentences)
    )


def _sentences(distribution: Distribution, key: str, found: Served) -> Iterator[str]:
    if found.verdict is RouteVerdict.DISABLED:
        yield "The distribution is disabled: it is skipped."
    if found.verdict is RouteVerdict.NO_ORIGIN:
        yield f"None of its origins is known to be the bucket {distribution.bucket}."
    for domain_name in distribution.unrecognised:
        yield f"Its origin {domain_name} may be the bucket under another name: if so, add the id to DistributionIds."
    if distribution.staging:
        yield "It is a staging distribution, with a cache of its own."
    for route in found.routes:
        yield _of_route(distribution, key, route)


def _of_route(distribution: Distribution, key: str, route: Route) -> str:
    origin = next(each for each in distribution.origins if each.id == route.origin_id)
    named = f"origin {origin.id} ({origin.domain_name}{origin.path})"
    behaviour = "the default behaviour" if route.pattern == "*" else f"the behaviour {route.pattern}"
    match route.verdict:
        case _ if route.way is Way.ERROR_DOCUMENT:
            return f"It is the error document of {named}, to which {behaviour} leads: viewers see it where they fail."
        case RouteVerdict.OUTSIDE_ORIGIN_PATH:
            return f"The key {key!r} is outside OriginPath {origin.path} of {named}."
        case RouteVerdict.OTHER_ORIGIN:
            return f"Viewers who ask for {route.location!r} are sent elsewhere than {named} by {behaviour}."
        case RouteVerdict.NEVER_CACHED:
            return (
                f"Viewers reach it at {route.location!r}, and {behaviour} never caches: there is nothing to purge. "
                "What was cached before it was set so leaves the edge with its own time to live."
            )
        case RouteVerdict.REWRITTEN:
            return (
                f"No behaviour sends {route.location!r} to {named}, but the edge function of {behaviour} may: "
                "invalidated to be safe."
            )
        case _:
            return f"Viewers reach it at {route.location!r}{_WAYS[route.way]}: {behaviour} sends them to {named}."


def _of_paths(distribution: Distribution, rules: PathRules, found: Served) -> Iterator[str]:
    used = {route.pattern for route in found.routes if route.paths}
    behaviors = [behavior for behavior in distribution.behaviors if behavior.pattern in used]
    if any(behavior.query_strings for behavior in behaviors):
        yield "Query strings are part of the cache key: paths end in * to cover all of them."
    if len(found.paths) > count_locations(found.paths):
        yield (
            "Viewers may write it in several ways in a URL: each is a path, and together they count as one change when "
            "it is decided whether there is a storm."
        )
    if any(path.endswith("*") and path != "/*" for path in found.paths):
        yield (
            f"CloudFront takes few wildcards at a time: where a batch needs more than {THRIFTY_WILDCARDS} "
            f"({MAX_WILDCARDS_OF_BATCH} while the month has free paths), neighbours share one, which reaches no "
            "further than the folder that holds them all."
        )
    if any(behavior.rewrites for behavior in behaviors) and not rules.whole_behaviors:
        yield (
            "An edge function runs on these requests. Viewer paths that it turns into this key are not known, other "
            "than by the directory index."
        )
    if any(origin.foreign and origin.path for origin in distribution.origins):
        yield "Nobody knows what an origin that is not S3 makes of OriginPath: the key is sent with it and without it."
    if any(origin.website for origin in distribution.origins) and not distribution.website_index:
        yield (
            f"The bucket's website configuration could not be read: its index document is taken for {WEBSITE_INDEX} "
            "(needs s3:GetBucketWebsite)."
        )
    if any(route.way is Way.DEFAULT_ROOT_OBJECT and "/*" in route.paths for route in found.routes):
        yield (
            "The root with every query string is /*, the whole site. / and /?* would be narrower, if CloudFront takes "
            "them as it documents wildcards: EdgeRewrites=KeysAndRootQueries sends those."
        )
    if distribution.tenant_only:
        yield "It is a multi-tenant distribution: each enabled tenant is invalidated, and costs every path again."


def _of_error_pages(
    distribution: Distribution, key: str, rules: PathRules, found: Served, max_age_of: ReadMaxAge | None
) -> Iterator[str]:
    """Whether the key is an error page that stays under every failing path, and why."""
    reached = {route.location for route in found.routes if route.verdict in _REACHED}
    of_website = any(route.way is Way.ERROR_DOCUMENT for route in found.routes)
    if not rules.error_pages:
        return
    if not reached.isdisjoint(distribution.error_pages) or (of_website and distribution.website_error_kept):
        yield (
            "It is an error page, cached under every failing path for longer than "
            f"{DEFAULT_ERROR_CACHING_SECONDS} seconds: hence /*."
        )
    elif not reached.isdisjoint(distribution.brief_error_pages) or of_website:
        max_age = max_age_of(key) if max_age_of else None
        told = (
            "its max-age could not be read (needs s3:GetObject)" if max_age is None else f"its max-age is {max_age} s"
        )
        kept = (
            "kept under every failing path, hence /*"
            if "/*" in found.paths
            else "it leaves the failing paths by itself"
        )
        yield f"It is an error page, and {told}: {kept}."


def _of_tags(distribution: Distribution, rules: PathRules, tags: str | None, sent: Plan) -> Iterator[str]:
    """Whether the object's tags are invalidated, and why not."""
    reads = f"It reads cache tags from the header {distribution.tag_header}"
    if rules.invalidate_by is InvalidateBy.PATHS:
        yield f"{reads}. InvalidateBy is Paths: they are not used."
    elif not distribution.tag_metadata_key:
        yield f"{reads}, which is no metadata of the object: it is invalidated by path."
    elif tags is None:
        yield f"{reads}. The object's could not be read here: where it has any, they are invalidated too, or instead."
    elif not tag_items(tags):
        yield f"{reads}. The object has none, or is gone: it is invalidated by path."
    elif not any(item.startswith("#") for item in sent.paths):
        yield f"{reads}. The object has too many of them: it is invalidated by path."
    else:
        instead = "as well as" if rules.invalidate_by is InvalidateBy.BOTH else "instead of"
        yield f"{reads}. The object's are invalidated {instead} its paths: InvalidateBy is {rules.invalidate_by}."


_REASONS = {
    Way.KEY: "where viewers find the key",
    Way.INDEX_DOCUMENT: "the folder whose index document it is",
    Way.DEFAULT_ROOT_OBJECT: "the root, whose default object it is",
    Way.ERROR_DOCUMENT: "the website's error document is cached under every path that fails",
    Way.EDGE_FUNCTION: "what viewers ask for where the edge function adds index.html or .html",
}
_RULES: tuple[tuple[Callable[[PathRules], PathRules], str], ...] = (
    (lambda rules: replace(rules, spellings=False), "another way to write it in a URL"),
    (
        lambda rules: replace(rules, whole_behaviors=False),
        "an edge function may turn any request there into one for the key (EdgeRewrites)",
    ),
    (lambda rules: replace(rules, error_pages=False), "an error page is cached under every path that fails"),
    (lambda rules: replace(rules, root_queries=False), "the root, with every query string (EdgeRewrites)"),
)
"""Each rule taken away, and what is said of a path that is gone then."""
_QUERIES = ", with every query string: they are part of the cache key"
_CUT = ", cut before what CloudFront cannot purge as it is: a literal * or ~, or more than 4,000 characters"


@dataclass(frozen=True, slots=True)
class Reason:
    """A path or ``#tag`` that is sent, and why. One or more phrases in plain English."""

    item: str
    because: tuple[str, ...]


def reasons(
    distribution: Distribution, key: str, rules: PathRules, sent: Plan, max_age_of: ReadMaxAge | None = None
) -> tuple[Reason, ...]:
    """One for each item of the plan for the key, in its order."""
    known: dict[str, dict[str, None]] = {}
    for path, because in _why_paths(distribution, key, rules, max_age_of):
        known.setdefault(path, {}).setdefault(because)
    widened = {each.path: each.asked for each in sent.widened}
    return tuple(Reason(item, tuple(_of_item(item, known, widened.get(item, 0), rules))) for item in sent.paths)


def _of_item(item: str, known: dict[str, dict[str, None]], asked: int, rules: PathRules) -> Iterator[str]:
    if item.startswith("#"):
        yield f"a cache tag of the object (InvalidateBy is {rules.invalidate_by})"
        return
    if asked:
        yield f"stands for {asked} paths: more than a batch may cost"
    yield from known.get(item, ())
    yield from (f"covers {path} as well" for path in known if path != item and covers(item, path))


def _why_paths(
    distribution: Distribution, key: str, rules: PathRules, max_age_of: ReadMaxAge | None
) -> Iterator[tuple[str, str]]:
    """Each path of each way to the key, with a reason."""
    found = served(distribution, key, rules, max_age_of)
    without = {phrase: served(distribution, key, less(rules), max_age_of) for less, phrase in _RULES}
    plain = served(_without_query_strings(distribution), key, rules, max_age_of)
    of_keys = {path for route in found.routes for path in route.paths if route.way is Way.KEY}
    for number, route in enumerate(found.routes):
        for path in route.paths:
            if route.way is Way.DEFAULT_ROOT_OBJECT and path in of_keys and path != "/*":
                continue  # the root object's own path, which the key has already
            phrases = [phrase for phrase, fewer in without.items() if path not in fewer.routes[number].paths]
            yield path, phrases[0] if phrases else _REASONS[route.way] + _ending(path, number, plain)


def _ending(path: str, number: int, plain: Served) -> str:
    if not path.endswith("*"):
        return ""
    return _CUT if path in plain.routes[number].paths else _QUERIES


def _without_query_strings(distribution: Distribution) -> Distribution:
    return replace(distribution, behaviors=tuple(replace(each, query_strings=False) for each in distribution.behaviors))
