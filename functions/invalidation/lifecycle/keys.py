"""Where each kind of item lives in the table.

============================  =======================================  ============================================
pk                            sk                                       what
============================  =======================================  ============================================
``BUCKETS``                   ``<bucket>``                             a bucket that has had a change or a request
``PENDING#<bucket>#<shard>``  ``<sha-256 of the key>#<event id>``      an accepted change that no batch owns yet
``BUCKET#<bucket>``           ``HEAD``                                 the bucket's current batch
``BATCH#<id>``                ``META``                                 the batch record, which is the audit record
``BATCH#<id>``                ``KEYS#<attempt>#<number>``              a chunk of the frozen list of what it owns
``BATCH#<id>``                ``TARGET#<distribution>``                what it owes to one distribution
``BATCH#<id>``                ``INVALIDATION#<distribution>#<its id>`` an invalidation that was created for it
``USAGE``                     ``<year>-<month>``                       how many paths that month has taken
============================  =======================================  ============================================
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from invalidation.lifecycle.table import Key

if TYPE_CHECKING:
    from invalidation.changes import Change

BUCKETS = "BUCKETS"
TARGETS = "TARGET#"
INVALIDATIONS = "INVALIDATION#"

_LONGEST_EVENT_ID = 512
"""ASCII characters. EventBridge's ids have 36; a hand-made event's must not push ``sk`` past DynamoDB's 1,024 bytes."""


def digest(text: str) -> str:
    """SHA-256 in hex. Lone surrogates, which JSON can carry and UTF-8 cannot, are hashed rather than refused."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def registry(bucket: str) -> Key:
    return Key(BUCKETS, bucket)


def head(bucket: str) -> Key:
    return Key(f"BUCKET#{bucket}", "HEAD")


def pending_shard(bucket: str, shard: int) -> str:
    return f"PENDING#{bucket}#{shard:x}"


def pending(change: Change, shards: int) -> Key:
    """Two changes of one key have two items: the later one must not vanish with the earlier one's batch."""
    key = digest(change.key)
    event = change.event_id
    if len(event) > _LONGEST_EVENT_ID or not event.isascii():
        event = digest(event)
    return Key(pending_shard(change.bucket, int(key[0], 16) % shards), f"{key}#{event}")


def content(bucket: str, key: str) -> Key:
    """What is remembered of an object's content; one partition for each key, since any key may be hot."""
    return Key(f"CONTENT#{bucket}#{digest(key)}", "ETAG")


def batch(batch_id: str) -> str:
    return f"BATCH#{batch_id}"


def batch_id_of(pk: str) -> str:
    return pk.removeprefix("BATCH#")


def meta(batch_id: str) -> Key:
    return Key(batch(batch_id), "META")


def chunk(batch_id: str, attempt: str, number: int) -> Key:
    return Key(batch(batch_id), f"KEYS#{attempt}#{number:04d}")


def target(batch_id: str, distribution_id: str) -> Key:
    return Key(batch(batch_id), f"{TARGETS}{distribution_id}")


def invalidation(batch_id: str, distribution_id: str, invalidation_id: str) -> Key:
    """By its id: a retry with other parameters plans other requests, and must not hide what was created before."""
    return Key(batch(batch_id), f"{INVALIDATIONS}{distribution_id}#{invalidation_id}")


def usage(moment: datetime) -> Key:
    return Key("USAGE", moment.astimezone(UTC).strftime("%Y-%m"))


def audit_of_bucket(bucket: str) -> str:
    """Without a bucket: of requests by paths, which the audit has to find before it is known whom they owe."""
    return f"BUCKET#{bucket}"


def audit_of_distribution(distribution_id: str) -> str:
    return f"DISTRIBUTION#{distribution_id}"


def audit_of_invalidation(invalidation_id: str) -> str:
    return f"INVALIDATION#{invalidation_id}"
