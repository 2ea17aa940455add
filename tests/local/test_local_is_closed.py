"""The local AWS is closed: to web pages from outside, and to functions from inside."""

import http.client
import json
import os
import shutil
import socket
import subprocess
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from invalidations_cli.local import site
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.up import variables
from tests.local import tools
from tests.local.conftest import Emulators
from tests.local.disturbed import running_executions
from tests.needs import missing

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("emulators")]

FUNCTIONS = "/2015-03-31/functions"
SUBJECTS = ("/", FUNCTIONS, "/_local/clock", "/_ministack/reset", "/a-bucket/a-key")
OF_PAGES = (
    {"Origin": "https://example.com"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:4566"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Host": "example.com"},
    {"Host": "rebound.example.com:4566"},
    {"Host": "127.0.0.1.example.com"},
    {"Host": "nobodys-bucket.s3.us-east-1.amazonaws.com"},
    {"Host": "d111111abcdef8.cloudfront.net"},
    {"Host": "192.0.2.1:4566"},
    {"Host": ""},
)


@pytest.fixture
def aws(emulators: Emulators) -> LocalAws:
    return emulators.patched


@pytest.mark.parametrize("marks", OF_PAGES, ids=lambda marks: " ".join(f"{n}={v}" for n, v in marks.items()))
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_a_request_that_a_web_page_could_have_sent_is_refused_whatever_it_asks_for(
    method: str, marks: dict[str, str], aws: LocalAws
) -> None:
    for path in SUBJECTS:
        status, headers = tools.requested(aws, method, path, b"{}", **marks)
        assert status == 403
        assert not [name for name in headers if name.startswith("access-control-")]


def test_a_request_without_a_host_or_with_two_is_refused(aws: LocalAws) -> None:
    port = urlsplit(aws.endpoint).port
    for hosts in ("", f"Host: 127.0.0.1:{port}\r\nHost: example.com\r\n"):
        with closing(socket.create_connection(("127.0.0.1", port or 0), timeout=tools.TIMEOUT_SECONDS)) as connection:
            connection.sendall(f"GET /_ministack/health HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
            assert connection.recv(100).split()[1] in {b"400", b"403"}


def test_the_hosts_of_this_machine_and_of_its_own_buckets_and_distributions_are_served(aws: LocalAws) -> None:
    bucket = tools.new_name()
    site.create_bucket(aws, bucket)
    distribution = site.create_distribution(aws, bucket)
    aws.client("s3").put_object(Bucket=bucket, Key="a.html", Body=b"here")
    port = urlsplit(aws.endpoint).port
    for host in (distribution.domain_name, distribution.domain_name.upper(), f"{distribution.domain_name}:443"):
        assert tools.requested(aws, "GET", "/a.html", Host=host)[0] == 200
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", "localhost", f"[::1]:{port}", f"{bucket}.localhost:{port}"):
        assert tools.requested(aws, "GET", "/_ministack/health", Host=host)[0] == 200
    for host in (f"{bucket}.s3.us-east-1.amazonaws.com", f"{bucket}.s3.amazonaws.com"):
        assert tools.requested(aws, "GET", "/a.html", Host=host)[0] in {200, 403}
        assert "refuses" not in body_of(aws, "/a.html", host)


def body_of(aws: LocalAws, path: str, host: str) -> str:
    with closing(http.client.HTTPConnection(urlsplit(aws.endpoint).netloc)) as connection:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().read().decode()


ESCAPES = {
    "subprocess.run": "import subprocess; subprocess.run(['true'])",
    "os.system": "import os; os.system('true')",
    "os.popen": "import os; os.popen('true').read()",
    "os.fork": "import os; os.fork() or os._exit(0)",
    "os.execv": "import os; os.execv('/bin/true', ['true'])",
    "os.posix_spawn": "import os; os.posix_spawn('/bin/true', ['true'], {})",
    "os.spawnv": "import os; os.spawnv(os.P_WAIT, '/bin/true', ['true'])",
    "multiprocessing": "import multiprocessing as m; p = m.get_context('spawn').Process(); p.start(); p.join()",
    "fork_exec": "import _posixsubprocess as p; p.fork_exec([b'true'], [b'/bin/true'])",
    "the C library": "import ctypes; ctypes.CDLL('libc.so.6').system(b'true')",
    "its own C library": "import ctypes; ctypes.CDLL(None).system(b'true')",
    "the network": "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
    "a datagram": "import socket; socket.socket(2, 2).sendto(b'x', ('192.0.2.1', 9))",
}


@pytest.mark.parametrize("code", ESCAPES.values(), ids=ESCAPES)
def test_a_function_gets_no_further_than_its_own_process(code: str, aws: LocalAws) -> None:
    source = f"def handler(event, context):\n    {code}\n    return 'escaped'\n"
    failed = tools.call(aws, tools.function(aws, source))
    assert failed != "escaped"
    assert failed["errorType"] in {"PermissionError", "ConnectionRefusedError"}, failed


@pytest.mark.parametrize("runtime", ["nodejs20.x", "provided.al2023", "java21", "ruby3.3"])
def test_a_function_in_another_runtime_than_python_is_refused(runtime: str, aws: LocalAws) -> None:
    lambda_client = aws.client("lambda")
    arn = tools.function(aws, "def handler(event, context):\n    return 1\n")
    with pytest.raises(lambda_client.exceptions.InvalidParameterValueException, match="Python only"):
        lambda_client.update_function_configuration(FunctionName=arn, Runtime=runtime)
    with pytest.raises(lambda_client.exceptions.InvalidParameterValueException, match="Python only"):
        lambda_client.create_function(
            FunctionName=tools.new_name(),
            Runtime=runtime,
            Handler="app.handler",
            Role=tools.role(aws),
            Code={"ZipFile": b"x"},
        )


def test_a_functions_variables_change_neither_its_home_nor_what_python_loads(aws: LocalAws) -> None:
    lies = {"HOME": "/", "TMPDIR": "/", "PATH": "/", "PYTHONPATH": "/var/lies", "LD_PRELOAD": "/var/lies.so"}
    source = """
import os, sys
def handler(event, context):
    return [os.environ[name] for name in ("HOME", "TMPDIR", "PATH", "MINE")], sys.path
"""
    arn = tools.function(aws, source)
    variables = {"Variables": {**lies, "MINE": "kept"}}
    aws.client("lambda").update_function_configuration(FunctionName=arn, Environment=variables)
    (*own, mine), path = tools.call(aws, arn)
    assert "/" not in own
    assert mine == "kept"
    assert "/var/lies" not in path


def test_what_else_would_start_a_program_is_refused_by_the_emulator_itself(aws: LocalAws) -> None:
    bucket, name, glue = tools.new_name(), tools.new_name(), aws.client("glue")
    site.create_bucket(aws, bucket)
    aws.client("s3").put_object(Bucket=bucket, Key="job.py", Body=b"print('ran')")
    command = {"Name": "pythonshell", "ScriptLocation": f"s3://{bucket}/job.py", "PythonVersion": "3"}
    glue.create_job(Name=name, Role=tools.role(aws), Command=command)
    run = glue.start_job_run(JobName=name)["JobRunId"]

    def state() -> Any:
        found = glue.get_job_run(JobName=name, RunId=run)["JobRun"]
        return None if found["JobRunState"] in {"STARTING", "RUNNING"} else json.loads(json.dumps(found, default=str))

    ended = tools.eventually(state)
    assert ended["JobRunState"] == "FAILED"
    assert "no other program" in ended["ErrorMessage"]


def test_the_aws_cli_works_with_what_up_prints(local: LocalEnvironment) -> None:
    program = shutil.which("aws")
    if program is None:
        missing("no AWS CLI on the PATH")
    own = {key: os.environ[key] for key in ("PATH", "HOME", "PYENV_ROOT", "PYENV_VERSION") if key in os.environ}
    printed = dict(pair.split("=", 1) for pair in variables(local.endpoint).replace("export ", "").split())

    def aws(*words: str) -> str:
        command = [program, *words, "--endpoint-url", local.endpoint]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**own, **printed}, check=False, input="hello"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    aws("s3", "cp", "-", f"s3://{local.bucket}/from-the-cli.html")
    assert "from-the-cli.html" in aws("s3", "ls", f"s3://{local.bucket}/")
    assert local.distribution_id in aws("cloudfront", "list-distributions", "--max-items", "100")
    assert local.queue_url in aws("sqs", "list-queues")
    aws("s3", "rm", f"s3://{local.bucket}/from-the-cli.html")
    assert tools.eventually(lambda: not running_executions(local))
