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
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote

from invalidation.cloudfront.limits import DEFAULT_ERROR_CACHING_SECONDS, LONGEST_TTL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    Document = Mapping[str, Any]
    ReadCachePolicy = Callable[[str], "CachePolicy"]
    ReadAliases = Callable[[], Collection[str]]

_TAG_METADATA = "x-amz-meta-"
_PARAMETER = re.compile(r"\{\{[^{}]*\}\}")


@dataclass(frozen=True, slots=True)
class Origin:
    """An origin that is the bucket.

    ``path`` is the OriginPath: "" or ``/x/y``, without a slash at its end; in a multi-tenant distribution it may hold
    parameters (``/{{customer}}``). ``website`` is a website endpoint. ``path_style`` is an endpoint without a bucket in
    its domain name (``s3.eu-west-1.amazonaws.com``), where the bucket is the first segment of the path. ``foreign`` is
    a host that is not S3's and that somebody named: nobody knows what it makes of OriginPath.
    """

    id: str
    domain_name: str
    path: str = ""
    website: bool = False
    path_style: bool = False
    foreign: bool = False

    def locations(self, bucket: str, key: str) -> Iterator[str]:
        """The viewer paths, decoded, under which this origin serves the key. None when it is outside OriginPath.

        CloudFront prepends OriginPath to what the viewer asked for (CFD "Origin settings", Origin path). There is more
        than one where OriginPath holds a parameter, because nothing says how many folders its value spans, and on a
        foreign host, whose OriginPath may be a stage (API Gateway) or a folder of the bucket.
        """
        asked = f"/{bucket}/{key}" if self.path_style else "/" + key
        if self.foreign and self.path:
            yield asked
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
    and may change its URI; ``rewrites_late``: only after the cache was asked (origin-request), so that the answer is
    kept under the viewer's URI alone. ``query_strings``: they are part of the cache key. ``never_caches``: nothing but
    errors is kept there.
    """

    pattern: str
    origin_ids: tuple[str, ...] = ()
    rewrites: bool = False
    rewrites_late: bool = False
    query_strings: bool = False
    never_caches: bool = False


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """What planning needs of a cache policy. Query strings in the key, and the longest TTL in seconds."""

    query_strings: bool
    never_caches: bool = False
    max_ttl: int = LONGEST_TTL


UNREADABLE_POLICY: Final = CachePolicy(query_strings=True)
"""A policy that may not be read: the one that costs wildcards, not the one that leaves stale answers."""


@dataclass(frozen=True, slots=True)
class Website:
    """The documents of a bucket's website endpoint: keys, as GetBucketWebsite gives them; "" for none."""

    index: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution, as seen from ``bucket``. That is "" when its id alone was asked for.

    ``behaviors`` are in the order in which CloudFront tries them, the default last. ``error_pages`` are the locations
    of error pages that stay cached, under every path that fails, for longer than CloudFront's default by configuration;
    of ``brief_error_pages`` their own max-age decides, up to ``max_ttl`` seconds. ``errors_kept``: some error is kept
    for longer than the default. ``website_index`` is the index document of the bucket's website endpoint, "" where it
    could not be read; ``website_error`` is the key of its error document, "" where viewers never see it, and
    ``website_error_kept`` whether it stays cached for long by configuration. ``tag_header`` is
    ``CacheTagConfig.HeaderName`` in lower case. ``unrecognised`` are domain names of other origins that may be the
    bucket under a name of their own, such as an access point's.
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
    brief_error_pages: tuple[str, ...] = ()
    errors_kept: bool = False
    max_ttl: int = LONGEST_TTL
    website_index: str = ""
    website_error: str = ""
    website_error_kept: bool = False
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


@cache
def _camel(name: str) -> str:
    return re.sub("_(.)", lambda found: found[1].upper(), name)


MANAGED_CACHE_POLICIES: Final = {
    "2e54312d-136d-493c-8eb9-b001f22f67d2": CachePolicy(query_strings=True, max_ttl=600),  # Amplify
    "4135ea2d-6df8-44a3-9df3-4b5a84be39ad": CachePolicy(False, never_caches=True, max_ttl=0),  # CachingDisabled
    "658327ea-f89d-4fab-a63d-7e88639e58f6": CachePolicy(query_strings=False),  # CachingOptimized
    "b2884449-e4de-46a7-ac36-70bc7f1ddd6d": CachePolicy(False),  # CachingOptimizedForUncompressedObjects
    "08627262-05a9-4f76-9ded-b50ca2e3a84f": CachePolicy(query_strings=True),  # Elemental-MediaPackage
    "83da9c7e-98b4-4e11-a168-04f0df8e2c65": CachePolicy(query_strings=False),  # UseOriginCacheControlHeaders
    "4cc15a8a-d715-48a4-82b8-cc0b614638fe": CachePolicy(True),  # UseOriginCacheControlHeaders-QueryStrings
}
"""Managed cache policies by id (CFD "Use managed cache policies")."""

_REQUEST_EVENTS: Final = {"viewer-request", "origin-request"}
MISSING: Final = (403, 404)
"""HTTP status codes of what is not there."""


def has_origin(document: Document, bucket: str, aliases: ReadAliases = tuple) -> bool:
    """Whether one of the distribution's origins is known to be the bucket.

    ``aliases`` is asked for the names of the bucket's access points, only where an origin may be one.
    """
    return any(_matches(origin, bucket, aliases) is Match.THIS_BUCKET for origin in _items(document, "Origins"))


def outline(distribution_id: str, bucket: str, document: Document, aliases: ReadAliases = tuple) -> Distribution:
    """The distribution without its routing. What a person wants to see of one that does not serve the bucket."""
    unknown = [
        origin["DomainName"]
        for origin in _items(document, "Origins")
        if _matches(origin, bucket, aliases) is Match.UNRECOGNISED
    ]
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


def read_distribution(  # noqa: PLR0917 -- collaborators are arguments
    distribution_id: str,
    bucket: str,
    document: Document,
    cache_policy: ReadCachePolicy,
    website: Callable[[], Website | None] = lambda: None,
    aliases: ReadAliases = tuple,
    *,
    named: bool = False,
) -> Distribution:
    """The distribution as seen from the bucket.

    ``cache_policy`` is asked with the id of a cache policy; ``website`` for the documents of the bucket's website, only
    where an origin is its endpoint. In a distribution that somebody ``named`` as one that serves the bucket, origins
    whose domain names are no bucket's are taken for the bucket: access points and custom origins in front of S3 are
    what naming distributions is for. Should one of them be something else, keys that are routed to it cost a path each;
    the other way round their changes would never be seen.
    """
    ours = tuple(
        each for origin in _items(document, "Origins") for each in _origins(origin, bucket, aliases, named=named)
    )
    documents = website() if any(each.website for each in ours) else None
    policies = [_policy(each, cache_policy) for each in _behaviors(document)]
    long, brief = _error_pages(document)
    website_error, website_error_kept = _website_error(document, documents)
    return replace(
        outline(distribution_id, bucket, document, aliases),
        origins=ours,
        behaviors=_with_targets(document, {each.id for each in ours}, policies),
        default_root_object=document.get("DefaultRootObject", "").removeprefix("/"),
        error_pages=tuple(long),
        brief_error_pages=tuple(brief),
        errors_kept=any(_is_kept(each) for each in _items(document, "CustomErrorResponses")),
        max_ttl=max(each.max_ttl for each in policies),
        website_index=documents.index if documents else "",
        website_error=website_error,
        website_error_kept=website_error_kept,
        tag_header=(document.get("CacheTagConfig") or {}).get("HeaderName", "").lower(),
        unrecognised=(),
    )


def _behaviors(document: Document) -> list[Document]:
    return [*_items(document, "CacheBehaviors"), document["DefaultCacheBehavior"] | {"PathPattern": "*"}]


def _with_targets(document: Document, ours: set[str], policies: list[CachePolicy]) -> tuple[Behavior, ...]:
    """The behaviours, each with those of its targets that are the bucket, origin groups expanded."""
    groups = {group["Id"]: _items(group, "Members") for group in _items(document, "OriginGroups")}
    found = []
    for each, policy in zip(_behaviors(document), policies, strict=True):
        target = each["TargetOriginId"]
        members = [member["OriginId"] for member in groups[target]] if target in groups else [target]
        targets = tuple(member for member in members if member in ours)
        events = _request_events(each)
        late = events == {"origin-request"}
        pattern = each["PathPattern"]
        found.append(Behavior(pattern, targets, bool(events), late, policy.query_strings, policy.never_caches))
    return tuple(found)


def presumed(distribution_id: str, bucket: str) -> Distribution:
    """A named distribution that does not exist, as if it served the whole bucket.

    Its CreateInvalidation then fails with NoSuchDistribution: reported for it, and nobody else's work is stopped.
    """
    origin = Origin(id=bucket, domain_name="")
    return Distribution(distribution_id, bucket, origins=(origin,), behaviors=(Behavior("*", (origin.id,)),))


def read_cache_policy(policy: Document) -> CachePolicy:
    """``CachePolicy`` of GetCachePolicy. With any query string in its cache key it has them.

    It never caches with a minimum, default and maximum TTL of 0 (CFD "Understand cache policies", TTL settings).
    """
    settings = policy["CachePolicyConfig"]
    parameters = settings.get("ParametersInCacheKeyAndForwardedToOrigin", {})
    queries = parameters.get("QueryStringsConfig", {}).get("QueryStringBehavior", "all") != "none"
    return CachePolicy(queries, _only_zeros(settings), settings.get("MaxTTL", LONGEST_TTL))


def _only_zeros(settings: Document) -> bool:
    return all(settings.get(name) == 0 for name in ("MinTTL", "DefaultTTL", "MaxTTL"))


def _items(document: Document, name: str) -> list[Any]:
    """The list at ``name``. CloudFront leaves out ``Items`` where there are none, and sometimes the whole."""
    return (document.get(name) or {}).get("Items") or []


def _matches(origin: Document, bucket: str, aliases: ReadAliases) -> Match:
    domain_name = origin["DomainName"]
    if is_endpoint(domain_name):
        path, of_bucket = f"{_origin_path(origin)}/", f"/{bucket}/"
        ours = path.startswith(of_bucket) or of_bucket.startswith(path)
        return Match.THIS_BUCKET if ours else Match.OTHER_BUCKET
    matched = match(domain_name, bucket)
    if matched is Match.UNRECOGNISED and is_access_point(domain_name):
        known = aliases()
        if any(name in known for name, _service in _splits(_canonical(domain_name))):
            return Match.THIS_BUCKET
    return matched


def _origins(origin: Document, bucket: str, aliases: ReadAliases, *, named: bool) -> Iterator[Origin]:
    wanted = {Match.THIS_BUCKET, Match.UNRECOGNISED} if named else {Match.THIS_BUCKET}
    if bucket and (matched := _matches(origin, bucket, aliases)) in wanted:
        domain_name, path = origin["DomainName"], _origin_path(origin)
        # Whether OriginPath is written encoded or raw is not documented: both are looked for in the key.
        for spelling in dict.fromkeys([path, unquote(path)]):
            yield Origin(
                id=origin["Id"],
                domain_name=domain_name,
                path=spelling,
                website=is_website(domain_name),
                path_style=is_endpoint(domain_name),
                foreign=matched is Match.UNRECOGNISED and not is_access_point(domain_name),
            )


def _origin_path(origin: Document) -> str:
    path = origin.get("OriginPath", "").strip("/")
    return f"/{path}" if path else ""


def _request_events(behavior: Document) -> set[str]:
    """Events at which a function of the behaviour may change the request."""
    functions = _items(behavior, "FunctionAssociations") + _items(behavior, "LambdaFunctionAssociations")
    return {each["EventType"] for each in functions} & _REQUEST_EVENTS


def _policy(behavior: Document, cache_policy: ReadCachePolicy) -> CachePolicy:
    """Of a cache policy, or of the legacy settings. CloudFront wants one of the two; without either, the costly one.

    Legacy settings never cache where all headers are forwarded (CFD "Cache content based on request headers").
    """
    if policy := behavior.get("CachePolicyId"):
        return MANAGED_CACHE_POLICIES[policy] if policy in MANAGED_CACHE_POLICIES else cache_policy(policy)
    forwarded = behavior.get("ForwardedValues", {})
    never = _only_zeros(behavior) or "*" in _items(forwarded, "Headers")
    return CachePolicy(bool(forwarded.get("QueryString", True)), never, behavior.get("MaxTTL", LONGEST_TTL))


def _is_kept(error_response: Document) -> bool:
    """Whether the error is kept for longer than CloudFront's default, by configuration."""
    kept = error_response.get("ErrorCachingMinTTL", DEFAULT_ERROR_CACHING_SECONDS)
    return bool(kept > DEFAULT_ERROR_CACHING_SECONDS)


def _error_pages(document: Document) -> tuple[dict[str, None], dict[str, None]]:
    """Locations of error pages. Those that are kept for long by configuration, and those of which max-age decides."""
    long: dict[str, None] = {}
    brief: dict[str, None] = {}
    for each in _items(document, "CustomErrorResponses"):
        if page := each.get("ResponsePagePath"):
            location = "/" + unquote(page.partition("?")[0]).removeprefix("/")
            (long if _is_kept(each) else brief)[location] = None
    return long, {page: None for page in brief if page not in long}


def _website_error(document: Document, website: Website | None) -> tuple[str, bool]:
    """The key of the website's error document and whether it is kept for long. "" where viewers never get it.

    They get it for what is missing, a 404, or a 403 where the bucket may not be listed, unless the distribution has a
    page of its own for that code (S3 User Guide "Configuring a custom error document").
    """
    responses = {each.get("ErrorCode"): each for each in _items(document, "CustomErrorResponses")}
    shown = [responses.get(code, {}) for code in MISSING if not responses.get(code, {}).get("ResponsePagePath")]
    return (website.error if website and shown else "", any(map(_is_kept, shown)))


_ORIGIN_PARAMETER: Final = r"\{\{[^{}]*\}\}"
_REGION: Final = rf"(?:[a-z]{{2,}}(?:-[a-z]+)+-\d+|{_ORIGIN_PARAMETER})"
_SUFFIX: Final = r"\.amazonaws\.(?:com(?:\.cn)?|eu)"

_REST: Final = re.compile(
    rf"(?:s3|s3\.{_REGION}|s3-(?!website-){_REGION}|s3\.dualstack\.{_REGION}|s3-fips\.{_REGION}|s3-fips\.dualstack\.{_REGION}"
    rf"|s3-fips-{_REGION}|s3-external-\d|s3-accelerate(?:\.dualstack)?){_SUFFIX}"
)
_WEBSITE: Final = re.compile(rf"s3-website[.-]{_REGION}{_SUFFIX}")

_ALIAS: Final = re.compile(r"-s3alias|--ol-s3|--op-s3|--x-s3|--xa-s3|--table-s3")
"""Endings that S3 keeps for access points, Object Lambda, Outposts, directory and table buckets: no general purpose
bucket's name ends so (Amazon S3 User Guide, "General purpose bucket naming rules")."""


_MULTI_REGION: Final = ".accesspoint.s3-global.amazonaws.com"


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


def is_access_point(domain_name: str) -> bool:
    """Whether this names an access point of S3, or one for several regions. A bucket under a name of its own.

    Sources: Amazon S3 User Guide "Access points aliases", "Multi-Region Access Point request routing".
    """
    name = _canonical(domain_name)
    named = any(_ALIAS.search(alias[-12:]) for alias, service in _splits(name) if _is_s3(service))
    return named or name.endswith(_MULTI_REGION)


def is_website(domain_name: str) -> bool:
    """Whether this is a bucket's website endpoint, which serves index documents and redirects to folders."""
    return any(_WEBSITE.fullmatch(service) for _, service in _splits(_canonical(domain_name)))


def is_endpoint(domain_name: str) -> bool:
    """Whether this is an S3 endpoint without a bucket. Its requests name the bucket in their path."""
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
