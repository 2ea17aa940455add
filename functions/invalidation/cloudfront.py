"""The only module that talks to CloudFront.

| call | IAM action (``cloudfront:``) | on |
| --- | --- | --- |
| ``distributions_serving``, ``distributions`` | ListDistributions (not with ``named``) | ``*`` |
| those, ``distribution`` | GetDistributionConfig | ``distribution/*`` |
| those, for custom cache policies | GetCachePolicy (denied: query strings count as cached) | ``cache-policy/*`` |
| ``targets`` of a multi-tenant distribution | ListDistributionTenants | ``*`` |
| ``create_invalidation``, ``get_invalidation`` | CreateInvalidation, GetInvalidation | ``distribution/*`` |
| the same for a tenant | CreateInvalidationForDistributionTenant, GetInvalidationFor… | ``distribution-tenant/*`` |
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from invalidation import configuration
from invalidation.distribution import Distribution
from invalidation.errors import AccessDenied, NoSuchDistribution, TooManyTenants
from invalidation.limits import DISTRIBUTIONS_CACHE_SECONDS, MAX_TENANTS
from invalidation.refusals import refusal, role_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from mypy_boto3_cloudfront import CloudFrontClient
    from mypy_boto3_cloudfront.type_defs import DistributionSummaryTypeDef, InvalidationBatchTypeDef

CLOUDFRONT_CONFIG: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "read_timeout": 15,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}
"""For botocore's ``Config``: two quick tries more, then the state machine's Retry, which people can see, takes over."""

K = TypeVar("K")
V = TypeVar("V")


_STATUS_OF_BOTOCORE_ERRORS: Final = (
    (ParamValidationError, 400),
    (NoCredentialsError, 403),
    (PartialCredentialsError, 403),
)
"""What botocore refuses before it asks. The rest are connections and timeouts, which may go better later."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an invalidation is created on: a distribution, or one tenant of it. As text: ``E123`` or ``E123/dt_abc``."""

    distribution_id: str
    tenant_id: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        distribution_id, _, tenant_id = text.partition("/")
        return cls(distribution_id, tenant_id)

    def __str__(self) -> str:
        return f"{self.distribution_id}/{self.tenant_id}" if self.tenant_id else self.distribution_id

    @property
    def resource(self) -> str:
        """The resource part of its ARN."""
        return f"distribution-tenant/{self.tenant_id}" if self.tenant_id else f"distribution/{self.distribution_id}"


@dataclass(frozen=True, slots=True)
class Invalidation:
    """``status`` is CloudFront's own word, ``InProgress`` or ``Completed``."""

    id: str
    status: str
    create_time: datetime

    @property
    def completed(self) -> bool:
        return self.status.lower() == "completed"


class CloudFront:
    """CloudFront through a boto3 client.

    What it reads about distributions and cache policies is kept for ``cache_seconds`` of ``clock`` (monotonic seconds).
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
    ) -> None:
        self._client = client
        self._max_tenants = max_tenants
        self._serving = _Recent[tuple[str, ...], list[Distribution]](cache_seconds, clock)
        self._policies = _Recent[str, bool](cache_seconds, clock)

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
        """Every distribution of the account, those that do not serve the bucket as outlines: for explaining."""
        found: list[Distribution] = []
        for summary in self._summaries():
            if not configuration.has_origin(summary, bucket):
                found.append(configuration.outline(summary["Id"], bucket, summary))
                continue
            with suppress(NoSuchDistribution):  # deleted since it was listed
                found.append(replace(self._read(summary["Id"], bucket), domain_name=summary["DomainName"]))
        return found

    def distribution(self, distribution_id: str, bucket: str = "") -> Distribution:
        """One distribution. Without a bucket it has no origins: for requests that bring their own paths."""
        return self._read(distribution_id, bucket)

    def targets(self, distribution: Distribution) -> tuple[Target, ...]:
        """What to invalidate for a distribution: itself, or each enabled tenant of a multi-tenant one, by id.

        Raises:
            TooManyTenants: more enabled tenants than ``max_tenants``.
        """
        if not distribution.tenant_only:
            return (Target(distribution.id),)
        found: list[str] = []
        for tenant_id in self._tenants(distribution.id):
            if len(found) == self._max_tenants:
                raise TooManyTenants(
                    f"Distribution {distribution.id} has more than {self._max_tenants} enabled tenants, and each costs "
                    "every path again. Invalidate those that matter with CreateInvalidationForDistributionTenant, or "
                    "raise the parameter MaxTenants."
                )
            found.append(tenant_id)
        return tuple(Target(distribution.id, tenant_id) for tenant_id in sorted(found))

    def create_invalidation(self, target: Target | str, paths: Sequence[str], caller_reference: str) -> Invalidation:
        """Invalidate the paths. The same caller reference with the same paths gives the invalidation that exists."""
        target = Target.parse(target) if isinstance(target, str) else target
        batch: InvalidationBatchTypeDef = {
            "Paths": {"Quantity": len(paths), "Items": list(paths)},
            "CallerReference": caller_reference,
        }
        if target.tenant_id:
            with _named_errors("CreateInvalidationForDistributionTenant", target.resource):
                created = self._client.create_invalidation_for_distribution_tenant(
                    Id=target.tenant_id, InvalidationBatch=batch
                )["Invalidation"]
        else:
            with _named_errors("CreateInvalidation", target.resource):
                created = self._client.create_invalidation(
                    DistributionId=target.distribution_id, InvalidationBatch=batch
                )["Invalidation"]
        return Invalidation(created["Id"], created["Status"], created["CreateTime"])

    def get_invalidation(self, target: Target | str, invalidation_id: str) -> Invalidation:
        """How the invalidation stands."""
        target = Target.parse(target) if isinstance(target, str) else target
        if target.tenant_id:
            with _named_errors("GetInvalidationForDistributionTenant", target.resource):
                found = self._client.get_invalidation_for_distribution_tenant(
                    DistributionTenantId=target.tenant_id, Id=invalidation_id
                )["Invalidation"]
        else:
            with _named_errors("GetInvalidation", target.resource):
                found = self._client.get_invalidation(DistributionId=target.distribution_id, Id=invalidation_id)[
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

    def _read(self, distribution_id: str, bucket: str, *, named: bool = False) -> Distribution:
        with _named_errors("GetDistributionConfig", f"distribution/{distribution_id}"):
            document = self._client.get_distribution_config(Id=distribution_id)["DistributionConfig"]
        return configuration.read_distribution(
            distribution_id, bucket, document, self._caches_query_strings, named=named
        )

    def _caches_query_strings(self, policy_id: str) -> bool:
        """Of a custom cache policy; yes, if that may not be read: it costs wildcards, the contrary stale answers."""
        known = self._policies.get(policy_id)
        if known is None:
            try:
                with _named_errors("GetCachePolicy", f"cache-policy/{policy_id}"):
                    policy = self._client.get_cache_policy(Id=policy_id)["CachePolicy"]
                known = configuration.policy_caches_query_strings(policy)
            except (AccessDenied, NoSuchDistribution):
                known = True
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
    """What botocore raises, as the classes of ``errors.py``; unchained, as the traceback ends up in the console."""
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
