"""Which keys a bucket holds where something changed, as far as few requests tell.

A listing is one look. What is put while it is made, or after, is in it or not: it decides only which of several covers
is sent, and each of them covers every change. So where a bucket cannot be listed, or holds too much, the plan goes on
without.

What is listed begins with what the changed keys have in common. Where thousands of unchanged keys follow each other, a
wildcard that reaches over them is a bad one anyway: the listing leaves the rest of them out, and goes on where the next
changed key has neighbours.

Source: Amazon S3 API Reference, ListObjectsV2 (1,000 keys a page; $0.005 for 1,000 requests, Amazon S3 Pricing).
"""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice
from os.path import commonprefix
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mypy_boto3_s3 import S3Client

MAX_PAGES: Final = 50
"""This application's own: 50,000 keys. More are neither listed nor planned with in a few seconds."""

MAX_SECONDS: Final = 30.0
"""This application's own: how long S3 may take for all pages."""

MAX_CHANGED: Final = 100_000
"""This application's own: changed keys, more of which are not planned with a listing."""

PAGES_WITHOUT_CHANGE: Final = 3
"""After so many pages in which nothing changed, the rest up to the next changed key's neighbours is left out."""

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Listing:
    """The keys that a bucket holds around the changed ones. None where that is not known.

    ``gaps`` has, for each stretch that was left out, the last keys before it: there are more than are listed.
    """

    keys: tuple[str, ...] | None
    gaps: tuple[tuple[str, ...], ...] = ()
    unknown: str = ""


class BucketLister:
    """Lists buckets, each once for a batch. All its distributions are planned with the same listing.

    Args:
        client: gives a boto3 client for S3. It is not called before something is to be listed.
        warn: is told why a bucket could not be listed.
        max_pages: how many pages of 1,000 keys a listing may have.
        clock: seconds, only ever forwards.
    """

    def __init__(
        self,
        client: Callable[[], S3Client],
        warn: Callable[[str], None],
        max_pages: int = MAX_PAGES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._warn = warn
        self._max_pages = max_pages
        self._clock = clock
        self._batch_id = ""
        self._listing = Listing(None)

    def around(self, batch_id: str, bucket: str, changed: Iterable[str]) -> Listing:
        """What the bucket holds around the batch's changed keys.

        What cannot be listed is not tried again for the same batch.
        """
        if self._batch_id != batch_id:
            self._listing = self._list(bucket, changed)
            self._batch_id = batch_id
            if self._listing.unknown:
                self._warn(f"{bucket} is not listed: {self._listing.unknown}")
        return self._listing

    def _list(self, bucket: str, changed: Iterable[str]) -> Listing:
        sought = sorted(set(islice(changed, MAX_CHANGED + 1)), key=_in_the_order_of_s3)
        if len(sought) > MAX_CHANGED:
            return Listing(None, unknown=f"more than {MAX_CHANGED:,} keys changed")
        try:
            return self._pages(bucket, sought)
        except (ClientError, BotoCoreError) as error:
            return Listing(None, unknown=str(error))

    def _pages(self, bucket: str, sought: Sequence[str]) -> Listing:
        prefix = _sendable(commonprefix((sought[0], sought[-1]))) if sought else ""  # noqa: RUF071 - by character
        keys: list[str] = []
        gaps: list[tuple[str, ...]] = []
        request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
        started, idle, seen = self._clock(), 0, 0
        for number in range(1, self._max_pages + 1):
            page = self._client().list_objects_v2(**request)
            found = [each["Key"] for each in page.get("Contents", ())]
            keys += found
            if not page["IsTruncated"]:
                return Listing(tuple(keys), tuple(gaps))
            if self._clock() - started > MAX_SECONDS:
                return Listing(None, unknown=f"{number} pages took more than {MAX_SECONDS:.0f} s")
            request["StartAfter"] = after = found[-1]
            passed = bisect_right(sought, _in_the_order_of_s3(after), key=_in_the_order_of_s3)
            idle, seen = (idle + 1 if passed == seen else 0), passed
            if passed == len(sought) and idle >= PAGES_WITHOUT_CHANGE:
                return Listing(tuple(keys), (*gaps, tuple(found)))
            if idle >= PAGES_WITHOUT_CHANGE and (onwards := _before_neighbours(after, sought[passed])):
                gaps.append(tuple(found))
                request["StartAfter"], idle = onwards, 0
        return Listing(None, unknown=f"more than {len(keys):,} keys lie among those that changed, below {prefix!r}")


def _in_the_order_of_s3(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _before_neighbours(listed: str, key: str) -> str:
    """What comes before all keys that share with ``key`` more than with ``listed``. "" if nothing can."""
    shared = len(commonprefix((listed, key)))  # noqa: RUF071 - by character is what is meant
    first = _sendable(key[: shared + 1])
    if len(first) <= shared or first[-1] in {"\0", "\ue000"}:
        return ""
    before = first[:-1] + chr(ord(first[-1]) - 1) + chr(0x10FFFF)
    return before if _in_the_order_of_s3(before) > _in_the_order_of_s3(listed) else ""


def _sendable(key: str) -> str:
    """Up to what cannot be sent to S3."""
    return _LONE_SURROGATE.split(key, maxsplit=1)[0]
