"""The emulator's own process: `python -m invalidations_cli.local.launcher`, started by `server.py`.

Its settings come in LOCAL_AWS_SETTINGS. The process ends when its standard input closes, so that it never outlives
who started it; it deletes only the directory that was made for it, by the name that
`server.py` gives.
"""

from __future__ import annotations

import asyncio
import os
import resource
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
    listener = int(sys.argv[1])
    patches.apply(settings)
    serve(listener)


def serve(listener: int) -> None:
    """Serve at a socket that already listens, as ministack's own `main` serves at a port."""
    from hypercorn.asyncio import serve as run  # noqa: PLC0415 - only once the patches are in place
    from hypercorn.config import Config  # noqa: PLC0415 - likewise
    from ministack import app  # noqa: PLC0415 - likewise

    _soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    config = Config()
    config.bind = [f"fd://{listener}"]
    config.keep_alive_timeout = 75
    config.loglevel = app.LOG_LEVEL.upper()
    asyncio.run(run(app.app, config))


def end_with_the_starter(directory: Path) -> None:
    sys.stdin.read()
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
