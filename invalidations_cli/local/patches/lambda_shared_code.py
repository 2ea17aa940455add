"""All workers run from one unpacked copy of a deployment package.

ministack unpacks the package anew for every worker and compiles it anew: some hundred files each time, which is most of
what a cold start costs on one machine. To a handler its code is read-only, on AWS and here, so a copy can be shared.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ministack.core.lambda_runtime as runtime

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

ONE_AT_A_TIME = threading.Lock()


class SharedZip(zipfile.ZipFile):
    """A zip whose `extractall` makes a link to the one copy of its content."""

    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
        package = Path(str(self.filename))
        name = hashlib.sha256(package.read_bytes()).hexdigest()[:16]
        copy = Path(tempfile.gettempdir()) / f"code-{name}"
        with ONE_AT_A_TIME:
            if not copy.exists():
                super().extractall(copy, members, pwd)
        folder = Path(path)
        folder.rmdir()
        folder.symlink_to(copy, target_is_directory=True)


def apply(_settings: LocalSettings) -> None:
    seam(runtime.Worker, "_spawn", "c55febf95656")
    runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": SharedZip})
