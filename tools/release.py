"""What people deploy without a build: `make release` writes it to `dist/`.

The functions' package is the reproducible zip that the local AWS runs, the template points to it, and the wheel is the
command line. Whoever has them needs the SAM CLI or the AWS CLI, and neither Python 3.13 nor a checkout.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import click

from invalidations_cli.local.package import LAMBDA_PYTHON, BuildProblem, deployment_package, lambda_python, run
from invalidations_cli.local.server import ROOT

FUNCTIONS = "functions.zip"
DEFINITION = "invalidation.asl.json"
REPLACED = (
    ("    CodeUri: functions/\n", "", 1),
    # In each function, as `aws cloudformation package` knows nothing of SAM's Globals.
    (
        "    Type: AWS::Serverless::Function\n    Properties:\n",
        f"    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: {FUNCTIONS}\n",
        10,
    ),
    ("DefinitionUri: statemachine/invalidation.asl.json\n", f"DefinitionUri: {DEFINITION}\n", 1),
)
"""Lines of the template, what stands in their place in a release, and how often."""
WHEEL_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "functions/invalidation", "invalidations_cli")
SAMCONFIG = """version = 0.1

[default.deploy.parameters]
stack_name = "cloudfront-auto-invalidation"
template_file = "template.yaml"
capabilities = "CAPABILITY_IAM CAPABILITY_AUTO_EXPAND"
resolve_s3 = true
confirm_changeset = false
fail_on_empty_changeset = false
"""
PAGE = (
    "With the SAM CLI: `sam deploy --parameter-overrides BucketNames=my-site`\n"
    "With the AWS CLI: `aws cloudformation package --template-file template.yaml --s3-bucket my-artifacts "
    "--output-template-file packaged.yaml && aws cloudformation deploy --template-file packaged.yaml "
    "--s3-bucket my-artifacts --stack-name cloudfront-auto-invalidation --capabilities CAPABILITY_IAM "
    "CAPABILITY_AUTO_EXPAND --parameter-overrides BucketNames=my-site`\n"
    "The command line: `pip install ./{wheel}`, then `invalidations --help`; `sha256sum --check SHA256SUMS` checks "
    "these files.\n"
)


def release(into: Path) -> list[Path]:
    """Write a release to a folder, which is emptied first, and return its files.

    Raises:
        BuildProblem: the functions' own Python is not there, or the package or the wheel could not be made.
    """
    if lambda_python() == sys.executable and sys.version_info[:2] != (3, 13):
        raise BuildProblem(
            f"A release holds bytecode for {LAMBDA_PYTHON}, which is not on the PATH. Where pyenv has it: "
            "PYENV_VERSION=3.13 make release"
        )
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    shutil.copyfile(deployment_package(), into / FUNCTIONS)
    shutil.copyfile(ROOT / "statemachine" / DEFINITION, into / DEFINITION)
    shutil.copyfile(ROOT / "LICENSE", into / "LICENSE")
    (into / "template.yaml").write_text(packaged(ROOT / "template.yaml"), encoding="utf-8")
    (into / "samconfig.toml").write_text(SAMCONFIG, encoding="utf-8")
    (into / "README.md").write_text(PAGE.format(wheel=wheel(into).name), encoding="utf-8")
    files = sorted(into.iterdir())
    sums = [f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in files]
    (into / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    return sorted(into.iterdir())


def packaged(template: Path) -> str:
    """The text of the template, pointing to the files of a release. Raises BuildProblem where it has other lines."""
    text = template.read_text(encoding="utf-8")
    for line, instead, times in REPLACED:
        if text.count(line) != times:
            raise BuildProblem(f"{template} has {line.strip()!r} {text.count(line)} times, not {times}: see REPLACED")
        text = text.replace(line, instead)
    return text


def wheel(into: Path) -> Path:
    """The command line's wheel, made of nothing but its sources. What an earlier build has left is not in it."""
    with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
        for name in WHEEL_SOURCES:
            source, copy = ROOT / name, Path(folder, name)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, copy)
        options = [
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            str(into),
        ]
        run([sys.executable, "-m", "pip", "wheel", *options, folder], "make the wheel of the command line")
    (made,) = into.glob("*.whl")
    return made


@click.command()
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), default=Path("dist"), show_default=True)
def main(into: Path) -> None:
    """Write what people deploy without a build."""
    os.environ["SOURCE_DATE_EPOCH"] = "315532800"  # 1980, as in the package: the same sources, the same files
    try:
        files = release(into)
    except BuildProblem as error:
        raise click.ClickException(str(error)) from None
    for each in files:
        click.echo(f"  {each.stat().st_size:>10,}  {each.name}")


if __name__ == "__main__":
    main()
