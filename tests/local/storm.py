"""A storm: many objects uploaded as fast as a client can, and what becomes of them."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from invalidation.batches.dynamodb import DynamoBatchTable
from invalidation.batches.model import Batch
from invalidation.batches.queries import batches_of_bucket
from invalidations_cli.local import readings
from invalidations_cli.local.environment import LocalEnvironment
from tests.local import fresh, memory, tools

CLIENTS = 16
FOLDERS = 12


@dataclass(frozen=True, slots=True)
class Storm:
    """What came of it, once nothing runs any more."""

    uploaded: dict[str, datetime]
    upload_seconds: float
    seconds: float
    executions: list[dict[str, Any]]
    batches: list[Batch]
    closing: dict[str, datetime]
    """Batch id → when the batch was to close, as its leader was told, in whole seconds."""
    invalidations: list[fresh.Created]
    notifications: list[readings.ReceivedNotification]
    peak: memory.Peak

    def __str__(self) -> str:
        """Its numbers on one line."""
        paths = sum(len(each.paths) for each in self.invalidations)
        return (
            f"{len(self.uploaded)} changes in {self.upload_seconds:.0f} s, all fresh after {self.seconds:.0f} s: "
            f"{len(self.executions)} executions, {len(self.batches)} batches, {len(self.invalidations)} invalidations "
            f"with {paths} paths; at most {self.peak.size / 1e6:.0f} MB in {self.peak.processes} processes"
        )


def key(number: int) -> str:
    return f"site/{number % FOLDERS}/page {number}.html"


def upload(there: LocalEnvironment, changes: int) -> None:
    s3 = there.aws.client("s3")
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda number: s3.put_object(Bucket=there.bucket, Key=key(number), Body=b"x"), range(changes)))


def run(there: LocalEnvironment, changes: int, timeout: float) -> Storm:
    """Upload so many objects and wait until every execution has ended, or timeout has."""
    started = time.monotonic()
    with memory.watched(there.server.process.pid) as peak:
        upload(there, changes)
        uploaded = time.monotonic() - started
        tools.eventually(lambda: no_more_runs(there, changes), timeout)
        seconds = time.monotonic() - started
    batches = batches_in(there)
    return Storm(
        uploaded=fresh.last_written(there.aws, there.bucket),
        upload_seconds=uploaded,
        seconds=seconds,
        executions=tools.executions(there.aws, there.state_machine_arn),
        batches=batches,
        closing={batch.batch_id: was_to_close(there, batch) for batch in batches},
        invalidations=fresh.invalidations(there.aws, there.distribution_id),
        notifications=readings.notifications(there, wait_seconds=1),
        peak=peak,
    )


def no_more_runs(there: LocalEnvironment, executions: int) -> bool:
    time.sleep(0.4)
    states = there.aws.client("stepfunctions")
    running = states.list_executions(stateMachineArn=there.state_machine_arn, statusFilter="RUNNING")["executions"]
    return not running and len(tools.executions(there.aws, there.state_machine_arn)) >= executions


def batches_in(there: LocalEnvironment) -> list[Batch]:
    """The batch records of the bucket, oldest first."""
    table = DynamoBatchTable(there.aws.client("dynamodb"), there.outputs["BatchTableName"])
    return sorted(batches_of_bucket(table, there.bucket, limit=1000).batches, key=lambda batch: batch.closed)


def was_to_close(there: LocalEnvironment, batch: Batch) -> datetime:
    (closes_at,) = {
        json.loads(event["stateExitedEventDetails"]["output"])["closesAt"]
        for event in tools.history(there.aws, batch.owner)
        if event.get("stateExitedEventDetails", {}).get("name") == "Join Batch"
    }
    return datetime.fromisoformat(closes_at)
