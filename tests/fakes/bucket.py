"""A bucket that can be listed, and counts the pages of its listings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE = 1_000
"""Keys in a page of ListObjectsV2."""


class Bucket:
    """Answers ``get_paginator("list_objects_v2").paginate(Bucket=…, Prefix=…)`` as boto3's client does."""

    def __init__(self, keys: Iterable[str], error: Exception | None = None) -> None:
        self.keys = sorted(keys)
        self.error = error
        self.prefixes: list[str] = []
        self.pages = 0

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803 - boto3's own names
        assert Bucket
        self.prefixes.append(Prefix)
        found = [key for key in self.keys if key.startswith(Prefix)]
        for start in range(0, max(1, len(found)), PAGE):
            self.pages += 1
            if self.error and self.pages > 1:
                raise self.error
            page = found[start : start + PAGE]
            contents = {"Contents": [{"Key": key} for key in page]} if page else {}
            yield {"IsTruncated": start + PAGE < len(found), "KeyCount": len(page), **contents}
