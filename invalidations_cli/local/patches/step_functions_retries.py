"""A retry waits no longer than MaxDelaySeconds, and as JitterStrategy says.

ministack knows neither (Step Functions Developer Guide, "Handling errors in Step Functions workflows").
"""

from __future__ import annotations

import random
from typing import Any

import ministack.services.stepfunctions as states

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings


def apply(_settings: LocalSettings) -> None:
    find = seam(states, "_find_matching_retrier", "cb494ae8503c")

    def find_and_set_delay(retriers: list[dict[str, Any]], error: str, counts: dict[int, int]) -> tuple[Any, int]:
        retrier, index = find(retriers, error, counts)
        if retrier is None:
            return retrier, index
        return {**retrier, "IntervalSeconds": delay(retrier, counts.get(index, 0)), "BackoffRate": 1.0}, index

    states._find_matching_retrier = find_and_set_delay


def delay(retrier: dict[str, Any], retries_so_far: int) -> float:
    """Seconds until the next attempt."""
    seconds = float(retrier.get("IntervalSeconds", 1)) * float(retrier.get("BackoffRate", 2.0)) ** retries_so_far
    seconds = min(seconds, float(retrier.get("MaxDelaySeconds", seconds)))
    return random.uniform(0, seconds) if retrier.get("JitterStrategy") == "FULL" else seconds  # noqa: S311 - a wait, no secret
