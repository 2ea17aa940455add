"""The README's own way to deploy, `make build` and `sam deploy`, with the real SAM CLI, into the local AWS."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.server import ROOT
from tests.local.tools import ended
from tests.needs import missing
from tools.package import bytecode
from tools.release import release

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]

SAM = ROOT / ".build" / "sam" / "bin" / "sam"
PYTHON = "python3.13"
BUCKET = "deployed-with-sam"


def _environment(endpoint: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        **{name: value for name, value in os.environ.items() if name.startswith(("PIP_", "PYENV_", "SSL_"))},
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SAM_CLI_TELEMETRY": "0",
        "NO_PROXY": "127.0.0.1",
    }


@pytest.fixture
def environment(local: LocalEnvironment) -> dict[str, str]:
    environment = _environment(local.aws.endpoint)
    if not SAM.exists():
        pytest.fail("the SAM CLI is not set up: `make test` does it")
    found = shutil.which(PYTHON)
    if not found or subprocess.run([found, "-V"], capture_output=True, env=environment, check=False).returncode:
        missing(f"`sam build` needs {PYTHON} on the PATH, for the runtime of the functions")
    return environment


def test_sam_builds_and_deploys_the_template_and_the_stack_works(
    local: LocalEnvironment, environment: dict[str, str], tmp_path: Path
) -> None:
    local.aws.client("s3").create_bucket(Bucket=BUCKET)
    _sam(["build", "--build-dir", str(tmp_path / "build"), "--cache-dir", str(tmp_path / "cache")], environment)
    compiled = CliRunner().invoke(bytecode, [str(tmp_path / "build")])
    assert (compiled.exit_code, compiled.output.startswith("Compiled for Python 3.13.")) == (0, True), compiled.output
    _sam(
        [
            *("deploy", "--config-file", str(ROOT / "samconfig.toml")),
            *("--template-file", str(tmp_path / "build" / "template.yaml"), "--stack-name", "by-sam"),
            *("--parameter-overrides", f"BucketNames={BUCKET} BatchWindowSeconds=2"),
            *("--region", "us-east-1"),
        ],
        environment,
    )

    (stack,) = local.aws.client("cloudformation").describe_stacks(StackName="by-sam")["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    answer = local.aws.client("stepfunctions").start_execution(
        stateMachineArn=outputs["StateMachineArn"], input=f'{{"bucket": "{BUCKET}", "keys": ["index.html"]}}'
    )
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert "invalidation/__pycache__/observability.cpython-313.pyc" in uploaded(local)
    assert ended(local.aws, answer["executionArn"], seconds=60)["status"] == "SUCCEEDED"


def test_a_release_is_deployed_without_a_build_and_the_stack_works(
    local: LocalEnvironment, environment: dict[str, str], tmp_path: Path
) -> None:
    bucket, folder = "deployed-from-a-release", tmp_path / "dist"
    local.aws.client("s3").create_bucket(Bucket=bucket)
    files = {each.name for each in release(folder)}
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    assert files - {each for each in files if each.endswith(".whl")} == {
        *(
            "LICENSE",
            "README.md",
            "SHA256SUMS",
            "functions.zip",
            "invalidation.asl.json",
            "samconfig.toml",
            "template.yaml",
        )
    }
    shown, *_ = (folder / "README.md").read_text().splitlines()
    command = shown.partition("`sam ")[2].strip("`").replace("my-site", bucket).split()
    _sam([*command, "--stack-name", "by-release"], environment, folder)
    (stack,) = local.aws.client("cloudformation").describe_stacks(StackName="by-release")["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    answer = local.aws.client("stepfunctions").start_execution(
        stateMachineArn=outputs["StateMachineArn"], input=f'{{"bucket": "{bucket}", "keys": ["index.html"]}}'
    )
    assert ended(local.aws, answer["executionArn"], seconds=60)["status"] == "SUCCEEDED"


def test_a_deploy_without_a_build_fails_at_once_and_says_what_is_missing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    shutil.copyfile(ROOT / "samconfig.toml", tmp_path / "samconfig.toml")
    shutil.copyfile(ROOT / "template.yaml", tmp_path / "template.yaml")
    ran = _run(["deploy", "--parameter-overrides", "BucketNames=my-site"], environment, tmp_path)
    assert ran.returncode != 0
    assert ".aws-sam/build/template.yaml" in ran.stderr
    assert "Traceback" not in ran.stderr


def uploaded(local: LocalEnvironment) -> set[str]:
    """The files of the packages that the SAM CLI has put into its own bucket."""
    s3 = local.aws.client("s3")
    (bucket,) = [each["Name"] for each in s3.list_buckets()["Buckets"] if each["Name"].startswith("aws-sam-cli-")]
    bodies = [
        s3.get_object(Bucket=bucket, Key=each["Key"])["Body"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]
    ]
    packages = [BytesIO(body.read()) for body in bodies]
    return {name for each in packages if zipfile.is_zipfile(each) for name in zipfile.ZipFile(each).namelist()}


def _sam(arguments: list[str], environment: dict[str, str], folder: Path = ROOT) -> None:
    ran = _run(arguments, environment, folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _run(arguments: list[str], environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(SAM), *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
