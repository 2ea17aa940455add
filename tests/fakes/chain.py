"""Everything that a change passes through, whole, with a way to cut each piece: boto3's clients as health asks them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.unit.cloudfront_documents import THEN, config, page, summary

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:site-invalidation"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:JoinBatch"
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:intake"


def error(code: str, operation: str = "Call", **headers: str) -> ClientError:
    details = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPHeaders": headers}}
    return ClientError(details, operation)  # type: ignore[arg-type] # as much of it as boto3's own have


@dataclass
class FakeChain:
    """Set an attribute to cut a piece; ``denied`` are operations that are refused."""

    region: str = "eu-west-1"
    missing_bucket: bool = False
    sends_events: bool = True
    rule_state: str = "ENABLED"
    rule_gone: bool = False
    schedule_state: str = "ENABLED"
    pattern: dict[str, Any] = field(default_factory=lambda: {"detail": {"bucket": {"name": ["site"]}}})
    targets: tuple[str, ...] = (MACHINE,)
    pipe_state: str = "RUNNING"
    oldest_message: float | None = 3.0
    machine_status: str = "ACTIVE"
    reserved: int | None = None
    dead_letters: int = 0
    distribution_enabled: bool = True
    distribution_origin: str = "site.s3.eu-west-1.amazonaws.com"
    denied: frozenset[str] = frozenset()
    objects: dict[str, Any] = field(default_factory=dict)
    """Key → what HeadObject says of it."""

    def __call__(self, _service: str) -> Any:
        return self

    def _ask(self, operation: str) -> None:
        if operation in self.denied:
            raise error("AccessDenied", operation)

    def head_bucket(self, **_which: str) -> Any:
        self._ask("HeadBucket")
        if self.missing_bucket:
            raise error("404", "HeadBucket")
        return {"BucketRegion": self.region}

    def head_object(self, Bucket: str, Key: str) -> Any:  # noqa: N803 -- boto3's own names
        self._ask("HeadObject")
        if Key not in self.objects:
            raise error("404", "HeadObject")
        return {"Bucket": Bucket, **self.objects[Key]}

    def get_bucket_notification_configuration(self, **_which: str) -> Any:
        self._ask("GetBucketNotificationConfiguration")
        if self.missing_bucket:
            raise error("NoSuchBucket", "GetBucketNotificationConfiguration")
        return {"EventBridgeConfiguration": {}} if self.sends_events else {}

    def describe_rule(self, Name: str) -> Any:  # noqa: N803 -- boto3's own name
        self._ask("DescribeRule")
        if self.rule_gone:
            raise error("ResourceNotFoundException", "DescribeRule")
        if Name == "site-schedule":
            return {"Name": Name, "State": self.schedule_state, "ScheduleExpression": "rate(5 minutes)"}
        return {"Name": Name, "State": self.rule_state, "EventPattern": json.dumps(self.pattern)}

    def list_targets_by_rule(self, Rule: str) -> Any:  # noqa: N803 -- boto3's own name
        self._ask("ListTargetsByRule")
        return {"Targets": [{"Id": Rule, "Arn": each} for each in self.targets]}

    def describe_pipe(self, Name: str) -> Any:  # noqa: N803 -- boto3's own name
        self._ask("DescribePipe")
        return {"Name": Name, "CurrentState": self.pipe_state}

    def get_metric_data(self, **_asked: Any) -> Any:
        self._ask("GetMetricData")
        return {"MetricDataResults": [{"Values": [] if self.oldest_message is None else [self.oldest_message]}]}

    def describe_state_machine(self, **_which: str) -> Any:
        self._ask("DescribeStateMachine")
        return {"status": self.machine_status, "definition": json.dumps({"Resource": FUNCTION}), "creationDate": THEN}

    def get_function_concurrency(self, **_which: str) -> Any:
        self._ask("GetFunctionConcurrency")
        return {} if self.reserved is None else {"ReservedConcurrentExecutions": self.reserved}

    def get_queue_attributes(self, **_asked: Any) -> Any:
        self._ask("GetQueueAttributes")
        return {"Attributes": {"ApproximateNumberOfMessages": str(self.dead_letters)}}

    def describe_stack_resources(self, **_which: str) -> Any:
        rule = {
            "LogicalResourceId": "ChangeRule",
            "PhysicalResourceId": "site-rule",
            "ResourceType": "AWS::Events::Rule",
        }
        schedule = {**rule, "LogicalResourceId": "SweepFunctionEveryFiveMinutes", "PhysicalResourceId": "site-schedule"}
        return {"StackResources": [rule, schedule]}

    def get_paginator(self, _operation: str) -> Any:
        return self

    def paginate(self, **_asked: Any) -> Any:
        self._ask("ListDistributions")
        return [page(summary("E1", self.distribution_origin))]

    def get_distribution_config(self, **_which: str) -> Any:
        found = config()
        found["DistributionConfig"]["Enabled"] = self.distribution_enabled
        return found
