"""Buffered intake: a queue and a pipe between the rule and the state machine, and switching it on and off."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from invalidations_cli.local import environment, server
from invalidations_cli.local.deploy import STACK
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.settings import LocalSettings
from tests.local import fresh, stacks, storm, tools

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("buffered")]

QUICK = LocalSettings(wait_scale=0.2, invalidation_seconds=1.0)
PARAMETERS = {"Intake": "Buffered", "BatchWindowSeconds": "2"}
CHANGES = 300


@pytest.fixture(scope="module")
def buffered() -> Iterator[LocalEnvironment]:
    template = stacks.template()
    pipe = template["Resources"]["IntakePipe"]["Properties"]["SourceParameters"]["SqsQueueParameters"]
    pipe |= {"BatchSize": 50, "MaximumBatchingWindowInSeconds": 1}
    with environment.running(QUICK, server.free_port(), PARAMETERS, template=template) as there:
        yield there


def inputs(there: LocalEnvironment, known: set[str]) -> list[Any]:
    """What each execution that is not known yet was started with."""
    states = there.aws.client("stepfunctions")
    new = {each["executionArn"] for each in tools.executions(there.aws, there.state_machine_arn)} - known
    return [json.loads(states.describe_execution(executionArn=arn)["input"]) for arn in sorted(new)]


def waiting(there: LocalEnvironment, queue: str) -> int:
    """How many messages are in a queue of the stack, those that the pipe holds included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = there.aws.client("sqs").get_queue_attributes(QueueUrl=there.outputs[queue], AttributeNames=names)
    return sum(int(found["Attributes"][name]) for name in names)


def settled(there: LocalEnvironment) -> bool:
    time.sleep(0.3)
    states = there.aws.client("stepfunctions")
    running = states.list_executions(stateMachineArn=there.state_machine_arn, statusFilter="RUNNING")["executions"]
    return not running and waiting(there, "IntakeQueueUrl") == 0


def known_executions(there: LocalEnvironment) -> set[str]:
    return {each["executionArn"] for each in tools.executions(there.aws, there.state_machine_arn)}


def assert_that_nothing_was_lost(there: LocalEnvironment) -> None:
    uploaded = fresh.last_written(there.aws, there.bucket)
    assert fresh.stale(uploaded, fresh.invalidations(there.aws, there.distribution_id)) == []
    statuses = {each["status"] for each in tools.executions(there.aws, there.state_machine_arn)}
    assert statuses == {"SUCCEEDED"}
    assert waiting(there, "IntakeQueueUrl") == waiting(there, "DeadLetterQueueUrl") == 0


def test_many_changes_pass_the_queue_as_lists_start_few_executions_and_are_all_covered(
    buffered: LocalEnvironment,
) -> None:
    storm.upload(buffered, CHANGES)
    assert tools.eventually(lambda: settled(buffered), 60)
    started_with = inputs(buffered, set())
    assert all(isinstance(each, list) for each in started_with)
    events = [record["body"] for each in started_with for record in each]
    assert [set(record) for each in started_with for record in each] == [{"body"}] * CHANGES
    assert sorted(event["detail"]["object"]["key"] for event in events) == sorted(map(storm.key, range(CHANGES)))
    assert CHANGES / 50 <= len(started_with) <= CHANGES / 10
    assert_that_nothing_was_lost(buffered)


@dataclass(slots=True)
class Stream:
    """Changes that come one after the other; how many have come so far."""

    there: LocalEnvironment
    done: threading.Event = field(default_factory=threading.Event)
    sent: int = 0

    def run(self) -> None:
        s3 = self.there.aws.client("s3")
        while not self.done.wait(0.05):
            s3.put_object(Bucket=self.there.bucket, Key=f"stream/{self.sent}.html", Body=b"x")
            self.sent += 1

    def more(self, changes: int) -> bool:
        """Wait until so many more have come."""
        enough = self.sent + changes
        return bool(tools.eventually(lambda: self.sent >= enough))


@contextmanager
def stream(there: LocalEnvironment) -> Iterator[Stream]:
    coming = Stream(there)
    thread = threading.Thread(target=coming.run)
    thread.start()
    try:
        yield coming
    finally:
        coming.done.set()
        thread.join()


def test_switching_the_intake_back_and_forth_while_changes_come_loses_none(buffered: LocalEnvironment) -> None:
    stacks.update(buffered.aws, STACK, {"Intake": "Direct"})
    known = known_executions(buffered)
    with stream(buffered) as coming:
        for how in ("Buffered", "Direct"):
            assert coming.more(15)
            stacks.update(buffered.aws, STACK, {"Intake": how})
        assert coming.more(15)
    assert tools.eventually(lambda: settled(buffered), 60)

    started_with = inputs(buffered, known)
    alone = [each["detail"]["object"]["key"] for each in started_with if isinstance(each, dict)]
    lists = [
        record["body"]["detail"]["object"]["key"] for each in started_with if isinstance(each, list) for record in each
    ]
    assert len(alone) >= 30, "before the first switch and after the second, each change was to start an execution"
    assert len(lists) >= 10, "between the switches, changes were to come in lists"
    assert sorted(alone + lists) == sorted(f"stream/{number}.html" for number in range(coming.sent)), "each once"
    assert_that_nothing_was_lost(buffered)
