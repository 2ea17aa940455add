"""Runs the state machine's own definition on moto's interpreter, without waiting."""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from tests import execution_reports
from tests.definition import ACCOUNT, REGION, ROOT, rendered
from tests.statemachine import moto_seams
from tests.statemachine.clock import Clock
from tests.statemachine.moto_seams import Responses, TestCase
from tests.statemachine.recorded_execution import ObservedWait, RecordedExecution

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

NAME = "invalidation"
"""The state machine's name in the MockConfigFile."""
ARN = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{NAME}"
MOCK_CONFIG_FILE = ROOT / "tests" / "statemachine" / "MockConfigFile.json"
TIMEOUT_SECONDS = 20.0

WaitHook = Callable[[str, float], None]


class Machine:
    """A deployed state machine.

    Waits, and the pauses before retries, take no time; ``on_wait`` is called in each with the state and its seconds.
    """

    def __init__(self, client: SFNClient) -> None:
        self.clock = Clock()
        self._client = client
        self._numbers = itertools.count(1)
        self._waits: list[tuple[str, ObservedWait]] = []
        self._lock = threading.Lock()
        self.on_wait: WaitHook = lambda _state, _seconds: None

    def deploy(self, definition: Mapping[str, Any]) -> None:
        role = f"arn:aws:iam::{ACCOUNT}:role/state-machine"
        self._client.create_state_machine(name=NAME, definition=json.dumps(definition), roleArn=role)

    def waited(self, arn: str, state: str, seconds: float) -> None:
        with self._lock:
            self._waits.append((arn, ObservedWait(state, seconds)))
        self.clock.wait(seconds)
        self.on_wait(state, seconds)

    def start(self, document: object, *, name: str = "", case: str = "") -> str:
        """Start an execution, of a test case with mocked responses where one is named; return its ARN."""
        started = self._client.start_execution(
            stateMachineArn=f"{ARN}#{case}" if case else ARN,
            name=name or f"{case or 'run'}-{next(self._numbers)}",
            input=json.dumps(document),
        )
        self.note(started["executionArn"])
        return started["executionArn"]

    def note(self, arn: str) -> None:
        """A test looks at this execution: if it fails, there is a report of it."""
        execution_reports.note(self._client, arn)

    def reported(self) -> AbstractContextManager[None]:
        return execution_reports.reported(self._client)

    def end(self, arn: str) -> RecordedExecution:
        """Wait until an execution has ended, and read what it did."""
        execution = moto_seams.execution(arn)
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while execution.status == "RUNNING":
            events = execution.to_history_output()["events"]
            assert time.monotonic() < deadline, f"{arn} goes on and on: {events[-3:]}"
            time.sleep(0.001)
        return RecordedExecution(
            arn=arn,
            status=execution.status,
            output=execution.output,
            error=execution.error or "",
            cause=execution.cause or "",
            history=tuple(execution.to_history_output()["events"]),
            waits=tuple(waited for of, waited in self._waits if of == arn),
        )

    def run(self, document: object, *, name: str = "", case: str = "") -> RecordedExecution:
        return self.end(self.start(document, name=name, case=case))

    def executions(self) -> list[str]:
        """The ARNs of all executions, oldest first."""
        listed = self._client.list_executions(stateMachineArn=ARN)["executions"]
        return [each["executionArn"] for each in sorted(listed, key=lambda each: each["startDate"])]


_definition = cache(rendered)


@contextmanager
def aws() -> Iterator[None]:
    """moto, interpreting state machines, and saying less about states that fail: here failures are the point."""
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    with mock_aws(config=moto_seams.EXECUTE), pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", session())
        yield


@cache
def session() -> boto3.session.Session:
    """One for all tests, because it keeps the service models that it has read. Made under moto: its keys are moto's."""
    return boto3.session.Session(region_name=REGION)


@contextmanager
def deployed(definition: Mapping[str, Any] | None = None) -> Iterator[Machine]:
    """The project's state machine, or another definition, on moto that is running already."""
    machine = Machine(boto3.client("stepfunctions", region_name=REGION))
    seams = (
        moto_seams.parsed_once(),
        moto_seams.no_real_waits(machine.waited),
        moto_seams.the_time(machine.clock.datetime),
    )
    with ExitStack() as stack:
        for seam in seams:
            stack.enter_context(seam)
        machine.deploy(definition or _definition())
        stack.enter_context(machine.reported())
        yield machine


@cache
def mock_config() -> dict[str, Any]:
    """The MockConfigFile, in the format of Step Functions Local."""
    loaded: dict[str, Any] = json.loads(MOCK_CONFIG_FILE.read_text())
    return loaded


def case_names() -> list[str]:
    return list(mock_config()["StateMachines"][NAME]["TestCases"])


def responses_of(case: str) -> dict[str, Responses]:
    """State name -> its mocked responses in a test case of the file."""
    states = mock_config()["StateMachines"][NAME]["TestCases"][case]
    return {state: mock_config()["MockedResponses"][response] for state, response in states.items()}


class MockedMachine:
    """The state machine with mocked responses for its Tasks."""

    def __init__(self) -> None:
        self._cases: dict[str, Mapping[str, Responses]] = {}
        self._recorded: dict[str, RecordedExecution] = {}
        self.machine: Machine | None = None

    def load(self, name: str) -> TestCase:
        return TestCase(name, self._cases[name])

    def run_with(self, responses: Mapping[str, Responses], document: object = None) -> RecordedExecution:
        """Run once with responses of one's own: state name -> its responses."""
        assert self.machine is not None
        name = f"Case{len(self._cases)}"
        self._cases[name] = responses
        return self.machine.run(document or {}, case=name)

    def run(self, case: str) -> RecordedExecution:
        """Run a test case of the MockConfigFile; once, however many tests look at it."""
        if case not in self._recorded:
            self._recorded[case] = self.run_with(responses_of(case))
        elif self.machine is not None:
            self.machine.note(self._recorded[case].arn)
        return self._recorded[case]


@contextmanager
def mocked(definition: Mapping[str, Any] | None = None) -> Iterator[MockedMachine]:
    """The project's state machine, or another definition, ready to run with mocked responses."""
    cases = MockedMachine()
    with aws(), moto_seams.mocked_responses(cases.load), deployed(definition) as machine:
        cases.machine = machine
        yield cases
