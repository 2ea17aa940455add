"""A small CloudFront in front of S3, to test against: which object answers a request, and what a purge reaches.

It is written from the AWS documentation alone and imports nothing of the application. It works forwards, from a URL as
a viewer writes it to an object, where the application works backwards from an object to the URLs. Where the
documentation leaves open what CloudFront does, ``Reading`` holds both answers, and the application has to be right
under either.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

UNRESERVED = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
DOCUMENTED_AS_UNSAFE = set(' <>"#%{}|\\^~[]`')  # RFC 1738, section 2.2


class Reading(Enum):
    """What the documentation leaves open."""

    ONE_SPELLING = auto()
    """An invalidation path finds an object however the viewer spelled it."""
    VIEWERS_SPELLING = auto()
    """It finds the object only under the viewer's spelling of characters that need no encoding."""


@dataclass(frozen=True)
class S3Origin:
    """``host`` is a host that is not S3's, in front of the bucket; ``stage``: its path is no folder of the bucket.

    ``website_error`` is the key of the website's error document.
    """

    id: str
    bucket: str
    path: str = ""
    website_index: str = ""
    website_error: str = ""
    host: str = ""
    stage: bool = False


@dataclass(frozen=True)
class CacheBehavior:
    """``function`` rewrites the URI at ``function_at``; ``never_caches``: all three times to live are 0."""

    pattern: str
    target: str
    query_strings: bool = False
    function: Callable[[str], str] | None = None
    function_at: str = "viewer-request"
    never_caches: bool = False


@dataclass(frozen=True)
class Edge:
    """A distribution. ``groups`` are origin groups, id -> origins' ids. The last behaviour is the default, ``*``.

    Two things that the documentation leaves open: whether a request for ``/`` is routed by the default root object's
    path or by ``/`` (``root_object_chooses``), and whether a wildcard at a pattern's start may stand for the leading
    slash (``patterns_see_slash``). ``error_page`` is the path of a custom error page, kept for ``error_seconds``.
    """

    origins: tuple[S3Origin, ...]
    behaviors: tuple[CacheBehavior, ...]
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    default_root_object: str = ""
    root_object_chooses: bool = False
    patterns_see_slash: bool = False
    error_page: str = ""
    error_seconds: int = 10


@dataclass(frozen=True)
class Answer:
    """An object that an answer depends on, and the URI under which the edge keeps that answer."""

    bucket: str
    key: str
    cached_uri: str


def answers(edge: Edge, uri: str, query: str = "") -> list[Answer]:
    """What a GET of ``uri`` (percent-encoded by the viewer) depends on; any member of an origin group may answer.

    Where a viewer-request function changes the URI, the answer is kept under both (CFD, "Changing the URI by using a
    function"); an origin-request function runs after the cache was asked. For the root it is kept as ``/`` or under its
    object's path. Where nothing is cached, errors are, for a while that is no longer than an invalidation takes unless
    the distribution says so (CFD, "Control how long CloudFront caches errors").
    """
    asked = _documented_spelling("/" + edge.default_root_object) if uri == "/" and edge.default_root_object else uri
    routed = for_matching(asked if edge.root_object_chooses else uri)
    behavior = next(each for each in edge.behaviors if matches(each.pattern, routed, edge.patterns_see_slash))
    if behavior.never_caches and edge.error_seconds <= 10:
        return []
    kept = {uri, asked}
    if behavior.function:
        asked = behavior.function(asked)
        if behavior.function_at == "viewer-request":
            kept.add(asked)
    if query and behavior.query_strings:
        kept = {f"{each}?{query}" for each in kept}
    found = []
    for origin in edge.origins:
        if origin.id in edge.groups.get(behavior.target, (behavior.target,)):
            for key in _keys(origin, asked if origin.stage else origin.path + asked):
                found += [Answer(origin.bucket, key, each) for each in sorted(kept)]
    return found


def error_pages(edge: Edge, uri: str, max_age: int) -> list[Answer]:
    """What a GET of ``uri`` depends on if there is nothing, and is kept for longer than an invalidation takes.

    CloudFront asks for its custom error page as for any other path; without one viewers get the website's error
    document, which S3 reads by its key (CFD, "Generate custom error responses"; S3 User Guide, "Configuring a custom
    error document"). It is kept for the greater of the configured time and the page's own max-age, which the maximum
    TTL bounds (CFD, "Control how long CloudFront caches errors").
    """
    behavior = _behavior_of(edge, uri)
    if max(edge.error_seconds, 0 if behavior.never_caches else max_age) <= 10:
        return []
    if edge.error_page:
        shown = _behavior_of(edge, edge.error_page)
        keys = [(o, key) for o in _targets(edge, shown) for key in _keys(o, o.path + edge.error_page)]
    else:
        keys = [(o, o.website_error) for o in _targets(edge, behavior) if o.website_error]
    return [Answer(origin.bucket, key, uri) for origin, key in keys]


def _behavior_of(edge: Edge, uri: str) -> CacheBehavior:
    routed = for_matching(uri)
    return next(each for each in edge.behaviors if matches(each.pattern, routed, edge.patterns_see_slash))


def _targets(edge: Edge, behavior: CacheBehavior) -> list[S3Origin]:
    return [each for each in edge.origins if each.id in edge.groups.get(behavior.target, (behavior.target,))]


def matches(pattern: str, uri: str, see_slash: bool) -> bool:
    """CFD "Cache behavior settings", Path pattern."""
    if see_slash:
        return _glob(pattern if pattern[0] in "/*?" else "/" + pattern, uri)
    return _glob(pattern.removeprefix("/"), uri.removeprefix("/"))


def for_matching(uri: str) -> str:
    """CFD "Cache behavior settings", Path normalization: RFC 3986, repeated slashes, dot segments."""
    decoded = re.sub(
        "%([0-9A-Fa-f]{2})",
        lambda m: chr(int(m[1], 16)) if chr(int(m[1], 16)) in UNRESERVED else m[0].upper(),
        uri,
    )
    out: list[str] = []
    pieces = [piece for piece in decoded.split("/") if piece]
    for piece in pieces:
        if piece == "..":
            out = out[:-1]
        elif piece != ".":
            out.append(piece)
    ends_in_folder = decoded.endswith(("/", "/.", "/.."))
    return "/" + "/".join(out) + ("/" if out and ends_in_folder else "")


def purged(path: str, cached_uri: str, reading: Reading) -> bool:
    """Whether an invalidation of ``path`` removes what is kept under ``cached_uri``."""
    if not path.startswith("/") or "~" in path or re.search("%(2[Aa]|7[Ee])", path) or len(path) > 4000:
        return False
    location, mark, query = cached_uri.partition("?")
    kept = _documented_spelling(location) if reading is Reading.ONE_SPELLING else _unsafe_encoded(location)
    kept += mark + query
    return kept.startswith(path[:-1]) if path.endswith("*") else kept == path


def api_document(edge: Edge, domain_of: Callable[[S3Origin], str]) -> dict[str, Any]:
    """The edge as CloudFront's API describes it (DistributionConfig)."""
    behaviors = [
        {
            "PathPattern": each.pattern,
            "TargetOriginId": each.target,
            "ForwardedValues": {"QueryString": each.query_strings},
            "FunctionAssociations": _listed([{"EventType": each.function_at}] if each.function else []),
            **({"MinTTL": 0, "DefaultTTL": 0, "MaxTTL": 0} if each.never_caches else {}),
        }
        for each in edge.behaviors
    ]
    return {
        "Enabled": True,
        "DefaultRootObject": edge.default_root_object,
        "Origins": _listed([{"Id": o.id, "DomainName": domain_of(o), "OriginPath": o.path} for o in edge.origins]),
        "OriginGroups": _listed(
            [
                {"Id": id_, "Members": _listed([{"OriginId": m} for m in members])}
                for id_, members in edge.groups.items()
            ]
        ),
        "CacheBehaviors": _listed(behaviors[:-1]),
        "CustomErrorResponses": _listed(
            [{"ErrorCode": 404, "ResponsePagePath": edge.error_page, "ErrorCachingMinTTL": edge.error_seconds}]
            if edge.error_page
            else [{"ErrorCode": 404, "ErrorCachingMinTTL": edge.error_seconds}]
        ),
        "DefaultCacheBehavior": {name: value for name, value in behaviors[-1].items() if name != "PathPattern"},
    }


def _listed(items: list[Any]) -> dict[str, Any]:
    return {"Quantity": len(items), "Items": items} if items else {"Quantity": 0}


def _keys(origin: S3Origin, path: str) -> list[str]:
    """The object that S3 answers with. It takes ``+`` for a space. A website also depends on the folder's index."""
    key = unquote_to_bytes(path.removeprefix("/").replace("+", " ")).decode(errors="surrogatepass")
    if not origin.website_index:
        return [key]
    if not key or key.endswith("/"):
        return [key + origin.website_index]
    return [key, f"{key}/{origin.website_index}"]


def _glob(pattern: str, text: str) -> bool:
    """Whether the texts of all prefixes fit, row by row: no regular expressions, no bits."""
    fits = [True] + [False] * len(text)
    for token in pattern:
        if token == "*":
            for index in range(1, len(text) + 1):
                fits[index] = fits[index] or fits[index - 1]
        else:
            fits = [False] + [fits[i] and token in {"?", text[i]} for i in range(len(text))]
    return fits[-1]


def _documented_spelling(uri: str) -> str:
    return "".join(
        char if char.isascii() and char not in DOCUMENTED_AS_UNSAFE | {"?"} and ord(char) > 32 else _triplets(char)
        for char in unquote(uri)
    )


def _unsafe_encoded(uri: str) -> str:
    """Unsafe characters and unreserved ones in their documented spelling, the rest as the viewer wrote it."""
    triplets = re.sub(
        "%([0-9A-Fa-f]{2})",
        lambda m: chr(int(m[1], 16)) if chr(int(m[1], 16)) in UNRESERVED else m[0].upper(),
        uri,
    )
    return "".join(c if c == "%" or c not in DOCUMENTED_AS_UNSAFE else _triplets(c) for c in triplets)


def _triplets(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode(errors="surrogatepass"))
