"""What only a deployed stack can show beside its chain: notifications, alarms, dead letters, and what one path purges.

Each proof gives one `Tried`. A call that is refused proves nothing: it is said, and is no failure of the stack.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from invalidations_cli.aws import Stack
from invalidations_cli.canaries import EdgeViewer
from invalidations_cli.dead_letter_queue import DeadLetterQueue
from invalidations_cli.trace import POLL_SECONDS

ALARM = "ExecutionFailedAlarm"


class Answer(StrEnum):
    """What came of one thing that was tried."""

    WORKS = "works"
    FAILS = "fails"
    NOT_CHECKED = "not-checked"


@dataclass(frozen=True, slots=True)
class Tried:
    """One line of the report: what was tried, what came of it, the evidence, and how to fix it."""

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
    """A queue of its own that hears what the stack's topic tells machines, for as long as the test goes on."""

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
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})
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
                return Tried(name, Answer.WORKS, f"{of} was told within {time.monotonic() - began:.1f} s")
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
        """Kind of name → its spellings, the documented one first: only that one is sent, and all are looked at.

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
        """What `/?*` does to the root, with and without a query string, and to a page elsewhere."""
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
    """The name at the end of a path or key: the rest is the same for all."""
    return path.rpartition("/")[2]


def last_or_root(path: str) -> str:
    return path if path.startswith("/?") or path == "/" else last(path)


def alarm_is_told(stack: Stack, listener: NotificationListener, seconds: float) -> Tried:
    """Set an alarm's state, as AWS would, and see that the topic's key and policy let it through; set it back."""
    found = stack.client("cloudformation").describe_stack_resource(StackName=stack.name, LogicalResourceId=ALARM)
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    cloudwatch = stack.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="invalidations selftest")
    try:
        return listener.hears("An alarm is told", name, seconds)
    finally:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="invalidations selftest has ended")


def dead_letters_are_found(stack: Stack, token: str, seconds: float) -> Tried:
    """Send a message to the dead-letter queue, and see that `dead-letters` finds it; it is deleted again."""
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
