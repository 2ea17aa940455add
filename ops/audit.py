"""`invalidations audit`: who changed what, what was invalidated where, when, how long it took, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import click
from rich.status import Status
from rich.table import Table
from rich.text import Text

from invalidation.lifecycle import Batch, BatchState, BatchTable, Target
from invalidation.lifecycle import keys as table_keys
from invalidation.lifecycle.table import items
from invalidation.limits import DOLLARS_PER_PATH, FREE_PATHS_A_MONTH, price
from ops import tables
from ops.entries import OUTCOMES, Entry, Question, ask
from ops.moments import Moment, stamp, took
from ops.stack import Stack, with_stack
from ops.tables import Form, with_forms

SHOWN = 3
"""Keys, requesters, distributions and widened paths that a cell of the table shows of each."""
CHUNK = 50
"""Rows of one table: a long audit is shown as it is read."""
STYLES = {"Completed": "green", "Failed": "red", "PartlyFailed": "red", "InProgress": "yellow"}
COLUMNS = (
    *("batch_id", "opened_utc", "finished_utc", "seconds", "bucket", "outcome", "state", "changes", "deleted", "sample"),
    *("requesters", "distributions", "invalidations", "paths", "wildcards", "widened", "max_dollars", "tries"),
    *("error", "message", "execution"),
)


@click.command(epilog="Example: invalidations audit --bucket my-site --since 7d --outcome Failed")
@click.option("--bucket", help="Batches of this bucket.")
@click.option("--key", help="Batches with a change of this object; needs --bucket. Reads lists: give --since, too.")
@click.option("--distribution", metavar="ID", help="Batches that owed this distribution an invalidation.")
@click.option("--since", type=Moment(), help="A date, a time (UTC), or how long ago: 2026-11-01, 24h, 7d.")
@click.option("--until", type=Moment(end=True), help="The same; a date means the end of that day.")
@click.option("--outcome", type=click.Choice(OUTCOMES, case_sensitive=False), help="What became of the batch.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="Most batches shown; 0: all.")
@with_forms()
@with_stack
def audit(
    stack: Stack,
    form: Form,
    bucket: str | None,
    key: str | None,
    distribution: str | None,
    since: datetime | None,
    until: datetime | None,
    outcome: str | None,
    limit: int,
) -> None:
    """Show who changed what, and what was invalidated because of it: a row for each batch, newest first.

    The records are kept for the stack's AuditRetentionDays, far longer than Step Functions keeps executions. Cost is an
    upper bound: it counts every path as if the month's 1,000 free ones were used up.
    """
    if key and not bucket:
        raise click.UsageError("--key needs --bucket: a key names an object only within its bucket")
    question = Question(bucket or "", key or "", distribution or "", since, until, outcome or "")
    table = stack.table()
    with tables.console(stderr=True).status("Reading the audit …") as waiting:
        progress = Progress(waiting)
        found = ask(table, question, buckets_of(stack, table), progress.looked_at)
        shown = list(islice(found, limit + 1)) if False else found
        del shown
        SHOW[form](islice(found, limit) if limit else found, waiting)
