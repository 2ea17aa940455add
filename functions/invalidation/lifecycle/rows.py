"""Changes as rows of a frozen list, and as pending items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from invalidation.changes import Change
from invalidation.lifecycle import keys
from invalidation.lifecycle.items import blank, readable
from invalidation.lifecycle.table import Item


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


_ATTRIBUTES = {f.name: _camel_case(f.name) for f in fields(Change) if f.name != "bucket"}
"""Field -> attribute. The bucket is left out: a list is of one bucket, and the batch record names it."""


def change_to_row(change: Change) -> dict[str, Any]:
    return {attribute: value for name, attribute in _ATTRIBUTES.items() if (value := getattr(change, name))}


def change_from_row(bucket: str, row: Mapping[str, Any]) -> Change:
    """Reads only fields that this release knows: a list outlives the release that wrote it."""
    known = {name: row[attribute] for name, attribute in _ATTRIBUTES.items() if attribute in row}
    return Change(bucket=bucket, **{"event_id": "", **known})


def pending_to_item(change: Change, shards: int) -> Item:
    return blank(keys.pending(change, shards)) | {"bucket": change.bucket} | change_to_row(change)


def pending_from_item(item: Item) -> Change:
    """Raises RecordsOfLaterRelease."""
    return change_from_row(item["bucket"], readable(item))
