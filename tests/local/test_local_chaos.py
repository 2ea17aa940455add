"""Chaos, the short form: whatever fails, no change is lost and nobody is left in the dark. `make soak`: long."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from invalidations_cli.local import environment, server
from tests.execution_reports import reported_of
from tests.local import chaos, fresh

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("chaos")]

CHANGES = 30
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_whatever_fails_no_key_is_lost_no_failure_is_untold_and_nothing_is_left_running() -> None:
    with (
        environment.running(chaos.SETTINGS, server.free_port(), chaos.PARAMETERS, template=chaos.template()) as there,
        reported_of(there.aws),
    ):
        found = chaos.run(there, CHANGES, seed=1)
        Console().print(chaos.table(found))
        assert set(found.struck) == {fault.kind for fault in chaos.disorder(CHANGES)} | {chaos.STOPPED}
        assert found.statuses["ABORTED"] == found.struck[chaos.STOPPED]
        assert found.invalidations >= len(chaos.SITES)
        assert found.lost == []
        assert found.untold == []
        assert found.running == []
        assert found.owed == 0


@pytest.mark.parametrize(
    ("minutes", "path", "reached"),
    [
        (1, "/pages/a%20b.html", True),
        (1, "/pages/*", True),
        (-1, "/pages/*", False),
        (1, "/page/*", False),
        (1, "/pages/a b.html", False),
    ],
    ids=["exact", "wildcard", "too early", "elsewhere", "not encoded"],
)
def test_a_key_counts_as_lost_unless_an_invalidation_reaches_it_that_was_created_after_its_change(
    minutes: int, path: str, reached: bool
) -> None:
    done = fresh.Created("I1", NOON + timedelta(minutes=minutes), (path,), "reference")
    assert fresh.stale({"pages/a b.html": NOON}, [done]) == ([] if reached else ["pages/a b.html"])
