"""10,000 objects in ten seconds, direct, where Lambda runs ten functions at once: all are waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.storm import retriers, storm

CHANGES, OVER_SECONDS, SLOTS = 10_000, 10, 10


@pytest.mark.parametrize("seconds", [0.2, 1.0, 1.5], ids=["warm", "mostly cold", "slow"])
def test_no_execution_fails_and_no_change_waits_for_the_sweep(seconds: float) -> None:
    """An execution that failed would be told of: that none fails is that nobody gets a message."""
    came = storm(CHANGES, OVER_SECONDS, SLOTS, seconds, seed=1)
    assert came.throttled > CHANGES
    assert came.failed == []
    assert came.leaderless == 0
    assert len(came.accepted) == len(came.covered) == CHANGES
    # No retrier can do better than keep every slot at work.
    assert max(came.covered) < CHANGES * seconds / SLOTS * 1.2 + 180


def test_the_few_attempts_of_other_errors_would_not_do() -> None:
    few = {name: replace(rule, attempts=6, longest=30) for name, rule in retriers().items()}
    came = storm(CHANGES, OVER_SECONDS, SLOTS, 0.2, seed=1, rules=few)
    assert len(came.failed) > CHANGES / 10
