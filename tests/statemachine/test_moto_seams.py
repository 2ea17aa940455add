"""A canary for each seam of ``moto_seams.py`` and ``edge.py``.

It dies when moto has changed so that the seam fits no more, or is needed no more. Then take the seam out, or fit it
anew, and pin the version that it was fitted to.
"""

from __future__ import annotations

import inspect
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.seconds import Seconds
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path

from tests.definition import REGION
from tests.statemachine import moto_seams, stack
from tests.statemachine.edge import Edge, kept_by
from tests.statemachine.machine import ARN, Machine, aws, deployed
from tests.statemachine.moto_seams import TestCase

WAITS: dict[str, Any] = {
    "StartAt": "Wait",
    "States": {
        "Wait": {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Until"},
        "Until": {"Type": "Wait", "TimestampPath": "$.until", "Next": "Task"},
        "Task": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "f", "Payload.$": "$"},
            "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 7, "MaxAttempts": 2, "BackoffRate": 2}],
            "End": True,
        },
    },
}
BUSY = {"Throw": {"Error": "Busy", "Cause": "told"}}
DONE = {"Return": {"StatusCode": 200, "Payload": {"done": True}}}


def test_the_seams_are_fitted_to_the_version_of_moto_that_is_installed() -> None:
    assert version("moto") == "5.2.5"


def _run(case: TestCase, document: object) -> tuple[Machine, Any]:
    with aws(), moto_seams.mocked_responses(lambda _: case), deployed(WAITS) as machine:
        return machine, machine.run(document, case="Case")


def test_a_wait_is_reported_instead_of_slept_through_and_a_timestamp_is_taken_as_utc() -> None:
    until = (datetime.now(UTC) + timedelta(seconds=500)).strftime("%Y-%m-%dT%H:%M:%SZ")
    started = time.monotonic()
    _, ran = _run(TestCase("Case", {"Task": {"0": DONE}}), {"seconds": 300, "until": until})
    assert time.monotonic() - started < 60
    (waited,), (until_waited,) = ran.waited_in("Wait"), ran.waited_in("Until")
    assert waited == 300
    assert 150 <= until_waited <= 200  # the first wait has moved the tests' clock


def test_a_pause_before_a_retry_is_reported_instead_of_slept_through() -> None:
    case = TestCase("Case", {"Task": {"0-1": BUSY, "2": DONE}})
    _, ran = _run(case, {"seconds": 0, "until": "2001-01-01T00:00:00Z"})
    assert ran.waited_in("Task") == [7, 14]
    assert (ran.status, ran.tries("Task")) == ("SUCCEEDED", 3)


def test_moto_itself_would_sleep_through_waits_and_retries() -> None:
    slept: list[float] = []
    env: Any = SimpleNamespace(program_state_event=SimpleNamespace(wait=slept.append), is_running=lambda: False)
    Seconds(300)._wait_interval(env, 300)
    assert slept == [300]
    assert vars(retrier_decl)["time"] is time
    assert "time.sleep(" in inspect.getsource(retrier_decl.RetrierDecl._eval_body)


def test_moto_itself_would_compare_a_timestamp_with_local_time() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Etc/GMT+5")
        time.tzset()
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        expression: Any = SimpleNamespace(eval=lambda env: env.stack.append(now))
        env: Any = SimpleNamespace(stack=[])
        seconds = Timestamp(expression)._get_wait_seconds(env)
    time.tzset()
    assert seconds > 4 * 3600


def test_moto_itself_knows_no_test_case_in_start_execution() -> None:
    with aws(), deployed(WAITS) as machine, pytest.raises(boto3.client("stepfunctions", REGION).exceptions.ClientError):
        machine.start({}, case="Case")


def test_moto_itself_numbers_mocked_responses_by_the_retries_of_a_visit() -> None:
    case = TestCase("Case", {"Task": {"0": DONE, "1": BUSY}})
    env: Any = Environment.__new__(Environment)
    env.mock_test_case, env.states = (
        case,
        SimpleNamespace(context_object=SimpleNamespace(context_object_data={"State": {"RetryCount": 0}})),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "next_state_name", "Task")
        patch.setattr(Environment, "is_mocked_mode", lambda _: True)
        first, second = env.get_current_mocked_response(), env.get_current_mocked_response()
    assert first is second


def test_a_state_in_a_loop_gets_its_next_response_at_each_visit() -> None:
    case = TestCase("Case", {"Task": {"0": BUSY, "1-2": DONE}})
    responses = [case.next_response("Task") for _ in range(3)]
    assert responses[0] is not responses[1]
    assert responses[1] is responses[2]
    with pytest.raises(RuntimeError, match="Case has no response 3 for Task"):
        case.next_response("Task")


def test_a_lambda_task_calls_the_function_in_this_process() -> None:
    called: list[tuple[str, Any]] = []

    def invoke(function: str, payload: bytes) -> dict[str, Any]:
        called.append((function, json.loads(payload)))
        assert threading.current_thread() is not threading.main_thread()
        return DONE["Return"]

    document = {"seconds": 0, "until": "2001-01-01T00:00:00Z"}
    with aws(), moto_seams.functions_in_process(invoke), deployed(WAITS) as machine:
        ran = machine.run(document)
    assert (ran.status, called) == ("SUCCEEDED", [("f", document)])


def test_moto_itself_would_invoke_a_function_through_lambda() -> None:
    credentials: Any = None
    with aws(), pytest.raises(boto3.client("lambda", REGION).exceptions.ResourceNotFoundException):
        lambda_eval_utils._invoke_lambda_function({"FunctionName": "f", "Payload": b"{}"}, REGION, credentials)


def test_moto_itself_would_parse_a_definition_and_a_path_again_and_again() -> None:
    definition = json.dumps(WAITS)
    assert AmazonStateLanguageParser.parse(definition)[0] is not AmazonStateLanguageParser.parse(definition)[0]
    path_parser = vars(json_path)
    assert path_parser["parse"]("$.a") is not path_parser["parse"]("$.a")
    with moto_seams.parsed_once():
        assert AmazonStateLanguageParser.parse(definition)[0] is AmazonStateLanguageParser.parse(definition)[0]
        assert path_parser["parse"]("$.a") is path_parser["parse"]("$.a")


def test_an_execution_can_be_read_from_motos_own_record() -> None:
    with (
        aws(),
        moto_seams.mocked_responses(lambda _: TestCase("Case", {"Task": {"0": DONE}})),
        deployed(WAITS) as machine,
    ):
        arn = machine.start({"seconds": 0, "until": "2001-01-01T00:00:00Z"}, case="Case")
        ran = machine.end(arn)
        described = boto3.client("stepfunctions", REGION).describe_execution(executionArn=arn)
    assert (described["status"], described["stateMachineArn"]) == (ran.status, ARN)
    assert json.loads(described["output"]) == ran.output


def _invalidate(client: Any, distribution: str, paths: list[str]) -> Any:
    batch = {"Paths": {"Quantity": len(paths), "Items": paths}, "CallerReference": "same"}
    return client.create_invalidation(DistributionId=distribution, InvalidationBatch=batch)["Invalidation"]


def test_moto_itself_completes_an_invalidation_at_once_and_creates_another_for_the_same_reference() -> None:
    with aws():
        client = boto3.client("cloudfront", region_name=REGION)
        created = client.create_distribution(DistributionConfig=stack.distribution_config("site"))
        distribution = created["Distribution"]["Id"]
        one, other = (_invalidate(client, distribution, ["/a"]) for _ in range(2))
    assert one["Id"] != other["Id"]
    assert one["Status"].lower() == "completed"


def test_an_invalidation_is_in_progress_for_a_while_and_the_same_reference_finds_it() -> None:
    with aws(), kept_by(Edge(polls=1)):
        client = boto3.client("cloudfront", region_name=REGION)
        created = client.create_distribution(DistributionConfig=stack.distribution_config("site"))
        distribution = created["Distribution"]["Id"]
        one, again = (_invalidate(client, distribution, paths) for paths in (["/a", "/b"], ["/b", "/a"]))
        polled = [client.get_invalidation(DistributionId=distribution, Id=one["Id"]) for _ in range(2)]
        with pytest.raises(client.exceptions.ClientError, match="InvalidationBatchAlreadyExists"):
            _invalidate(client, distribution, ["/c"])
    assert (one["Id"], one["Status"]) == (again["Id"], "InProgress")
    assert [each["Invalidation"]["Status"] for each in polled] == ["InProgress", "Completed"]
    assert distribution.startswith("E")
