"""Pause and resume: a person's say over one bucket, kept on its head."""

from __future__ import annotations

from invalidation.lifecycle import keys
from invalidation.lifecycle.closing import has_pending
from invalidation.lifecycle.joining import Window, needs_leader
from invalidation.lifecycle.table import BatchTable
from invalidation.lifecycle.times import Clock


def pause(table: BatchTable, bucket: str) -> None:
    """Changes are still accepted, and wait; the sweep starts nothing for the bucket.

    What a batch owns already is finished by the execution that works on it.
    """
    table.update(keys.head(bucket), {"paused": True}, {})


def resume(table: BatchTable, bucket: str, window: Window, now: Clock) -> bool:
    """Let the bucket go on. True: changes wait, and nobody leads; start ``{"lead": bucket}``, or the sweep does.

    The flag goes first: a joiner that still reads it has written its change before, so that it is found here.
    """
    table.update(keys.head(bucket), {"paused": None}, {})
    return needs_leader(table, bucket, window, now) and has_pending(table, bucket)
