"""A bucket that can be listed, and counts the pages of its listings."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = 1_000
"""Keys in a page of ListObjectsV2."""


class Bucket:
    """Answers ``list_objects_v2(Bucket=…, Prefix=…, StartAfter=…)`` as boto3's client does."""

    def __init__(self, keys: Iterable[str], error: Exception | None = None) -> None:
        self.keys = sorted(keys, key=_order)
        self.error = error
        self.prefixes: list[str] = []
        self.pages = 0

    def list_objects_v2(self, *, Bucket: str, Prefix: str, StartAfter: str = "") -> dict[str, Any]:  # noqa: N803 - boto3's
        assert Bucket
        Prefix.encode()
        StartAfter.encode()
        self.prefixes.append(Prefix)
        self.pages += 1
        if self.error and self.pages > 1:
            raise self.error
        keys = sorted(self.keys, key=_order)
        found = [key for key in keys[bisect_right(keys, _order(StartAfter), key=_order) :] if key.startswith(Prefix)]
        contents = {"Contents": [{"Key": key} for key in found[:PAGE]]} if found else {}
        return {"IsTruncated": len(found) > PAGE, **contents}


def _order(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
