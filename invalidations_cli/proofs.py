"""What only a deployed stack can show beside its chain. Notifications, alarms, dead letters, and what one path purges.

Each proof gives one `Tried`. A call that is refused proves nothing: it is said, and is no failure of the stack.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from invalidation.batches.model import Batch, BatchState, Outcome
from invalidation.batches.queries import batches_of_bucket
from invalidation.batches.sweep import SCHEDULE
from invalidations_cli.aws import Stack
from invalidations_cli.canaries import EdgeViewer
from invalidations_cli.dead_letter_queue import DeadLetterQueue
from invalidations_cli.trace import POLL_SECONDS

ALARM = "ExecutionFailedAlarm"
GOES_ON = "A stopped execution is gone on with"
STOPS = 3
"""Executions that are started in order to stop one of them while it owes something."""
STOP_POLL_SECONDS = 0.2
STOPPED_WITHIN = 15.0
NOTIFIED_WITHIN = 60.0
"""Seconds after a batch has completed, an execution was stopped, or an alarm's state was set."""
SWEEP_SECONDS = SCHEDULE.total_seconds() + 60
"""By then the sweep has come, and the batch that it goes on with is completed."""
SAY_SECONDS = 30.0


class Answer(StrEnum):
    """What came of one thing that was tried."""

    WORKS = "works"
    FAILS = "fails"
    NOT_CHECKED = "not-checked"


@dataclass(frozen=True, slots=True)
class Tried:
    """One line of the report. What was tried, what came of it, the evidence, and how to fix it."""

    name: str
    answer: Answer
    evidence: str
    remedy: str = ""

    def to_document(self) -> dict[str, str]:
        told = {"name": self.name, "answer": self.answer.value, "evidence": self.evidence}
        return told | ({"remedy": self.remedy} if self.remedy else {})


def tried(name: str, proof: Callable[[], Tried]) -> Tried:
    """What the proof gives, or that it could not be made."""
    try:
        return proof()
    except (ClientError, BotoCoreError) as error:
        return Tried(name, Answer.NOT_CHECKED, f"could not be tried: {error}")


@dataclass(slots=True)
class NotificationListener:
    """A queue of its own that receives the stack's notifications while the test goes on."""

    stack: Stack
    name: str
    url: str = ""
    subscription: str = ""
    problem: str = ""
    heard: list[str] = field(default_factory=list)

    def open(self) -> None:
        """Make the queue and subscribe it; where that is refused, `problem` says why."""
        sqs, topic = self.stack.client("sqs"), self.stack.topic_arn
        try:
            self.url = sqs.create_queue(QueueName=self.name)["QueueUrl"]
            arn = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy_for_topic(arn, topic)})
            subscribed = self.stack.client("sns").subscribe(
                TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True
            )
            self.subscription = subscribed["SubscriptionArn"]
        except (ClientError, BotoCoreError) as error:
            self.problem = str(error)

    def close(self) -> str:
        """Remove both; what could not be removed."""
        left: list[str] = []
        if self.subscription:
            with noted(left, self.subscription):
                self.stack.client("sns").unsubscribe(SubscriptionArn=self.subscription)
        if self.url:
            with noted(left, self.url):
                self.stack.client("sqs").delete_queue(QueueUrl=self.url)
        return ", ".join(left)

    def hears(self, name: str, of: str, seconds: float) -> Tried:
        """Whether a message with this text came within so many seconds."""
        if self.problem:
            return Tried(name, Answer.NOT_CHECKED, f"no queue could be subscribed: {self.problem}")
        if not of:
            return Tried(name, Answer.NOT_CHECKED, "there was nothing to tell of")
        began = time.monotonic()
        while True:
            received = self.stack.client("sqs").receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            self.heard += [each["Body"] for each in received.get("Messages", [])]
            for each in received.get("Messages", []):
                self.stack.client("sqs").delete_message(QueueUrl=self.url, ReceiptHandle=each["ReceiptHandle"])
            if any(of in each for each in self.heard):
                told = f"{of.rpartition(':')[2]} was told within {time.monotonic() - began:.1f} s"
                return Tried(name, Answer.WORKS, told)
            if time.monotonic() - began >= seconds:
                what = f"nothing about {of} came within {seconds:g} s"
                return Tried(name, Answer.FAILS, what, "see the topic's policy and its key's")


@contextlib.contextmanager
def noted(left: list[str], what: str) -> Iterator[None]:
    """A removal that fails is noted, and keeps none of the others from being tried."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        left.append(f"{what}: {error}")


@dataclass(frozen=True, slots=True)
class PathProbe:
    """Invalidates paths of its own choice, and sees what the edge has forgotten then."""

    cloudfront: Any
    distribution_id: str
    viewer: EdgeViewer
    reference: str
    seconds: float

    def one_path_each(self, paths: Mapping[str, Collection[str]]) -> Iterator[Tried]:
        """Kind of name → its spellings, the documented one first. Only that one is sent, and all are looked at.

        Raises:
            ClientError: it may not be asked.
        """
        held = {kind: self._held(spelled) for kind, spelled in paths.items()}
        completed = self._invalidate([next(iter(spelled)) for spelled in paths.values()])
        for kind, before in held.items():
            sent, name = next(iter(paths[kind])), f"What one path purges: {kind}"
            purged = [path for path in before if not self.viewer.get(path).hit]
            kept = [path for path in before if path not in purged]
            told = f"{last(sent)} purges {', '.join(map(last, purged)) or 'nothing'}"
            told += f", and leaves {', '.join(map(last, kept))}" if kept else ""
            if not completed or not before:
                yield Tried(name, Answer.NOT_CHECKED, "not completed in time" if before else "the edge kept no copy")
            elif sent in kept:
                yield Tried(name, Answer.FAILS, told, "report it, with this command's --json")
            else:
                yield Tried(name, Answer.WORKS, told)

    def root_with_queries(self, path: str) -> Tried:
        """What `/?*` purges of the root, with and without queries, and of another page."""
        name = "What /?* purges"
        before = self._held(["/", "/?selftest=1", path])
        if not before:
            return Tried(name, Answer.NOT_CHECKED, "the edge keeps neither the root nor a page")
        if not self._invalidate(["/?*"]):
            return Tried(name, Answer.NOT_CHECKED, "not completed in time")
        purged = [each for each in before if not self.viewer.get(each).hit]
        kept = [each for each in before if each not in purged]
        told = f"purges {', '.join(map(last_or_root, purged)) or 'nothing'}"
        return Tried(name, Answer.WORKS, f"{told}; leaves {', '.join(map(last_or_root, kept)) or 'nothing'}")

    def _held(self, paths: Collection[str]) -> list[str]:
        """Those of which the edge has a copy now."""
        views = {path: self.viewer.prime(path) for path in paths}
        return [path for path, view in views.items() if view.hit and view.status == HTTPStatus.OK]

    def _invalidate(self, paths: list[str]) -> bool:
        """Whether it was completed in time."""
        batch = {
            "Paths": {"Quantity": len(paths), "Items": paths},
            "CallerReference": f"selftest-{self.reference}-{time.time_ns()}",
        }
        made = self.cloudfront.create_invalidation(DistributionId=self.distribution_id, InvalidationBatch=batch)
        identity, deadline = made["Invalidation"]["Id"], time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            found = self.cloudfront.get_invalidation(DistributionId=self.distribution_id, Id=identity)
            if found["Invalidation"]["Status"] == "Completed":
                return True
            time.sleep(POLL_SECONDS)
        return False


def last(path: str) -> str:
    """The name at the end of a path or key. The rest is the same for all."""
    return path.rpartition("/")[2]


def last_or_root(path: str) -> str:
    return path if path.startswith("/?") or path == "/" else last(path)


def alarm_is_told(stack: Stack, listener: NotificationListener, seconds: float) -> Tried:
    """Set an alarm's state, and see that its notification gets through. Set it back."""
    found = stack.client("cloudformation").describe_stack_resource(StackName=stack.name, LogicalResourceId=ALARM)
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    cloudwatch = stack.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="invalidations selftest")
    try:
        return listener.hears("An alarm is told", name, seconds)
    finally:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="invalidations selftest has ended")


def dead_letters_are_found(stack: Stack, token: str, seconds: float) -> Tried:
    """Send a message to the dead-letter queue, and see that `dead-letters` finds it. It is deleted again."""
    name = "Dead letters are found"
    sqs = stack.client("sqs")
    sqs.send_message(QueueUrl=stack.dead_letter_queue_url, MessageBody=json.dumps({"selftest": token}))
    deadline = time.monotonic() + seconds
    while True:
        with DeadLetterQueue(sqs, stack.dead_letter_queue_url) as queue:
            own = [each for each in queue.receive() if token in str(each.to_document())]
            undeleted = queue.delete(own) if own else []
        if own and not undeleted:
            told = "a message was found and deleted; whether EventBridge may send there was not tried"
            return Tried(name, Answer.WORKS, told)
        if time.monotonic() >= deadline:
            what = f"the message with {token} was not found within {seconds:g} s; it stays there"
            return Tried(name, Answer.FAILS, what, stack.command("dead-letters"))
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class Interruption:
    """Stops an execution in the middle of its batch. Somebody is told, and the sweep goes on with the batch.

    Args:
        stack: the deployed stack.
        request: what the execution is started with.
        listener: hears what the stack tells.
        token: names the executions.
        seconds: how long the sweep may take to come and to finish.
        say: progress, for people.
    """

    stack: Stack
    request: Mapping[str, Any]
    listener: NotificationListener
    token: str
    seconds: float
    say: Callable[[str], None]

    def proofs(self) -> Iterator[Tried]:
        """Raises ClientError: an execution may not be started, or not be stopped."""
        batch = next((each for each in map(self._stopped, range(STOPS)) if each is not None), None)
        if batch is None:
            yield Tried(GOES_ON, Answer.NOT_CHECKED, f"{STOPS} executions were over before they could be stopped")
            return
        yield self.listener.hears("A stopped execution is told", batch.owner, min(NOTIFIED_WITHIN, self.seconds))
        yield self._goes_on(batch)

    def _stopped(self, number: int) -> Batch | None:
        """A batch whose execution was stopped while it owed something. None: it was too late for that."""
        states, began = self.stack.client("stepfunctions"), datetime.now(UTC) - timedelta(minutes=1)
        started = states.start_execution(
            stateMachineArn=self.stack.state_machine_arn,
            name=f"selftest-{self.token}-{number}",
            input=json.dumps(self.request),
        )
        arn, batch = started["executionArn"], None
        while batch is None and states.describe_execution(executionArn=arn)["status"] == "RUNNING":
            time.sleep(STOP_POLL_SECONDS)
            owned = batches_of_bucket(self.stack.table(), str(self.request["bucket"]), since=began, limit=10).batches
            batch = next((each for each in owned if each.owner == arn), None)
        if batch is None or not self._stop(arn):
            return None
        found = Batch.find(self.stack.table(), batch.batch_id)
        return found if found is not None and found.state is BatchState.FROZEN else None

    def _stop(self, arn: str) -> bool:
        """Whether it was still running. DescribeExecution is eventually consistent, and may need a while to say so."""
        states, began = self.stack.client("stepfunctions"), time.monotonic()
        try:
            states.stop_execution(executionArn=arn, error="Selftest", cause="stopped by invalidations selftest")
        except ClientError as error:
            if error.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}:
                raise
            return False  # it has ended meanwhile
        while (status := states.describe_execution(executionArn=arn)["status"]) == "RUNNING":
            if time.monotonic() - began > STOPPED_WITHIN:
                break
            time.sleep(STOP_POLL_SECONDS)
        return bool(status == "ABORTED")

    def _goes_on(self, batch: Batch) -> Tried:
        began, said = time.monotonic(), 0.0
        self.say(f"The sweep comes every {SCHEDULE.seconds // 60} minutes: waits up to {self.seconds:g} s for it …")
        while (passed := time.monotonic() - began) < self.seconds:
            found = Batch.find(self.stack.table(), batch.batch_id) or batch
            if found.outcome is Outcome.COMPLETED and found.owner != batch.owner:
                told = f"the sweep came, and batch {batch.batch_id} was completed {passed:.0f} s after the Stop"
                return Tried(GOES_ON, Answer.WORKS, told)
            if passed - said >= SAY_SECONDS:
                said = passed
                self.say(f"  {passed:.0f} s: {'not yet' if found.owner == batch.owner else 'goes on'}")
            time.sleep(POLL_SECONDS)
        what = f"batch {batch.batch_id} was not completed within {self.seconds:g} s"
        if self.seconds < SWEEP_SECONDS:
            remedy = f"--timeout {SWEEP_SECONDS // 60:.0f}m, or later: {self.stack.command('show', batch.batch_id)}"
            return Tried(GOES_ON, Answer.NOT_CHECKED, what, remedy)
        return Tried(GOES_ON, Answer.FAILS, what, self.stack.command("doctor"))


def policy_for_topic(queue_arn: str, topic_arn: str) -> str:
    """The policy of a queue to which one topic may send, as JSON."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
