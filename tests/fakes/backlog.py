"""A stack as `invalidations_cli.backlog.BacklogReader` sees it, without AWS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from invalidation.batches.model import Batch
from invalidation.batches.replay import Ended
from invalidation.batches.table import BatchTable

NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
PREFIX = "arn:aws:states:us-east-1:123456789012:execution:stack-invalidation:"


def batch(name: str = "one", **changed: Any) -> Batch:
    usual = Batch(name, PREFIX + name, "attempt", 1, 3, NOW - timedelta(minutes=5), NOW, bucket="my-site")
    return replace(usual, **changed)


@dataclass(slots=True)
class FakeAws:
    """A stack as the reader sees it: its queues and executions; `table` is the batch table."""

    batch_table: BatchTable
    running: list[str] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    failed: list[Ended] = field(default_factory=list)
    replayed: set[str] = field(default_factory=set)
    messages: dict[str, dict[str, str]] = field(default_factory=dict)
    described: list[str] = field(default_factory=list)

    dead_letter_queue_url = "dead"
    intake_queue_url = "intake"
    state_machine_arn = "machine"

    def table(self) -> BatchTable:
        return self.batch_table

    def client(self, _service: str) -> FakeAws:
        return self

    def executions(self) -> FakeExecutions:
        return FakeExecutions(self)

    def execution_arn(self, name: str) -> str:
        return PREFIX + name

    def get_queue_attributes(self, *, QueueUrl: str, **_options: Any) -> Any:  # noqa: N803 # boto3's name
        return {"Attributes": self.messages.get(QueueUrl, {})}

    class exceptions:  # noqa: N801 # boto3's name
        class ExecutionDoesNotExist(ClientError):
            pass

    def describe_execution(self, *, executionArn: str) -> None:  # noqa: N803 # boto3's name
        if executionArn not in self.replayed:
            raise self.exceptions.ExecutionDoesNotExist({}, "DescribeExecution")


@dataclass(frozen=True, slots=True)
class FakeExecutions:
    """Its state machine's executions."""

    aws: FakeAws

    def running(self) -> frozenset[str]:
        return frozenset(self.aws.running)

    def input_of(self, arn: str) -> Any:
        self.aws.described.append(arn)
        return self.aws.inputs[arn]

    def unrecorded(self, since: datetime) -> Iterator[Ended]:
        return (each for each in self.aws.failed if each.stopped >= since)


def event(bucket: str) -> dict[str, Any]:
    detail = {"bucket": {"name": bucket}, "object": {"key": "a"}}
    return {"source": "aws.s3", "detail-type": "Object Created", "id": "1", "detail": detail}
