"""The mocked cases end alike on an interpreter that shares nothing with moto's: aws-local-stepfunctions, from npm.

moto's is derived from LocalStack's. Where the two disagree, AWS's documentation decides, and `DIFFERENCES` says what.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from invalidations_cli.local.package import made_once
from tests.definition import rendered, states
from tests.needs import missing
from tests.statemachine.machine import MockedMachine, case_names, responses_of
from tests.statemachine.recorded_execution import RecordedExecution

VERSION = "3.0.0"
KNOWN_AS_OF = "2026-11-28"
"""What it depends on is as it was on this day, since no lock file says."""
LEAST_NODE = 20
RUNNER = Path(__file__).with_name("independent.mjs")
TASKS = [name for name, state in states(rendered()) if state["Type"] == "Task"]
OF_ITERATIONS = set(rendered()["States"]["Invalidate Distributions"]["ItemProcessor"]["States"])
CALLS_FUNCTIONS = [task for task in TASKS if task != "Announce Outcome"]
PATHS_WITH_INTRINSICS = (
    "it takes no intrinsic function in CausePath, which AWS does (Step Functions Developer Guide, "
    '"Fail workflow state": "CausePath")'
)
DIFFERENCES = {"NotificationFails": PATHS_WITH_INTRINSICS, "NotifyCannotBeCalled": PATHS_WITH_INTRINSICS}
"""Cases in which the interpreter, and not this definition, differs from AWS."""
ROOT_AS_A_NAME = (
    "it takes the ResultPath `$` of a Catch for a name, where AWS replaces the whole input by the error (Step "
    'Functions Developer Guide, "Handling errors in Step Functions workflows": "ResultPath")'
)
OTHER_PAYLOADS = {"JoinFails": ROOT_AS_A_NAME}
"""Cases in which it therefore sends a function something else."""
OF_THE_RUN = {"execution", "startedAt", "stateMachine"}

Ended = dict[str, Any]


def installed() -> Path:
    """The interpreter's main module, installed once."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing(f"the independent interpreter needs Node {LEAST_NODE} or later, with npm: none is on the PATH")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0] or 0) < LEAST_NODE:
        missing(f"the independent interpreter needs Node {LEAST_NODE} or later: this is {version}")

    def make(folder: Path) -> None:
        folder.mkdir()
        quietly = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", f"--before={KNOWN_AS_OF}"]
        command = ["npm", "install", *quietly, "--prefix", str(folder), f"aws-local-stepfunctions@{VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            missing(f"the independent interpreter could not be installed: {done.stderr.strip()[-300:]}")

    home = made_once(f"aws-local-stepfunctions-{VERSION}", make)
    return home / "node_modules" / "aws-local-stepfunctions" / "build" / "main.node.esm.js"


@pytest.fixture(scope="module")
def ended() -> dict[str, Ended]:
    """Case → how it ended on the independent interpreter."""
    document = {
        "package": str(installed()),
        "definition": rendered(),
        "cases": {case: responses_of(case) for case in case_names()},
    }
    done = subprocess.run(
        ["node", str(RUNNER)], input=json.dumps(document), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Ended] = json.loads(done.stdout)
    return found


def alike(node: Any) -> Any:
    """Without what differs from run to run; JavaScript has one kind of number."""
    if isinstance(node, float) and node.is_integer():
        return int(node)
    if isinstance(node, dict):
        return {key: alike(value) for key, value in node.items() if key not in OF_THE_RUN}
    return [alike(item) for item in node] if isinstance(node, list) else node


def sorted_as_text(payloads: list[Any]) -> list[str]:
    return sorted(json.dumps(alike(payload), sort_keys=True) for payload in payloads)


@pytest.mark.parametrize("case", [case for case in case_names() if case not in DIFFERENCES])
def test_a_case_ends_alike_on_both_interpreters(case: str, mocked: MockedMachine, ended: dict[str, Ended]) -> None:
    on_moto, found = mocked.run(case), ended[case]
    assert (found["status"], found["error"], found["cause"]) == (on_moto.status, on_moto.error, on_moto.cause)
    assert found["entered"][-1] == on_moto.states[-1]
    assert set(found["entered"]) <= set(on_moto.states)
    assert alike(found.get("output")) == alike(on_moto.output)


@pytest.mark.parametrize("case", [case for case in case_names() if case not in OTHER_PAYLOADS])
def test_a_case_calls_the_same_functions_with_the_same_payloads_on_both(
    case: str, mocked: MockedMachine, ended: dict[str, Ended]
) -> None:
    on_moto, found = mocked.run(case), ended[case]
    assert found["tries"] == {task: on_moto.tries(task) for task in TASKS if on_moto.tries(task)}
    # Which of several iterations gets which response depends on which asks first; Finish Batch is told what each got.
    by_chance = {*OF_ITERATIONS, "Finish Batch"} if len(on_moto.iterations) > 1 else set()
    for task in set(CALLS_FUNCTIONS) - by_chance:
        given = [parameters["Payload"] for parameters in found["payloads"].get(task, [])]
        assert sorted_as_text(given) == sorted_as_text(on_moto.payloads(task)), task


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_known_difference_is_still_one(case: str, mocked: MockedMachine, ended: dict[str, Ended]) -> None:
    on_moto: RecordedExecution = mocked.run(case)
    assert ended[case]["error"] == "States.Runtime" != on_moto.error, f"no difference any more: {DIFFERENCES[case]}"
    assert ended[case]["entered"][-1] == on_moto.states[-1]


@pytest.mark.parametrize("case", OTHER_PAYLOADS)
def test_a_payload_that_is_known_to_differ_still_does(case: str, ended: dict[str, Ended]) -> None:
    (finish,) = ended[case]["payloads"]["Finish Batch"]
    assert set(finish["Payload"]["state"]) == {"$"}, f"no difference any more: {OTHER_PAYLOADS[case]}"


def test_a_map_over_what_is_no_list_fails_beyond_every_catch() -> None:
    """States.Runtime, which States.ALL does not catch (Step Functions Developer Guide, "Handling errors")."""
    responses = {**responses_of("HappyPath")}
    resolved = {"count": 1, "targets": "no list", "roomUntil": "2026-11-12T10:14:02+00:00", "verifyAtEdge": False}
    responses["Resolve Distributions"] = {"0": {"Return": {"StatusCode": 200, "Payload": resolved}}}
    document = {"package": str(installed()), "definition": rendered(), "cases": {"NoList": responses}}
    done = subprocess.run(["node", str(RUNNER)], input=json.dumps(document), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)["NoList"]
    assert (found["status"], found["error"], found["entered"][-1]) == (
        "FAILED",
        "States.Runtime",
        "Invalidate Distributions",
    )
