"""The steps of a batch for tests, with a clock that is set by hand."""

from datetime import UTC, datetime, timedelta

from invalidation.batches.close import close
from invalidation.batches.finish import Failure, RetryPolicy, TargetResult, finish
from invalidation.batches.head import Execution, Joined, Window
from invalidation.batches.join import join
from invalidation.batches.model import Batch
from invalidation.batches.table import BatchTable
from invalidation.batches.targets import PlanSummary, Target, freeze_targets
from invalidation.events import Change
from invalidation.outcome import BatchReport

START = datetime(2026, 11, 23, 6, 27, 19, tzinfo=UTC)
WINDOW = Window(seconds=10, max_seconds=60, grace_seconds=120)
RETRY = RetryPolicy(max_tries=3, first_minutes=5, factor=3)
RETENTION = timedelta(days=90)
BUCKET = "site"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


def execution(name: str) -> Execution:
    return Execution(f"arn:aws:states:eu-central-1:123456789012:execution:invalidation:{name}", START)


def change(key: str, event: str = "", bucket: str = BUCKET) -> Change:
    return Change(bucket, key, event_id=event or f"event of {key}", requester="123456789012", source_ip="192.0.2.1")


def record_plan(table: BatchTable, batch_id: str, distribution_id: str, plan: PlanSummary) -> None:
    """What Create Invalidation notes of its plan, without the paths: as the record of an earlier release has it."""
    key = Target.key_of(batch_id, distribution_id)
    table.update(key, {"plan": plan.to_document()}, {"distributionId": distribution_id})


class BatchSteps:
    """Drives executions through a table, step by step."""

    def __init__(self, table: BatchTable, clock: Clock, window: Window = WINDOW) -> None:
        self.table = table
        self.clock = clock
        self.window = window
        self._attempts = 0

    def attempt(self) -> str:
        self._attempts += 1
        return f"attempt{self._attempts}"

    def join(self, name: str, *changes: Change, bucket: str = BUCKET) -> Joined:
        return join(self.table, bucket, changes, execution(name), self.window, self.clock, self.attempt())

    def close(self, joined: Joined, name: str = "") -> tuple[str, int]:
        by = Execution(joined.leader_arn, START) if not name else execution(name)
        closed = close(self.table, joined.bucket, joined.batch_id, by, self.attempt(), self.clock)
        return closed.status.value, closed.changes

    def frozen(self, name: str, *keys: str) -> str:
        """A batch that has been closed and owns changes of these keys."""
        joined = self.join(name, *(change(key) for key in keys))
        self.clock.seconds = max(self.clock.seconds, (joined.closes_at - START).total_seconds())
        assert self.close(joined) == ("FROZEN", len(keys))
        return joined.batch_id

    def resolved(self, name: str, *distributions: str) -> str:
        """A batch that owes to these distributions."""
        batch_id = self.frozen(name, f"{name}.html")
        freeze_targets(self.table, Batch.read(self.table, batch_id), {each: {"id": each} for each in distributions})
        return batch_id

    def finish(
        self,
        batch_id: str,
        name: str,
        *results: TargetResult,
        failure: Failure | None = None,
        retry: RetryPolicy = RETRY,
    ) -> BatchReport:
        settled = finish(self.table, batch_id, execution(name), results, failure, self.clock, retry, RETENTION)
        assert settled.batch is not None
        return BatchReport.read(self.table, settled.batch, settled.targets)


def invalidated(distribution: str) -> TargetResult:
    return TargetResult(distribution, seconds=12)


def skipped(distribution: str) -> TargetResult:
    return TargetResult(distribution, skipped=True)


def failed(distribution: str, error: str = "CloudFrontThrottled") -> TargetResult:
    return TargetResult(distribution, failure=Failure(error, f"{error} said why"))


def report(table: BatchTable, batch_id: str) -> BatchReport:
    """What is told of a batch as it stands."""
    return BatchReport.read(table, Batch.read(table, batch_id))
