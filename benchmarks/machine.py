"""On what the numbers were measured."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from invalidations_cli.local.package import lambda_interpreter

PACKAGES = ("boto3", "botocore", "aws-lambda-powertools", "ministack", "moto")


def described() -> list[tuple[str, str]]:
    """Names and values, for the results."""
    return [
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("load when begun", ", ".join(f"{load:.1f}" for load in os.getloadavg())),
        ("system", f"{platform.system()} on {platform.machine()}"),
        ("Python", platform.python_version()),
        ("Python of the cold starts", lambda_python()),
        *((name, version(name)) for name in PACKAGES),
    ]


def lambda_python() -> str:
    """The version of the interpreter that stands for Lambda's."""
    return _answer([str(lambda_interpreter()), "--version"])


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _answer(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]  # noqa: S603 - ours
