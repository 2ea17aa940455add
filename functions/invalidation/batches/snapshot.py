"""The frozen list: exactly the changes, or paths, that a batch owns.

It is written in chunks under the name of the attempt that writes it, and counts for nothing until the batch record
names that attempt. The record is written once, conditionally: of several attempts that froze beside each other one
wins, and every one of them goes on with the winner's list.

A chunk is zlib over one JSON array. JSON escapes what is not ASCII, so its length in characters is its length in bytes
and a key may hold anything, control characters and lone surrogates included.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from invalidation.batches.head import Execution
from invalidation.batches.model import Batch, Kind, PendingChange, later_release
from invalidation.batches.table import BATCH, VERSION, BatchTable, Item, Key
from invalidation.errors import BatchNotFound
from invalidation.events import Change

SAMPLE: Final = 10
"""Keys, and requesters, that a batch record shows of the many that it may have."""
_COUNTED_REQUESTERS: Final = 100
"""Different requesters that are counted; further ones are not, so that a record's size is bounded."""

RAW_CHUNK_BYTES: Final = 300_000
"""Bytes of JSON at which a chunk is closed. DynamoDB's items go to 400 KB (409,600 bytes, names included); what cannot
be compressed at all still fits, because the limit is on the raw size and zlib adds 0.03 % at worst."""


def chunk_key(batch_id: str, attempt: str, number: int) -> Key:
    return Key(f"{BATCH}{batch_id}", f"KEYS#{attempt}#{number:04d}")


def draft(execution: Execution, batch_id: str, attempt: str, closed: datetime, **of_its_kind: Any) -> Batch:
    """A batch record that lacks only what is known when its list has been written."""
    return Batch(
        batch_id=batch_id,
        owner=execution.arn,
        executions=(execution.arn,),
        attempt=attempt,
        chunks=0,
        changes=0,
        opened=execution.started,
        closed=closed,
        **of_its_kind,
    )


def freeze_changes(table: BatchTable, drafted: Batch, changes: Iterable[PendingChange]) -> Batch | None:
    """The batch record that counts, this attempt's or an earlier one's. None if there are no changes to own."""
    tally = _Tally()
    rows = (each.to_row() for each in tally.counting(changes))
    chunks = _write_list(table, drafted, rows, tally.shards)
    if not tally.changes:
        return None
    complete = replace(
        drafted,
        chunks=chunks,
        changes=tally.changes,
        deleted=tally.deleted,
        sample=tuple(tally.sample),
        requesters=tally.most_active(),
    )
    return _write_record(table, complete)


def freeze_paths(table: BatchTable, drafted: Batch, paths: tuple[str, ...]) -> Batch:
    """The same for a request of paths, of which there is at least one."""
    chunks = _write_list(table, drafted, paths)
    return _write_record(table, replace(drafted, chunks=chunks, changes=len(paths), sample=paths[:SAMPLE]))


def frozen_changes(table: BatchTable, batch: Batch) -> Iterator[Change]:
    """The changes that the batch owns, a chunk in memory at a time.

    Raises:
        BatchNotFound: the list of an ended batch has expired.
    """
    if batch.kind is not Kind.CHANGES:
        raise ValueError(f"batch {batch.batch_id} holds {batch.kind.value}, not changes")
    chunks = (frozen_rows(table, batch, number) for number in range(1, batch.chunks + 1))
    return (PendingChange.from_row(batch.bucket, row).change for rows in chunks for row in rows)


def frozen_keys(table: BatchTable, batch: Batch) -> Iterator[str]:
    """The keys of those changes, one for each change."""
    if batch.kind is not Kind.CHANGES:
        raise ValueError(f"batch {batch.batch_id} holds {batch.kind.value}, not changes")
    return (row["key"] for number in range(1, batch.chunks + 1) for row in frozen_rows(table, batch, number))


def frozen_paths(table: BatchTable, batch: Batch) -> Iterator[str]:
    """The same for the paths that a request named."""
    if batch.kind is not Kind.PATHS:
        raise ValueError(f"batch {batch.batch_id} holds {batch.kind.value}, not paths")
    return (path for number in range(1, batch.chunks + 1) for path in frozen_rows(table, batch, number))


def frozen_rows(table: BatchTable, batch: Batch, number: int) -> list[Any]:
    """One chunk of the list; the first is number 1."""
    return unpack(_chunk(table, batch, number)["rows"])


def pending_keys(table: BatchTable, batch: Batch, number: int) -> list[Key]:
    """Where the changes of one chunk of a gathered list were pending.

    A list of a release that did not keep the shards was written with as many as there are still.
    """
    item = _chunk(table, batch, number)
    rows = unpack(item["rows"])
    if "shards" in item:
        return PendingChange.keys_of(batch.bucket, rows, [int(digit, 16) for digit in item["shards"]])
    changes = [PendingChange.from_row(batch.bucket, row).change for row in rows]
    return [PendingChange.of(change, table.shards).key for change in changes]


def _chunk(table: BatchTable, batch: Batch, number: int) -> Item:
    item = table.get(chunk_key(batch.batch_id, batch.attempt, number))
    if item is None:
        raise BatchNotFound(f"the list of batch {batch.batch_id} has expired: chunk {number} is gone")
    if item.get("v", VERSION) > VERSION:
        raise later_release(item)
    return item


def _write_list(table: BatchTable, drafted: Batch, rows: Iterable[Any], shards: deque[str] | None = None) -> int:
    """How many chunks there are. ``shards`` has one digit for each row of a gathered list, as far as rows were read."""
    number = 0
    for number, (chunk, count) in enumerate(pack(rows), 1):
        pk, sk = chunk_key(drafted.batch_id, drafted.attempt, number)
        where = {"shards": "".join([shards.popleft() for _ in range(count)])} if shards else {}
        table.put({"pk": pk, "sk": sk, "v": VERSION, "rows": chunk, **where})
    return number


def _write_record(table: BatchTable, complete: Batch) -> Batch:
    if complete.save(table):
        return complete
    winner = Batch.read(table, complete.batch_id)
    if winner.attempt != complete.attempt:
        # Another attempt's list counts. Ours is under a name that only this attempt has ever had, and the record,
        # which is never written twice, does not name it: nobody can miss it.
        chunks = range(1, complete.chunks + 1)
        table.delete_all(chunk_key(complete.batch_id, complete.attempt, number) for number in chunks)
    return winner


@dataclass(slots=True)
class _Tally:
    """Counts changes on their way through, in memory that does not grow with them."""

    changes: int = 0
    deleted: int = 0
    sample: dict[str, None] = field(default_factory=dict)
    requesters: Counter[tuple[str, str]] = field(default_factory=Counter)
    shards: deque[str] = field(default_factory=deque)
    """Where each change is pending, until that is written with its chunk: one hex digit."""

    def counting(self, changes: Iterable[PendingChange]) -> Iterator[PendingChange]:
        for each in changes:
            change = each.change
            self.changes += 1
            self.deleted += change.deleted
            if each.shard is not None:
                self.shards.append(f"{each.shard:x}")
            if len(self.sample) < SAMPLE:
                self.sample[change.key] = None
            requester = (change.requester, change.source_ip)
            if any(requester) and (requester in self.requesters or len(self.requesters) < _COUNTED_REQUESTERS):
                self.requesters[requester] += 1
            yield each

    def most_active(self) -> tuple[dict[str, Any], ...]:
        return tuple(
            {"requester": requester, "sourceIp": source_ip, "changes": changes}
            for (requester, source_ip), changes in self.requesters.most_common(SAMPLE)
        )


def pack(rows: Iterable[Any]) -> Iterator[tuple[bytes, int]]:
    """Chunks of the rows, in their order, each with the number of its rows. None for no rows.

    One row longer than the limit makes a chunk of its own: an execution's input is at most 256 KB, and so is a row's
    content; escapes may make it longer, but compress away.
    """
    lines: list[str] = []
    size = 2
    for row in rows:
        line = json.dumps(row, separators=(",", ":"))
        if lines and size + len(line) + 1 > RAW_CHUNK_BYTES:
            yield _compressed(lines), len(lines)
            lines, size = [], 2
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield _compressed(lines), len(lines)


def unpack(chunk: bytes) -> list[Any]:
    rows: list[Any] = json.loads(zlib.decompress(chunk))
    return rows


def _compressed(lines: list[str]) -> bytes:
    return zlib.compress(f"[{','.join(lines)}]".encode("ascii"))
