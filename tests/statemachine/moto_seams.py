"""Every place at which these tests reach into moto, and why. ``test_moto_seams.py`` has a canary for each.

moto is pinned: another version may need none of this, or something else.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest
from moto.stepfunctions.parser import models
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.wait.wait_function import timestamp
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.mocking import mock_config

from tests.definition import ACCOUNT, REGION

EXECUTE: Any = {"stepfunctions": {"execute_state_machine": True}}
"""moto's own switch: executions are interpreted, not just recorded."""

OnWait = Callable[[str, str, float], None]
"""Called with the execution's ARN, the state (a Wait, or a Task before it is tried again) and the seconds."""

Responses = Mapping[str, Any]
"""A response of a MockConfigFile: ``{"0": {"Return": …}, "1-3": {"Throw": {"Error", "Cause"}}}``."""


@contextmanager
def the_time(of: type[dt.datetime]) -> Iterator[None]:
    """Executions start, and waits for a timestamp are measured, by the tests' clock.

    It is in UTC, as a TimestampPath is: moto compares that with local time.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in (timestamp, models):
            patch.setattr(module, "datetime", SimpleNamespace(datetime=of, timezone=dt.timezone))
        yield


def execution(arn: str) -> Any:
    """moto's own record of an execution: reading it through the API takes longer than running it."""
    return models.stepfunctions_parser_backends[ACCOUNT][REGION].describe_execution(arn)


_parse, _parse_path = cache(AmazonStateLanguageParser.parse), cache(vars(json_path)["parse"])


@contextmanager
def parsed_once() -> Iterator[None]:
    """A definition and its paths are parsed once for all executions: neither keeps anything of a run.

    moto parses the definition for each of them, which takes half a second, and a path whenever it is evaluated.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AmazonStateLanguageParser, "parse", staticmethod(_parse))
        patch.setattr(json_path, "parse", _parse_path)
        yield


@contextmanager
def no_real_waits(on_wait: OnWait) -> Iterator[None]:
    """Wait states and the pauses before retries are reported instead of being slept through, the SDK's own too."""
    evaluate = retrier_decl.RetrierDecl._eval_body
    retrying = threading.local()

    def report(env: Any, seconds: float) -> None:
        context = env.states.context_object.context_object_data
        on_wait(context["Execution"]["Id"], context["State"]["Name"], seconds)

    def wait(function: WaitFunction, env: Environment, wait_seconds: float) -> None:
        # A Timestamp's wait is a difference to now, hence negative where the time has passed already.
        report(env, max(0, wait_seconds) if isinstance(function, timestamp.Timestamp) else wait_seconds)

    def evaluate_retrier(retrier: retrier_decl.RetrierDecl, env: Environment) -> None:
        retrying.env = env
        evaluate(retrier, env)

    def pause(seconds: float) -> None:
        report(retrying.env, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WaitFunction, "_wait_interval", wait)
        patch.setattr(retrier_decl.RetrierDecl, "_eval_body", evaluate_retrier)
        patch.setattr(retrier_decl, "time", SimpleNamespace(sleep=pause))
        patch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _seconds: None, time=time.time))
        yield


class TestCase(mock_config.MockTestCase):
    """The mocked responses of one test case. A state's responses are numbered by its invocations in the execution."""

    __test__ = False

    def __init__(self, name: str, responses: Mapping[str, Responses]) -> None:
        states = [_state_responses(state, each) for state, each in responses.items()]
        super().__init__("", name, states)
        self._invocations: Counter[str] = Counter()
        self._lock = threading.Lock()

    def next_response(self, state: str) -> mock_config.MockedResponse:
        """The response for the state's next invocation; those of all iterations of a Map are counted together."""
        with self._lock:
            number = self._invocations[state]
            self._invocations[state] += 1
        responses = self.state_mocked_responses[state].mocked_responses
        if number >= len(responses):
            raise RuntimeError(f"{self.test_case_name} has no response {number} for {state}")
        return responses[number]


def _state_responses(state: str, responses: Responses) -> mock_config.StateMockedResponses:
    return mock_config.StateMockedResponses(state, state, [_response(*each) for each in responses.items()])


def _response(numbers: str, response: Mapping[str, Any]) -> mock_config.MockedResponse:
    first, _, last = numbers.partition("-")
    if "Return" in response:
        return mock_config.MockedResponseReturn(int(first), int(last or first), response["Return"])
    throw = response["Throw"]
    return mock_config.MockedResponseThrow(int(first), int(last or first), throw["Error"], throw["Cause"])


@contextmanager
def mocked_responses(load: Callable[[str], TestCase]) -> Iterator[None]:
    """``StartExecution`` takes ``<state machine ARN>#<test case>``, as Step Functions Local does.

    moto has the code, and no way in: its StartExecution does not know the suffix, and does not hand a test case on. It
    also numbers responses by the retries of a visit, so that a state in a loop would get its first response for ever.
    """
    wanted = threading.local()
    start, worker_of = models.StepFunctionsParserBackend.start_execution, Execution._get_start_execution_worker

    def start_execution(backend: Any, state_machine_arn: str, *args: Any, **kwargs: Any) -> Execution:
        arn, _, wanted.case = state_machine_arn.partition("#")
        return start(backend, arn, *args, **kwargs)

    def get_start_execution_worker(execution: Execution) -> Any:
        worker: Any = worker_of(execution)
        if wanted.case:
            worker._mock_test_case = load(wanted.case)
        return worker

    def get_current_mocked_response(env: Environment) -> mock_config.MockedResponse:
        case, state = env.mock_test_case, env.next_state_name
        assert isinstance(case, TestCase)
        assert state is not None
        return case.next_response(state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.StepFunctionsParserBackend, "start_execution", start_execution)
        patch.setattr(Execution, "_get_start_execution_worker", get_start_execution_worker)
        patch.setattr(Environment, "get_current_mocked_response", get_current_mocked_response)
        yield


@contextmanager
def functions_in_process(invoke: Callable[[str, bytes], dict[str, Any]]) -> Iterator[None]:
    """Lambda tasks call ``invoke(function ARN, payload)``; moto itself would start a container for each.

    ``invoke`` returns Lambda's answer: ``{"StatusCode": 200, "Payload": document}``, with ``FunctionError`` where the
    function failed, or raises the ClientError of the Invoke call.
    """

    def invoke_lambda_function(parameters: dict[str, Any], region: str, state_credentials: Any) -> dict[str, Any]:
        del region, state_credentials
        return invoke(parameters["FunctionName"], parameters["Payload"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lambda_eval_utils, "_invoke_lambda_function", invoke_lambda_function)
        yield
