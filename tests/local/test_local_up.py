"""`invalidations local up` as a program: what it prints, what it leaves alone, and what it leaves behind."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from invalidations_cli.local import server
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.up import variables
from tests.local import tools
from tests.local.conftest import Emulators

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("emulators")]

REAL_LOOKING = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "a-real-looking-token",
    "AWS_PROFILE": "production",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_CA_BUNDLE": "/nowhere/ca.pem",
}
"""AWS's own example keys, and settings that would each break or divert a client that reads them."""


@dataclass(slots=True)
class Trap:
    """A server that the caller's environment points to, and that nobody should call."""

    port: int
    callers: list[Any] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.port}"
        proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        return REAL_LOOKING | {"AWS_ENDPOINT_URL": url} | dict.fromkeys(proxies, url)


@pytest.fixture
def trap() -> Iterator[Trap]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caught = Trap(listener.getsockname()[1])

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, address = listener.accept()
                    caught.callers.append(address)
                    connection.close()

        threading.Thread(target=listen, daemon=True).start()
        yield caught
        listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def started(folder: Path, *options: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a person starts it; `folder` is where it puts its temporary files."""
    process = subprocess.Popen(
        [sys.executable, "-m", "invalidations_cli.main", "local", "up", *options],
        cwd=server.ROOT,
        env=os.environ | {"TMPDIR": str(folder)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=tools.heeds_ctrl_c,  # noqa: PLW1509 - no thread of ours holds a lock that it takes
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def everything_in(process_ids: list[int]) -> str:
    """The environments of these processes, as one text."""
    return "".join(Path(f"/proc/{pid}/environ").read_text(errors="replace") for pid in process_ids)


def members_of_group(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(entry.name)) == leader:
                found.append(int(entry.name))
    return found


def test_with_real_credentials_proxies_and_endpoint_around_it_up_works_beside_another_and_uses_none_of_them(
    tmp_path: Path, trap: Trap, emulators: Emulators
) -> None:
    with started(tmp_path, "--json", **trap.environment()) as process:
        assert process.stdout is not None
        there = json.loads(process.stdout.readline())
        assert there["endpoint"] != emulators.patched.endpoint
        client = boto3.client(
            "s3",
            endpoint_url=there["endpoint"],
            region_name=there["region"],
            aws_access_key_id=there["accessKeyId"],
            aws_secret_access_key=there["secretAccessKey"],
            config=Config(proxies={}),
        )
        client.put_object(Bucket=there["bucket"], Key="index.html", Body=b"hello")
        client.close()
        aws = LocalAws(there["endpoint"])
        (execution,) = tools.eventually(lambda: tools.executions(aws, there["stateMachineArn"]))
        tools.eventually(lambda: len(tools.states_entered(aws, execution["executionArn"])) > 1)
        processes = members_of_group(there["pid"])
        assert len(processes) > 1, "a Lambda worker was to be looked at too"
        inside = everything_in(processes)
        assert not [value for value in trap.environment().values() if value != "true" and value in inside]
        assert trap.callers == []
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=tools.TIMEOUT_SECONDS)
        assert (process.returncode, rest[0]) == (0, ""), rest
    assert tools.eventually(lambda: not any(is_alive(pid) for pid in processes))
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_named_and_what_to_do_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(tmp_path, "--port", str(port)) as process:
            _out, err = process.communicate(timeout=tools.TIMEOUT_SECONDS)
    assert process.returncode == 1
    assert f"Port {port} is taken. Choose another with --port" in err
    assert "Traceback" not in err


def test_two_that_are_started_at_once_both_start_and_say_why_a_port_is_not_the_usual_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody else's is as good
            taken.bind(("127.0.0.1", server.USUAL_PORT))
            taken.listen()
        with started(tmp_path) as one, started(tmp_path) as other:
            printed = [first_lines(process) for process in (one, other)]
            for process in (one, other):
                process.send_signal(signal.SIGTERM)
            told = [process.communicate(timeout=tools.TIMEOUT_SECONDS)[1] for process in (one, other)]
            assert [one.returncode, other.returncode] == [0, 0], told
    ports = [re.findall(r"AWS_ENDPOINT_URL=http://127.0.0.1:(\d+)", text)[0] for text in printed]
    assert len({*ports, str(server.USUAL_PORT)}) == 3
    for port, text, said in zip(ports, printed, told, strict=True):
        assert f"Port {server.USUAL_PORT} is taken, perhaps by another local AWS: this one is at {port}." in said
        assert f"aws sqs receive-message --endpoint-url http://127.0.0.1:{port} " in text


def first_lines(process: subprocess.Popen[str]) -> str:
    """What it prints until it is ready."""
    assert process.stdout is not None
    return "".join(iter(process.stdout.readline, "Ctrl-C ends it.\n"))


def test_the_readme_says_the_same_variables_as_the_command() -> None:
    assert f"\n{variables(f'http://127.0.0.1:{server.USUAL_PORT}')}\n" in (server.ROOT / "README.md").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_while_it_starts_it_leaves_neither_a_process_nor_a_file(tmp_path: Path, number: int) -> None:
    with started(tmp_path, "--port", str(server.free_port())) as process:
        assert tools.eventually(lambda: list(tmp_path.glob("local-aws-*/emulator.log")))
        process.send_signal(number)
        _out, err = process.communicate(timeout=tools.TIMEOUT_SECONDS)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_an_emulator_that_ends_by_itself_is_told_of(tmp_path: Path) -> None:
    with started(tmp_path, "--json", "--port", str(server.free_port())) as process:
        assert process.stdout is not None
        os.kill(json.loads(process.stdout.readline())["pid"], signal.SIGKILL)
        _out, err = process.communicate(timeout=tools.TIMEOUT_SECONDS)
    assert process.returncode == 1
    assert "The emulator ended by itself; start it again." in err
