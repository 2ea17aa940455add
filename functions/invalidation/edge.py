"""Adapter: what viewers get. Asks a distribution for a few paths, and S3 for what they should be.

It sees one edge location only, the one nearest to the function: that this is fresh does not prove that all are, but a
stale answer proves that something is wrong. It never follows a redirect, reads no bodies, and gives up after seconds.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

USER_AGENT = "cloudfront-auto-invalidation"
SECONDS = 5.0
"""For one answer of the edge."""


class Verdict(StrEnum):
    """What a look at the edge has shown."""

    FRESH = "Fresh"
    STALE = "Stale"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Looked:
    """One path: what S3 has, what the edge gave (an ETag, or a status code), and the verdict."""

    path: str
    verdict: Verdict
    stored: str
    served: str

    def to_document(self) -> dict[str, str]:
        """``{"path", "verdict", "stored", "served"}``."""
        return {"path": self.path, "verdict": self.verdict.value, "stored": self.stored, "served": self.served}


Answer = tuple[int, str]
"""A status code and an ETag ("" when there is none)."""


def ask_edge(host: str, path: str) -> Answer:
    """HEAD of a path, without compression, which would weaken the ETag; redirects are answers like any other.

    Raises:
        OSError, http.client.HTTPException: the edge did not answer in time, or not in HTTP.
    """
    connection = http.client.HTTPSConnection(host, timeout=SECONDS)
    try:
        connection.request("HEAD", path, headers={"Accept-Encoding": "identity", "User-Agent": USER_AGENT})
        response = connection.getresponse()
        return response.status, response.headers.get("ETag", "")
    finally:
        connection.close()


def look(
    s3: S3Client, bucket: str, key: str, host: str, path: str, *, ask: Callable[[str, str], Answer] = ask_edge
) -> Looked:
    """Compare what the edge gives for a path with what the bucket holds under the key.

    Anything but a clear difference is Unknown: a page that needs a signature, an error page, a redirect, an object that
    changed again meanwhile.
    """
    before = _stored(s3, bucket, key)
    try:
        status, etag = ask(host, path)
    except (OSError, http.client.HTTPException) as error:
        return Looked(path, Verdict.UNKNOWN, before or "none", type(error).__name__)
    served = etag.removeprefix("W/") if status == http.client.OK else str(status)
    after = _stored(s3, bucket, key)
    return Looked(path, _verdict(before, after, status, served), before or "none", served or "no ETag")


def _verdict(before: str | None, after: str | None, status: int, served: str) -> Verdict:
    if before is None or before != after or (status == http.client.OK and not served):
        return Verdict.UNKNOWN
    if status != http.client.OK:
        return Verdict.FRESH if not after and status in {403, 404} else Verdict.UNKNOWN
    return Verdict.FRESH if served == after else Verdict.STALE


def _stored(s3: S3Client, bucket: str, key: str) -> str | None:
    """The object's ETag, "" where there is no object, None where S3 does not tell."""
    try:
        answer: dict[str, Any] = dict(s3.head_object(Bucket=bucket, Key=key))
    except ClientError as error:
        return "" if error.response.get("Error", {}).get("Code") in {"404", "NoSuchKey", "NotFound"} else None
    except BotoCoreError:
        return None
    return str(answer["ETag"])
