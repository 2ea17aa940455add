"""What is installed and deployed is what was chosen: pinned by hash, no more than is needed, the same every time."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from invalidations_cli.local import package
from tests.definition import ROOT
from tools import package as contents

REQUIREMENTS = [*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "functions" / "requirements.txt"]
ENTRY = re.compile(
    r"""(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[a-z0-9,\ _-]+\])?==(?P<version>[A-Za-z0-9.!+]+)
    (\ ;\ (?P<when>[^\\\n]+?))?
    (?P<hashes>(\ \\\n\ \ \ \ --hash=sha256:[0-9a-f]{64})+)""",
    re.VERBOSE,
)
INDEX = re.compile(
    "|".join(["index" + "-url", "find" + "-links", "/simp" + "le(/|\\b)", "python" + "hosted", "registry" + r"\."])
)
"""How an index of packages would be named. In pieces, so that this file is none that names one."""

each_file = pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: f"{path.parent.name}/{path.name}")


def entries(path: Path) -> list[re.Match[str]]:
    return list(ENTRY.finditer(path.read_text(encoding="utf-8")))


def pins(path: Path) -> dict[tuple[str, str], str]:
    """Name, and where it is installed -> version."""
    return {(entry["name"], entry["when"] or ""): entry["version"] for entry in entries(path)}


@each_file
def test_every_requirement_has_one_version_and_its_hashes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    rest = re.sub(r"^ *#.*\n", "", ENTRY.sub("", text), flags=re.MULTILINE)
    assert rest.strip() == "", "these lines are no pinned requirement"
    assert entries(path)


@each_file
def test_every_requirement_says_for_what_it_is_needed(path: Path) -> None:
    """So that nothing is left in the files when it is not needed any more."""
    text = path.read_text(encoding="utf-8")
    assert len(re.findall(r"^ {4}# via", text, re.MULTILINE)) == len(entries(path))


def test_every_list_of_wishes_has_been_pinned() -> None:
    wished = {path.stem for path in (ROOT / "requirements").glob("*.in")}
    pinned = {path.stem for path in (ROOT / "requirements").glob("*.txt")}
    assert wished - {"functions"} == pinned


@pytest.mark.parametrize("path", [ROOT / "functions" / "requirements.txt", ROOT / "requirements" / "runtime.txt"])
def test_the_tests_run_on_the_very_versions_that_are_deployed(path: Path) -> None:
    assert pins(path).items() <= pins(ROOT / "requirements" / "dev.txt").items()


def committed_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_committed_file_names_an_index_of_packages() -> None:
    texts = {path: path.read_text(encoding="utf-8", errors="ignore") for path in committed_files()}
    assert len(texts) > 200
    allowed = re.compile(r"--no-emit-index" + "-url")
    assert [str(path) for path, text in texts.items() if INDEX.search(allowed.sub("", text))] == []


@pytest.fixture(scope="module")
def built() -> Path:
    return package.deployment_package()


def test_the_package_holds_what_it_needs_and_nothing_else_within_its_budget(built: Path) -> None:
    seen = contents.look(built)
    assert seen["problems"] == [], "\n".join(seen["lines"])


def test_neither_boto3_nor_a_test_nor_a_command_is_deployed(built: Path) -> None:
    names = zipfile.ZipFile(built).namelist()
    assert [
        name for name in names if re.match(r"boto|s3transfer|tests|tools|invalidations_cli|bin/|.*/test_", name)
    ] == []


def test_every_deployed_module_has_its_bytecode_beside_it_as_it_will_lie_on_lambda(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        sources = {name for name in archive.namelist() if name.endswith(".py")}
        compiled = {
            re.sub(r"__pycache__/(\w+)\..*", r"\1.py", name): archive.read(name)
            for name in archive.namelist()
            if name.endswith(".pyc")
        }
    assert compiled.keys() == sources
    assert [name for name, code in compiled.items() if f"/var/task/{name}".encode() not in code] == []


def test_no_deployed_file_names_the_machine_on_which_it_was_built(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        naming = [name for name in archive.namelist() if str(ROOT).encode() in archive.read(name)]
    assert naming == []


def test_what_does_not_belong_into_the_package_and_what_is_missing_is_told(built: Path, tmp_path: Path) -> None:
    another = tmp_path / "package.zip"
    with zipfile.ZipFile(built) as archive, zipfile.ZipFile(another, "w") as made:
        for name in archive.namelist():
            if not name.startswith("notify/"):
                made.writestr(name, archive.read(name))
        for name in ("boto3/__init__.py", "leftpad-1.0.dist-info/METADATA", "notes.txt"):
            made.writestr(name, b"")
    told = list(contents.problems(contents.parts(another), 3_000_001, contents.own_parts()))
    assert told == [
        "boto3 is in the package, and nobody has said what for",
        "notes.txt is in the package, and nobody has said what for",
        "notify is not in the package",
        "leftpad is installed in the package, and nobody has said what for",
        "the package has 3,000,001 bytes, more than its budget of 3,000,000",
    ]


def test_two_builds_in_different_folders_are_the_same_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = package.lambda_interpreter()
    monkeypatch.setattr(package, "lambda_interpreter", lambda: interpreter)
    made = []
    for folder in (tmp_path / "here", tmp_path / "over there" / "deeper"):
        source = folder / "functions"
        shutil.copytree(package.SOURCE, source)
        monkeypatch.setattr(package, "BUILD", folder)
        made.append(package.deployment_package(source))
    one, other = made
    assert one != other
    assert one.read_bytes() == other.read_bytes()
