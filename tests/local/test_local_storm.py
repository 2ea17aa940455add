"""A storm of changes on the local AWS: few invalidations, every key covered, nothing failed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from invalidations_cli.local import environment, server
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.settings import LocalSettings, Quota
from tests.local import fresh, stacks, storm

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("storm")]

WINDOW = 2
TRUE_TIME = LocalSettings(wait_scale=1.0, invalidation_seconds=2.0)
"""Windows are measured here, so that no wait is shortened."""
MOST_MEMORY = 1_500_000_000


@pytest.fixture
def quiet(quota: Quota) -> Iterator[LocalEnvironment]:
    parameters, template = {"BatchWindowSeconds": str(WINDOW)}, stacks.template(MAX_BATCH_WINDOW_SECONDS="8")
    if quota == "rate":  # each wildcard takes a second
        parameters["MonthlyPathBudget"] = "0"
    settings = replace(TRUE_TIME, cloudfront_quota=quota)
    with environment.running(settings, server.free_port(), parameters, template=template) as there:
        yield there


@pytest.mark.parametrize(
    ("quota", "changes", "timeout"),
    [
        ("in-progress", 150, 90),
        ("rate", 150, 90),
        pytest.param("in-progress", 1000, 300, marks=pytest.mark.soak),
        pytest.param("rate", 1000, 600, marks=pytest.mark.soak),
    ],
)
def test_a_storm_becomes_at_most_one_batch_in_a_window_covers_every_key_and_fails_nothing(
    changes: int, timeout: float, quiet: LocalEnvironment
) -> None:
    came = storm.run(quiet, changes, timeout)
    print(came)  # noqa: T201 - for `make soak`
    assert len(came.uploaded) == len(came.executions) == changes
    assert {execution["status"] for execution in came.executions} == {"SUCCEEDED"}
    assert fresh.stale(came.uploaded, came.invalidations) == []
    assert sum(batch.changes for batch in came.batches) == changes, "every change was to be owned once"

    closing = sorted(came.closing.values())
    assert len(closing) >= 2, "the storm was to last longer than a window"
    assert min(later - earlier for earlier, later in pairwise(closing)) >= timedelta(seconds=WINDOW)
    assert all(batch.closed >= came.closing[batch.batch_id] for batch in came.batches)
    assert len(came.notifications) == len(came.batches) <= len(came.invalidations)
    assert max(sum(path.endswith("*") for path in each.paths) for each in came.invalidations) <= 5
    assert 50_000_000 < came.peak.size < MOST_MEMORY
