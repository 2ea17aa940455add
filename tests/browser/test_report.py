from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from ops.report import Recording
from tests.recordings.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import Report

    Opened = Callable[..., Report]

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

HOSTILE = '</script><img src=x onerror="window.ran = 1"><script>window.ran = 1</script>'


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


def test_the_keyboard_alone_goes_through_the_graph(opened: Opened) -> None:
    report = opened()
    focused = "document.activeElement.dataset.state"
    report.state("Find Distributions").locator(".state").focus()
    report.page.keyboard.press("ArrowDown")
    assert report.page.evaluate(focused) == "Any?"
    report.page.keyboard.press("Enter")
    assert report.details().startswith("Any?")
    report.page.keyboard.press("Tab")
    assert report.page.evaluate(focused) == "Nothing To Do"
    report.page.keyboard.press("Space")
    assert report.details().startswith("Nothing To Do")
    report.page.keyboard.press("ArrowUp")
    assert report.page.evaluate(focused) == "Any?"
    report.page.keyboard.press("Escape")
    assert report.details().startswith("Execution")


def test_the_first_tab_stop_leads_past_the_graph(opened: Opened) -> None:
    report = opened()
    report.page.keyboard.press("Tab")
    report.page.keyboard.press("Enter")
    assert report.page.evaluate("document.activeElement.id") == "details"


def test_the_focused_and_the_selected_state_can_be_seen(opened: Opened) -> None:
    report = opened()
    report.state("Ended").click()
    assert "selected" in str(report.state("Ended").get_attribute("class"))
    assert report.state("Ended").locator(".state").get_attribute("aria-current") == "true"
    report.page.keyboard.press("ArrowUp")
    outline = report.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


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


def test_tabs_are_moved_between_with_arrow_keys(opened: Opened) -> None:
    report = opened()
    report.page.get_by_role("tab", name="Timeline").focus()
    report.page.keyboard.press("ArrowRight")
    assert report.page.get_by_role("tab", name="Events").get_attribute("aria-selected") == "true"
    assert report.page.locator("#events").is_visible()
    assert not report.page.locator("#timeline").is_visible()


def test_the_overview_tells_what_is_worth_a_look(opened: Opened) -> None:
    report = opened()
    found = report.page.locator("#details .incidents .link").all_inner_texts()
    assert found == ["Find Distributions", "Create #1", "Create #2", "Tell Channel"]
    report.page.locator("#details .incidents .link").nth(1).click()
    assert "NoSuchDistribution" in report.details()


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


CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast_in_light_and_in_dark(opened: Opened, scheme: str) -> None:
    report = opened(color_scheme=scheme)
    for name in ("Find Distributions", "Tell Channel", "Nothing To Do", "Invalidate Each"):
        report.state(name).locator(".state").click()
        assert report.page.evaluate(CONTRAST) == []
    report.page.get_by_role("tab", name="Events").click()
    assert report.page.evaluate(CONTRAST) == []


def test_the_page_is_dark_where_the_reader_prefers_that(opened: Opened) -> None:
    backgrounds = [
        opened(color_scheme=scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert backgrounds == ["rgb(244, 245, 247)", "rgb(14, 17, 22)"]


def test_every_control_has_a_name_and_every_id_is_given_once(opened: Opened) -> None:
    report = opened()
    nameless = report.page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, summary, [role=tab]")]
            .filter((each) => !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length))
            .map((each) => each.outerHTML)"""
    )
    assert nameless == []
    ids = report.page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))


def test_what_a_screen_reader_says_of_a_state_tells_what_happened(opened: Opened) -> None:
    name = opened().page.get_by_role("button", name=re.compile("^Tell Channel"))
    expect(name.first).to_have_accessible_name(re.compile(r"Tell Channel.*Task.*error caught"))


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


def test_on_a_narrow_screen_nothing_has_to_be_scrolled_sideways(opened: Opened) -> None:
    report = opened(viewport={"width": 420, "height": 800})
    assert report.page.evaluate("document.documentElement.scrollWidth") <= 420
