"""The life of a batch: joined, closed, resolved, finished, and swept up after.

What it promises: from acceptance until an invalidation created after it exists for every distribution that serves it,
a change is in the table, as pending or owned by an unfinished batch, or it is owed by a parked batch that somebody has
been told of; or somebody has given it up, and the record says who and why. Any step may die at any point, run twice, or
come back late.

Nothing in here knows DynamoDB, reads a clock, or sleeps: the table and the clock are arguments.
"""

from invalidation.lifecycle.abandoning import abandon
from invalidation.lifecycle.auditing import (
    BatchPage,
    batch_of_invalidation,
    batches_of_bucket,
    batches_of_distribution,
    batches_with_key,
    parked_batches,
    unfinished_batches,
)
from invalidation.lifecycle.claiming import claim
from invalidation.lifecycle.closing import Closed, ClosedStatus, close
from invalidation.lifecycle.executions import Execution, Executions, batch_id, lead_name
from invalidation.lifecycle.finishing import finish
from invalidation.lifecycle.freezing import frozen_changes, frozen_paths
from invalidation.lifecycle.joining import JoinedEach, Window, join, join_each, needs_leader
from invalidation.lifecycle.pausing import pause, resume
from invalidation.lifecycle.records import Batch, BatchState, Kind, read_batch
from invalidation.lifecycle.requesting import open_own_batch, open_paths_batch
from invalidation.lifecycle.resolving import (
    freeze_targets,
    invalidations,
    owed_targets,
    record_invalidation,
    record_looks,
    record_plan,
    target,
)
from invalidation.lifecycle.roles import Joined, Role
from invalidation.lifecycle.settling import Failure, RetryPolicy, TargetResult
from invalidation.lifecycle.summaries import Finished, TargetSummary, summarise
from invalidation.lifecycle.sweeping import Started, Swept, sweep
from invalidation.lifecycle.switching import (
    events_switched_on_here,
    forget_events_switched_on,
    remember_events_switched_on,
)
from invalidation.lifecycle.table import BatchTable
from invalidation.lifecycle.targets import InvalidationRecord, PlanSummary, Target, TargetState
from invalidation.lifecycle.unchanged import without_unchanged
from invalidation.lifecycle.usage import count_paths, paths_of_month

__all__ = [
    "Batch",
    "BatchPage",
    "BatchState",
    "BatchTable",
    "Closed",
    "ClosedStatus",
    "Execution",
    "Executions",
    "Failure",
    "Finished",
    "InvalidationRecord",
    "Joined",
    "JoinedEach",
    "Kind",
    "PlanSummary",
    "RetryPolicy",
    "Role",
    "Started",
    "Swept",
    "Target",
    "TargetResult",
    "TargetState",
    "TargetSummary",
    "Window",
    "abandon",
    "batch_id",
    "batch_of_invalidation",
    "batches_of_bucket",
    "batches_of_distribution",
    "batches_with_key",
    "claim",
    "close",
    "count_paths",
    "events_switched_on_here",
    "finish",
    "forget_events_switched_on",
    "freeze_targets",
    "frozen_changes",
    "frozen_paths",
    "invalidations",
    "join",
    "join_each",
    "lead_name",
    "needs_leader",
    "open_own_batch",
    "open_paths_batch",
    "owed_targets",
    "parked_batches",
    "paths_of_month",
    "pause",
    "read_batch",
    "record_invalidation",
    "record_looks",
    "record_plan",
    "remember_events_switched_on",
    "resume",
    "summarise",
    "sweep",
    "target",
    "unfinished_batches",
    "without_unchanged",
]
