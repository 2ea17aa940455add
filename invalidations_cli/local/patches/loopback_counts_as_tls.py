"""A policy that demands TLS lets the local AWS's own traffic pass.

ministack speaks plain HTTP, and evaluates `aws:SecureTransport` as AWS does: a queue or a topic that denies requests
without TLS, as the template's do, would deny everything. What never leaves the loopback interface counts as secured.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_evaluator

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings


def apply(_settings: LocalSettings) -> None:
    resolve = seam(iam_evaluator, "_resolve_condition_key", "15e26964cd38")

    def resolve_on_loopback(key: str, ctx: Any) -> Any:
        return "true" if key.lower() == "aws:securetransport" else resolve(key, ctx)

    iam_evaluator._resolve_condition_key = resolve_on_loopback
