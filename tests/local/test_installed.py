"""The command as pipelines install it: by the GitHub Action's steps, into an empty environment, without a checkout.

Its dependencies are the oldest that the package declares; all other tests run with the newest.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from invalidations_cli.job_summary import HEADLINES
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.package import lambda_python
from invalidations_cli.main import COMMANDS
from tests.definition import ROOT

pytestmark = pytest.mark.local

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
INSTALL, RUN = ACTION["runs"]["steps"]
SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
"""What `shell: bash` means (GitHub Docs, "Workflow syntax for GitHub Actions", jobs.<job_id>.steps[*].shell)."""
ALL_HELP = """
from click.testing import CliRunner
from invalidations_cli.main import COMMANDS, main
for name in COMMANDS:
    print(CliRunner().invoke(main, [name, "--help"], prog_name="invalidations", catch_exceptions=False).output)
"""
IN_THE_PACKAGE = ("pyproject.toml", "README.md", "LICENSE", "functions", "invalidations_cli")


@dataclass(frozen=True)
class Ended:
    exit_code: int
    summary: str
    outputs: Mapping[str, str]
    log: str


def oldest_dependencies() -> list[str]:
    """`click == 8.4` for `click >= 8.4`, and so on."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    return [each.replace(">=", "==") for each in declared]


def home_of(python: str) -> Path:
    """The folder of an interpreter itself, which a name on PATH may only lead to."""
    asked = subprocess.run([python, "-c", "import sys; print(sys.executable)"], capture_output=True, check=True)
    return Path(os.fsdecode(asked.stdout.strip())).parent


class Runner:
    """A runner's folders and variables, in which the action has been installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        action = folder / "action"
        action.mkdir()
        for name in IN_THE_PACKAGE:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, action / name)
        oldest = folder / "oldest.txt"
        oldest.write_text("".join(f"{each}\n" for each in oldest_dependencies()))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AWS_", "GITHUB_"))}
        self.variables = kept | {
            "PATH": f"{home_of(lambda_python())}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(folder),
            "GITHUB_ACTION_PATH": str(action),
            "PIP_CONSTRAINT": str(oldest),
            "PIP_COMPILE": "0",
        }
        installed = self.step(INSTALL, {})
        assert installed.returncode == 0, installed.stderr

    def step(self, step: Mapping[str, Any], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        assert step["shell"] == "bash"
        return self.bash(step["run"], variables)

    def bash(self, text: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        script = self.folder / "script.sh"
        script.write_text(text, "utf-8")
        return subprocess.run(
            [*SHELL, str(script)],
            cwd=self.folder,
            env=self.variables | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The installed `invalidations`, as in a terminal."""
        return self.bash(shlex.join([str(self.environment / "bin" / "invalidations"), *words]), {})

    @property
    def environment(self) -> Path:
        """Where the action's first step has installed the command."""
        return self.folder / "invalidations"

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


def test_the_package_holds_every_module_of_the_command_line_and_no_other_top_level_name(runner: Runner) -> None:
    (record,) = runner.environment.glob("lib/*/site-packages/cloudfront_auto_invalidation-*.dist-info/RECORD")
    names = {line.split(",")[0] for line in record.read_text("utf-8").splitlines()}
    roots = {"invalidations_cli": ROOT / "invalidations_cli", "invalidation": ROOT / "functions" / "invalidation"}
    modules = {f"{name}/{path.relative_to(root)}" for name, root in roots.items() for path in root.rglob("*.py")}
    assert modules <= names
    tops = {name.split("/")[0] for name in names if "dist-info" not in name}
    assert tops == {*roots, ".."}, "beside them only the script"
    assert "invalidations_cli/report/page/index.html" in names


def test_every_command_runs_with_the_oldest_dependencies_that_are_declared(runner: Runner) -> None:
    version = runner.command("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert "invalidations, version" in version.stdout
    helped = runner.bash(f"{shlex.quote(str(runner.environment / 'bin' / 'python'))} -c {shlex.quote(ALL_HELP)}", {})
    assert [name for name in COMMANDS if f"Usage: invalidations {name} " not in helped.stdout] == [], helped.stderr
    slip = runner.command("wiat")
    assert (slip.returncode, "Traceback" in slip.stderr) == (2, False)
    assert "Did you mean one of: 'wait', 'watch'?" in slip.stderr


def test_the_local_aws_without_its_extra_says_how_to_get_what_it_needs(runner: Runner) -> None:
    asked = runner.command("local", "demo")
    assert asked.returncode == 1
    assert "Traceback" not in asked.stderr
    assert "make demo" in asked.stderr
    assert "--editable '.[local]'" in asked.stderr, "no index has it under its own name"


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


def test_gitlabs_script_waits_and_writes_the_summary(
    runner: Runner, local: LocalEnvironment, aws: dict[str, str]
) -> None:
    page = (ROOT / "docs" / "pipelines.md").read_text("utf-8")
    blocks = [yaml.safe_load(each) for each in re.findall(r"^```yaml\n(.+?)^```", page, re.MULTILINE | re.DOTALL)]
    (script,) = [each["deploy"]["script"] for each in blocks if "script" in each.get("deploy", ())]
    own = "\n".join(line for line in script if not line.startswith("aws ")).replace("my-site", local.bucket)
    assert "--timeout 300" in own
    path = {"PATH": f"{runner.environment / 'bin'}:{runner.variables['PATH']}"}
    for seconds, code, result in ((1, 0, "No change arrived, and none was left"), (-1, 2, "Wrong usage")):
        ran = runner.bash(own.replace("--timeout 300", f"--timeout 300 --quiet={seconds}"), {**aws, **path})
        assert ran.returncode == code, ran.stderr
        told = (runner.folder / "invalidations.md").read_text("utf-8").replace("\\", "")
        assert told.startswith(f"### {result}")


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
    assert ended.outputs["exit-code"] == str(ended.exit_code)
    assert not (runner.folder / "owned").exists()
    assert "Usage: invalidations wait [OPTIONS]" not in (runner.folder / "invalidations.json").read_text()
