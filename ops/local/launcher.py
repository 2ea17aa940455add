"""The emulator's own process: `python -m ops.local.launcher`, started by `server.py` in an environment made for it.

Settings come in LAPTOP_SETTINGS. The process ends when its standard input closes, so that it never outlives who started
it, and takes its temporary directory with it.
"""

import os
import shutil
import sys
import tempfile
import threading

from ops.local import patches
from ops.local.settings import Settings


def main() -> None:
    settings = Settings.from_json(os.environ.pop("LAPTOP_SETTINGS"))
    sys.argv = ["ministack"]
    patches.apply(settings)
    threading.Thread(target=end_with_the_starter, daemon=True).start()
    from ministack.app import main as serve  # noqa: PLC0415 - only once the patches are in place

    serve()


def end_with_the_starter() -> None:
    sys.stdin.read()
    shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
