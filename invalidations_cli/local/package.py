"""The deployment package, as `make build` makes it, and its handlers' interpreter.

Both are kept under `.build/`, named after what they were made of, and made again only when that has changed.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from invalidations_cli.local.server import ROOT

BUILD = ROOT / ".build"
SOURCE = ROOT / "functions"
REQUIREMENTS = "requirements.txt"
RUNTIME = ROOT / "requirements" / "runtime.txt"
LAMBDA_PYTHON = "python3.13"
LEFT_OUT = ("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache")
NOT_DEPLOYED = re.compile(r"bin/.*|[^/]+\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json)|requirements\.txt")
"""What pip leaves for people and for itself: scripts, and notes on where and how it has installed something."""
TASK = "/var/task"
"""Where a function finds its code (Lambda Developer Guide, "Lambda execution environment")."""
EPOCH = (1980, 1, 1, 0, 0, 0)
HOUR = 3600.0


class BuildProblem(Exception):
    """A package could not be made; the message says why and what to do."""


def lambda_interpreter() -> Path:
    """A Python with boto3 and nothing else installed, as Lambda's Python runtimes have it. Raises BuildProblem."""
    python = lambda_python()

    def make(home: Path) -> None:
        run([python, "-m", "venv", str(home)], "make a virtual environment for the handlers")
        pinned = ["--no-deps", "--require-hashes", "--requirement", str(RUNTIME)]
        install = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *pinned]
        run(install, "install boto3 for the handlers")

    made_of = [python_version(python).encode(), RUNTIME.read_bytes()]
    return made_once(f"lambda-python-{digest(made_of)}", make) / "bin" / "python"


def lambda_python() -> str:
    """Lambda's own version of Python where there is one, else the one that runs this."""
    found = shutil.which(LAMBDA_PYTHON)
    return found if found and python_version(found) else sys.executable


@cache
def python_version(python: str) -> str:
    """What the interpreter says of itself, asked once; "" where it does not run."""
    asked = subprocess.run([python, "-VV"], capture_output=True, text=True, check=False)  # noqa: S603 - a Python on PATH
    return asked.stdout if asked.returncode == 0 else ""


def deployment_package(source: Path = SOURCE) -> Path:
    """A zip of `source` with its requirements installed beside it, and the bytecode of both. Raises BuildProblem.

    The same sources make the same zip, byte for byte, in whatever folder and whenever it is made.
    """
    sources = sorted(files_in(source))
    made_of = [part for path in sources for part in (str(path.relative_to(source)).encode(), path.read_bytes())]
    made_of += [NOT_DEPLOYED.pattern.encode(), python_version(lambda_python()).encode()]

    def make(package: Path) -> None:
        forget_old_packages()
        libraries = installed_requirements(source / REQUIREMENTS)
        with (
            tempfile.TemporaryDirectory(prefix="package-") as folder,
            zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        ):
            own = compiled(source, Path(folder, "own"))
            for part in (libraries, own):
                for path in sorted(each for each in part.rglob("*") if each.is_file()):
                    name = path.relative_to(part).as_posix()
                    if not NOT_DEPLOYED.fullmatch(name):
                        add(archive, path, name)

    return made_once(f"package-{digest(made_of)}.zip", make)


def forget_old_packages() -> None:
    for package in BUILD.glob("package-*.zip"):
        if time.time() - package.stat().st_mtime > HOUR:
            package.unlink(missing_ok=True)


def installed_requirements(requirements: Path) -> Path:
    """A folder in which the requirements are installed."""
    interpreter = lambda_interpreter()
    wanted = requirements.read_bytes() if requirements.exists() else b""

    def make(folder: Path) -> None:
        folder.mkdir()
        if wanted.strip():
            install = [
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-compile",
                "--target",
                str(folder),
                "--requirement",
                str(requirements),
            ]
            run([str(interpreter), *install], f"install {requirements.name} of the functions")
        add_bytecode(folder, str(interpreter))

    return made_once(f"compiled-libraries-{digest([wanted, str(interpreter).encode()])}", make)


def compiled(source: Path, folder: Path) -> Path:
    """A copy of the sources, with their bytecode."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    add_bytecode(folder, lambda_python())
    return folder


def add_bytecode(folder: Path, python: str) -> None:
    """Compile what is in a folder that is to be deployed; raises BuildProblem.

    The bytecode is not held against its source when it is loaded, and says that it lies where Lambda will put it.
    """
    options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", TASK]
    run([python, "-m", "compileall", *options, str(folder)], "compile the functions")


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """What `make` makes at the path that it is given, kept as `.build/<name>`. Whole, or not there at all."""
    kept = BUILD / name
    if not kept.exists():
        BUILD.mkdir(exist_ok=True)
        unfinished = BUILD / f"{name}.{uuid.uuid4().hex}.unfinished"
        try:
            make(unfinished)
            unfinished.rename(kept)
        except OSError:
            if not kept.exists():  # another process may have been quicker
                raise
        finally:
            remove(unfinished)
    return kept


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def files_in(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not any(part in LEFT_OUT for part in path.parts):
            yield path


def add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    """Without the file's time, so that the same sources make the same zip."""
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, path.read_bytes())


def digest(parts: list[bytes]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8))
        whole.update(part)
    return whole.hexdigest()[:16]


def run(command: list[str], purpose: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - made above
    if done.returncode != 0:
        raise BuildProblem(
            f"Could not {purpose}. `{' '.join(command)}` said:\n{(done.stderr or done.stdout).strip()[-2000:]}\n"
            f"Fix that and start again; `.build/` can be deleted at any time."
        )
