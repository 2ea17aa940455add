"""Who works on a batch, and what its batches and successors are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from invalidation.lifecycle.keys import digest
from invalidation.lifecycle.times import compact

SWEEP_PREFIX = "sweep-"
_LONGEST_BUCKET_PART = 40
"""Characters of a bucket's name in an execution's name, which may have 80 (Step Functions API, StartExecution)."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of the state machine: ``$$.Execution.Id`` and ``$$.Execution.StartTime``."""

    arn: str
    started: datetime

    @property
    def name(self) -> str:
        return self.arn.rsplit(":", 1)[-1]

    @property
    def started_by_sweep(self) -> bool:
        return self.name.startswith(SWEEP_PREFIX)


class Executions(Protocol):
    """The state machine, as the sweep sees it."""

    def is_running(self, arn: str) -> bool:
        """False as well for an execution that Step Functions does not know any more."""

    def start(self, name: str, document: dict[str, str]) -> bool:
        """Start an execution with this input; False if the name has been used before."""


def batch_id(execution: Execution, follows: str = "") -> str:
    """``<start of the execution>-<10 hex digits>``, such as ``20261123T062719Z-0123456789``.

    ``follows`` is the batch that this one replaces on its bucket's head. With it in the hash an id is never used twice
    for one bucket, not even when an old attempt of Join opens another batch in its execution's name. Without one (a
    batch of its own) the id is the execution's alone, so that a retried Join finds the record that it has written.
    """
    unique = digest(execution.arn + "\n" + follows)
    return f"{compact(execution.started)}-{unique[:10]}"


def lead_name(bucket: str, execution: Execution) -> str:
    """The name for an execution ``{"lead": bucket}`` that this execution starts: the same however often it tries."""
    return f"lead-{_bucket_part(bucket)}-{digest(execution.arn)[:10]}"


def sweep_lead_name(bucket: str, tick: datetime) -> str:
    """The name for an execution ``{"lead": bucket}`` that the sweep of this tick starts."""
    return f"{SWEEP_PREFIX}lead-{_bucket_part(bucket)}-{compact(tick)}"


def sweep_retry_name(batch: str, tick: datetime) -> str:
    """The name for an execution ``{"retryBatch": id}`` that the sweep of this tick starts."""
    return f"{SWEEP_PREFIX}retry-{batch}-{compact(tick)}"


def _bucket_part(bucket: str) -> str:
    """Readable, and different for different buckets: the hash tells apart what is cut or replaced."""
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", bucket[:_LONGEST_BUCKET_PART])
    return f"{readable}-{digest(bucket)[:8]}"
