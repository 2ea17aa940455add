"""Handlers run on an interpreter with boto3 and nothing else, as on Lambda.

ministack runs them on its own, where all that the project's tools need is installed: a dependency that the deployment
package lacks would not be missed.
"""

from __future__ import annotations

import ministack.core.lambda_runtime as runtime

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings


def apply(settings: LocalSettings) -> None:
    if not settings.lambda_python:
        return
    detect = seam(runtime, "_detect_runtime_binary", "222e200df2c0")

    def detect_own(name: str) -> tuple[str, str]:
        interpreter, script = detect(name)
        return (settings.lambda_python if name.startswith("python") else interpreter), script

    runtime._detect_runtime_binary = detect_own
