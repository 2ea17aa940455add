"""A CloudFront distribution as seen from one bucket: the values that routing is decided on.

They hold only what planning for that bucket needs, because they are frozen with the batch, and turn into small
JSON-able documents and back.

CloudFront's own documents (``DistributionSummary``, ``DistributionConfig``) have nearly the same shape. A summary lacks
DefaultRootObject and CacheTagConfig (BC), so a distribution that has the bucket is read from its configuration.

Whether an origin is the bucket is read from its domain name, from the known bucket's end: bucket names may hold dots,
so nothing in ``a.b.s3.amazonaws.com`` alone says where the name stops, and a prefix test would take ``site-staging``
for ``site``. Sources: AWS General Reference "Amazon S3 endpoints and quotas" (regional, dual-stack, FIPS); Amazon S3
User Guide "Virtual hosting of buckets" (global, legacy dash), "Website endpoints" (both forms).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote

from invalidation.cloudfront.limits import DEFAULT_ERROR_CACHING_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Document = Mapping[str, Any]
    CachesQueryStrings = Callable[[str], bool]

_TAG_METADATA = "x-amz-meta-"
_PARAMETER = re.compile(r"\{\{[^{}]*\}\}")


@dataclass(frozen=True, slots=True)
class Origin:
    """An origin that is the bucket.

    ``path`` is the OriginPath: "" or ``/x/y``, without a slash at its end; in a multi-tenant distribution it may hold
    parameters (``/{{customer}}``). ``website`` is a website endpoint. ``path_style`` is an endpoint without a bucket in
    its domain name (``s3.eu-west-1.amazonaws.com``), where the bucket is the first segment of the path.
    """

    id: str
    domain_name: str
    path: str = ""
    website: bool = False
    path_style: bool = False

    def locations(self, bucket: str, key: str) -> Iterator[str]:
        """The viewer paths, decoded, under which this origin serves the key: none when it is outside OriginPath.

        CloudFront prepends OriginPath to what the viewer asked for (CFD "Origin settings", Origin path). There is more
        than one only where OriginPath holds a parameter, because nothing says how many folders its value spans.
        """
        asked = f"/{bucket}/{key}" if self.path_style else "/" + key
        if "{{" not in self.path:
            if asked.startswith(self.path + "/"):
                yield asked[len(self.path) :]
            return
        first, *inner, last = map(re.escape, _PARAMETER.split(self.path))
        values = "".join(f"(?>.+?{each})" for each in inner)  # never tried twice: keys are written by strangers
        origin_path = re.compile(f"{first}{values}.+{last}", re.DOTALL)
        for slash in re.finditer("/", asked):
            if origin_path.fullmatch(asked, 0, slash.start()):
                yield asked[slash.start() :]


@dataclass(frozen=True, slots=True)
class Behavior:
    """A cache behaviour.

    ``pattern`` is its path pattern, ``*`` for the default. ``origin_ids`` are those of its targets, origin groups
    expanded, that are the bucket: none means that it goes elsewhere. ``rewrites``: an edge function runs on the request
    and may change its URI or its origin. ``query_strings``: they are part of the cache key.
    """

    pattern: str
    origin_ids: tuple[str, ...] = ()
    rewrites: bool = False
    query_strings: bool = False


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution, as seen from ``bucket`` ("" when it was asked for by its id alone).

    ``behaviors`` are in the order in which CloudFront tries them, the default last. ``error_pages`` are the locations
    of custom error pages that stay cached, under every path that fails, for longer than CloudFront's default.
    ``tag_header`` is ``CacheTagConfig.HeaderName`` in lower case. ``unrecognised`` are domain names of other origins
    that may be the bucket under a name of their own, such as an access point's.
    """

    id: str
    bucket: str
    domain_name: str = ""
    aliases: tuple[str, ...] = ()
    enabled: bool = True
    staging: bool = False
    tenant_only: bool = False
    origins: tuple[Origin, ...] = ()
    behaviors: tuple[Behavior, ...] = ()
    default_root_object: str = ""
    error_pages: tuple[str, ...] = ()
    tag_header: str = ""
    unrecognised: tuple[str, ...] = ()

    @property
    def tag_metadata_key(self) -> str:
        """The key of the S3 metadata that holds an object's cache tags: ``cache-tag`` for ``x-amz-meta-cache-tag``.

        "" when the distribution has no tag header, or one that an edge function sets and the object does not know.
        """
        return self.tag_header.removeprefix(_TAG_METADATA) if self.tag_header.startswith(_TAG_METADATA) else ""

    def to_document(self) -> dict[str, Any]:
        """JSON-able, in camel case, without what has its default value. ``from_document`` reads it."""
        return _document(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """The distribution that ``to_document`` wrote."""
        values = _values(cls, document)
        values["origins"] = tuple(Origin(**_values(Origin, each)) for each in document.get("origins", ()))
        values["behaviors"] = tuple(Behavior(**_values(Behavior, each)) for each in document.get("behaviors", ()))
        return cls(**values)


def _document(value: Distribution | Origin | Behavior) -> dict[str, Any]:
    return {
        _camel(each.name): _plain(getattr(value, each.name))
        for each in fields(value)
        if getattr(value, each.name) != each.default
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return _document(value) if isinstance(value, Origin | Behavior) else value


def _values(of: type[Distribution | Origin | Behavior], document: dict[str, Any]) -> dict[str, Any]:
    found = {each.name: document[_camel(each.name)] for each in fields(of) if _camel(each.name) in document}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def _camel(name: str) -> str:
    return re.sub("_(.)", lambda found: found[1].upper(), name)


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
    if not is_endpoint(origin["DomainName"]):
        return match(origin["DomainName"], bucket)
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
                website=is_website(domain_name),
                path_style=is_endpoint(domain_name),
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


_ORIGIN_PARAMETER: Final = r"\{\{[^{}]*\}\}"
_REGION: Final = rf"(?:[a-z]{{2,}}(?:-[a-z]+)+-\d+|{_ORIGIN_PARAMETER})"
_SUFFIX: Final = r"\.amazonaws\.com(?:\.cn)?"

_REST: Final = re.compile(
    rf"(?:s3|s3\.{_REGION}|s3-(?!website-){_REGION}|s3\.dualstack\.{_REGION}|s3-fips\.{_REGION}|s3-fips\.dualstack\.{_REGION}"
    rf"|s3-fips-{_REGION}|s3-external-\d){_SUFFIX}"
)
_WEBSITE: Final = re.compile(rf"s3-website[.-]{_REGION}{_SUFFIX}")

_ALIAS: Final = re.compile(r"-s3alias|--ol-s3|--op-s3|--x-s3|--xa-s3|--table-s3")
"""Endings that S3 keeps for access points, Object Lambda, Outposts, directory and table buckets: no general purpose
bucket's name ends so (Amazon S3 User Guide, "General purpose bucket naming rules")."""


class Match(StrEnum):
    """What an origin's domain name says about a bucket."""

    THIS_BUCKET = "ThisBucket"
    OTHER_BUCKET = "OtherBucket"
    UNRECOGNISED = "Unrecognised"
    """Not the name of any bucket: a custom origin, or an access point, which may stand for this bucket or another."""


def match(domain_name: str, bucket: str) -> Match:
    """What ``domain_name`` (any letter case, a final dot allowed) says about ``bucket``.

    In a multi-tenant distribution the name may hold parameters, ``{{customer}}-site.s3.eu-west-1.amazonaws.com``: it
    is this bucket if some value of theirs makes it so.
    """
    domain_name = _canonical(domain_name)
    names = [name for name, service in _splits(domain_name) if _is_s3(service)]
    if any(_may_be(name, bucket) for name in names):
        return Match.THIS_BUCKET
    if not names or any(_ALIAS.search(name[-12:]) for name in names):
        return Match.UNRECOGNISED
    return Match.OTHER_BUCKET


def is_website(domain_name: str) -> bool:
    """Whether this is a bucket's website endpoint, which serves index documents and redirects to folders."""
    return any(_WEBSITE.fullmatch(service) for _, service in _splits(_canonical(domain_name)))


def is_endpoint(domain_name: str) -> bool:
    """Whether this is an S3 endpoint without a bucket, whose requests name the bucket in their path."""
    return bool(_REST.fullmatch(_canonical(domain_name)))


def _canonical(domain_name: str) -> str:
    return domain_name.lower().removesuffix(".")


def _splits(domain_name: str) -> list[tuple[str, str]]:
    return [(domain_name[: dot.start()], domain_name[dot.end() :]) for dot in re.finditer(r"\.", domain_name)]


def _is_s3(service: str) -> bool:
    return bool(_REST.fullmatch(service) or _WEBSITE.fullmatch(service))


def _may_be(name: str, bucket: str) -> bool:
    parts = re.split(_ORIGIN_PARAMETER, name)
    return re.fullmatch("[a-z0-9.-]+".join(map(re.escape, parts)), bucket) is not None
