"""The stack on moto: the template's table, the real handlers, CloudFront, a topic and a bus that tests listen to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3

from invalidation.batches import DynamoBatchTable
from invalidation.lifecycle import Batch, read_batch
from tests.definition import REGION, resources
from tests.statemachine import machine, moto_seams
from tests.statemachine.edge import Edge, kept_by
from tests.statemachine.functions import Functions, not_allowed, parameters
from tests.statemachine.machine import Machine
from tests.statemachine.ran import Ran

if TYPE_CHECKING:
    from mypy_boto3_cloudfront.type_defs import DistributionConfigUnionTypeDef

BUCKET = "my-site"
TABLE = "batches"
EVENT_SOURCE = "cloudfront-auto-invalidation"


@dataclass
class Stack:
    """A deployed stack that watches the bucket ``my-site``."""

    machine: Machine
    edge: Edge
    functions: Functions
    notifications_url: str
    announcements_url: str

    def run(self, document: object, *, name: str = "") -> Ran:
        return self.machine.run(document, name=name)

    def distribution(self, bucket: str = BUCKET, **config: Any) -> str:
        """Create a distribution in front of a bucket, with index.html as its default root object; return its id."""
        client = boto3.client("cloudfront", region_name=REGION)
        created = client.create_distribution(DistributionConfig=distribution_config(bucket, **config))
        return created["Distribution"]["Id"]

    def notifications(self) -> list[dict[str, Any]]:
        """The notifications so far: subject, parsed body and attributes. Each is returned once."""
        return [
            {"subject": each["Subject"], "body": json.loads(each["Message"]), "attributes": each["MessageAttributes"]}
            for each in _messages(self.notifications_url)
        ]

    def announcements(self) -> list[dict[str, Any]]:
        """The outcome events that came over the default bus so far. Each is returned once."""
        return _messages(self.announcements_url)

    def batch(self, batch_id: str) -> Batch:
        return read_batch(DynamoBatchTable(boto3.client("dynamodb", region_name=REGION), TABLE), batch_id)

    def items(self, prefix: str) -> list[dict[str, Any]]:
        """The batch table's items whose partition key begins so, in DynamoDB's own notation."""
        scanned = boto3.client("dynamodb", region_name=REGION).scan(TableName=TABLE, ConsistentRead=True)
        return [item for item in scanned["Items"] if item["pk"]["S"].startswith(prefix)]


@contextmanager
def deployed(overrides: Mapping[str, Any] | None = None) -> Iterator[Stack]:
    """The stack, with other values for some parameters. Fails where a handler did what its role does not allow."""
    edge = Edge()
    with machine.aws(), machine.deployed() as deployed_machine, ExitStack() as seams:
        topic, notifications = _topic_with_queue()
        _create_table()
        refs = {
            **parameters(overrides),
            "BatchTable": TABLE,
            "NotificationTopic": topic,
            "InvalidationStateMachine": machine.ARN,
        }
        functions = Functions(refs, deployed_machine.clock.datetime)
        seams.enter_context(kept_by(edge))
        seams.enter_context(moto_seams.functions_in_process(functions.invoke))
        yield Stack(deployed_machine, edge, functions, notifications, _bus_queue())
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
    properties = resources("AWS::DynamoDB::Table")["BatchTable"]
    taken = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    client = boto3.client("dynamodb", region_name=REGION)
    client.create_table(TableName=TABLE, **{name: properties[name] for name in taken})


def _topic_with_queue() -> tuple[str, str]:
    topic = boto3.client("sns", region_name=REGION).create_topic(Name="notifications")["TopicArn"]
    url, arn = _queue("notifications")
    boto3.client("sns", region_name=REGION).subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, url


def _bus_queue() -> str:
    url, arn = _queue("announcements")
    events = boto3.client("events", region_name=REGION)
    events.put_rule(Name="announcements", EventPattern=json.dumps({"source": [EVENT_SOURCE]}))
    events.put_targets(Rule="announcements", Targets=[{"Id": "queue", "Arn": arn}])
    return url


def _queue(name: str) -> tuple[str, str]:
    sqs = boto3.client("sqs", region_name=REGION)
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def _messages(url: str) -> list[dict[str, Any]]:
    sqs = boto3.client("sqs", region_name=REGION)
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found
