"""Claim: an execution takes over a batch that still owes something.

The claim is for order and for thrift: of two executions that claim at once one goes on. Safety does not need it. Every
execution that works on a batch has the same frozen list and sends the same caller references, so that CloudFront
answers a repeated request with the invalidation that it has.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from invalidation.errors import BatchContended
from invalidation.lifecycle import keys
from invalidation.lifecycle.executions import Execution
from invalidation.lifecycle.records import UNFINISHED, Batch, BatchState, read_batch
from invalidation.lifecycle.resolving import targets_of
from invalidation.lifecycle.roles import Joined, Role
from invalidation.lifecycle.table import ATTEMPTS, BatchTable
from invalidation.lifecycle.targets import TargetState
from invalidation.lifecycle.times import Clock

KEPT_EXECUTIONS = 50
"""Executions that a record names: the first, and the latest. A record must not grow with somebody's patience."""


def claim(table: BatchTable, batch_id: str, execution: Execution, now: Clock) -> Joined:
    """Become the owner of what a batch owes. LEADER: go on with it; FOLLOWER: somebody else has just become it.

    Parked targets are owed again, with their tries counted anew: somebody has mended the cause. Only the sweep, which
    knows of no such thing, leaves them parked.

    Raises:
        BatchNotFound: there is no such record.
        BatchContended: the record changed under every attempt.
    """
    before: str | None = None
    for _ in range(ATTEMPTS):
        batch = read_batch(table, batch_id)
        if batch.owner == execution.arn:
            return _joined(Role.LEADER, batch, now())
        if batch.ended or (batch.state is BatchState.PARKED and execution.started_by_sweep):
            return _joined(Role.ENDED, batch, now())
        if before not in (None, batch.owner):
            return _joined(Role.FOLLOWER, batch, now())
        if _take_over(table, batch, execution):
            return _joined(Role.LEADER, replace(batch, owner=execution.arn), now())
        before = batch.owner
    raise BatchContended(f"{ATTEMPTS} attempts to claim batch {batch_id} were overtaken; try again")


def _take_over(table: BatchTable, batch: Batch, execution: Execution) -> bool:
    """Targets first: a claim that dies between the two leaves a parked record, which can be claimed again."""
    first, *others = batch.executions
    assign: dict[str, Any] = {
        "owner": execution.arn,
        "executions": [first, *others[-(KEPT_EXECUTIONS - 2) :], execution.arn],
        "state": BatchState.FROZEN.value,
        "unfinished": UNFINISHED,
        "nextTryAt": None,
    }
    if not execution.started_by_sweep:
        for target in targets_of(table, batch):
            if target.state is TargetState.PARKED:
                anew = {"state": TargetState.OWED.value, "tries": 0}
                parked = {"state": TargetState.PARKED.value}
                table.update(keys.target(batch.batch_id, target.distribution_id), anew, parked)
        assign["tries"] = 0
    expect = {"owner": batch.owner, "state": batch.state.value}
    return table.update(keys.meta(batch.batch_id), assign, expect) is not None


def _joined(role: Role, batch: Batch, now: datetime) -> Joined:
    return Joined(role, batch.bucket, batch.batch_id, batch.owner, now)
