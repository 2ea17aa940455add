"""Records what roles were used for: `/_local/calls` lists `[principal, action, resource, allowed]`.

ministack enforces the roles and forgets about it; AWS would tell in CloudTrail and in IAM's "last accessed" data. The
record holds each call once, and those of roles only.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from ministack.core import iam_evaluator

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings
from tests.local.instruments import control

CALLS: set[tuple[str, str, str, bool]] = set()


def apply(_settings: LocalSettings) -> None:
    enforce = seam(iam_evaluator, "enforce", "cf64b1ee5b09")

    @wraps(enforce)
    def enforce_and_record(
        access_key_id: str, action: str, service: str, region: str, resource_arn: str = "*", **named: Any
    ) -> Any:
        refusal = enforce(access_key_id, action, service, region, resource_arn, **named)
        principal = iam_evaluator.caller_arn()
        if ":assumed-role/" in principal:
            CALLS.add((principal, action, resource_arn, refusal is None))
        return refusal

    iam_evaluator.enforce = enforce_and_record
    control.offer("calls", lambda _nothing: sorted(CALLS))
