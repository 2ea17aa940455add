"""What this stack switched on itself: EventBridge on a bucket has no owner, so only that may be undone."""

from __future__ import annotations

from invalidation.lifecycle import keys
from invalidation.lifecycle.table import BatchTable

_MARK = "eventsSwitchedOn"


def remember_events_switched_on(table: BatchTable, bucket: str) -> None:
    """Note that this stack, and nobody before it, let the bucket send its events."""
    table.update(keys.registry(bucket), {_MARK: True}, {})


def forget_events_switched_on(table: BatchTable, bucket: str) -> None:
    """Note that it was undone."""
    table.update(keys.registry(bucket), {_MARK: None}, {})


def events_switched_on_here(table: BatchTable, bucket: str) -> bool:
    """Whether it was this stack that let the bucket send its events."""
    return bool((table.get(keys.registry(bucket)) or {}).get(_MARK))
