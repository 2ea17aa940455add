"""A stack as the commands see it, made of fakes: the batch table in memory, and the executions of a state machine."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any

import click
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result
from rich.console import Console

from invalidation.batches.finish import Failure, RetryPolicy, TargetResult, finish
from invalidation.batches.head import Execution
from invalidation.batches.join import open_own_batch
from invalidation.batches.model import Batch
from invalidation.batches.table import BatchTable
from invalidation.batches.targets import (
    InvalidationRecord,
    PlanSummary,
    freeze_targets,
    record_invalidation,
)
from invalidation.cloudfront.rules import Widening
from invalidation.events import Change
from invalidations_cli.aws import Stack
from tests.fakes.batch_steps import record_plan
from tests.fakes.chain import FakeChain
from tests.fakes.memory_table import MemoryTable

CALLER = "arn:aws:sts::123456789012:assumed-role/operator/somebody"
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:site-invalidation"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:site-invalidation:"
OUTPUTS = {
    "StateMachineArn": MACHINE,
    "BatchTableName": "batches",
    "NotificationTopicArn": "arn:aws:sns:eu-west-1:123456789012:topic",
    "DeadLetterQueueUrl": "https://queue/dead-letters",
    "IntakeQueueUrl": "https://queue/intake",
}
START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
HOSTILE = "evil\x1b[31m[bold red]\u202etxt\n=1+1.html"
SHOWN_HOSTILE = r"evil\x1b[31m[bold red]\u202etxt\n=1+1.html"
DEFINITION = {
    "StartAt": "Join Batch",
    "States": {
        "Join Batch": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Close Batch"},
        "Close Batch": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Batch Completed"},
        "Batch Completed": {"Type": "Succeed"},
    },
}


class Refused(ClientError):
    """A ClientError of one kind, as boto3's clients have for each."""

    def __init__(self, code: str, operation: str = "Call") -> None:
        super().__init__({"Error": {"Code": code, "Message": f"{code} it is"}}, operation)


class ExecutionDoesNotExist(Refused):
    pass


class ExecutionAlreadyExists(Refused):
    pass


@dataclass(slots=True)
class StartedExecution:
    """One execution: what DescribeExecution says of it, and its history."""

    described: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)

    def event(self, kind: str, at: datetime, **details: Any) -> StartedExecution:
        """Add an event; its details are under the name that the API gives them."""
        name = f"state{kind.rpartition('State')[2]}" if "State" in kind else kind[0].lower() + kind[1:]
        number = len(self.events) + 1
        event = {"id": number, "previousEventId": number - 1, "type": kind, "timestamp": at}
        self.events.append(event | {f"{name}EventDetails": details})
        return self

    def end(self, status: str, at: datetime, **details: Any) -> StartedExecution:
        self.described |= {"status": status, "stopDate": at}
        kinds = {"SUCCEEDED": "ExecutionSucceeded", "FAILED": "ExecutionFailed", "ABORTED": "ExecutionAborted"}
        return self.event(kinds[status], at, **details)


class FakeStates:
    """Step Functions with one state machine. `calls` counts requests by name."""

    class exceptions:  # noqa: N801 - as boto3's clients have it
        ExecutionDoesNotExist = ExecutionDoesNotExist
        ExecutionAlreadyExists = ExecutionAlreadyExists

    def __init__(self) -> None:
        self.executions: dict[str, StartedExecution] = {}
        self.now = START
        self.calls: dict[str, int] = {}

    def add(self, name: str, document: Any, at: datetime = START) -> StartedExecution:
        arn, text = EXECUTION + name, document if isinstance(document, str) else json.dumps(document)
        described = {"executionArn": arn, "stateMachineArn": MACHINE, "name": name, "status": "RUNNING", "input": text}
        self.executions[arn] = StartedExecution(described | {"startDate": at})
        return self.executions[arn].event("ExecutionStarted", at, input=text)

    def joined(self, name: str, document: Any, answer: Any, at: datetime = START) -> StartedExecution:
        """An execution that has left Join Batch."""
        second, text = timedelta(seconds=1), json.dumps(answer)
        entered = self.add(name, document, at).event("TaskStateEntered", at, name="Join Batch", input="{}")
        return entered.event("TaskStateExited", at + second, name="Join Batch", output=text)

    def start_execution(self, **request: Any) -> Any:
        name = request["name"]
        assert request["stateMachineArn"] == MACHINE
        if EXECUTION + name in self.executions:
            raise ExecutionAlreadyExists("ExecutionAlreadyExists", "StartExecution")
        self.add(name, request["input"], self.now)
        return {"executionArn": EXECUTION + name}

    def started(self) -> dict[str, Any]:
        """Name → input of every execution."""
        return {each.described["name"]: json.loads(each.described["input"]) for each in self.executions.values()}

    def _execution(self, arn: str, operation: str) -> StartedExecution:
        self.calls[operation] = self.calls.get(operation, 0) + 1
        if arn not in self.executions:
            raise ExecutionDoesNotExist("ExecutionDoesNotExist", operation)
        return self.executions[arn]

    def describe_execution(self, **request: Any) -> Any:
        return dict(self._execution(request["executionArn"], "DescribeExecution").described)

    def describe_state_machine(self, **_which: str) -> Any:
        return {"definition": json.dumps(DEFINITION)}

    describe_state_machine_for_execution = describe_state_machine

    def get_execution_history(self, **request: Any) -> Any:
        events = self._execution(request["executionArn"], "GetExecutionHistory").events
        ordered = events[::-1] if request.get("reverseOrder") else events
        first, most = int(request.get("nextToken", 0)), request.get("maxResults", 100)
        more = {"nextToken": str(first + most)} if first + most < len(events) else {}
        return {"events": ordered[first : first + most], **more}

    def list_executions(self, **criteria: Any) -> Any:
        self.calls["ListExecutions"] = self.calls.get("ListExecutions", 0) + 1
        status = criteria.get("statusFilter")
        found = [each.described for each in self.executions.values() if status in (None, each.described["status"])]
        found.sort(key=lambda each: each["startDate"], reverse=True)
        headers = {"date": format_datetime(self.now, usegmt=True)}
        return {"executions": found, "ResponseMetadata": {"HTTPHeaders": headers}}

    def get_paginator(self, operation: str) -> Pages:
        return Pages(getattr(self, operation))


@dataclass(frozen=True, slots=True)
class Pages:
    """A paginator: follows `nextToken`, if there is one."""

    ask: Callable[..., Any]

    def paginate(self, **request: Any) -> Iterator[Any]:
        request.pop("PaginationConfig", None)
        page = self.ask(**request)
        yield page
        while "nextToken" in page:
            page = self.ask(**request, nextToken=page["nextToken"])
            yield page


class FakeCloudFront(FakeChain):
    """CloudFront with a distribution of the bucket; `paths` is what it knows of each invalidation."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: dict[str, Sequence[str]] = {}

    def get_distribution(self, **_which: str) -> Any:
        raise Refused("AccessDenied", "GetDistribution")

    def get_invalidation(self, **request: Any) -> Any:
        if request["Id"] not in self.paths:
            raise Refused("NoSuchInvalidation", "GetInvalidation")
        return {"Invalidation": {"InvalidationBatch": {"Paths": {"Items": list(self.paths[request["Id"]])}}}}


class FakeCaller:
    """STS as far as GetCallerIdentity goes."""

    def get_caller_identity(self) -> Any:
        return {"Arn": CALLER}


class FakeStack(Stack):
    """A stack whose table is in memory."""

    def table(self) -> BatchTable:
        return self.client("memory")  # type: ignore[no-any-return] # what the test put there


def event(key: str, kind: str = "Object Created") -> dict[str, Any]:
    return {"source": "aws.s3", "detail-type": kind, "detail": {"object": {"key": key}, "bucket": {"name": "site"}}}


def rendered(thing: Any, width: int = 160) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False, emoji=False).print(thing)
    return re.sub(r" +", " ", out.getvalue())


@dataclass(slots=True)
class World:
    """What there is in the account; `clients` are by service."""

    table: MemoryTable = field(default_factory=MemoryTable)
    states: FakeStates = field(default_factory=FakeStates)
    cloudfront: FakeCloudFront = field(default_factory=FakeCloudFront)
    clients: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=lambda: {"BucketNames": "site", "AuditRetentionDays": "400"})
    outputs: dict[str, str] = field(default_factory=lambda: dict(OUTPUTS))
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def stack(self) -> FakeStack:
        chain = FakeChain()
        aws = dict.fromkeys(["s3", "events", "lambda", "sqs", "cloudformation"], chain)
        ours = {"memory": self.table, "stepfunctions": self.states, "cloudfront": self.cloudfront, "sts": FakeCaller()}
        return FakeStack("site", {**aws, **ours, **self.clients}.__getitem__, self.outputs, self.parameters)

    def run(self, command: click.Command, *arguments: str) -> Result:
        """Call a command as a person does; what it raises unexpectedly is raised."""
        result = CliRunner().invoke(command, list(arguments), obj=self.stack())
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def batch(
        self,
        keys: Sequence[str] = ("index.html",),
        *,
        bucket: str = "site",
        at: datetime = START,
        distribution: str = "E1AAAAAAAAAAAA",
        paths: int = 1,
        failure: Failure | None = None,
        ends: bool = True,
        deleted: bool = False,
        dry_run: bool = False,
        widened: tuple[Widening, ...] = (),
    ) -> str:
        """A batch with one distribution; its id. What it created is `I` and a number."""
        number = next(self.numbers)
        execution = Execution(f"{EXECUTION}run-{number}", at)
        changes = [
            Change(bucket, key, f"event-{number}-{place}", deleted, at.isoformat(), "111122223333", "192.0.2.7")
            for place, key in enumerate(keys)
        ]
        opening = (self.table, bucket, changes, execution, lambda: at, f"{number}")
        identity = open_own_batch(*opening, by_hand=False, dry_run=dry_run).batch_id
        freeze_targets(self.table, Batch.read(self.table, identity), {distribution: {}})
        if not failure and paths:
            sample = tuple(f"/{each}.html" for each in range(min(paths, 30)))
            record_plan(self.table, identity, distribution, PlanSummary(paths, len(widened), 1, widened, sample))
        if not failure and paths and not dry_run:
            created = at + timedelta(seconds=2)
            reference = f"{identity}.{distribution}.0"
            record = InvalidationRecord(0, f"I{number:013}", reference, paths, len(widened), created)
            record_invalidation(self.table, identity, distribution, record)
        if ends:
            skipped = (not paths or dry_run) and not failure
            result = TargetResult(distribution, skipped=skipped, failure=failure, seconds=9)
            done = at + timedelta(seconds=12)
            finish(self.table, identity, execution, [result], None, lambda: done, RetryPolicy(), timedelta(days=400))
        return identity
