"""The emulator's own process: `python -m invalidations_cli.local.launcher`, started by `server.py`.

Its settings come in LOCAL_AWS_SETTINGS. The process ends when its standard input closes, so that it never outlives
who started it; it deletes only the directory that was made for it, by the name that
`server.py` gives.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from pathlib import Path

from invalidations_cli.local import patches
from invalidations_cli.local.settings import DIRECTORY_PREFIX, LocalSettings


def main() -> None:
    directory = Path(os.environ["TMPDIR"])
    if not (directory.is_dir() and directory.name.startswith(DIRECTORY_PREFIX)):
        sys.exit(f"{directory} is not a directory that was made for this emulator.")
    settings = LocalSettings.from_json(os.environ.pop("LOCAL_AWS_SETTINGS"))
    threading.Thread(target=end_with_the_starter, args=(directory,), daemon=True).start()
    sys.argv = ["ministack"]
    patches.apply(settings)
    from ministack.app import main as serve  # noqa: PLC0415 - only once the patches are in place

    serve()


def end_with_the_starter(directory: Path) -> None:
    sys.stdin.read()
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
