"""Step Functions' API on the local AWS, as a stranger's client uses it."""

import json
from functools import partial

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.environment import LocalEnvironment
from tests.local import tools
from tests.local.behaviours import lambda_task
from tests.local.conftest import Emulators

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("emulators")]


@pytest.fixture
def aws(emulators: Emulators) -> LocalAws:
    return emulators.patched


def test_nothing_follows_after_an_execution_was_stopped(aws: LocalAws) -> None:
    source = "import time\ndef handler(event, context):\n    time.sleep(1)\n    return event\n"
    task = lambda_task(tools.function(aws, source), Next="Done")
    inner = {"StartAt": "Work", "States": {"Work": {**task, "Next": "Rest"}, "Rest": {"Type": "Pass", "End": True}}}
    each = {"Type": "Map", "ItemsPath": "$", "ItemProcessor": inner, "End": True}
    alone = tools.machine(aws, {"Work": task, "Done": {"Type": "Pass", "End": True}})
    for machine, document in ((alone, {}), (tools.machine(aws, {"Each": each}), [1, 2])):
        arn = tools.start(aws, machine, document)
        assert tools.eventually(partial(has_more_events, aws, arn, 2))
        aws.client("stepfunctions").stop_execution(executionArn=arn, error="Stopped", cause="by hand")
        events = tools.history(aws, arn)
        assert events[-1]["type"] == "ExecutionAborted"
        assert not tools.eventually(partial(has_more_events, aws, arn, len(events)), 2.5)
        assert tools.ended(aws, arn)["status"] == "ABORTED"


def has_more_events(aws: LocalAws, arn: str, count: int) -> bool:
    return len(tools.history(aws, arn)) > count


def test_another_input_under_a_running_name_and_any_under_an_ended_one_are_refused(aws: LocalAws) -> None:
    states, machine = (
        aws.client("stepfunctions"),
        tools.machine(aws, {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}),
    )
    arn = states.start_execution(stateMachineArn=machine, name="one", input='{"a": 1}')["executionArn"]
    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(stateMachineArn=machine, name="one", input='{"a": 2}')
    assert tools.ended(aws, arn)["status"] == "SUCCEEDED"
    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(stateMachineArn=machine, name="one", input='{"a": 1}')


def test_a_standard_state_machine_is_not_run_synchronously(aws: LocalAws) -> None:
    client = aws.session.client(
        "stepfunctions", endpoint_url=aws.endpoint, config=Config(inject_host_prefix=False, proxies={})
    )
    with pytest.raises(ClientError, match="StateMachineTypeNotSupported"):
        client.start_sync_execution(stateMachineArn=tools.machine(aws, {"Done": {"Type": "Succeed"}}))


def test_the_log_group_of_the_state_machine_tells_what_the_history_tells(local: LocalEnvironment) -> None:
    arn = tools.start(local.aws, local.state_machine_arn, {"bucket": local.bucket, "keys": ["logged.html"]})
    assert tools.ended(local.aws, arn)["status"] == "SUCCEEDED"
    logs, group = local.aws.client("logs"), local.outputs["StateMachineLogGroupName"]
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    lines = [json.loads(event["message"]) for page in pages for event in page["events"]]
    logged = [(line["id"], line["type"]) for line in lines if line["execution_arn"] == arn]
    assert sorted(logged, key=lambda each: int(each[0])) == [
        (str(event["id"]), event["type"]) for event in tools.history(local.aws, arn)
    ]
