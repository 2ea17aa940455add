"""Leaving out overwrites that changed no content: the same ETag again (parameter ``SkipUnchanged``).

What is remembered of a key is the ETag of the newest event that has come. It is written **before** the change is
accepted: whoever then dies leaves a change that its execution's replay accepts, because only a *newer* event with the
same ETag is left out, never the one that is remembered. Events out of order are safe for the same reason: each event
with another ETag than the remembered one is accepted, however late it comes.

An ETag says nothing of metadata: an overwrite that changes only ``Cache-Control`` or ``Content-Type`` is left out too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from invalidation.changes import Change
from invalidation.lifecycle import keys
from invalidation.lifecycle.items import VERSION
from invalidation.lifecycle.table import BatchTable
from invalidation.lifecycle.times import epoch_seconds

REMEMBERED = timedelta(days=90)
TRIES = 3


def without_unchanged(table: BatchTable, changes: Sequence[Change], now: datetime) -> list[Change]:
    """The changes that may have changed content; remembers each of them.

    Raises:
        BatchTableUnavailable: nothing has been accepted yet; the input still holds the changes.
    """
    return [change for change in changes if not _is_unchanged(table, change, now)]


def _is_unchanged(table: BatchTable, change: Change, now: datetime) -> bool:
    key = keys.content(change.bucket, change.key)
    for _ in range(TRIES):
        found = table.get(key) or {}
        if found.get("v", VERSION) > VERSION:
            return False  # a later release's; it says nothing to this one, and stays as it is
        newer = _order(change.sequencer) > _order(found.get("sequencer", ""))
        if not newer:
            return False  # what is remembered stays: it tells of a later state than this event
        same = not change.deleted and bool(change.etag) and change.etag == found.get("etag")
        remembered = {
            "v": VERSION,
            "etag": None if change.deleted else change.etag or None,
            "sequencer": change.sequencer or None,
            "expiresAt": epoch_seconds(now + REMEMBERED),
        }
        # Also where nothing changed: else an older event with other content, that comes late, would be taken for the
        # state after this one, and the next change back to its content be left out.
        if table.update(key, remembered, {"sequencer": found.get("sequencer")}) is not None:
            return same
    table.delete_all([key])  # contended: nothing remembered means that nothing is left out
    return False


def _order(sequencer: str) -> str:
    """Sequencers of one key in their order (S3 User Guide, "Event message structure"): padded right, as text."""
    return sequencer.ljust(64, "0")
