"""The GitHub Action: its steps are run as the runner runs them, against a local AWS."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from invalidations_cli.job_summary import HEADLINES
from invalidations_cli.local.environment import LocalEnvironment
from tests.definition import ROOT

pytestmark = pytest.mark.local

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
INSTALL, RUN = ACTION["runs"]["steps"]
SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
"""What `shell: bash` means (GitHub Docs, "Workflow syntax for GitHub Actions", jobs.<job_id>.steps[*].shell)."""
IN_THE_PACKAGE = ("pyproject.toml", "README.md", "LICENSE", "functions", "invalidations_cli")


@dataclass(frozen=True)
class Ended:
    exit_code: int
    summary: str
    outputs: Mapping[str, str]
    log: str


class Runner:
    """A runner's folders and variables, in which the action has been installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        action = folder / "action"
        action.mkdir()
        for name in IN_THE_PACKAGE:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, action / name)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AWS_", "GITHUB_"))}
        self.variables = kept | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(folder),
            "GITHUB_ACTION_PATH": str(action),
        }
        installed = self.step(INSTALL, {})
        assert installed.returncode == 0, installed.stderr

    def step(self, step: Mapping[str, Any], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        script = self.folder / "script.sh"
        script.write_text(step["run"], "utf-8")
        assert step["shell"] == "bash"
        return subprocess.run(
            [*SHELL, str(script)],
            cwd=self.folder,
            env=self.variables | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )

    def run(self, aws: dict[str, str], **inputs: str) -> Ended:
        assert set(inputs) <= set(ACTION["inputs"])
        given = {name: inputs.get(name, each["default"]) for name, each in ACTION["inputs"].items()}
        variables = {
            name: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: given[found[1]], value)
            for name, value in RUN["env"].items()
        }
        summary, outputs = self.folder / "summary.md", self.folder / "outputs"
        for each in (summary, outputs):
            each.write_text("")
        files = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(outputs)}
        ran = self.step(RUN, {**variables, **files, **aws})
        told = dict(line.split("=", 1) for line in outputs.read_text("utf-8").splitlines())
        return Ended(ran.returncode, summary.read_text("utf-8"), told, ran.stdout + ran.stderr)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(tmp_path_factory.mktemp("runner"))


@pytest.fixture
def aws(local: LocalEnvironment) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": local.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def test_no_input_is_written_into_a_script() -> None:
    assert all("${{" not in step["run"] for step in ACTION["runs"]["steps"])
    used = {each for value in RUN["env"].values() for each in re.findall(r"inputs\.([a-z-]+)", value)}
    assert used == set(ACTION["inputs"])


def test_the_page_on_pipelines_names_every_input_output_and_result() -> None:
    page = (ROOT / "docs" / "pipelines.md").read_text("utf-8")
    assert [name for name in (*ACTION["inputs"], *ACTION["outputs"], *HEADLINES) if f"`{name}`" not in page] == []
    examples = re.findall(r"^```yaml\n(.+?)^```", page, re.MULTILINE | re.DOTALL)
    github, *_others = [yaml.safe_load(each) for each in examples]
    (used,) = [each for each in github["jobs"]["deploy"]["steps"] if each.get("id") == "fresh"]
    assert set(used["with"]) <= set(ACTION["inputs"])


def test_every_output_is_one_that_the_step_writes(runner: Runner, aws: dict[str, str]) -> None:
    ended = runner.run(aws | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, command="doctor")
    assert (ended.exit_code, ended.outputs["result"]) == (4, "not-asked")
    assert {f"${{{{ steps.run.outputs.{name} }}}}" for name in ended.outputs} == {
        each["value"] for each in ACTION["outputs"].values()
    }
    assert set(ended.outputs) == set(ACTION["outputs"])
    assert "AWS could not be asked" in ended.summary


def test_a_deploy_waits_and_its_summary_says_what_was_invalidated(
    runner: Runner, local: LocalEnvironment, aws: dict[str, str]
) -> None:
    local.aws.client("s3").put_object(Bucket=local.bucket, Key="from-a-pipeline.html", Body=b"new")
    ended = runner.run(aws, bucket=local.bucket, timeout="100")
    assert (ended.exit_code, ended.outputs["result"]) == (0, "fresh"), ended.log
    assert ended.outputs["invalidations"]
    assert ended.outputs["executions"].startswith("arn:aws:states:")
    assert float(ended.outputs["max-dollars"]) >= 0.005
    assert r"/from\-a\-pipeline\.html" in ended.summary
    assert "https://us-east-1.console.aws.amazon.com/states/home" in ended.summary


def test_a_request_sends_the_keys_or_the_paths_one_a_line(
    runner: Runner, local: LocalEnvironment, aws: dict[str, str]
) -> None:
    for inputs in (
        {"bucket": local.bucket, "keys": "a b.html\n\n$(touch owned).html\n"},
        {"distribution": local.distribution_id, "paths": "/a\n/b"},
    ):
        ended = runner.run(aws, command="request", **inputs)
        assert ended.exit_code == 0, ended.log
        (execution,) = json.loads(ended.outputs["json"])["executions"]
        assert execution["outcome"]["changes"] == 2
        assert ended.outputs["invalidations"] in ended.summary


@pytest.mark.parametrize("name", ["bucket", "stack", "timeout", "command"])
def test_an_input_cannot_be_a_command_or_an_option(runner: Runner, aws: dict[str, str], name: str) -> None:
    evil = f"--help'\"; touch {runner.folder}/owned; $(touch {runner.folder}/owned) `touch {runner.folder}/owned`"
    ended = runner.run(aws, **{"bucket": "x", "timeout": "0", name: evil})
    assert ended.exit_code in {2, 4}, ended.log
    assert not (runner.folder / "owned").exists()
    assert "Usage: invalidations wait [OPTIONS]" not in (runner.folder / "invalidations.json").read_text()
