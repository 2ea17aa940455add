"""Caller references: they make a repeated request find its first invalidation instead of creating a second."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def caller_reference(batch_id: str, target: str, number: int, paths: Sequence[str]) -> str:
    """``<batch id>.<distribution>.<request number>.<hash of the sorted paths>``.

    The same reference with the same paths returns the first invalidation; with other paths it is refused
    (CloudFront API Reference, InvalidationBatch). The hash keeps a changed plan from being refused, and the batch id
    lets whoever sees the reference in the CloudFront console find the execution.
    """
    digest = hashlib.sha256("\n".join(sorted(paths)).encode()).hexdigest()[:12]
    return f"{batch_id}.{target}.{number}.{digest}"
