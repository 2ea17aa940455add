"""`python -m tools.package`: one program for `make lint` and `make build`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from invalidations_cli.local.package import LAMBDA_PYTHON, lambda_python, python_version
from tests.definition import ROOT
from tests.needs import missing
from tools import package
from tools.package import main


def built(folder: Path) -> Path:
    """As `sam build` leaves it: a folder for each package."""
    (folder / "SharedCode").mkdir(parents=True)
    (folder / "SharedCode" / "app.py").write_text("VALUE = 1\n")
    (folder / "template.yaml").write_text("")
    return folder


def test_bytecode_lies_beside_the_sources_afterwards(tmp_path: Path) -> None:
    if LAMBDA_PYTHON.removeprefix("python") not in python_version(lambda_python()):
        missing(f"{LAMBDA_PYTHON} is not here")
    result = CliRunner().invoke(main, ["bytecode", str(built(tmp_path / "build"))])
    assert (result.exit_code, result.output.endswith(": SharedCode\n")) == (0, True), result.output
    assert [each.name for each in (tmp_path / "build/SharedCode/__pycache__").iterdir()] == ["app.cpython-313.pyc"]


def test_without_lambdas_python_the_sources_stay_alone_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "lambda_python", lambda: sys.executable)
    monkeypatch.setattr(package, "python_version", lambda _python: "Python 3.9.1")
    result = CliRunner().invoke(main, ["bytecode", str(built(tmp_path / "build"))])
    assert (result.exit_code, "sources only" in result.stderr) == (0, True)
    assert not (tmp_path / "build/SharedCode/__pycache__").exists()


def test_it_runs_as_the_makefile_runs_it_and_a_folder_that_is_not_there_is_refused() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "-m tools.package bytecode .aws-sam/build\n" in makefile
    assert "-m tools.package\n" in makefile
    command = [sys.executable, "-m", "tools.package", "bytecode", "no/such/folder"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "does not exist" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["notes.txt is in the package"], 1)])
def test_alone_it_lists_the_contents_and_fails_where_something_is_wrong(
    monkeypatch: pytest.MonkeyPatch, problems: list[str], code: int
) -> None:
    monkeypatch.setattr(package, "deployment_package", lambda: Path("package.zip"))
    monkeypatch.setattr(package, "look", lambda _package: {"lines": ["  12  app.py"], "problems": problems})
    result = CliRunner().invoke(main, [])
    assert (result.exit_code, result.stdout) == (code, "Deployed to Lambda, in bytes:\n  12  app.py\n")
    assert result.stderr.splitlines() == problems
