"""Starts and stops the emulator. A child process on loopback with an environment, a directory and a life of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from invalidations_cli.local.settings import ACCOUNT, DIRECTORY_PREFIX, REGION, LocalSettings

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
USUAL_PORT = 4566
LOG = "emulator.log"
SECONDS_TO_START = 60.0
BACKLOG = 100
INHERITED = ("PATH", "SYSTEMROOT")
"""All that the emulator, and so the handlers, get of the caller's environment."""


class EmulatorProblem(Exception):
    """The emulator did not start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class EmulatorProcess:
    endpoint: str
    process: subprocess.Popen[bytes]
    directory: Path

    @property
    def port(self) -> int:
        return int(self.endpoint.rpartition(":")[2])

    @property
    def log(self) -> Path:
        return self.directory / LOG

    def wait(self) -> None:
        """Wait until the emulator ends, which it should not do by itself: raises EmulatorProblem then."""
        self.process.wait()
        raise EmulatorProblem(
            f"The emulator ended by itself; start it again. The end of what it wrote:\n{tail(self.log)}"
        )


@contextlib.contextmanager
def running(settings: LocalSettings, port: int | None = None) -> Iterator[EmulatorProcess]:
    """The emulator, ready to be used, on `port` or on a free one. Ended, with all that it wrote, on the way out.

    Raises EmulatorProblem when the port is taken, or the emulator does not come up.
    """
    name = uuid.uuid4().hex
    with contextlib.ExitStack() as clean_up:
        listener = clean_up.enter_context(listen(port))
        chosen = int(listener.getsockname()[1])
        directory = Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX))
        clean_up.callback(shutil.rmtree, directory, ignore_errors=True)
        process = start(environment(settings, chosen, directory, name), directory / LOG, listener)
        clean_up.callback(end, process)
        listener.close()
        server = EmulatorProcess(f"http://{HOST}:{chosen}", process, directory)
        wait_until_ready(server, name)
        yield server


def start(variables: dict[str, str], log: Path, listener: socket.socket) -> subprocess.Popen[bytes]:
    """The emulator's process. It also ends when this one does, because its standard input closes then."""
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - this Python, and a number
            [sys.executable, "-m", "invalidations_cli.local.launcher", str(listener.fileno())],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[listener.fileno()],
        )


def listen(wanted: int | None) -> socket.socket:
    """A socket that listens at the wanted port, the usual one, or a free one.

    It is handed to the emulator as it is, so that nobody else can take the port meanwhile. Raises EmulatorProblem when
    the wanted port is taken.
    """
    if wanted is not None:
        try:
            return listen_at(wanted)
        except OSError:
            text = f"Port {wanted} is taken. Choose another with --port, or leave --port out."
            raise EmulatorProblem(text) from None
    try:
        return listen_at(USUAL_PORT)
    except OSError:
        return listen_at(0)


def listen_at(port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def environment(settings: LocalSettings, port: int, directory: Path, name: str) -> dict[str, str]:
    """The whole environment of the emulator; its handlers inherit it."""
    return {key: os.environ[key] for key in INHERITED if key in os.environ} | {
        "LOCAL_AWS_SETTINGS": settings.to_json(),
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "AUTH": "true",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "MINISTACK_EDITION": name,
        "LOG_LEVEL": "WARNING",
        "SFN_WAIT_SCALE": str(settings.wait_scale),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{directory}/no-docker.sock",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def wait_until_ready(server: EmulatorProcess, name: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise EmulatorProblem(
                f"The emulator ended before it was ready. The end of what it wrote:\n{tail(server.log)}"
            )
        if answers(server.endpoint, name):
            return
        time.sleep(0.05)
    raise EmulatorProblem(f"The emulator was not ready after {SECONDS_TO_START:g} s. It wrote:\n{tail(server.log)}")


def answers(endpoint: str, name: str) -> bool:
    """Whether this very emulator, and not another program on its port, is ready."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{endpoint}/_ministack/health", timeout=2) as response:
            return bool(json.load(response).get("edition") == name)
    except (OSError, ValueError, urllib.error.URLError):
        return False


def tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the emulator and the Lambda workers, which are the process group that it leads. There is nothing to save."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
