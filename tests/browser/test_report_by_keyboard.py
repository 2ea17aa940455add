"""The execution report without a mouse: Tab goes through the states as written, arrow keys as drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from invalidations_cli.recording import Recording, load
from tests.browser.conftest import RECORDINGS
from tests.recordings.history import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.browser.conftest import Report

    Opened = Callable[..., Report]

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

EXAMPLE = load(RECORDINGS / "moto.json")
STATE_MACHINE = json.loads((Path(__file__).parents[2] / "statemachine" / "invalidation.asl.json").read_text("utf-8"))
OURS = Recording(STATE_MACHINE, {"status": "RUNNING"}, History().entered("Join Batch").events)
LETTERS = {"as they are": "", "wide": "font-family: monospace", "large": "font-size: 21px"}
"""Boxes are as large as their text, so each of these makes a layout of its own."""
FOCUSED = "document.activeElement.dataset.state"


def drawn_with(report: Report, letters: str) -> Report:
    report.page.add_style_tag(content=f"#stage .state * {{ {LETTERS[letters]} !important }}")
    for _ in range(2):  # each draws the graph anew
        report.page.locator("#every-catch").click()
    return report


def press(report: Report, *keys: str) -> str:
    for key in keys:
        report.page.keyboard.press(key)
    return str(report.page.evaluate(FOCUSED))


def focus(report: Report, name: str) -> None:
    report.state(name).locator(".state").focus()


def hops(report: Report) -> dict[str, set[str]]:
    """Where arrow keys lead to from each state; the keys are sent by the page, as there are hundreds of them."""
    found = report.page.evaluate(
        """() => [...document.querySelectorAll("#stage .state")].map((state) => [
            state.dataset.state,
            ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"].map((key) => {
                state.focus();
                state.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
                return document.activeElement.dataset.state;
            }),
        ])"""
    )
    return {name: set(there) for name, there in found}


def reached(hops: dict[str, set[str]], start: str) -> set[str]:
    found, new = {start}, {start}
    while new:
        new = {there for name in new for there in hops[name]} - found
        found |= new
    return found


def as_written(machine: dict[str, Any]) -> Iterator[str]:
    for name, state in machine["States"].items():
        yield name
        for inner in (state.get("ItemProcessor") or state.get("Iterator"), *state.get("Branches", ())):
            if inner:
                yield from as_written(inner)


@pytest.mark.parametrize("letters", LETTERS)
@pytest.mark.parametrize("recording", [EXAMPLE, OURS], ids=["example", "ours"])
def test_from_every_state_arrow_keys_get_to_every_other(opened: Opened, recording: Recording, letters: str) -> None:
    report = drawn_with(opened(recording, bypass_csp=True), letters)
    found = hops(report)
    assert set(found) == set(as_written(recording.definition))
    missed = {name: set(found) - reached(found, name) for name in found}
    assert {name: states for name, states in missed.items() if states} == {}


@pytest.mark.parametrize("letters", LETTERS)
def test_down_and_up_follow_the_run_and_what_is_not_in_the_row_is_not_beside(opened: Opened, letters: str) -> None:
    report = drawn_with(opened(bypass_csp=True), letters)
    down = ["Find Distributions", "Any?", "Invalidate Each", "Create"]
    focus(report, down[0])
    assert [press(report, "ArrowDown") for _ in down[1:]] == down[1:]
    assert [press(report, "ArrowUp") for _ in down[1:]] == down[-2::-1]
    assert press(report, "ArrowLeft", "ArrowRight", "ArrowUp") == down[0], "nothing is beside or above the first state"


@pytest.mark.parametrize("letters", LETTERS)
def test_left_and_right_stay_in_the_row(opened: Opened, letters: str) -> None:
    report = drawn_with(opened(bypass_csp=True), letters)
    focus(report, "Write Log")
    assert [press(report, f"Arrow{way}") for way in ("Right", "Left", "Right", "Down")] == [
        "Count",
        "Write Log",
        "Count",
        "Sum",
    ]
    row = sorted(["Completed?", "Given Up"], key=lambda name: float(report.state(name).bounding_box()["x"]))
    focus(report, row[0])
    assert [press(report, f"Arrow{way}") for way in ("Right", "Left")] == [row[1], row[0]]


def test_tab_goes_through_the_states_as_they_are_written(opened: Opened) -> None:
    report = opened()
    written = list(as_written(EXAMPLE.definition))
    focus(report, written[0])
    passed = [written[0]]
    while passed[-1] != written[-1]:
        passed.append(press(report, "Tab"))
        assert len(passed) < 100
    assert [name for name in passed if name != "None"] == written


def test_enter_and_space_show_a_state_and_escape_goes_back(opened: Opened) -> None:
    report = opened()
    focus(report, "Any?")
    press(report, "Enter")
    assert report.details().startswith("Any?")
    assert press(report, "Tab") == "Nothing To Do"
    press(report, "Space")
    assert report.details().startswith("Nothing To Do")
    press(report, "Escape")
    assert report.details().startswith("Execution")


def test_the_first_tab_stop_leads_past_the_graph(opened: Opened) -> None:
    report = opened()
    report.page.keyboard.press("Tab")
    report.page.keyboard.press("Enter")
    assert report.page.evaluate("document.activeElement.id") == "details"


def test_tabs_are_moved_between_with_arrow_keys(opened: Opened) -> None:
    report = opened()
    report.page.get_by_role("tab", name="Timeline").focus()
    report.page.keyboard.press("ArrowRight")
    assert report.page.get_by_role("tab", name="Events").get_attribute("aria-selected") == "true"
    assert report.page.locator("#events").is_visible()
    assert not report.page.locator("#timeline").is_visible()
