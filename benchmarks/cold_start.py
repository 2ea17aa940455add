"""How long a handler takes to be ready in a fresh process, beside the least that any handler with its clients takes.

The deployment package is unpacked as Lambda does it, and imported by an interpreter that has boto3 and nothing else.
The least is ``import boto3`` and the very clients that the handler makes. Processor time, one right after the other,
median of the ratios of many rounds, every other of them in the opposite order: other work on the machine slows both,
and what comes second in a busy second is not always the same one.

`make build` puts bytecode beside the sources. What `sam build` alone makes is measured as well: Lambda's disk is
read-only, so that each cold start compiles such sources again.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.cloud.functions import LOADED
from benchmarks.verdicts import Verdict, at_most
from invalidations_cli.local.package import LAMBDA_PYTHON, deployment_package, lambda_interpreter
from tests.definition import resources
from tests.statemachine.functions import folder_of

TARGET = 1.25
SOURCES = 3
"""Rounds in which the sources alone are measured as well: nothing is judged by them."""
FUNCTIONS = sorted(resources("AWS::Serverless::Function"), key=lambda name: (name != "JoinBatchFunction", name))
"""Join Batch first: it runs for every change."""
PRINT_TIME = "import time; print(time.process_time() - begun)"
ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "POWERTOOLS_SERVICE_NAME": "stack",
    "POWERTOOLS_METRICS_NAMESPACE": "CloudFrontAutoInvalidation",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One handler: processor seconds for the bare clients, and ratios to them."""

    function: str
    clients: tuple[str, ...]
    bare: float
    packaged: float
    sources: float

    @property
    def init(self) -> float:
        """Processor seconds of the handler as it is packaged."""
        return self.bare * self.packaged


@dataclass(frozen=True, slots=True)
class Package:
    """Bytes of the deployment package."""

    zipped: int
    unzipped: int
    own: int
    """What of the latter is this project's."""


def run(*, rounds: int, functions: int | None = None) -> list[Row]:
    """The first functions of the template, in the order of the workflow; all without a number."""
    interpreter = lambda_interpreter()
    with tempfile.TemporaryDirectory(prefix="cold-start-") as folder:
        packaged, sources = Path(folder, "packaged"), Path(folder, "sources")
        with zipfile.ZipFile(deployment_package()) as archive:
            archive.extractall(packaged)
            archive.extractall(sources, [name for name in archive.namelist() if not name.endswith(".pyc")])
        chosen = FUNCTIONS[:functions]
        ratios = {function: _Times([], [], []) for function in chosen}
        for number in range(rounds):
            for function in chosen:
                _measure(function, interpreter, packaged, sources if number < SOURCES else None, ratios[function])
    return [_row(function, ratios[function]) for function in chosen]


class _Times(NamedTuple):
    """Processor seconds of the bare clients, and ratios to them."""

    bare: list[float]
    packaged: list[float]
    sources: list[float]


def package() -> Package:
    with zipfile.ZipFile(deployment_package()) as archive:
        sizes = {each.filename: each.file_size for each in archive.infolist()}
    ours = tuple(f"{folder_of(function)}/" for function in FUNCTIONS)
    own = sum(size for name, size in sizes.items() if name.startswith((*ours, "invalidation/")))
    return Package(deployment_package().stat().st_size, sum(sizes.values()), own)


def verdicts(rows: list[Row], python: str) -> list[Verdict]:
    """None where they were measured on another Python than Lambda's: the target is about that one."""
    if not python.startswith(LAMBDA_PYTHON.removeprefix("python")):
        return []
    worst, function = max((row.packaged, row.function) for row in rows)
    return [at_most(f"cold start of each handler, Python {python} (worst: {function})", worst, TARGET, "{:.2f}")]


def _measure(function: str, interpreter: Path, packaged: Path, sources: Path | None, times: _Times) -> None:
    """Once each: the bare clients, the handler as it is packaged, and its sources alone where these are wanted."""
    bare = "import boto3\n" + "\n".join(f"boto3.client({each!r})" for each in clients_of(function))
    handler = f"import {folder_of(function)}.app"
    programs = {"bare": (packaged, bare), "packaged": (packaged, handler)}
    if sources:
        programs["sources"] = (sources, handler)
    turned = len(times.bare) % 2 == 1
    order = reversed(programs.items()) if turned else programs.items()
    found = {name: _seconds(interpreter, path, code) for name, (path, code) in order}
    times.bare.append(found["bare"])
    times.packaged.append(found["packaged"] / found["bare"])
    if sources:
        times.sources.append(found["sources"] / found["bare"])


def _row(function: str, times: _Times) -> Row:
    return Row(function, clients_of(function), median(times.bare), median(times.packaged), median(times.sources))


def _seconds(interpreter: Path, package: Path, code: str) -> float:
    program = f"import time; begun = time.process_time()\n{code}\n{PRINT_TIME}"
    command = [str(interpreter), "-c", program]
    variables = {**ENVIRONMENT, "PYTHONPATH": str(package), "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=variables, check=True, capture_output=True, text=True)  # noqa: S603 - made above
    return float(done.stdout)


@cache
def clients_of(function: str) -> tuple[str, ...]:
    """The services that a handler's module makes clients for."""
    made = LOADED().switch.made
    made.clear()
    LOADED().load(function)
    return tuple(dict.fromkeys(made))
