"""The edge caches for as long as CloudFront would.

ministack answers viewers (`Host: <distribution>.cloudfront.net`) from the origin every time: nothing is ever stale, and
nothing would show that an invalidation did anything. Here the edge keeps what it fetched for as long as the behaviour's
TTLs and the origin's headers say (CloudFront Developer Guide, "Manage how long content stays in the cache"), an error
for as long as its ErrorCachingMinTTL or the error page's max-age says ("How CloudFront caches HTTP 4xx and 5xx status
codes from your origin"), and drops it once an invalidation of its path is completed. A HEAD is answered from such a
copy as well. `X-Cache` says Hit, Miss or, for an error, Error.
"""

from __future__ import annotations

import contextvars
import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import unquote

from ministack.services import cloudfront

from invalidations_cli.local.patches import seam
from invalidations_cli.local.patches.cloudfront_invalidations import completes_at
from invalidations_cli.local.settings import LocalSettings

Headers = Mapping[str, Any]

ERROR_SECONDS, LEAST_ERROR_SECONDS_OF_S3 = 10.0, 1.0
"""ErrorCachingMinTTL where nothing says otherwise, and what S3 origins get for one of 0."""
DAY, YEAR = 86_400.0, 31_536_000.0
NEVER_KEPT = re.compile(r"\b(no-store|no-cache|private)\b", re.IGNORECASE)
SECONDS_OF = {name: re.compile(rf"\b{name}\s*=\s*\"?(\d+)", re.IGNORECASE) for name in ("s-maxage", "max-age")}
KEPT = frozenset({200, 203, 301, 302, 307, 308})
MAY_FORBID_KEEPING = frozenset({404, 410, 414, 501})
"""Errors that the origin's `no-store` and the like keep out of the cache; others it does not."""

FETCHED: contextvars.ContextVar[list[tuple[int, dict[str, Any]]] | None] = contextvars.ContextVar(
    "fetched", default=None
)
"""Status and headers of each answer that an origin gave to the request being served."""


@dataclass(frozen=True, slots=True)
class CachedCopy:
    fetched: float
    seconds: float
    """For how long it is kept, from then."""
    status: int
    headers: dict[str, Any]
    body: bytes


EDGE: dict[tuple[str, str], CachedCopy] = {}
"""(distribution id, path with its query string) → the copy that viewers get."""


def apply(settings: LocalSettings) -> None:
    serve = seam(cloudfront, "handle_viewer_request", "986c135cbc35")
    fetch = seam(cloudfront, "_fetch_from_origin", "11c0079215ff")

    @wraps(fetch)
    async def fetch_and_note(*arguments: Any) -> Any:
        answer = await fetch(*arguments)
        noted = FETCHED.get()
        if noted is not None:
            noted.append((answer[0], lowered(answer[2])))
        return answer

    @wraps(serve)
    async def serve_from_the_edge(  # noqa: PLR0917 - its signature is ministack's
        distribution: dict[str, Any], method: str, path: str, uri: str, query: str, headers: Any, *more: Any
    ) -> Any:
        place = distribution["Id"], cache_key(distribution, path, uri, query)
        copy = EDGE.get(place)
        if method in {"GET", "HEAD"} and copy is not None and is_fresh(copy, place, settings):
            age = str(int(time.monotonic() - copy.fetched))
            body = copy.body if method == "GET" else b""
            cache = copy.headers["X-Cache"] if copy.headers["X-Cache"].startswith("Error") else "Hit from cloudfront"
            return copy.status, {**copy.headers, "X-Cache": cache, "Age": age}, body
        asked, answers = time.monotonic(), list[tuple[int, dict[str, Any]]]()
        FETCHED.set(answers)
        status, response_headers, body = await serve(distribution, method, path, uri, query, headers, *more)
        if answers and answers[0][0] >= 400:
            response_headers = {**response_headers, "X-Cache": "Error from cloudfront"}
        seconds = seconds_kept(distribution, path, answers)
        if method == "GET" and seconds > 0:
            EDGE[place] = CachedCopy(asked, seconds, status, dict(response_headers), body)
        return status, response_headers, body

    cloudfront._fetch_from_origin = fetch_and_note
    cloudfront.handle_viewer_request = serve_from_the_edge


def lowered(headers: Headers) -> dict[str, Any]:
    return {name.lower(): value for name, value in headers.items()}


def cache_key(distribution: dict[str, Any], path: str, uri: str, query: str) -> str:
    """The path, with the query string where the behaviour forwards any of its names."""
    behavior = cloudfront._match_behavior(cloudfront.parse_distribution_dataplane_config(distribution), path)
    if not query or behavior is None:
        return uri
    _headers, _cookies, passes_query = cloudfront._forwarding_predicates(behavior)
    names = [pair.partition("=")[0] for pair in query.split("&")]
    return f"{uri}?{query}" if any(passes_query(name) for name in names) else uri


def seconds_kept(distribution: dict[str, Any], path: str, answers: list[tuple[int, dict[str, Any]]]) -> float:
    """For how long the edge keeps what came of these answers of the origin. The first, and perhaps an error page."""
    if not answers:
        return 0.0
    status, headers = answers[0]
    behavior = behavior_element(distribution, path)
    if status < 400:
        return seconds_by_headers(headers, *ttls(behavior)) if status in KEPT else 0.0
    if status in MAY_FORBID_KEEPING and NEVER_KEPT.search(str(headers.get("cache-control", ""))):
        return 0.0
    _least, _usual, most = ttls(behavior)
    said = explicit_seconds(answers[-1][1])
    return max(error_seconds(distribution, status), min(said or 0.0, most))


def seconds_by_headers(headers: Headers, least: float, usual: float, most: float) -> float:
    """What the origin's headers say, within the behaviour's MinTTL and MaxTTL. DefaultTTL where they say nothing."""
    if NEVER_KEPT.search(str(headers.get("cache-control", ""))):
        return least
    said = explicit_seconds(headers)
    return max(least, min(usual if said is None else said, most))


def explicit_seconds(headers: Headers) -> float | None:
    """The seconds of `s-maxage`, else `max-age`, else until `Expires`; None: the headers say nothing."""
    for pattern in SECONDS_OF.values():
        found = pattern.search(str(headers.get("cache-control", "")))
        if found:
            return float(found[1])
    expires = email.utils.parsedate_tz(str(headers.get("expires", "")))
    return None if expires is None else max(0.0, email.utils.mktime_tz(expires) - time.time())


def behavior_element(distribution: dict[str, Any], path: str) -> Any:
    """The cache behaviour, as its XML, that a path is served by."""
    configuration = cloudfront._dist_config_el(distribution)
    behaviors = cloudfront._find(configuration, "CacheBehaviors")
    items = cloudfront._find(behaviors, "Items") if behaviors is not None else None
    for behavior in items if items is not None else ():
        if cloudfront._glob_to_regex(cloudfront._text(behavior, "PathPattern")).match(path):
            return behavior
    return cloudfront._find(configuration, "DefaultCacheBehavior")


def ttls(behavior: Any) -> tuple[float, float, float]:
    """MinTTL, DefaultTTL and MaxTTL of a behaviour, in seconds. Of its cache policy, or its own of the older kind."""
    policy_id = cloudfront._opt_text(behavior, "CachePolicyId")
    if policy_id:
        policies = cloudfront._cache_policies.get(policy_id) or cloudfront._MANAGED_CACHE_POLICIES.get(policy_id)
        policy = (policies or {}).get("Config", {})
        return tuple(
            float(policy.get(name) if policy.get(name) is not None else usual)
            for name, usual in (("MinTTL", 0.0), ("DefaultTTL", DAY), ("MaxTTL", YEAR))
        )  # type: ignore[return-value] # three of them
    forwarded = cloudfront._dataplane_forwarded_values(behavior)
    if forwarded is not None and "*" in forwarded["headers"]:
        return 0.0, 0.0, 0.0
    own = [cloudfront._opt_text(behavior, name) for name in ("MinTTL", "DefaultTTL", "MaxTTL")]
    least, usual, most = (float(text) if text else given for text, given in zip(own, (0.0, DAY, YEAR), strict=True))
    return least, max(least, usual), max(most, least)


def error_seconds(distribution: dict[str, Any], status: int) -> float:
    """ErrorCachingMinTTL of a status, in seconds; a custom error response without one has the usual."""
    responses = cloudfront._find(cloudfront._dist_config_el(distribution), "CustomErrorResponses")
    items = cloudfront._find(responses, "Items") if responses is not None else None
    for response in items if items is not None else ():
        if cloudfront._text(response, "ErrorCode") == str(status):
            own = cloudfront._opt_text(response, "ErrorCachingMinTTL")
            return max(float(own), LEAST_ERROR_SECONDS_OF_S3) if own else ERROR_SECONDS
    return ERROR_SECONDS


def is_fresh(copy: CachedCopy, place: tuple[str, str], settings: LocalSettings) -> bool:
    now = time.monotonic()
    if now - copy.fetched > copy.seconds:
        return False
    distribution_id, key = place
    return not any(
        copy.fetched < completes_at(invalidation, settings) <= now and covers(path, key)
        for invalidation in cloudfront._invalidations.get(distribution_id, [])
        for path in invalidation["InvalidationBatch"]["Paths"]["Items"]
    )


def covers(path: str, key: str) -> bool:
    """Whether an invalidation's path names this key. Percent-encoded or not is the same to the edge."""
    path, key = unquote(path), unquote(key)
    return key.startswith(path[:-1]) if path.endswith("*") else key == path
