"""Canary objects are written, seen as a viewer sees them, and removed again.

Their keys have the characters that go wrong between S3, EventBridge and CloudFront: each is spelled otherwise in a URL
than in the bucket.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from invalidation.cloudfront.paths import encode, invalidation_paths
from invalidations_cli.aws import is_local
from invalidations_cli.output import count

NAMES: Mapping[str, str] = {
    "plain": "page.txt",
    "space": "a page.txt",
    "plus": "a+page.txt",
    "percent": "100% page.txt",
    "umlaut": "über.txt",
    "%20 as text": "a%20page.txt",
    "parenthesis": "page (1).txt",
}
"""What is tried → how the object's name ends. The first is the ordinary one."""
SECONDS = 10.0
"""For one answer of the edge."""
PRIMED_WITHIN = 6
"""Requests after which the edge should give a copy of its own; one location has more than one host."""
TRIPLET = re.compile("%[0-9A-F]{2}")


@dataclass(frozen=True, slots=True)
class Canary:
    """An object with one kind of name. `mark` is in its key however the key is spelled."""

    kind: str
    key: str
    mark: str


@dataclass(frozen=True, slots=True)
class CanaryChange:
    """One change of a canary: the ETag that was written, or that it was deleted. `at` is in seconds (monotonic)."""

    canary: Canary
    etag: str
    at: float

    @property
    def deleted(self) -> bool:
        return not self.etag


@dataclass(slots=True)
class CanaryBucket:
    """Writes and deletes canaries, and remembers what is to be removed.

    Args:
        s3: a boto3 client.
        bucket: the bucket.
        prefix: what all keys begin with.
        token: tells this run's canaries from any other's.
    """

    s3: Any
    bucket: str
    prefix: str
    token: str
    versions: list[tuple[str, str]] = field(default_factory=list)
    there: set[str] = field(default_factory=set)

    def canaries(self) -> list[Canary]:
        """One of each kind; the ordinary one first."""
        marks = [f"{self.token}-{number}-" for number in range(len(NAMES))]
        return [
            Canary(kind, f"{self.prefix}{mark}{name}", mark)
            for mark, (kind, name) in zip(marks, NAMES.items(), strict=True)
        ]

    def put(self, canary: Canary, body: str) -> CanaryChange:
        """Write it; raises ClientError."""
        self.there.add(canary.key)  # before it is written: an interruption must not leave it
        answer = self.s3.put_object(
            Bucket=self.bucket,
            Key=canary.key,
            Body=body.encode(),
            ContentType="text/plain",
            CacheControl="max-age=3600",
        )
        self._note(canary.key, answer)
        return CanaryChange(canary, answer["ETag"].strip('"'), time.monotonic())

    def delete(self, canary: Canary) -> CanaryChange:
        """Delete it; raises ClientError."""
        self._note(canary.key, self.s3.delete_object(Bucket=self.bucket, Key=canary.key))
        self.there.discard(canary.key)
        return CanaryChange(canary, "", time.monotonic())

    def _note(self, key: str, answer: Mapping[str, Any]) -> None:
        if answer.get("VersionId"):
            self.versions.append((key, answer["VersionId"]))

    def remove_all(self) -> list[str]:
        """Remove what is there, versions and delete markers included. Returns what could not be removed, and why."""
        wanted = [{"Key": key, "VersionId": version} for key, version in self.versions]
        wanted += [{"Key": key} for key in sorted(self.there - {key for key, _ in self.versions})]
        left = []
        for each in wanted:
            try:
                self.s3.delete_object(Bucket=self.bucket, **each)
            except (ClientError, BotoCoreError) as error:
                left.append(f"{each['Key']}: {error}")
        return left


@dataclass(frozen=True, slots=True)
class EdgeView:
    """What a viewer gets. The HTTP status, the body of a 200, and whether the edge had it (`Hit`, `Miss`, `Error`)."""

    status: int
    body: str = ""
    cache: str = ""
    problem: str = ""

    @property
    def hit(self) -> bool:
        return self.cache.lower() in {"hit", "refreshhit"}

    def __str__(self) -> str:
        return self.problem or f"{self.status} {self.body or '(no body)'} ({self.cache or 'no X-Cache'})"


@dataclass(frozen=True, slots=True)
class EdgeViewer:
    """Asks a distribution as a viewer does.

    `endpoint_url`: an emulator on this machine, which is asked in the distribution's name; "" is CloudFront itself.
    A CA bundle that AWS_CA_BUNDLE names is trusted besides the usual ones.
    """

    domain: str
    endpoint_url: str = ""

    def get(self, path: str) -> EdgeView:
        """A GET of a path as it is spelled. What goes wrong is the view's `problem`."""
        try:
            with contextlib.closing(self._connection()) as connection:
                connection.request("GET", path, headers={"Host": self.domain, "Accept-Encoding": "identity"})
                response = connection.getresponse()
                body = response.read(1_000).decode("utf-8", "replace") if response.status == HTTPStatus.OK else ""
                return EdgeView(response.status, body, (response.getheader("X-Cache") or "").partition(" ")[0])
        except (OSError, ValueError, http.client.HTTPException) as error:
            return EdgeView(0, problem=f"{type(error).__name__}: {error}")

    def prime(self, path: str) -> EdgeView:
        """Ask until the edge answers from its cache. Returns the last view, which is no hit where it never does."""
        view = self.get(path)
        for _ in range(PRIMED_WITHIN):
            if view.hit or view.status != HTTPStatus.OK:
                break
            view = self.get(path)
        return view

    def _connection(self) -> http.client.HTTPConnection:
        where = urlsplit(self.endpoint_url or f"https://{self.domain}")
        if where.scheme == "http":
            return http.client.HTTPConnection(where.netloc, timeout=SECONDS)
        context = ssl.create_default_context()
        if bundle := os.environ.get("AWS_CA_BUNDLE"):
            context.load_verify_locations(bundle)
        return http.client.HTTPSConnection(where.netloc, timeout=SECONDS, context=context)


def viewer_of(cloudfront: Any, distribution_id: str) -> EdgeViewer:
    """A viewer of a distribution; raises ClientError where there is no such one."""
    found = cloudfront.get_distribution(Id=distribution_id)["Distribution"]
    endpoint = str(cloudfront.meta.endpoint_url)
    return EdgeViewer(found["DomainName"], endpoint if is_local(endpoint) else "")


def spellings(location: str) -> list[str]:
    """The ways in which viewers may write a path, the documented one first.

    >>> spellings("/a (1)")
    ['/a%20(1)', '/a+(1)', '/a%20%281%29']
    """
    wide = quote(location, safe="/")
    lower = [TRIPLET.sub(lambda found: found[0].lower(), each) for each in (encode(location), wide)]
    found = [*invalidation_paths(location), wide, *lower]
    return list(dict.fromkeys(each for each in found if not each.endswith("*")))


def summary(canaries: list[Canary]) -> str:
    """How many and which, in words."""
    return f"{count(len(canaries), 'object')} ({', '.join(each.kind for each in canaries)})"
