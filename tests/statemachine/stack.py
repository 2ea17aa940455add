"""The stack on moto: the template's table, the real handlers, CloudFront, a topic and a bus that tests listen to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from invalidation.batches.dynamodb import DynamoBatchTable
from invalidation.batches.model import Batch
from tests.definition import REGION, resources
from tests.statemachine import machine, moto_seams
from tests.statemachine.edge import Edge, kept_by
from tests.statemachine.functions import Functions, not_allowed, parameters, properties
from tests.statemachine.machine import Machine
from tests.statemachine.moto_seams import Responses, TestCase
from tests.statemachine.recorded_execution import RecordedExecution

if TYPE_CHECKING:
    from mypy_boto3_cloudfront.type_defs import DistributionConfigUnionTypeDef

TABLE = "batches"
FUNCTIONS = tuple(resources("AWS::Serverless::Function"))
EVENT_SOURCE = "cloudfront-auto-invalidation"


@cache
def _client(service: str) -> Any:
    """One for all tests: a client takes longer to make than most of its calls take."""
    client: Any = machine.session().client
    return client(service)


@dataclass
class Stack:
    """A deployed stack."""

    machine: Machine
    edge: Edge
    functions: Functions
    notifications_url: str
    announcements_url: str
    _cases: dict[str, Mapping[str, Responses]] = field(default_factory=dict)
    _told: list[dict[str, Any]] = field(default_factory=list)

    def run(
        self, document: object, *, name: str = "", mocked: Mapping[str, Responses] | None = None
    ) -> RecordedExecution:
        """Run an execution to its end, with mocked responses for some of its Tasks where they are given."""
        return self.machine.end(self.start(document, name=name, mocked=mocked))

    def start(self, document: object, *, name: str = "", mocked: Mapping[str, Responses] | None = None) -> str:
        case = f"case{len(self._cases)}" if mocked else ""
        self._cases[case] = mocked or {}
        return self.machine.start(document, name=name, case=case)

    def load(self, case: str) -> TestCase:
        return TestCase(case, self._cases[case])

    def sweep(self) -> Any:
        """One visit of the sweep; the executions that it started have ended when it returns."""
        before = self.machine.executions()
        event = {"time": self.machine.clock.now().isoformat(timespec="seconds")}
        answer = self.functions.invoke("SweepFunction", json.dumps(event).encode())
        for arn in self.machine.executions():
            if arn not in before:
                self.machine.end(arn)
        return answer["Payload"]

    def distribution(self, bucket: str, **config: Any) -> str:
        """Create a distribution in front of a bucket, with index.html as its default root object; return its id."""
        client = _client("cloudfront")
        created = client.create_distribution(DistributionConfig=distribution_config(bucket, **config))
        return str(created["Distribution"]["Id"])

    def notifications(self, execution: RecordedExecution) -> list[dict[str, Any]]:
        """The notifications of an execution: subject, parsed body and attributes."""
        self._told += [
            {"subject": each["Subject"], "body": json.loads(each["Message"]), "attributes": each["MessageAttributes"]}
            for each in _messages(self.notifications_url)
        ]
        return [each for each in self._told if each["body"]["execution"] == execution.arn]

    def announcements(self, execution: RecordedExecution) -> list[dict[str, Any]]:
        """The outcome events of an execution that came over the default bus. Those of others are dropped."""
        return [each for each in _messages(self.announcements_url) if each["detail"]["execution"] == execution.arn]

    @property
    def table(self) -> DynamoBatchTable:
        return DynamoBatchTable(_client("dynamodb"), TABLE)

    def batch(self, execution: RecordedExecution) -> Batch:
        """The record of the batch that an execution led."""
        return Batch.read(self.table, execution.output_of("Join Batch")["batchId"])

    def stored(self) -> int:
        """How many items the batch table has."""
        return int(_client("dynamodb").scan(TableName=TABLE, ConsistentRead=True, Select="COUNT")["Count"])

    def pending(self, bucket: str) -> int:
        """How many changes of a bucket wait for a batch."""
        scanned = _client("dynamodb").scan(TableName=TABLE, ConsistentRead=True)
        return sum(item["pk"]["S"].startswith(f"PENDING#{bucket}#") for item in scanned["Items"])


@contextmanager
def deployed(definition: Mapping[str, Any] | None = None) -> Iterator[Stack]:
    """The stack, with another definition if one is given. Fails where a handler did what its role does not allow."""
    edge = Edge()
    with machine.aws(), machine.deployed(definition) as deployed_machine, ExitStack() as seams:
        topic, notifications = _topic_with_queue()
        _create_table()
        refs = {
            **parameters(),
            "BucketNames": "",  # any: tests make a bucket each
            "BatchTable": TABLE,
            "NotificationTopic": topic,
            "EmailTopic": _client("sns").create_topic(Name="email")["TopicArn"],
            "ChatNotificationTopic": _client("sns").create_topic(Name="chat")["TopicArn"],
            "InvalidationStateMachine": machine.ARN,
            **dict.fromkeys(["ChangeRule", "IntakePipe", "IntakeQueue", "DeadLetterQueue"], "not-deployed-here"),
        }
        functions = Functions(refs, deployed_machine.clock.datetime)
        for logical_id in FUNCTIONS:
            functions.module(logical_id)
        stack = Stack(deployed_machine, edge, functions, notifications, _bus_queue())
        seams.enter_context(kept_by(edge))
        seams.enter_context(moto_seams.mocked_responses(stack.load))
        seams.enter_context(moto_seams.functions_in_process(functions.invoke))
        yield stack
        functions.close()
        assert not_allowed(functions.calls) == []


def distribution_config(bucket: str, **config: Any) -> DistributionConfigUnionTypeDef:
    """What CreateDistribution takes, for one S3 origin."""
    origin = {
        "Id": "bucket",
        "DomainName": f"{bucket}.s3.{REGION}.amazonaws.com",
        "OriginPath": "",
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }
    everything: Any = {
        "CallerReference": f"{bucket}-{id(config)}",
        "Comment": "",
        "Enabled": True,
        "DefaultRootObject": "index.html",
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": {
            "TargetOriginId": "bucket",
            "ViewerProtocolPolicy": "redirect-to-https",
            "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",
        },
        **config,
    }
    return everything  # type: ignore[no-any-return] # dictionaries of literals, which TypedDicts do not take


def _create_table() -> None:
    table = properties("BatchTable")
    taken = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    client = _client("dynamodb")
    client.create_table(TableName=TABLE, **{name: table[name] for name in taken})


def _topic_with_queue() -> tuple[str, str]:
    topic = _client("sns").create_topic(Name="notifications")["TopicArn"]
    url, arn = _queue("notifications")
    _client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, url


def _bus_queue() -> str:
    url, arn = _queue("announcements")
    events = _client("events")
    events.put_rule(Name="announcements", EventPattern=json.dumps({"source": [EVENT_SOURCE]}))
    events.put_targets(Rule="announcements", Targets=[{"Id": "queue", "Arn": arn}])
    return url


def _queue(name: str) -> tuple[str, str]:
    sqs = _client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def _messages(url: str) -> list[dict[str, Any]]:
    sqs = _client("sqs")
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found
