"""What only S3 knows of a bucket that CloudFront serves. Its website, its access points, an object's max-age.

Each is asked only where a distribution makes it matter, and kept for a while. What is denied or does not answer is
unknown, and planning then takes the safe side: nothing here raises.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from invalidation.cloudfront.distribution import Website
from invalidation.cloudfront.limits import DISTRIBUTIONS_CACHE_SECONDS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")
S3_CONFIG: Final = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard"})

MULTI_REGION_HOME: Final = "us-west-2"
"""Where Multi-Region Access Points are listed (Amazon S3 User Guide, "Multi-Region Access Point requests")."""

_MAX_AGE: Final = re.compile(r"(?:^|[\s,])(s-maxage|max-age)\s*=\s*\"?(\d{1,10})", re.IGNORECASE)


class BucketReader:
    """Reads a bucket's website documents and access points.

    Args:
        clients: makes a boto3 client for a service and region, when it is needed.
        clock: monotonic seconds.

    Attributes:
        account: id of the account that owns the bucket, "" where it is not known: access points are not looked up then.
    """

    def __init__(self, clients: Callable[..., Any] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = cache(clients or partial(boto3.client, config=S3_CONFIG))
        self._clock = clock
        self._websites: dict[str, tuple[float, Website | None]] = {}
        self._aliases: dict[str, tuple[float, frozenset[str]]] = {}
        self.account = ""

    def website(self, bucket: str) -> Website | None:
        """Index and error document (GetBucketWebsite). None where there is no website, or it may not be read."""
        return self._remembered(self._websites, bucket, self._read_website)

    def aliases(self, bucket: str) -> frozenset[str]:
        """Aliases of access points of this account that lead to the bucket."""
        return self._remembered(self._aliases, bucket, self._read_aliases)

    def _remembered(self, known: dict[str, tuple[float, T]], bucket: str, read: Callable[[str], T]) -> T:
        now = self._clock()
        if bucket not in known or now >= known[bucket][0]:
            known[bucket] = (now + DISTRIBUTIONS_CACHE_SECONDS, read(bucket))
        return known[bucket][1]

    def _read_website(self, bucket: str) -> Website | None:
        try:
            found = self._client("s3").get_bucket_website(Bucket=bucket)
        except (ClientError, BotoCoreError):
            return None
        index = found.get("IndexDocument", {}).get("Suffix", "")
        return Website(index, found.get("ErrorDocument", {}).get("Key", ""))

    def _read_aliases(self, bucket: str) -> frozenset[str]:
        if not self.account:
            return frozenset()
        lists = (self._access_points, self._multi_region_access_points)
        found: set[str] = set()
        for names in lists:
            try:
                found.update(names(bucket))
            except (ClientError, BotoCoreError):
                continue
        return frozenset(name.lower() for name in found if name)

    def _access_points(self, bucket: str) -> Iterator[str]:
        asked: dict[str, Any] = {"AccountId": self.account, "Bucket": bucket}
        while True:
            page = self._client("s3control").list_access_points(**asked)
            yield from (each.get("Alias", "") for each in page.get("AccessPointList", []))
            if not page.get("NextToken"):
                return
            asked["NextToken"] = page["NextToken"]

    def _multi_region_access_points(self, bucket: str) -> Iterator[str]:
        asked: dict[str, Any] = {"AccountId": self.account}
        while True:
            page = self._client("s3control", region_name=MULTI_REGION_HOME).list_multi_region_access_points(**asked)
            for each in page.get("AccessPoints", []):
                if any(region.get("Bucket") == bucket for region in each.get("Regions", [])):
                    yield each.get("Alias", "")
            if not page.get("NextToken"):
                return
            asked["NextToken"] = page["NextToken"]


def max_age(client: S3Client, bucket: str, key: str) -> int | None:
    """How long an object says that it may be kept, in seconds.

    0 where it does not say; None where it cannot be read: denied, gone, or with an Expires date of its own.
    ``s-maxage`` goes before ``max-age`` (CFD "Manage how long content stays in the cache").
    """
    try:
        found = client.head_object(Bucket=bucket, Key=key)
    except (ClientError, BotoCoreError):
        return None
    said = {name.lower(): int(seconds) for name, seconds in _MAX_AGE.findall(found.get("CacheControl", ""))}
    if said:
        return said.get("s-maxage", said.get("max-age"))
    return 0 if {"Expires", "ExpiresString"}.isdisjoint(found) else None
