"""How many paths a month has taken: one item for each month of the bill, which is in UTC.

It is for a budget's alarm. What dies between creating an invalidation and counting it is not counted; the bill, and the
audit of each batch, know better.
"""

from __future__ import annotations

from datetime import datetime

from invalidation.lifecycle import keys
from invalidation.lifecycle.items import blank
from invalidation.lifecycle.table import ATTEMPTS, BatchTable


def count_paths(table: BatchTable, paths: int, now: datetime) -> None:
    """Add to the month's paths; left out when every attempt was overtaken."""
    key = keys.usage(now)
    for _ in range(ATTEMPTS):
        item = table.get(key)
        if item is None:
            if table.put_new(blank(key) | {"paths": paths}):
                return
        elif table.update(key, {"paths": item["paths"] + paths}, {"paths": item["paths"]}) is not None:
            return


def paths_of_month(table: BatchTable, now: datetime) -> int:
    """The month's paths so far."""
    item = table.get(keys.usage(now))
    return 0 if item is None else int(item["paths"])
