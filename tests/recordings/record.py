"""Records one execution of `report.asl.json`, on moto or on ministack: `python -m tests.recordings.record moto`.

The recordings beside this file were made by it. What runs is the engine's own interpreter; only the Lambda function is
`worker`, which tells from its input when to fail.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from moto.awslambda.models import LambdaFunction

from invalidations_cli.recording import Recording, collect, dump

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent
DEFINITION = FOLDER / "report.asl.json"
REGION = "eu-west-1"
INPUT = {
    "bucket": "my-site",
    "distributions": [{"id": "E1FAST"}, {"id": "E2GONE"}, {"id": "E3BUSY"}],
    "note": "</script><b>news & more</b>",
}
WORKER = '''
def worker(event, _context=None):
    """Fails as its input says: two throttles at first, one distribution gone, one busy, nobody may be told."""
    task, tries = event["task"], event.get("tries", 0)
    if task == "find":
        if tries < 2:
            raise type("Throttled", (Exception,), {})("Rate exceeded")
        return {"count": 3}
    if task == "tell":
        raise type("AccessDenied", (Exception,), {})("User is not authorized to perform: sns:Publish")
    if event["id"] == "E2GONE":
        raise type("NoSuchDistribution", (Exception,), {})("The specified distribution does not exist.")
    if event["id"] == "E3BUSY" and tries < 1:
        raise type("Throttled", (Exception,), {})("Rate exceeded")
    return {"id": event["id"], "status": "Completed" if event["id"] == "E3BUSY" else "InProgress"}
'''
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def run_definition(definition: str, endpoint: str | None = None) -> Recording:
    """Runs the machine to its end on whatever answers for AWS, and reads what happened."""
    session = boto3.Session(aws_access_key_id="123456789012", aws_secret_access_key="none", region_name=REGION)
    role = session.client("iam", endpoint_url=endpoint).create_role(
        RoleName="anything", AssumeRolePolicyDocument=json.dumps(TRUST)
    )["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", WORKER)
    session.client("lambda", endpoint_url=endpoint).create_function(
        FunctionName="worker", Runtime="python3.13", Role=role, Handler="app.worker", Code={"ZipFile": code.getvalue()}
    )
    states = session.client("stepfunctions", endpoint_url=endpoint)
    machine = states.create_state_machine(name="invalidate", definition=definition, roleArn=role)
    execution = states.start_execution(
        stateMachineArn=machine["stateMachineArn"], name="a-run-of-everything", input=json.dumps(INPUT)
    )["executionArn"]
    deadline = time.monotonic() + 60
    while states.describe_execution(executionArn=execution)["status"] == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.1)
    return collect(states, execution)


@contextmanager
def moto_running_workers() -> Iterator[None]:
    """moto, interpreting executions, with Lambda functions that run here instead of in a container."""
    names: dict[str, Any] = {}
    exec(WORKER, names)  # noqa: S102 - the text above, which ministack gets as a file

    def invoke(_function: LambdaFunction, event: str | dict[str, Any]) -> tuple[str, bool, str]:
        try:
            return json.dumps(names["worker"](json.loads(event) if isinstance(event, str) else event)), False, ""
        except Exception as error:  # noqa: BLE001 - Lambda reports whatever a function raises
            return json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)}), True, ""

    with pytest.MonkeyPatch.context() as patch, mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        patch.setattr(LambdaFunction, "_invoke_lambda", invoke)
        yield


def on_moto() -> Recording:
    with moto_running_workers():
        return run_definition(DEFINITION.read_text(encoding="utf-8"))


def on_ministack(port: int = 14599) -> Recording:
    """Ministack without the patches of the local AWS: it calls whatever a function raises a HandlerError."""
    definition = re.sub(
        '"(Throttled|NoSuchDistribution|AccessDenied)"', '"Runtime.HandlerError"', DEFINITION.read_text()
    )
    own = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1"}
    off = {"SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0"}
    server = subprocess.Popen(
        [sys.executable, "-m", "ministack"],
        env={"PATH": os.environ["PATH"], **own, **off},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(5)
        return run_definition(definition, f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    engine = sys.argv[1]
    recorded = {"moto": on_moto, "ministack": on_ministack}[engine]()
    (FOLDER / f"{engine}.json").write_text(dump(recorded), encoding="utf-8")
