"""What the application still owes to one bucket: the facts that `invalidations wait` decides on.

A change goes from the intake queue into an execution's input, from there into the batch table as pending, then into a
batch record. The facts are read in that order, so that a change which moves on meanwhile is seen twice, never missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from invalidation.changes import Changes, KeysRequest, Lead, RetryBatch, parse
from invalidation.errors import BatchNotFound, InvalidRequest
from invalidation.lifecycle.auditing import batches_of_bucket, parked_batches, unfinished_batches
from invalidation.lifecycle.heads import Head
from invalidation.lifecycle.joining import read_head
from invalidation.lifecycle.keys import pending_shard
from invalidation.lifecycle.records import Batch, BatchState, read_batch
from invalidation.lifecycle.table import BatchTable
from ops.stack import Stack

COUNTED = 100
"""Pending changes that are counted in each of the table's shards: more are only for people to see."""
DESCRIBED = 25
"""Executions whose input is read at one look; until it has been, an execution counts as one of the bucket."""
LOOK_BACK = timedelta(hours=1)
"""How long before the command began an execution may have started that failed before its change was accepted."""
MESSAGES = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """One look at everything in which a change of the bucket can be.

    Attributes:
        paused: Somebody paused the bucket.
        head: The id of the batch that gathers, or gathered last.
        pending: Accepted changes that no batch owns yet.
        unfinished: Batches that owe something, and are worked on or tried again.
        parked: Batches that owe something, and wait for somebody to mend the cause.
        running: ARNs of executions that are about the bucket, or may be.
        lost: Names of executions that failed before their changes were accepted, and have not been replayed.
        queued: Messages in the intake queue, of any bucket.
        dead_letters: Messages in the dead-letter queue, of any bucket.
    """

    paused: bool = False
    head: str = ""
    pending: int = 0
    unfinished: tuple[Batch, ...] = ()
    parked: tuple[Batch, ...] = ()
    running: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    queued: int = 0
    dead_letters: int = 0

    @property
    def clear(self) -> bool:
        """Whether nothing is on its way or worked on, as far as one look can tell; what is parked is not."""
        return not (self.pending or self.unfinished or self.running or self.lost or self.queued)


class Reader:
    """Takes looks at one bucket of a stack.

    Args:
        stack: which.
        bucket: the bucket.
        began: when the command began.
    """

    def __init__(self, stack: Stack, bucket: str, began: datetime) -> None:
        self._stack = stack
        self._bucket = bucket
        self._began = began
        self._table: BatchTable = stack.table()
        self._executions = stack.executions()
        self._concerned: dict[str, bool] = {}

    def look(self) -> Facts:
        """All facts, upstream first."""
        dead_letters = self._messages(self._stack.dead_letter_queue_url)
        queued = self._messages(self._stack.intake_queue_url)
        running = self._running()
        pending = self._pending()
        head = read_head(self._table, self._bucket)
        unfinished, parked = self._batches(head)
        in_table = bool(pending or unfinished)
        return Facts(
            paused=head.paused,
            head=head.batch_id,
            pending=pending,
            unfinished=unfinished,
            parked=parked,
            # Whose execution it is costs a request each, and matters only where the table owes nothing.
            running=() if in_table else tuple(self._concerning(running)),
            lost=() if in_table or queued else tuple(self._lost()),
            queued=queued,
            dead_letters=dead_letters,
        )

    def opened(self) -> dict[str, Batch]:
        """Batches that were opened since the command began, those included that ended between two looks."""
        page = batches_of_bucket(self._table, self._bucket, since=self._began, limit=COUNTED)
        return {each.batch_id: each for each in page.batches if not each.dry_run}

    def _messages(self, url: str) -> int:
        answer = self._stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=list(MESSAGES))
        return sum(int(answer["Attributes"].get(name, 0)) for name in MESSAGES)

    def _running(self) -> list[str]:
        pages = (
            self._stack.client("stepfunctions")
            .get_paginator("list_executions")
            .paginate(stateMachineArn=self._stack.state_machine_arn, statusFilter="RUNNING")
        )
        return [execution["executionArn"] for page in pages for execution in page["executions"]]

    def _pending(self) -> int:
        shards = (pending_shard(self._bucket, shard) for shard in range(self._table.shards))
        return sum(len(self._table.page(shard, limit=COUNTED, keys=True).items) for shard in shards)

    def _batches(self, head: Head) -> tuple[tuple[Batch, ...], tuple[Batch, ...]]:
        """Unfinished and parked ones. The index lags behind a little; the head's own batch is read for certain."""
        found = {each.batch_id: each for each in self._of_bucket(unfinished_batches)}
        if head.batch_id and head.batch_id not in found:
            found |= {each.batch_id: each for each in self._batch(head.batch_id) if each.state is BatchState.FROZEN}
        parked = {each.batch_id: each for each in self._of_bucket(parked_batches)}
        return tuple(found.values()), tuple(parked.values())

    def _of_bucket(self, batches: Callable[[BatchTable], Iterator[Batch]]) -> Iterator[Batch]:
        return (each for each in batches(self._table) if each.bucket == self._bucket and not each.dry_run)

    def _batch(self, batch_id: str) -> Iterator[Batch]:
        """The record, where there is one: a batch that still gathers has none."""
        try:
            yield read_batch(self._table, batch_id)
        except BatchNotFound:
            return

    def _concerning(self, arns: list[str]) -> Iterator[str]:
        unknown = [arn for arn in arns if arn not in self._concerned]
        for arn in unknown[:DESCRIBED]:
            self._concerned[arn] = self._is_about_the_bucket(self._executions.input_of(arn))
        return (arn for arn in arns if self._concerned.get(arn, True))

    def _is_about_the_bucket(self, document: Any) -> bool:
        try:
            wanted = parse(document)
        except InvalidRequest:
            return False
        match wanted:
            case Changes(changes):
                return any(change.bucket == self._bucket for change in changes)
            case KeysRequest(bucket) | Lead(bucket):
                return bucket == self._bucket
            case RetryBatch(batch_id):
                return any(batch.bucket == self._bucket for batch in self._batch(batch_id))
            case _:
                return False

    def _lost(self) -> Iterator[str]:
        for each in self._executions.unaccepted(self._began - LOOK_BACK):
            if self._is_about_the_bucket(self._executions.input_of(each.arn)) and not self._exists(each.replay_name):
                yield each.name

    def _exists(self, name: str) -> bool:
        client = self._stack.client("stepfunctions")
        try:
            client.describe_execution(executionArn=self._stack.execution_arn(name))
        except client.exceptions.ExecutionDoesNotExist:
            return False
        return True
