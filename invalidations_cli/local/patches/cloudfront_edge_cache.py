"""The edge caches.

ministack answers viewers (`Host: <distribution>.cloudfront.net`) from the origin every time: nothing is ever stale, and
nothing would show that an invalidation did anything. Here the edge keeps what it fetched for a day, and an error for
ten seconds (CloudFront Developer Guide, "Manage how long content stays in the cache"), and drops it once an
invalidation of its path is completed. A HEAD is answered from such a copy as well. `X-Cache` says Hit or Miss.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import unquote

from ministack.services import cloudfront

from invalidations_cli.local.patches import seam
from invalidations_cli.local.patches.cloudfront_invalidations import completes_at
from invalidations_cli.local.settings import LocalSettings

DAY = 86_400.0
ERROR_SECONDS = 10.0
CACHED = {200: DAY, 403: ERROR_SECONDS, 404: ERROR_SECONDS}


@dataclass(frozen=True, slots=True)
class CachedCopy:
    fetched: float
    status: int
    headers: dict[str, Any]
    body: bytes


EDGE: dict[tuple[str, str], CachedCopy] = {}
"""(distribution id, path with its query string) → the copy that viewers get."""


def apply(settings: LocalSettings) -> None:
    serve = seam(cloudfront, "handle_viewer_request", "986c135cbc35")

    @wraps(serve)
    async def serve_from_the_edge(  # noqa: PLR0917 - its signature is ministack's
        distribution: dict[str, Any], method: str, path: str, uri: str, query: str, headers: Any, *more: Any
    ) -> Any:
        place = distribution["Id"], cache_key(distribution, path, uri, query)
        copy = EDGE.get(place)
        if method in {"GET", "HEAD"} and copy is not None and is_fresh(copy, place, settings):
            age = str(int(time.monotonic() - copy.fetched))
            body = copy.body if method == "GET" else b""
            return copy.status, {**copy.headers, "X-Cache": "Hit from cloudfront", "Age": age}, body
        asked = time.monotonic()
        status, response_headers, body = await serve(distribution, method, path, uri, query, headers, *more)
        if method == "GET" and status in CACHED:
            EDGE[place] = CachedCopy(asked, status, dict(response_headers), body)
        return status, response_headers, body

    cloudfront.handle_viewer_request = serve_from_the_edge


def cache_key(distribution: dict[str, Any], path: str, uri: str, query: str) -> str:
    """The path, with the query string where the behaviour lets any of its names through to the origin."""
    behavior = cloudfront._match_behavior(cloudfront.parse_distribution_dataplane_config(distribution), path)
    if not query or behavior is None:
        return uri
    _headers, _cookies, passes_query = cloudfront._forwarding_predicates(behavior)
    names = [pair.partition("=")[0] for pair in query.split("&")]
    return f"{uri}?{query}" if any(passes_query(name) for name in names) else uri


def is_fresh(copy: CachedCopy, place: tuple[str, str], settings: LocalSettings) -> bool:
    now = time.monotonic()
    if now - copy.fetched > CACHED[copy.status]:
        return False
    distribution_id, key = place
    return not any(
        copy.fetched < completes_at(invalidation, settings) <= now and covers(path, key)
        for invalidation in cloudfront._invalidations.get(distribution_id, [])
        for path in invalidation["InvalidationBatch"]["Paths"]["Items"]
    )


def covers(path: str, key: str) -> bool:
    """Whether an invalidation's path names this key; percent-encoded or not is the same to the edge."""
    path, key = unquote(path), unquote(key)
    return key.startswith(path[:-1]) if path.endswith("*") else key == path
