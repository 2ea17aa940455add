"""Listings: which keys a bucket holds where something changed, as far as a few requests tell.

A listing is one look. What is put while it is made, or after, is in it or not: it decides only which of several covers
is sent, and each of them covers every change. So where a bucket cannot be listed, or holds too much, the plan goes on
without.

Source: Amazon S3 API Reference, ListObjectsV2 (1,000 keys a page; $0.005 for 1,000 requests, Amazon S3 Pricing).
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from os.path import commonprefix
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mypy_boto3_s3 import S3Client

MAX_PAGES: Final = 50
"""This application's own: 50,000 keys. More are neither listed nor planned with in a few seconds."""

MAX_SECONDS: Final = 30.0
"""This application's own: how long S3 may take for all pages."""

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Listing:
    """The keys that a bucket holds below a prefix, or None and why that is not known."""

    keys: tuple[str, ...] | None
    unknown: str = ""


class BucketLister:
    """Lists buckets, each once for a batch: all its distributions are planned with the same listing.

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
        """What the bucket holds below the longest common prefix of the batch's changed keys.

        What cannot be listed is not tried again for the same batch.
        """
        if self._batch_id != batch_id:
            self._listing = self._list(bucket, _common_prefix(changed))
            self._batch_id = batch_id
            if self._listing.unknown:
                self._warn(f"{bucket} is not listed: {self._listing.unknown}")
        return self._listing

    def _list(self, bucket: str, prefix: str) -> Listing:
        keys: list[str] = []
        started = self._clock()
        pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        try:
            for number, page in enumerate(pages, 1):
                keys += (each["Key"] for each in page.get("Contents", ()))
                if not page["IsTruncated"]:
                    break
                if number == self._max_pages:
                    return Listing(None, f"more than {len(keys):,} keys begin with {prefix!r}")
                if self._clock() - started > MAX_SECONDS:
                    return Listing(None, f"{number} pages took more than {MAX_SECONDS:.0f} s")
        except (ClientError, BotoCoreError) as error:
            return Listing(None, str(error))
        return Listing(tuple(keys))


def _common_prefix(keys: Iterable[str]) -> str:
    """Of all keys, in memory that does not grow with them; up to what cannot be sent to S3."""
    shared: str | None = None
    for key in keys:
        if shared is None or not key.startswith(shared):
            shared = key if shared is None else commonprefix((shared, key))  # noqa: RUF071 - by character is meant
    return _LONE_SURROGATE.split(shared or "", maxsplit=1)[0]
