"""The emulator's process ends with who started it, and deletes nothing but its own directory."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from invalidations_cli.local import launcher, server
from invalidations_cli.local.aws import LocalAws, NotThisMachine
from invalidations_cli.local.settings import DIRECTORY_PREFIX, LocalSettings
from tests.local import tools

pytestmark = pytest.mark.local

PLAIN = LocalSettings(patches=())


@pytest.fixture
def neighbour(tmp_path: Path) -> Path:
    """A file of somebody else, beside the emulator's directory."""
    file = tmp_path / "neighbour.txt"
    file.write_text("mine")
    return file


def is_free(port: int) -> bool:
    try:
        server.listen_at(port).close()
    except OSError:
        return False
    return True


def launch(directory: Path) -> subprocess.Popen[bytes]:
    with server.listen(server.free_port()) as listener:
        variables = server.environment(PLAIN, listener.getsockname()[1], directory, "name")
        return server.start(variables, directory.parent / "emulator.log", listener)


def test_when_the_starter_dies_the_emulator_ends_and_its_directory_goes(tmp_path: Path, neighbour: Path) -> None:
    starter = (
        "import os, sys\nfrom invalidations_cli.local.server import running\n"
        "from invalidations_cli.local.settings import LocalSettings\n"
        "with running(LocalSettings(patches=()), int(sys.argv[1])):\n    os._exit(9)\n"
    )
    port = server.free_port()
    variables = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", starter, str(port)], cwd=server.ROOT, env=variables, check=False)
    assert done.returncode == 9
    assert tools.eventually(lambda: is_free(port))
    assert tools.eventually(lambda: list(tmp_path.iterdir()) == [neighbour])


def test_an_emulator_whose_directory_is_gone_already_deletes_nothing_else(tmp_path: Path, neighbour: Path) -> None:
    directory = tmp_path / f"{DIRECTORY_PREFIX}own"
    directory.mkdir()
    process = launch(directory)
    shutil.rmtree(directory)
    assert process.stdin is not None
    process.stdin.close()
    process.wait(timeout=tools.TIMEOUT_SECONDS)
    assert neighbour.read_text() == "mine"


def test_a_directory_that_was_not_made_for_the_emulator_is_refused_and_kept(tmp_path: Path, neighbour: Path) -> None:
    directory = tmp_path / "documents"
    directory.mkdir()
    process = launch(directory)
    assert process.wait(timeout=tools.TIMEOUT_SECONDS) == 1
    assert process.stdin is not None
    process.stdin.close()
    assert directory.is_dir()
    assert neighbour.read_text() == "mine"
    assert "not a directory that was made for this emulator" in (tmp_path / "emulator.log").read_text()


def test_the_end_of_the_starter_deletes_the_directory_that_it_is_given(
    tmp_path: Path, neighbour: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / f"{DIRECTORY_PREFIX}own"
    directory.mkdir()
    ended: list[int] = []
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        monkeypatch.setattr(os, "_exit", ended.append)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        launcher.end_with_the_starter(directory)
    assert ended == [0]
    assert list(tmp_path.iterdir()) == [neighbour]


def test_an_endpoint_elsewhere_is_refused() -> None:
    with pytest.raises(NotThisMachine, match="not on this machine"):
        LocalAws("https://s3.us-east-1.amazonaws.com")
