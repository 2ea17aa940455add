from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from invalidations_cli.recording import Recording
from tests.recordings.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import Report

    Opened = Callable[..., Report]

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_each_state_is_coloured_by_what_happened_to_it(opened: Opened) -> None:
    statuses = opened().statuses()
    assert statuses["Find Distributions"] == "retried"
    assert statuses["Tell Channel"] == statuses["Create"] == "caught"
    assert statuses["Nothing To Do"] == "unreached"
    assert {statuses[name] for name in ("Any?", "Invalidate Each", "Write Down", "Sum", "Ended")} == {"succeeded"}


def test_no_box_lies_on_another_and_no_text_leaves_its_box(opened: Opened) -> None:
    page = opened().page
    boxes = page.evaluate(
        """() => [...document.querySelectorAll("#stage .box:not(.container), #stage .edge-label")].map((box) => {
            const { left, top, right, bottom } = box.getBoundingClientRect();
            return { name: box.textContent, left, top, right, bottom };
        })"""
    )
    for one, other in combinations(boxes, 2):
        apart = (
            one["right"] <= other["left"] + 1
            or other["right"] <= one["left"] + 1
            or one["bottom"] <= other["top"] + 1
            or other["bottom"] <= one["top"] + 1
        )
        assert apart, (one["name"], other["name"])
    spilt = page.evaluate(
        """() => [...document.querySelectorAll("#stage .state")]
            .filter((box) => box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1)
            .map((box) => box.dataset.state)"""
    )
    assert spilt == []


def test_what_was_taken_is_drawn_as_taken_and_a_catch_that_was_not_is_left_out(opened: Opened) -> None:
    report = opened()
    assert report.page.locator(".wire.catch.taken").count() == 2
    wires = report.page.locator(".wire").count()
    report.page.check("#every-catch")
    assert report.page.locator(".wire").count() == wires
    titles = report.page.locator(".wire.catch title").all_text_contents()
    assert sorted(titles) == ["Catch: AccessDenied", "Catch: NoSuchDistribution"]


def test_a_click_shows_the_states_data_attempts_and_timing(opened: Opened) -> None:
    report = opened()
    report.state("Find Distributions").click()
    details = report.details()
    assert "Attempts (3)" in details
    assert report.page.locator("#details .attempts").inner_text().count("Throttled") == 2
    assert re.search(r"\+\d[\d.]* s after [\d.]+ (s|ms)", details)
    assert '"bucket": "my-site"' in details
    assert "marked: not in the input" in details
    assert report.page.locator("#details .line.changed").all_inner_texts()[:1] == ['  "found": {']


def test_an_error_is_told_with_its_message(opened: Opened) -> None:
    report = opened()
    report.state("Tell Channel").click()
    error = report.page.locator("#details .error > *").all_inner_texts()
    assert error == ["AccessDenied", "User is not authorized to perform: sns:Publish"]


def test_a_state_that_was_not_reached_says_so_and_shows_its_definition(opened: Opened) -> None:
    report = opened()
    report.state("Nothing To Do").click()
    assert "Not reached in this execution." in report.details()
    report.page.locator("#details summary", has_text="Definition").click()
    assert '"Type": "Succeed"' in report.details()


def test_one_iteration_of_a_map_can_be_looked_at(opened: Opened) -> None:
    report = opened()
    report.page.get_by_role("button", name="Iteration #1, error caught").click()
    statuses = report.statuses()
    assert (statuses["Create"], statuses["Given Up"], statuses["Poll"]) == ("caught", "succeeded", "unreached")
    assert statuses["Find Distributions"] == "retried"
    report.page.get_by_role("button", name="Iteration #2, retried, then succeeded").click()
    statuses = report.statuses()
    assert (statuses["Create"], statuses["Given Up"], statuses["Poll"]) == ("retried", "unreached", "unreached")
    report.state("Create").click()
    assert '"id": "E3BUSY"' in report.details()
    report.page.get_by_role("button", name="All iterations").click()
    assert report.statuses()["Poll"] == "succeeded"


def test_a_map_lists_its_iterations_with_what_went_in_and_came_out(opened: Opened) -> None:
    report = opened()
    report.state("Invalidate Each").locator(".state").click()
    table = report.page.locator("#details table", has_text="Item")
    assert [" ".join(row.split()[1:3]) for row in table.locator("tbody tr").all_inner_texts()] == [
        "✓ succeeded",
        "! caught",
        "↻ retried",
    ]
    table.get_by_role("button", name="#0").click()
    assert "Input of #0" in report.details()
    assert '"status": "Completed"' in report.details()


def test_visits_of_a_loop_can_be_gone_through(opened: Opened) -> None:
    report = opened()
    report.state("Completed?").click()
    picker = report.page.get_by_label("Visit", exact=True)
    assert picker.locator("option").count() == 3
    report.page.get_by_role("button", name="Next visit").click()
    assert picker.input_value() == "1"


def test_the_timeline_has_a_bar_for_each_visit_that_leads_to_it(opened: Opened) -> None:
    report = opened()
    assert report.page.locator("#timeline .span").count() == 20
    report.page.locator('#timeline .span[aria-label^="Create, #1"]').click()
    assert "NoSuchDistribution" in report.details()
    failed = report.page.locator('#timeline li[data-state="Find Distributions"] .span i.failed')
    assert failed.count() == 2


def test_events_are_filtered_by_words_by_errors_and_by_the_selected_state(opened: Opened) -> None:
    report = opened()
    report.page.get_by_role("tab", name="Events").click()
    count = report.page.locator("#events [role=status]")
    expect(count).to_have_text("76 of 76 events")
    report.page.get_by_label("Filter events").fill("throttled taskfailed")
    assert len(report.rows()) == 3
    assert report.rows()[0].endswith("TaskFailed Find Distributions Throttled: Rate exceeded")
    report.page.get_by_label("Filter events").fill("")
    report.page.get_by_label("Which events").select_option("errors")
    assert {row.split()[3] for row in report.rows()} == {"TaskFailed"}
    report.page.get_by_label("Which events").select_option("state")
    report.page.locator('[id=stage] [data-state="Ended"]').click()
    assert [row.split(maxsplit=3)[3] for row in report.rows()] == [
        "SucceedStateEntered Ended",
        "SucceedStateExited Ended",
    ]


def test_an_event_unfolds_to_its_details(opened: Opened) -> None:
    report = opened()
    report.page.get_by_role("tab", name="Events").click()
    row = report.page.locator('#events tr[data-event="2"]')
    row.get_by_role("button", name="TaskStateEntered").click()
    assert '"name": "Find Distributions"' in report.page.locator("#events .expanded").inner_text()
    row.get_by_role("button", name="TaskStateEntered").click()
    assert report.page.locator("#events .expanded").count() == 0


def test_the_overview_tells_what_is_worth_a_look(opened: Opened) -> None:
    report = opened()
    found = report.page.locator("#details .incidents .link").all_inner_texts()
    assert found == ["Find Distributions", "Create #1", "Create #2", "Tell Channel"]
    report.page.locator("#details .incidents .link").nth(1).click()
    assert "NoSuchDistribution" in report.details()


def test_a_history_that_leaves_out_iterations_still_offers_its_items(opened: Opened) -> None:
    report = opened("ministack")
    assert report.statuses()["Create"] == "unrecorded"
    report.page.get_by_role("button", name="Iteration #1, not recorded").click()
    report.state("Invalidate Each").locator(".state").click()
    assert '"id": "E2GONE"' in report.details()
    report.state("Create").click()
    assert "does not tell what happened inside" in report.details()


def test_a_failed_run_opens_at_the_state_that_failed(opened: Opened) -> None:
    definition = {"StartAt": "A", "States": {"A": {"Type": "Task", "Next": "B"}, "B": {"Type": "Task", "End": True}}}
    history = History().entered("A").tried().exited("A").entered("B").tried("Broken")
    history.add("ExecutionFailed", "executionFailed", error="Broken", cause="Broken happened")
    report = opened(Recording(definition, {"status": "FAILED", "name": "x"}, history.events))
    assert report.details().startswith("B\n")
    assert "Broken happened" in report.details()
    assert "selected" in str(report.state("B").get_attribute("class"))


def test_a_run_that_goes_on_is_shown_as_far_as_it_got(opened: Opened) -> None:
    definition = {
        "StartAt": "A",
        "States": {"A": {"Type": "Wait", "Seconds": 9, "Next": "B"}, "B": {"Type": "Succeed"}},
    }
    report = opened(Recording(definition, {"status": "RUNNING"}, History().entered("A", "Wait").events))
    assert report.statuses() == {"A": "running", "B": "unreached"}
    report.state("A").click()
    assert "still in it" in report.details()


def many_iterations(count: int) -> Recording:
    inner = {"StartAt": "X", "States": {"X": {"Type": "Task", "End": True}}}
    definition = {"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemProcessor": inner, "End": True}}}
    history = History().entered("Each", "Map").add("MapStateStarted", "mapStateStarted", length=count)
    for index in range(count):
        history.add("MapIterationStarted", "mapIterationStarted", after=3, name="Each", index=index)
        history.entered("X").tried().exited("X")
        history.add("MapIterationSucceeded", "mapIterationSucceeded", name="Each", index=index)
    history.add("MapStateSucceeded").exited("Each", "Map")
    return Recording(definition, {"status": "SUCCEEDED"}, history.events)


def test_a_history_of_thousands_of_events_is_shown_in_parts(opened: Opened) -> None:
    report = opened(many_iterations(800))
    report.page.get_by_role("tab", name="Events").click()
    assert report.page.locator("#events tbody tr").count() == 201
    report.page.get_by_role("button", name="Show more").click()
    assert report.page.locator("#events tbody tr").count() == 1201
    picker = report.page.get_by_label("Iteration of Each")
    picker.select_option(index=701)
    assert report.page.locator("#events tbody tr").count() < 20
    report.page.get_by_label("Filter events").fill("x")
    report.state("X").click()
    assert "#700" in report.details()


def test_zoom_goes_in_out_and_to_all_of_it(opened: Opened) -> None:
    report = opened(viewport={"width": 1100, "height": 500})
    level = report.page.locator("#zoom-level")
    report.page.get_by_role("button", name="Actual size").click()
    expect(level).to_have_text("100%")
    report.page.get_by_role("button", name="Larger").click()
    expect(level).to_have_text("120%")
    report.page.get_by_role("button", name="Fit").click()
    inside = report.page.evaluate(
        "() => { const view = document.getElementById('viewport'); return view.scrollHeight <= view.clientHeight + 1; }"
    )
    assert inside
