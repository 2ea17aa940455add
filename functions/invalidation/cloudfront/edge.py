"""Adapter: what viewers get. Asks a distribution for a few paths, and S3 for what they should be.

It sees one edge location only, the one nearest to the function: that this is fresh does not prove that all are, but a
stale answer proves that something is wrong. It never follows a redirect, reads no bodies, and gives up after seconds,
however slowly an answer trickles in.
"""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from invalidation.cloudfront.routing import RouteVerdict, served
from invalidation.cloudfront.rules import PathRules
from invalidation.errors import EdgeStillStale, code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mypy_boto3_s3 import S3Client

    from invalidation.cloudfront.distribution import Distribution

USER_AGENT = "cloudfront-auto-invalidation"
SECONDS = 5.0
"""For one answer of the edge."""
MAX_LOOKS = 3
"""Paths of a batch that are looked at."""
MAX_KEYS = 100
"""Keys of a batch among which those are sought that viewers reach under a path of their own."""
GONE = frozenset({http.client.FORBIDDEN, http.client.NOT_FOUND})
"""What an origin without the object answers; S3 tells only those that may list the bucket that it is not there."""


class EdgeVerdict(StrEnum):
    """What a look at the edge has shown."""

    FRESH = "Fresh"
    STALE = "Stale"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Looked:
    """What S3 has and the edge gave (ETag, status code), and the verdict."""

    path: str
    verdict: EdgeVerdict
    stored: str
    served: str

    def to_document(self) -> dict[str, str]:
        """``{"path", "verdict", "stored", "served"}``."""
        return {"path": self.path, "verdict": self.verdict.value, "stored": self.stored, "served": self.served}


class EdgeAnswer(NamedTuple):
    """A status code and an ETag, "" when there is none.

    ``error_page``: the origin answered with an error, whatever the status code says. A distribution may give a page and
    a 200 for it; that it was one stays visible (CFD, "Change response codes returned by CloudFront").
    """

    status: int
    etag: str
    error_page: bool = False
    x_cache: str = ""
    age: str = ""


def ask_edge(host: str, path: str, *, connect: Callable[..., http.client.HTTPConnection] | None = None) -> EdgeAnswer:
    """HEAD of a path, without compression, which would weaken the ETag. Redirects are answers like any other.

    Raises:
        OSError, http.client.HTTPException: the edge did not answer in time, or not in HTTP.
    """
    connection = (connect or http.client.HTTPSConnection)(host, timeout=SECONDS)
    try:
        connection.connect()
        with _ended_in_time(connection.sock):
            headers = {"Host": host, "Accept-Encoding": "identity", "User-Agent": USER_AGENT}
            connection.request("HEAD", path, headers=headers)
            response = connection.getresponse()
        x_cache = response.headers.get("X-Cache", "")
        etag, age = response.headers.get("ETag", ""), response.headers.get("Age", "")
        return EdgeAnswer(response.status, etag, x_cache.lower().startswith("error"), x_cache, age)
    finally:
        connection.close()


@contextmanager
def _ended_in_time(connected: socket.socket) -> Iterator[None]:
    """The socket's own time-out is for each piece of an answer. This is for the whole of it.

    Raises:
        TimeoutError: it was ended, and what was read may be half an answer.
    """
    too_late = threading.Event()

    def end() -> None:
        too_late.set()
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(SECONDS, end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if too_late.is_set():
            raise TimeoutError(f"no whole answer within {SECONDS:g} s")


def look(
    s3: S3Client, bucket: str, key: str, host: str, path: str, *, ask: Callable[[str, str], EdgeAnswer] = ask_edge
) -> Looked:
    """Compare what the edge gives for a path with what the bucket holds.

    Anything but a clear difference is Unknown: a page that needs a signature, an error page, a redirect, an object that
    changed again meanwhile. An object that is gone and still served is a clear difference.
    """
    before = _stored(s3, bucket, key)
    try:
        answer = ask(host, path)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Looked(path, EdgeVerdict.UNKNOWN, before or "none", type(error).__name__)
    after = _stored(s3, bucket, key)
    stored = after if before == after else None
    served = answer.etag if answer.status == http.client.OK else str(answer.status)
    return Looked(path, _verdict(stored, answer), after or "none", served or "no ETag")


def paths_to_look_at(distribution: Distribution, keys: Iterable[str], rules: PathRules) -> Iterator[tuple[str, str]]:
    """A few of the keys, each with the path under which viewers reach just it. No wildcards, no rewritten requests."""
    looks = 0
    for key in islice(keys, MAX_KEYS):
        found = served(distribution, key, rules)
        exact = [path for path in found.paths if not path.endswith("*") and path != "/"]
        if found.verdict is RouteVerdict.SERVED and exact:
            yield key, exact[0]
            looks += 1
        if looks == MAX_LOOKS:
            return


def require_fresh(looks: Iterable[Looked], host: str) -> None:
    """Raises EdgeStillStale when one of the looks has shown old content."""
    for each in looks:
        if each.verdict is EdgeVerdict.STALE:
            raise EdgeStillStale(
                f"CloudFront reported the invalidation as completed, but https://{host}{each.path} still gave "
                f"{each.served}, and the bucket holds {each.stored}. One edge location was asked; "
                "`invalidations explain` says who serves it"
            )


def _verdict(stored: str | None, answer: EdgeAnswer) -> EdgeVerdict:
    """``stored`` is None when it is not known what should be served."""
    if stored is None:
        return EdgeVerdict.UNKNOWN
    if answer.status != http.client.OK:
        return EdgeVerdict.FRESH if not stored and answer.status in GONE else EdgeVerdict.UNKNOWN
    if answer.error_page:
        return EdgeVerdict.UNKNOWN if stored else EdgeVerdict.FRESH
    if not stored:
        return EdgeVerdict.STALE
    if not answer.etag:
        return EdgeVerdict.UNKNOWN
    return EdgeVerdict.FRESH if answer.etag.removeprefix("W/") == stored else EdgeVerdict.STALE


def _stored(s3: S3Client, bucket: str, key: str) -> str | None:
    """The object's ETag, "" where there is no object, None where S3 does not tell."""
    try:
        answer: dict[str, Any] = dict(s3.head_object(Bucket=bucket, Key=key))
    except ClientError as error:
        return "" if code_of(error) in {"404", "NoSuchKey", "NotFound"} else None
    except BotoCoreError:
        return None
    return str(answer["ETag"])
