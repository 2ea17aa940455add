"""The command line as a user installs it: from a wheel, into an empty environment, without a checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from invalidations_cli.local.environment import LocalEnvironment
from tests.definition import ROOT

pytestmark = pytest.mark.local

PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    subprocess.run([sys.executable, *PIP, "wheel", *options, str(ROOT)], check=True, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `invalidations` of an empty environment in which nothing but the wheel was asked for."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([folder / "bin" / "python", *PIP, "install", str(wheel)], check=True, cwd=folder)
    return folder / "bin" / "invalidations"


def run(command: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AWS_"))}
    return subprocess.run(
        [command, *arguments],
        cwd=command.parent,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_wheel_holds_every_module_of_the_command_line_and_no_other_top_level_name(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    roots = {"invalidations_cli": ROOT / "invalidations_cli", "invalidation": ROOT / "functions" / "invalidation"}
    modules = {f"{name}/{path.relative_to(root)}" for name, root in roots.items() for path in root.rglob("*.py")}
    assert modules <= names
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == set(roots)
    assert "invalidations_cli/report/page/index.html" in names


def test_the_installed_command_tells_its_version_and_its_commands(command: Path) -> None:
    version = run(command, "--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert "invalidations, version" in version.stdout
    assert "wait" in run(command, "--help").stdout


def test_the_local_aws_without_its_extra_says_how_to_get_what_it_needs(command: Path) -> None:
    asked = run(command, "local", "demo")
    assert asked.returncode == 1
    assert "Traceback" not in asked.stderr
    assert "make demo" in asked.stderr
    assert "[local]" in asked.stderr


def test_a_pipeline_waits_with_the_installed_command_for_an_aws_of_another_process(
    local: LocalEnvironment, command: Path
) -> None:
    local.aws.client("s3").put_object(Bucket=local.bucket, Key="installed.html", Body=b"new")
    waited = run(
        command,
        *("wait", "--bucket", local.bucket, "--timeout", "100", "--json"),
        AWS_ENDPOINT_URL=local.endpoint,
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
    )
    assert waited.returncode == 0, waited.stderr
    assert json.loads(waited.stdout.splitlines()[-1])
