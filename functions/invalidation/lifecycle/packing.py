"""Rows to compressed chunks that fit into a DynamoDB item, and back, without ever holding more than one chunk.

A chunk is zlib over one JSON array. JSON escapes what is not ASCII, so its length in characters is its length in bytes
and a key may hold anything, control characters and lone surrogates included.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

RAW_CHUNK_BYTES = 300_000
"""Bytes of JSON at which a chunk is closed. DynamoDB's items go to 400 KB (409,600 bytes, names included); what cannot
be compressed at all still fits, because the limit is on the raw size and zlib adds 0.03 % at worst."""


def pack(rows: Iterable[Any]) -> Iterator[bytes]:
    """Chunks of the rows, in their order; none for no rows.

    One row longer than the limit makes a chunk of its own: an execution's input is at most 256 KB, and so is a row's
    content; escapes may make it longer, but compress away.
    """
    lines: list[str] = []
    size = 2
    for row in rows:
        line = json.dumps(row, separators=(",", ":"))
        if lines and size + len(line) + 1 > RAW_CHUNK_BYTES:
            yield _compressed(lines)
            lines, size = [], 2
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield _compressed(lines)


def unpack(chunk: bytes) -> list[Any]:
    rows: list[Any] = json.loads(zlib.decompress(chunk))
    return rows


def _compressed(lines: list[str]) -> bytes:
    return zlib.compress(f"[{','.join(lines)}]".encode("ascii"))
