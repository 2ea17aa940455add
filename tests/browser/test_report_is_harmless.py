from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from invalidations_cli.recording import Recording
from tests.recordings.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import Report

    Opened = Callable[..., Report]

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

HOSTILE = '</script><img src=x onerror="window.ran = 1"><script>window.ran = 1</script>'


def test_nothing_is_loaded_but_the_file_itself(opened: Opened) -> None:
    report = opened()
    for name in ("Find Distributions", "Invalidate Each", "Ended"):
        report.state(name).locator(".state").click()
    report.page.get_by_role("tab", name="Events").click()
    assert report.requests == [report.url]


def test_the_policy_stops_what_would_ask_the_network(opened: Opened) -> None:
    report = opened()
    refused = report.page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")
    assert refused == "refused"
    assert any("Content Security Policy" in complaint for complaint in report.complaints)
    assert report.requests == [report.url]
    report.complaints.clear()


def hostile() -> Recording:
    item = {"Type": "Task", "Comment": HOSTILE, "Catch": [{"ErrorEquals": [HOSTILE], "Next": "__proto__"}], "End": True}
    definition: dict[str, Any] = {
        "StartAt": HOSTILE,
        "States": {HOSTILE: item, "__proto__": {"Type": "Pass", "End": True}},
    }
    data = json.dumps({HOSTILE: HOSTILE, "__proto__": {"polluted": 1}})
    history = History()
    history.add("TaskStateEntered", "stateEntered", name=HOSTILE, input=data)
    history.tried(HOSTILE)
    history.add("TaskStateExited", "stateExited", name=HOSTILE, output=data)
    history.entered("__proto__", "Pass").exited("__proto__", "Pass")
    history.add("ExecutionSucceeded", "executionSucceeded", output=data)
    return Recording(definition, {"name": HOSTILE, "status": "SUCCEEDED", "input": data}, history.events)


def test_hostile_names_and_data_are_shown_and_do_nothing(opened: Opened) -> None:
    report = opened(hostile())
    assert list(report.statuses().values()) == ["caught", "succeeded"]
    report.page.locator("#stage .state").first.click()
    assert report.details().startswith(HOSTILE)
    report.page.get_by_role("tab", name="Events").click()
    report.page.locator('#events tr[data-event="2"] .link').first.click()
    assert HOSTILE.replace('"', '\\"') in report.page.locator("#events .expanded").inner_text()
    report.page.locator("#stage .state").nth(1).click()
    assert report.details().startswith("__proto__")
    assert report.page.evaluate("[window.ran, document.images.length, ({}).polluted]") == [None, 0, None]
    assert report.page.title().startswith(HOSTILE)
