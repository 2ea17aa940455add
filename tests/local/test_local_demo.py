"""The demonstration tells what happened, and says so when something did not."""

import io

import pytest
from rich.console import Console

from invalidations_cli.local import demo, readings
from invalidations_cli.local.environment import LocalEnvironment

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]


def told_of(there: LocalEnvironment) -> tuple[int, str]:
    """The exit code, and all that was printed."""
    out = io.StringIO()
    readings.notifications(there)
    console = Console(file=out, width=200, highlight=False)
    return demo.close(demo.tell(there, console), 0.0), out.getvalue()


def test_the_demo_shows_each_change_followed_to_the_edge(local: LocalEnvironment) -> None:
    code, text = told_of(local)
    assert code == 0, text
    ids = [one.invalidation_id for one in readings.invalidations(local)[:3]]
    assert all(f"{identifier} Completed" in text for identifier in ids)
    for told in (
        "joined the batch, and ended",
        "Create Invalidation",
        "/images/blue%20sky.svg",
        "version 1</h1> (Hit)",
    ):
        assert told in text
    assert "Did not happen" not in text


def test_the_demo_fails_and_names_what_did_not_happen(denied: LocalEnvironment) -> None:
    code, text = told_of(denied)
    assert code == 1
    assert "AccessDenied" in text
    assert "Did not happen: index.html changes: index.html was not invalidated" in text
    assert "Did not happen: offer.html is deleted: the edge still gives the deleted offer.html" in text
