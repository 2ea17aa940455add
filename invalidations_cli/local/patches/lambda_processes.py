"""A function's process has an environment and folders of its own, and starts none.

ministack hands its own environment on, lets a function's variables replace what Python is started with, and runs other
runtimes and Glue jobs, none of which the loopback guard would see. Here the emulator starts Python functions, isolated
(Python documentation, "Command line and environment", -I), and no other program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ministack.core.lambda_runtime as runtime
import ministack.services.lambda_svc as service
from ministack.core.responses import error_response_json

from invalidations_cli.local.patches import PatchDoesNotFit, seam
from invalidations_cli.local.settings import LocalSettings

KEPT = frozenset(
    {
        "PATH",
        "SYSTEMROOT",
        "LANG",
        "TZ",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_EC2_METADATA_DISABLED",
    }
)
"""What a function gets of the emulator's environment, and may not set otherwise."""
OF_THE_LOADER = ("LD_", "DYLD_", "PYTHON")
TAKES_VARIABLES = "    os.environ.update(env)\n"
TAKES_OTHER_VARIABLES = (
    '    os.environ.update({name: env[name] for name in env if name not in {"HOME", "TMPDIR", "PATH"}})\n'
)
ISOLATED, SCRIPT = "-I", "_worker.py"


class FunctionProcess(subprocess.Popen[str]):
    """A Lambda worker, started as `subprocess.Popen` is called by ministack."""

    def __init__(self, command: list[str], env: dict[str, str], **named: Any) -> None:
        home = Path(command[-1]).parent
        temporary = home / "tmp"
        temporary.mkdir(exist_ok=True)
        own = {"HOME": str(home), "TMPDIR": str(temporary)}
        super().__init__([command[0], ISOLATED, *command[1:]], env=of_the_function(env) | own, **named)


def of_the_function(variables: dict[str, str]) -> dict[str, str]:
    """The variables without the emulator's, and without those that change how programs are loaded."""
    own = {name: value for name, value in variables.items() if os.environ.get(name) != value}
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {name: value for name, value in own.items() if not name.startswith(OF_THE_LOADER)} | kept


def apply(settings: LocalSettings) -> None:
    seam(runtime.Worker, "_spawn", "c55febf95656")
    runtime.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": FunctionProcess})
    if runtime._PYTHON_WORKER_SCRIPT.count(TAKES_VARIABLES) != 1:
        raise PatchDoesNotFit(
            "The worker script of ministack takes variables otherwise than lambda_processes.py expects."
        )
    runtime._PYTHON_WORKER_SCRIPT = runtime._PYTHON_WORKER_SCRIPT.replace(TAKES_VARIABLES, TAKES_OTHER_VARIABLES)
    python = settings.lambda_python or sys.executable

    def refuse_other_programs(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            command = list(arguments[1])
            if len(command) == 3 and command[:2] == [python, ISOLATED] and str(command[2]).endswith(SCRIPT):
                return
        elif event not in {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}:
            return
        raise PermissionError("The local AWS starts Python functions and no other program.")

    sys.addaudithook(refuse_other_programs)
    refuse_other_runtimes()


def refuse_other_runtimes() -> None:
    create = seam(service, "_create_function", "e307eecdf0d8")
    update = seam(service, "_update_config", "6999cb0695da")

    def create_in_python(data: dict[str, Any]) -> Any:
        if data.get("PackageType", "Zip") != "Zip" or not str(data.get("Runtime")).startswith("python"):
            return refusal()
        return create(data)

    def update_in_python(name: str, data: dict[str, Any]) -> Any:
        return update(name, data) if str(data.get("Runtime", "python")).startswith("python") else refusal()

    service._create_function = create_in_python
    service._update_config = update_in_python


def refusal() -> Any:
    text = "The local AWS runs functions from zip packages in Python only, because it keeps those on this machine."
    return error_response_json("InvalidParameterValueException", text, 400)
