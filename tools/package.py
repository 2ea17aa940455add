"""What is deployed to Lambda. `python -m tools.package` checks its contents, `… bytecode BUILD` compiles it.

`make lint` runs the first: it fails where something is in the package that is not on the list, or where the package is
larger than its budget. `make build` runs the second, after `sam build`: a function's disk is read-only, so that Lambda
compiles each module that a package has in source only, and again at each cold start. Without it everything works as
well, and starts later (RESULTS.md).

The bytecode names `/var/task`, where the code will be, and no time, so that the same sources make the same package.
What another version of Python has compiled is passed over by the runtime, which takes the source then.
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from invalidations_cli.local.package import (
    LAMBDA_PYTHON,
    SOURCE,
    BuildProblem,
    add_bytecode,
    deployment_package,
    lambda_python,
    python_version,
)

BUDGET = 3_000_000
"""Bytes of the zip. A function starts the slower the larger it is; Lambda itself takes 50 MB."""
LIBRARIES = {"aws_lambda_powertools", "jmespath", "typing_extensions.py"}
"""Powertools, and the two packages that it needs. boto3 comes with the runtime."""


@dataclass(frozen=True, slots=True)
class PackagePart:
    """A top-level folder or file of the package, with its metadata. Sizes are bytes, as deployed and unpacked."""

    name: str
    files: int
    packed: int
    unpacked: int


def parts(package: Path) -> list[PackagePart]:
    """The parts of a package, the largest first."""
    found: dict[str, list[zipfile.ZipInfo]] = defaultdict(list)
    with zipfile.ZipFile(package) as archive:
        for entry in archive.infolist():
            found[part_of(entry.filename)].append(entry)
    made = [
        PackagePart(name, len(some), sum(each.compress_size for each in some), sum(each.file_size for each in some))
        for name, some in found.items()
    ]
    return sorted(made, key=lambda part: -part.packed)


def part_of(name: str) -> str:
    """The top-level folder or file that a file belongs to; bytecode belongs to its source."""
    module = re.fullmatch(r"__pycache__/(\w+)\.cpython-\d+\.pyc", name)
    return f"{module[1]}.py" if module else name.partition("/")[0]


def own_parts(source: Path = SOURCE) -> set[str]:
    """What the functions folder brings. A folder for each function, the domain, and what all have around them."""
    return {path.name for path in source.iterdir() if (path / "__init__.py").exists()}


def problems(found: list[PackagePart], size: int, own: set[str]) -> Iterator[str]:
    """What is wrong with a package."""
    metadata = {re.sub(r"-[0-9.]+\.dist-info$", "", part.name) for part in found if part.name.endswith(".dist-info")}
    names = {part.name for part in found if not part.name.endswith(".dist-info")}
    for name in sorted(names - LIBRARIES - own):
        yield f"{name} is in the package, and nobody has said what for"
    for name in sorted((LIBRARIES | own) - names):
        yield f"{name} is not in the package"
    for name in sorted(metadata - {library.removesuffix(".py") for library in LIBRARIES}):
        yield f"{name} is installed in the package, and nobody has said what for"
    if size > BUDGET:
        yield f"the package has {size:,} bytes, more than its budget of {BUDGET:,}"


def lines(found: list[PackagePart], size: int) -> Iterator[str]:
    for part in found:
        yield f"  {part.packed:>9,}  {part.name} ({part.files} files, {part.unpacked:,} bytes unpacked)"
    yield f"  {size:>9,}  in all, of {BUDGET:,}"


def look(package: Path) -> Mapping[str, list[str]]:
    """What to print of a package, and what is wrong with it."""
    found, size = parts(package), package.stat().st_size
    return {"lines": list(lines(found, size)), "problems": list(problems(found, size, own_parts()))}


@click.group(invoke_without_command=True)
@click.pass_context
def main(ctx: click.Context) -> None:
    """List what is deployed, with its size. Exits with 1 where it is not as it should be."""
    if ctx.invoked_subcommand:
        return
    seen = look(deployment_package())
    click.echo("Deployed to Lambda, in bytes:")
    for line in seen["lines"]:
        click.echo(line)
    for problem in seen["problems"]:
        click.secho(problem, fg="red", err=True)
    sys.exit(bool(seen["problems"]))


@main.command()
@click.argument("build", type=click.Path(exists=True, file_okay=False, path_type=Path))
def bytecode(build: Path) -> None:
    """Compile what `sam build` has put into BUILD, for Lambda's version of Python."""
    python = lambda_python()
    if python == sys.executable and LAMBDA_PYTHON.removeprefix("python") not in python_version(python):
        click.echo(f"No {LAMBDA_PYTHON} is on the PATH: the package has sources only, and starts later.", err=True)
        return
    packages = [each for each in sorted(build.iterdir()) if each.is_dir()]
    try:
        for package in packages:
            add_bytecode(package, python)
    except BuildProblem as error:
        raise click.ClickException(str(error)) from None
    version = python_version(python).split("(")[0].strip()
    click.echo(f"Compiled for {version}: {', '.join(each.name for each in packages)}")


if __name__ == "__main__":
    main()
