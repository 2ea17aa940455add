"""CloudFront's client: every call to it, and what its errors mean.

| call | IAM action (``cloudfront:``) | on |
| --- | --- | --- |
| ``distributions_serving``, ``distributions`` | ListDistributions (not with ``named``) | ``*`` |
| those, ``distribution`` | GetDistributionConfig | ``distribution/*`` |
| those, for custom cache policies | GetCachePolicy (denied: query strings count as cached) | ``cache-policy/*`` |
| ``targets`` of a multi-tenant distribution | ListDistributionTenants | ``*`` |
| ``create_invalidation``, ``get_invalidation`` | CreateInvalidation, GetInvalidation | ``distribution/*`` |
| the same for a tenant | CreateInvalidationForDistributionTenant, GetInvalidationFor… | ``distribution-tenant/*`` |

Buckets and distributions often live in different accounts. Where ``DistributionRoleArn`` names a role of the
distributions' account, the functions that call CloudFront, and only those, assume it.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar, cast
from xml.etree import ElementTree as ET

import boto3
import botocore
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.session import get_session

from invalidation.cloudfront import distribution as configuration
from invalidation.cloudfront.bucket import BucketReader
from invalidation.cloudfront.distribution import CachePolicy, Distribution
from invalidation.cloudfront.limits import DISTRIBUTIONS_CACHE_SECONDS, MAX_TENANTS
from invalidation.errors import (
    AccessDenied,
    CloudFrontThrottled,
    CloudFrontUnavailable,
    InvalidationError,
    InvalidationRefused,
    NoSuchDistribution,
    NoSuchInvalidation,
    TooManyInvalidationsInProgress,
    TooManyTenants,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime

    from mypy_boto3_cloudfront import CloudFrontClient
    from mypy_boto3_cloudfront.type_defs import (
        DistributionConfigOutputTypeDef,
        DistributionSummaryTypeDef,
        InvalidationBatchTypeDef,
    )

CLOUDFRONT_CONFIG: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "read_timeout": 15,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}
"""For botocore's ``Config``: two quick tries more, then the state machine's Retry, which people can see, takes over.
Not so for a throttled CreateInvalidation: ``adapted``."""

SDK: Final = botocore.__version__
"""It leaves out of an answer what its own model does not know."""

K = TypeVar("K")
V = TypeVar("V")


_STATUS_OF_BOTOCORE_ERRORS: Final = (
    (ParamValidationError, 400),
    (NoCredentialsError, 403),
    (PartialCredentialsError, 403),
)
"""What botocore refuses before it asks. The rest are connections and timeouts, which may go better later."""


@dataclass(frozen=True, slots=True)
class Invalidation:
    """An invalidation; ``status`` is CloudFront's own word, ``InProgress`` or ``Completed``."""

    id: str
    status: str
    create_time: datetime

    @property
    def completed(self) -> bool:
        return self.status.lower() == "completed"


class ConfigurationStore(Protocol):
    """Distributions' configurations, kept beyond the process. It never fails: what it has not is read anew.

    ``version`` is the ETag and the SDK's release: another release may know members that this one leaves out.
    """

    def find(self, distribution_id: str) -> tuple[str, DistributionConfigOutputTypeDef] | None:
        """The version and the configuration that were kept last."""

    def keep(self, distribution_id: str, version: str, config: DistributionConfigOutputTypeDef) -> None:
        """In the place of what was kept before."""


class CloudFront:
    """CloudFront through a boto3 client.

    ``buckets`` tells what only S3 knows: websites and access points. What is read about distributions and cache
    policies is kept for ``cache_seconds`` of ``clock`` (monotonic seconds); a configuration beyond that, as long as
    ListDistributions gives its distribution the same ETag (CloudFront API Reference, DistributionSummary), and in
    ``configurations`` beyond the process. Origins' custom headers, which may hold secrets, are kept nowhere.
    Every method raises the classes of ``errors.py``: AccessDenied, NoSuchDistribution, NoSuchInvalidation,
    InvalidationRefused, TooManyTenants; CloudFrontThrottled, CloudFrontUnavailable and TooManyInvalidationsInProgress
    for what may succeed later.
    """

    def __init__(
        self,
        client: CloudFrontClient,
        *,
        cache_seconds: float = DISTRIBUTIONS_CACHE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        max_tenants: int = MAX_TENANTS,
        buckets: BucketReader | None = None,
        configurations: ConfigurationStore | None = None,
    ) -> None:
        self._client = client
        self._buckets = buckets
        self._max_tenants = max_tenants
        self._serving = _Recent[tuple[str, ...], list[Distribution]](cache_seconds, clock)
        self._policies = _Recent[str, CachePolicy](cache_seconds, clock)
        self._configurations: dict[str, tuple[str, DistributionConfigOutputTypeDef]] = {}
        self._store = configurations

    def distributions_serving(
        self, bucket: str, *, fresh: bool = False, named: Sequence[str] = ()
    ) -> list[Distribution]:
        """The distributions with an origin that is the bucket, disabled and staging ones included.

        That there is none is never concluded from the cache; ``fresh`` does not look there at all. With ``named``
        distribution ids ListDistributions is not called: those serve the bucket, whatever their domain names say. One
        that does not exist is presumed, so that its own invalidation, and no other, fails with NoSuchDistribution.
        """
        asked = (bucket, *named)
        found = None if fresh else self._serving.get(asked)
        if not found:
            found = [self._named(each, bucket) for each in dict.fromkeys(named)] if named else self._listed(bucket)
            self._serving.put(asked, found)
        return list(found)

    def distributions(self, bucket: str) -> list[Distribution]:
        """Every distribution of the account, for explaining. An outline where it does not serve the bucket."""
        found: list[Distribution] = []
        for summary in self._summaries():
            aliases = partial(self._aliases, bucket)
            if not configuration.has_origin(summary, bucket, aliases):
                found.append(configuration.outline(summary["Id"], bucket, summary, aliases))
                continue
            with suppress(NoSuchDistribution):  # deleted since it was listed
                read = self._read(summary["Id"], bucket, listed_etag=summary.get("ETag", ""))
                found.append(replace(read, domain_name=summary["DomainName"]))
        return found

    def distribution(self, distribution_id: str, bucket: str = "") -> Distribution:
        """One distribution. Without a bucket it has no origins: for requests that bring their own paths."""
        return self._read(distribution_id, bucket)

    def targets(self, distribution: Distribution) -> tuple[str, ...]:
        """What to invalidate for a distribution: itself, ``E123``, or each enabled tenant, ``E123/dt_abc``, by id.

        Raises:
            TooManyTenants: more enabled tenants than ``max_tenants``.
        """
        if not distribution.tenant_only:
            return (distribution.id,)
        found: list[str] = []
        for tenant_id in self._tenants(distribution.id):
            if len(found) == self._max_tenants:
                raise TooManyTenants(
                    f"Distribution {distribution.id} has more than {self._max_tenants} enabled tenants, and each costs "
                    "every path again. Invalidate those that matter with "
                    "CreateInvalidationForDistributionTenant."
                )
            found.append(f"{distribution.id}/{tenant_id}")
        return tuple(sorted(found))

    def create_invalidation(self, target: str, paths: Sequence[str], caller_reference: str) -> Invalidation:
        """Invalidate the paths. The same caller reference with the same paths gives the invalidation that exists."""
        distribution_id, _, tenant_id = target.partition("/")
        batch: InvalidationBatchTypeDef = {
            "Paths": {"Quantity": len(paths), "Items": list(paths)},
            "CallerReference": caller_reference,
        }
        if tenant_id:
            with _named_errors("CreateInvalidationForDistributionTenant", f"distribution-tenant/{tenant_id}"):
                created = self._client.create_invalidation_for_distribution_tenant(
                    Id=tenant_id, InvalidationBatch=batch
                )["Invalidation"]
        else:
            with _named_errors("CreateInvalidation", f"distribution/{distribution_id}"):
                created = self._client.create_invalidation(DistributionId=distribution_id, InvalidationBatch=batch)[
                    "Invalidation"
                ]
        return Invalidation(created["Id"], created["Status"], created["CreateTime"])

    def get_invalidation(self, target: str, invalidation_id: str) -> Invalidation:
        """How the invalidation of a distribution, or of a tenant, stands."""
        distribution_id, _, tenant_id = target.partition("/")
        if tenant_id:
            with _named_errors("GetInvalidationForDistributionTenant", f"distribution-tenant/{tenant_id}"):
                found = self._client.get_invalidation_for_distribution_tenant(
                    DistributionTenantId=tenant_id, Id=invalidation_id
                )["Invalidation"]
        else:
            with _named_errors("GetInvalidation", f"distribution/{distribution_id}"):
                found = self._client.get_invalidation(DistributionId=distribution_id, Id=invalidation_id)[
                    "Invalidation"
                ]
        return Invalidation(found["Id"], found["Status"], found["CreateTime"])

    def _listed(self, bucket: str) -> list[Distribution]:
        return [each for each in self.distributions(bucket) if each.origins]

    def _named(self, distribution_id: str, bucket: str) -> Distribution:
        try:
            return self._read(distribution_id, bucket, named=True)
        except NoSuchDistribution:
            return configuration.presumed(distribution_id, bucket)

    def _read(self, distribution_id: str, bucket: str, *, named: bool = False, listed_etag: str = "") -> Distribution:
        return configuration.read_distribution(
            distribution_id,
            bucket,
            self._configuration(distribution_id, listed_etag),
            self._cache_policy,
            lambda: self._buckets.website(bucket) if self._buckets else None,
            partial(self._aliases, bucket),
            named=named,
        )

    def _configuration(self, distribution_id: str, listed_etag: str) -> DistributionConfigOutputTypeDef:
        """As it was read under the same ETag, or read now. That it has changed since shows in the next listing."""
        version = f"{listed_etag} {SDK}"
        known = self._known(distribution_id, version) if listed_etag else None
        if known is not None:
            return known
        with _named_errors("GetDistributionConfig", f"distribution/{distribution_id}"):
            answer = self._client.get_distribution_config(Id=distribution_id)
        read = _without_custom_headers(answer["DistributionConfig"])
        if listed_etag:
            self._configurations[distribution_id] = (version, read)
            # What has changed since it was listed is not stored: under that ETag it would be taken for what it was.
            if self._store is not None and answer.get("ETag") == listed_etag:
                self._store.keep(distribution_id, version, read)
        return read

    def _known(self, distribution_id: str, version: str) -> DistributionConfigOutputTypeDef | None:
        known = self._configurations.get(distribution_id)
        if self._store is not None and (known is None or known[0] != version):
            known = self._store.find(distribution_id)
        if known is None or known[0] != version:
            return None
        self._configurations[distribution_id] = known
        return known[1]

    def _aliases(self, bucket: str) -> Collection[str]:
        return self._buckets.aliases(bucket) if self._buckets else ()

    def _cache_policy(self, policy_id: str) -> CachePolicy:
        """A custom cache policy. The costly one, if that may not be read: the contrary would leave stale answers."""
        known = self._policies.get(policy_id)
        if known is None:
            try:
                with _named_errors("GetCachePolicy", f"cache-policy/{policy_id}"):
                    policy = self._client.get_cache_policy(Id=policy_id)["CachePolicy"]
                known = configuration.read_cache_policy(policy)
            except (AccessDenied, NoSuchDistribution):
                known = configuration.UNREADABLE_POLICY
            self._policies.put(policy_id, known)
        return known

    def _summaries(self) -> Iterator[DistributionSummaryTypeDef]:
        with _named_errors("ListDistributions", "*"):
            for page in self._client.get_paginator("list_distributions").paginate():
                yield from page["DistributionList"].get("Items") or []

    def _tenants(self, distribution_id: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_distribution_tenants").paginate(
            AssociationFilter={"DistributionId": distribution_id}
        )
        with _named_errors("ListDistributionTenants", "*"):
            for page in pages:
                for tenant in page.get("DistributionTenantList") or []:
                    if tenant.get("Enabled", True):
                        yield tenant["Id"]


@contextmanager
def _named_errors(call: str, resource: str) -> Iterator[None]:
    """Raises the classes of ``errors.py`` for botocore's. Unchained, as the traceback ends up in the console."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "Unknown")
        message = error.response.get("Error", {}).get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        refused = role_refusal if error.operation_name == "AssumeRole" else refusal
        raise refused(call, resource, code, status, message) from None
    except BotoCoreError as error:
        status = next((status for kind, status in _STATUS_OF_BOTOCORE_ERRORS if isinstance(error, kind)), 500)
        raise refusal(call, resource, type(error).__name__, status, str(error)) from None


def _without_custom_headers(config: DistributionConfigOutputTypeDef) -> DistributionConfigOutputTypeDef:
    """The configuration without its origins' custom headers. Routing needs none, and many hold a shared secret."""
    origins: dict[str, Any] = dict(config.get("Origins", {}))
    items = origins.get("Items") or []
    kept = [{name: value for name, value in each.items() if name != "CustomHeaders"} for each in items]
    return cast("DistributionConfigOutputTypeDef", {**config, "Origins": {**origins, "Items": kept}})


class _Recent(Generic[K, V]):
    """Values by key, forgotten after some seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._values: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        until, value = self._values.get(key, (self._clock(), None))
        return value if self._clock() < until else None

    def put(self, key: K, value: V) -> None:
        self._values[key] = (self._clock() + self._seconds, value)


SESSION_NAME = "cloudfront-auto-invalidation"
"""What the other account's CloudTrail shows as the caller."""


def cloudfront_client(role_arn: str = "", external_id: str = "") -> CloudFrontClient:
    """A client with the function's credentials, or with those of the role that it assumes."""
    config = Config(**CLOUDFRONT_CONFIG)
    if not role_arn:
        return adapted(boto3.client("cloudfront", config=config))
    extra = {"RoleSessionName": SESSION_NAME} | ({"ExternalId": external_id} if external_id else {})
    own = get_session()
    create_client = partial(own.create_client, config=config)
    fetcher = AssumeRoleCredentialFetcher(create_client, own.get_credentials(), role_arn, extra_args=extra)
    assumed = get_session()
    renewed = DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)
    assumed._credentials = renewed  # type: ignore[attr-defined] # noqa: SLF001 # botocore has no public way in
    return adapted(boto3.Session(botocore_session=assumed).client("cloudfront", config=config))


def adapted(client: CloudFrontClient) -> CloudFrontClient:
    """The client, which no longer repeats a CreateInvalidation that was throttled, and reads listings sparingly.

    Under a rate it may be refused for ever: whoever sends makes it smaller, and the state machine waits.
    """

    def stop(response: Any = None, operation: Any = None, **_more: Any) -> None:
        if response is None:  # nothing came back
            return
        status, parsed = response[0].status_code, response[1]
        if status == 429 or _BY_CODE.get(parsed.get("Error", {}).get("Code", "")) is CloudFrontThrottled:
            raise ClientError(parsed, operation.name)

    for call in ("CreateInvalidation", "CreateInvalidationForDistributionTenant"):
        client.meta.events.register_first(f"needs-retry.cloudfront.{call}", stop)
    client.meta.events.register("before-parse.cloudfront.ListDistributions", _drop_what_nobody_reads)
    return client


_READ_OF_LISTING: Final = {
    "DistributionSummary": {
        "Id",
        "ETag",
        "DomainName",
        "Aliases",
        "Origins",
        "Enabled",
        "Staging",
        "ConnectionMode",
    },
    "Origin": {"Id", "DomainName", "OriginPath"},
}


def _drop_what_nobody_reads(response_dict: dict[str, Any], **_more: Any) -> None:
    """Leave of a page of ListDistributions what is read here. All of it takes botocore twice as long."""
    with suppress(ET.ParseError):  # botocore says what is wrong
        root = ET.fromstring(response_dict["body"])  # noqa: S314 -- CloudFront's, which botocore reads so too
        namespace = root.tag[: root.tag.find("}") + 1]
        for name, read in _READ_OF_LISTING.items():
            for element in root.iter(namespace + name):
                element[:] = [child for child in element if child.tag.removeprefix(namespace) in read]
        response_dict["body"] = ET.tostring(root)


_BY_CODE: Final[dict[str, type[InvalidationError]]] = {
    "AccessDenied": AccessDenied,
    "AccessDeniedException": AccessDenied,
    "InvalidClientTokenId": AccessDenied,
    "NotAuthorized": AccessDenied,
    "OptInRequired": AccessDenied,
    "UnrecognizedClientException": AccessDenied,
    "NoSuchDistribution": NoSuchDistribution,
    "EntityNotFound": NoSuchDistribution,
    "NoSuchInvalidation": NoSuchInvalidation,
    "TooManyInvalidationsInProgress": TooManyInvalidationsInProgress,
    "RequestLimitExceeded": CloudFrontThrottled,
    "RequestThrottled": CloudFrontThrottled,
    "RequestThrottledException": CloudFrontThrottled,
    "SlowDown": CloudFrontThrottled,
    "Throttling": CloudFrontThrottled,
    "ThrottlingException": CloudFrontThrottled,
    "ThrottledException": CloudFrontThrottled,
    "TooManyRequests": CloudFrontThrottled,
    "TooManyRequestsException": CloudFrontThrottled,
    # Credentials that expired, or a clock that is off: the role's next ones are likely to work.
    "ExpiredToken": CloudFrontUnavailable,
    "ExpiredTokenException": CloudFrontUnavailable,
    "RequestExpired": CloudFrontUnavailable,
    "RequestTimeout": CloudFrontUnavailable,
    "RequestTimeoutException": CloudFrontUnavailable,
    "RequestTimeTooSkewed": CloudFrontUnavailable,
}

_ADVICE: Final[dict[type[InvalidationError], str]] = {
    NoSuchDistribution: "It was deleted, or its id is mistyped: correct the DistributionIds parameter or the request.",
    NoSuchInvalidation: "It belongs to another distribution, or its id is mistyped.",
    InvalidationRefused: "The same request would be refused again: its paths or its caller reference are wrong.",
    TooManyInvalidationsInProgress: (
        "It takes 150 paths and a wildcard a second, or 3,000 paths and 15 wildcards in progress: try again with less."
    ),
    CloudFrontThrottled: "The account's request rate is used up: try again later.",
    CloudFrontUnavailable: "Try again later.",
}


_ROLE_ADVICE: Final = (
    "See that the role in DistributionRoleArn exists, that it trusts this function's role, and that its external id is "
    "the one in DistributionRoleExternalId: examples/distribution-account-role.yaml makes such a role."
)


def refusal(call: str, resource: str, code: str, status: int, message: str) -> InvalidationError:
    """The named error for a failed call, ``CreateInvalidation`` on ``distribution/E123``."""
    kind = _BY_CODE.get(code) or _by_status(status)
    if kind is AccessDenied:
        advice = f"Grant cloudfront:{call} on {_arn(resource)} to the role that makes the call."
    else:
        advice = _ADVICE[kind]
    return kind(f"{call} on {resource}: {code} ({message}). {advice}")


def role_refusal(call: str, resource: str, code: str, status: int, message: str) -> InvalidationError:
    """The named error where the other account's role could not be assumed."""
    kind = _BY_CODE.get(code) or _by_status(status)
    kind = kind if kind.transient else AccessDenied
    advice = _ADVICE[kind] if kind.transient else _ROLE_ADVICE
    return kind(f"AssumeRole for {call} on {resource}: {code} ({message}). {advice}")


def _by_status(status: int) -> type[InvalidationError]:
    if status == 403:
        return AccessDenied
    if status == 404:
        return NoSuchDistribution
    if status == 429:
        return CloudFrontThrottled
    return InvalidationRefused if 400 <= status < 500 else CloudFrontUnavailable


def _arn(resource: str) -> str:
    return "*" if resource == "*" else f"arn:aws:cloudfront::<account>:{resource}"


def caller_reference(batch_id: str, target: str, number: int, paths: Sequence[str], resends: int = 0) -> str:
    """``<batch id>.<distribution>.<request number>.<hash of the sorted paths>``. The number of a resend follows.

    The same reference with the same paths returns the first invalidation; with other paths it is refused
    (CloudFront API Reference, InvalidationBatch). The hash keeps a changed plan from being refused, and the batch id
    lets whoever sees the reference in the CloudFront console find the execution.
    """
    digest = hashlib.sha256("\n".join(sorted(paths)).encode()).hexdigest()[:12]
    return f"{batch_id}.{target}.{number}.{digest}" + (f".{resends}" if resends else "")
