"""A model of CloudFront: distributions, and invalidations that take a while, under the tests' quotas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from benchmarks.cloud.assumed import CREATE_BURST, CREATES_A_SECOND, SECONDS
from benchmarks.cloud.clock import Clock
from benchmarks.cloud.usage import Meter, Usage
from tests.fakes.cloudfront_quota import InProgressQuota, wildcards_in

PAGE = 100
"""Distributions in one answer of ListDistributions (CloudFront API Reference)."""

Request = Mapping[str, Any]
Quota = Callable[[str, tuple[str, ...], float], bool]
"""Whether the paths of a distribution are taken at a second."""


class Refused(Exception):
    """To be answered with this error code."""


@dataclass(frozen=True, slots=True)
class Invalidation:
    id: str
    distribution_id: str
    paths: tuple[str, ...]
    reference: str
    created: datetime
    second: float

    @property
    def wildcards(self) -> int:
        return wildcards_in(self.paths)


@dataclass
class CloudFront:
    """An account's CloudFront.

    ``serving`` distributions have the bucket as their origin, out of ``pages`` full pages of distributions. ``limited``
    enforces the quotas; without them everything is taken, however fast it comes.
    """

    clock: Clock
    usage: Usage
    bucket: str
    serving: int = 1
    pages: int = 1
    limited: bool = True
    quota: Quota | None = None
    """In place of the quotas that it has otherwise: requests a second, and what is in progress for a distribution."""
    created: list[Invalidation] = field(default_factory=list)
    _by_reference: dict[str, Invalidation] = field(default_factory=dict)
    _pages: dict[int, dict[str, Any]] = field(default_factory=dict)
    _in_progress: Quota = field(default_factory=lambda: InProgressQuota(SECONDS.completion))
    _tokens: float = CREATE_BURST
    _refilled: float = 0.0

    def list_distributions(self, request: Request) -> dict[str, Any]:
        page = int(request.get("Marker") or 0)
        if page not in self._pages:
            self._pages[page] = self._page(page)
        return self._pages[page]

    def _page(self, page: int) -> dict[str, Any]:
        numbers = range(page * PAGE, (page + 1) * PAGE)
        more = page + 1 < self.pages
        answer: dict[str, Any] = {
            "Marker": str(page),
            "MaxItems": PAGE,
            "IsTruncated": more,
            "Quantity": len(numbers),
            "Items": [summary(number, self.bucket_of(number)) for number in numbers],
        }
        return {"DistributionList": {**answer, "NextMarker": str(page + 1)} if more else answer}

    def get_distribution_config(self, request: Request) -> dict[str, Any]:
        number = int(str(request["Id"])[1:])
        listed = summary(number, self.bucket_of(number))
        return {"ETag": listed["ETag"], "DistributionConfig": {**listed, "DefaultRootObject": "index.html"}}

    def create_invalidation(self, request: Request) -> dict[str, Any]:
        batch = request["InvalidationBatch"]
        reference, paths = batch["CallerReference"], tuple(batch["Paths"]["Items"])
        if any("~" in path for path in paths):
            raise Refused("InvalidArgument")  # not supported, and refused (aws/aws-sdk#525)
        known = self._by_reference.get(reference)
        if known is None:
            self._make_room(request["DistributionId"], paths)
            known = Invalidation(
                f"I{len(self.created):013}",
                request["DistributionId"],
                paths,
                reference,
                self.clock.now(),
                self.clock.seconds,
            )
            self._by_reference[reference] = known
            self.created.append(known)
            self.usage.add(Meter.PATHS, len(paths))
            self.usage.wildcards += known.wildcards
        elif known.paths != paths:
            raise Refused("InvalidationBatchAlreadyExists")
        return self._answer(known)

    def get_invalidation(self, request: Request) -> dict[str, Any]:
        return self._answer(self.created[int(str(request["Id"])[1:])])

    def bucket_of(self, number: int) -> str:
        """The bucket is served by the last ones, so that whoever looks for it has to look at all pages."""
        return self.bucket if number >= self.pages * PAGE - self.serving else f"another-bucket-{number}"

    def _answer(self, known: Invalidation) -> dict[str, Any]:
        done = self.clock.seconds >= known.second + SECONDS.completion
        status = "Completed" if done else "InProgress"
        return {"Invalidation": {"Id": known.id, "Status": status, "CreateTime": known.created}}

    def _make_room(self, distribution_id: str, paths: tuple[str, ...]) -> None:
        if not self.limited:
            return
        if self.quota is None:
            self._take_a_create()
        if not (self.quota or self._in_progress)(distribution_id, paths, self.clock.seconds):
            raise Refused("TooManyInvalidationsInProgress")

    def _take_a_create(self) -> None:
        elapsed, self._refilled = self.clock.seconds - self._refilled, self.clock.seconds
        self._tokens = min(CREATE_BURST, self._tokens + elapsed * CREATES_A_SECOND)
        if self._tokens < 1:
            raise Refused("Throttling")
        self._tokens -= 1


def summary(number: int, bucket: str) -> dict[str, Any]:
    """One distribution as ListDistributions tells of it, as far as it is looked at."""
    origin = {"Id": "site", "DomainName": f"{bucket}.s3.us-east-1.amazonaws.com", "OriginPath": ""}
    return {
        "Id": f"E{number:013}",
        "ETag": f"E2QWRUHAP{number:05}",
        "DomainName": f"d{number:013}.cloudfront.net",
        "Enabled": True,
        "Staging": False,
        "Aliases": {"Quantity": 1, "Items": [f"www{number}.example.com"]},
        "Origins": {"Quantity": 1, "Items": [origin]},
        "CacheBehaviors": {"Quantity": 0},
        "DefaultCacheBehavior": {
            "TargetOriginId": "site",
            "ViewerProtocolPolicy": "redirect-to-https",
            "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",
        },
    }
