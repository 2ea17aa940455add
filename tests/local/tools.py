"""Small things that the behaviours and the tests of the chain make and ask."""

import http.client
import io
import json
import signal
import time
import zipfile
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from invalidations_cli.local.aws import LocalAws

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"Service": "pipes.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


TIMEOUT_SECONDS = 60.0
"""Seconds for what should happen, on a machine that has much else to do; nothing waits longer than it has to."""


class PlainEmulator(LocalAws):
    """An emulator from which nobody expects that it ever does what it is asked: a short look is enough."""


def timeout(aws: LocalAws, hurried: float) -> float:
    return hurried if isinstance(aws, PlainEmulator) else TIMEOUT_SECONDS


def new_name() -> str:
    return f"n{uuid4().hex[:12]}"


def eventually(holds: Callable[[], Any], seconds: float = TIMEOUT_SECONDS) -> Any:
    """The first truthy answer, or the last one when the time is up."""
    deadline = time.monotonic() + seconds
    while not (answer := holds()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


def role(aws: LocalAws) -> str:
    created = aws.client("iam").create_role(RoleName=new_name(), AssumeRolePolicyDocument=json.dumps(TRUST))
    return str(created["Role"]["Arn"])


def function(aws: LocalAws, source: str) -> str:
    """A Lambda function of this source, in which `handler` is the handler; its ARN."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), source)
    created = aws.client("lambda").create_function(
        FunctionName=new_name(),
        Runtime="python3.13",
        Handler="app.handler",
        Role=role(aws),
        Code={"ZipFile": packed.getvalue()},
    )
    return str(created["FunctionArn"])


def call(aws: LocalAws, arn: str) -> Any:
    return json.load(aws.client("lambda").invoke(FunctionName=arn, Payload=b"{}")["Payload"])


def machine(aws: LocalAws, states: dict[str, Any], **fields: Any) -> str:
    """A state machine that starts at the first of these states; its ARN."""
    definition = json.dumps({"StartAt": next(iter(states)), "States": states, **fields})
    created = aws.client("stepfunctions").create_state_machine(
        name=new_name(), definition=definition, roleArn=role(aws)
    )
    return str(created["stateMachineArn"])


def start(aws: LocalAws, machine_arn: str, document: Any = None) -> str:
    started = aws.client("stepfunctions").start_execution(
        stateMachineArn=machine_arn, input=json.dumps(document if document is not None else {})
    )
    return str(started["executionArn"])


def ended(aws: LocalAws, execution_arn: str, seconds: float = TIMEOUT_SECONDS) -> Any:
    """What DescribeExecution says once the execution has ended, or of the running one when the time is up."""

    def described() -> Any:
        return aws.client("stepfunctions").describe_execution(executionArn=execution_arn)

    eventually(lambda: described()["status"] != "RUNNING", seconds)
    return described()


def history(aws: LocalAws, execution_arn: str) -> list[dict[str, Any]]:
    pages = aws.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution_arn)
    return [event for page in pages for event in page["events"]]


def states_entered(aws: LocalAws, execution_arn: str) -> list[str]:
    events = history(aws, execution_arn)
    return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]


def executions(aws: LocalAws, machine_arn: str) -> list[dict[str, Any]]:
    pages = aws.client("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=machine_arn)
    return [execution for page in pages for execution in page["executions"]]


def queue(aws: LocalAws) -> tuple[str, str]:
    """The URL and the ARN of a new queue that anybody may send to."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=new_name())["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return str(url), str(arn)


def messages(aws: LocalAws, url: str, wait_seconds: int = 0) -> list[dict[str, Any]]:
    received = aws.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds, MessageAttributeNames=["All"]
    )
    return list(received.get("Messages", []))


def stack(aws: LocalAws, resources: dict[str, Any], **sections: Any) -> str:
    """The status of a new stack once nothing more happens to it, or REFUSED."""
    cloudformation = aws.client("cloudformation")
    parameters = sections.pop("parameters", {})
    name = new_name()
    try:
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=json.dumps({"Resources": resources, **sections}),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
    except cloudformation.exceptions.ClientError:
        return "REFUSED"

    def settled() -> str:
        status = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        return "" if status.endswith("IN_PROGRESS") else status

    return str(eventually(settled))


def requested(
    aws: LocalAws, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str]]:
    """Status and headers (their names in lower case) of the answer; `Sec_Fetch_Site` sends `Sec-Fetch-Site`."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection(urlsplit(aws.endpoint).netloc, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request(method, path, body, given)
        response = connection.getresponse()
        response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}


def heeds_ctrl_c() -> None:
    """As in a terminal: a shell that runs the tests in the background has its children ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
