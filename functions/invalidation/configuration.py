"""CloudFront's own documents (``DistributionSummary``, ``DistributionConfig``) read into ``Distribution`` values.

Both have nearly the same shape. A summary lacks DefaultRootObject and CacheTagConfig (BC), so a distribution that has
the bucket is read from its configuration.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from invalidation import origins
from invalidation.distribution import Behavior, Distribution, Origin
from invalidation.limits import DEFAULT_ERROR_CACHING_SECONDS
from invalidation.origins import Match

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Document = Mapping[str, Any]
    CachesQueryStrings = Callable[[str], bool]

MANAGED_CACHE_POLICIES: Final = {
    "2e54312d-136d-493c-8eb9-b001f22f67d2": True,  # Amplify
    "4135ea2d-6df8-44a3-9df3-4b5a84be39ad": False,  # CachingDisabled
    "658327ea-f89d-4fab-a63d-7e88639e58f6": False,  # CachingOptimized
    "b2884449-e4de-46a7-ac36-70bc7f1ddd6d": False,  # CachingOptimizedForUncompressedObjects
    "08627262-05a9-4f76-9ded-b50ca2e3a84f": True,  # Elemental-MediaPackage
    "83da9c7e-98b4-4e11-a168-04f0df8e2c65": False,  # UseOriginCacheControlHeaders
    "4cc15a8a-d715-48a4-82b8-cc0b614638fe": True,  # UseOriginCacheControlHeaders-QueryStrings
}
"""Managed cache policies, and whether query strings are part of their cache key (CFD "Use managed cache policies")."""

_REQUEST_EVENTS: Final = {"viewer-request", "origin-request"}


def has_origin(document: Document, bucket: str) -> bool:
    """Whether one of the distribution's origins is known to be the bucket."""
    return any(_matches(origin, bucket) is Match.THIS_BUCKET for origin in _items(document, "Origins"))


def outline(distribution_id: str, bucket: str, document: Document) -> Distribution:
    """The distribution without its routing: what a person wants to see of one that does not serve the bucket."""
    unknown = [o["DomainName"] for o in _items(document, "Origins") if _matches(o, bucket) is Match.UNRECOGNISED]
    return Distribution(
        id=distribution_id,
        bucket=bucket,
        domain_name=document.get("DomainName", ""),
        aliases=tuple(_items(document, "Aliases")),
        enabled=document["Enabled"],
        staging=document.get("Staging", False),
        tenant_only=document.get("ConnectionMode") == "tenant-only",
        unrecognised=tuple(unknown),
    )


def read_distribution(
    distribution_id: str,
    bucket: str,
    document: Document,
    caches_query_strings: CachesQueryStrings,
    *,
    named: bool = False,
) -> Distribution:
    """The distribution as seen from the bucket.

    ``caches_query_strings`` is asked with the id of a cache policy. In a distribution that somebody ``named`` as one
    that serves the bucket, origins whose domain names are no bucket's are taken for the bucket: access points and
    custom origins in front of S3 are what naming distributions is for. Should one of them be something else, keys that
    are routed to it cost a path each; the other way round their changes would never be seen.
    """
    ours = tuple(each for origin in _items(document, "Origins") for each in _origins(origin, bucket, named=named))
    ids = {each.id for each in ours}
    groups = {group["Id"]: _items(group, "Members") for group in _items(document, "OriginGroups")}
    behaviors = [*_items(document, "CacheBehaviors"), document["DefaultCacheBehavior"] | {"PathPattern": "*"}]

    def targets(behavior: Document) -> tuple[str, ...]:
        target = behavior["TargetOriginId"]
        members = [member["OriginId"] for member in groups[target]] if target in groups else [target]
        return tuple(member for member in members if member in ids)

    return replace(
        outline(distribution_id, bucket, document),
        origins=ours,
        behaviors=tuple(
            Behavior(each["PathPattern"], targets(each), _rewrites(each), _query_strings(each, caches_query_strings))
            for each in behaviors
        ),
        default_root_object=document.get("DefaultRootObject", "").removeprefix("/"),
        error_pages=tuple(_error_pages(document)),
        tag_header=(document.get("CacheTagConfig") or {}).get("HeaderName", "").lower(),
        unrecognised=(),
    )


def presumed(distribution_id: str, bucket: str) -> Distribution:
    """A distribution that somebody named and that does not exist, as if it served the whole bucket.

    Its CreateInvalidation then fails with NoSuchDistribution: reported for it, and nobody else's work is stopped.
    """
    origin = Origin(id=bucket, domain_name="")
    return Distribution(distribution_id, bucket, origins=(origin,), behaviors=(Behavior("*", (origin.id,)),))


def policy_caches_query_strings(policy: Document) -> bool:
    """Whether a cache policy (``CachePolicy`` of GetCachePolicy) has query strings, all or some, in its cache key."""
    parameters = policy["CachePolicyConfig"].get("ParametersInCacheKeyAndForwardedToOrigin", {})
    return bool(parameters.get("QueryStringsConfig", {}).get("QueryStringBehavior", "all") != "none")


def _items(document: Document, name: str) -> list[Any]:
    """The list at ``name``: CloudFront leaves out ``Items`` where there are none, and sometimes the whole."""
    return (document.get(name) or {}).get("Items") or []


def _matches(origin: Document, bucket: str) -> Match:
    if not origins.is_endpoint(origin["DomainName"]):
        return origins.match(origin["DomainName"], bucket)
    path, of_bucket = f"{_origin_path(origin)}/", f"/{bucket}/"
    return Match.THIS_BUCKET if path.startswith(of_bucket) or of_bucket.startswith(path) else Match.OTHER_BUCKET


def _origins(origin: Document, bucket: str, *, named: bool) -> Iterator[Origin]:
    wanted = {Match.THIS_BUCKET, Match.UNRECOGNISED} if named else {Match.THIS_BUCKET}
    if bucket and _matches(origin, bucket) in wanted:
        domain_name, path = origin["DomainName"], _origin_path(origin)
        # Whether OriginPath is written encoded or raw is not documented: both are looked for in the key.
        for spelling in dict.fromkeys([path, unquote(path)]):
            yield Origin(
                id=origin["Id"],
                domain_name=domain_name,
                path=spelling,
                website=origins.is_website(domain_name),
                path_style=origins.is_endpoint(domain_name),
            )


def _origin_path(origin: Document) -> str:
    path = origin.get("OriginPath", "").strip("/")
    return f"/{path}" if path else ""


def _rewrites(behavior: Document) -> bool:
    functions = _items(behavior, "FunctionAssociations") + _items(behavior, "LambdaFunctionAssociations")
    return any(each["EventType"] in _REQUEST_EVENTS for each in functions)


def _query_strings(behavior: Document, caches_query_strings: CachesQueryStrings) -> bool:
    """Of a cache policy, or of the legacy settings. CloudFront wants one of the two; without either, say yes."""
    policy = behavior.get("CachePolicyId")
    if policy:
        return MANAGED_CACHE_POLICIES[policy] if policy in MANAGED_CACHE_POLICIES else caches_query_strings(policy)
    return bool(behavior.get("ForwardedValues", {}).get("QueryString", True))


def _error_pages(document: Document) -> Iterator[str]:
    for each in _items(document, "CustomErrorResponses"):
        cached = each.get("ErrorCachingMinTTL", DEFAULT_ERROR_CACHING_SECONDS)
        if each.get("ResponsePagePath") and cached > DEFAULT_ERROR_CACHING_SECONDS:
            yield unquote(each["ResponsePagePath"])
