"""Bytecode beside the sources of a deployment package: `python -m ops.bytecode .aws-sam/build`, after `sam build`.

A function's disk is read-only, so that Lambda compiles each module that a package has in source only, and again at each
cold start. `make build` does both steps; without the second everything works as well, and starts later (RESULTS.md).

The bytecode names `/var/task`, where the code will be, and no time, so that the same sources make the same package.
What another version of Python has compiled is passed over by the runtime, which takes the source then.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ops.local.package import LAMBDA_PYTHON, BuildProblem, add_bytecode, lambda_python, python_version


@click.command()
@click.argument("build", type=click.Path(exists=True, file_okay=False, path_type=Path))
def bytecode(build: Path) -> None:
    """Compile what `sam build` has put into the folder BUILD, for Lambda's own version of Python."""
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
    click.echo(
        f"Compiled for {python_version(python).split('(')[0].strip()}: {', '.join(each.name for each in packages)}"
    )


if __name__ == "__main__":
    bytecode()
