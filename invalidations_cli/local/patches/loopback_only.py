"""ministack, and the handlers that it runs, may call out. To registries, to Docker, to AWS itself.

Here they may not: whatever a handler or the emulator does, it does not leave this machine, nor does a child process,
for a handler starts none.
"""

from __future__ import annotations

import inspect

import ministack.core.lambda_runtime as runtime

from invalidations_cli.local import loopback
from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings


def apply(_settings: LocalSettings) -> None:
    loopback.allow_loopback_only()
    worker = seam(runtime, "_PYTHON_WORKER_SCRIPT", "368800addf4d")
    runtime._PYTHON_WORKER_SCRIPT = (
        f"{inspect.getsource(loopback)}\nallow_loopback_only()\nallow_no_processes()\n{worker}"
    )
