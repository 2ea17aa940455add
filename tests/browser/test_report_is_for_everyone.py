from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import Report

    Opened = Callable[..., Report]

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_the_focused_and_the_selected_state_can_be_seen(opened: Opened) -> None:
    report = opened()
    report.state("Ended").click()
    assert "selected" in str(report.state("Ended").get_attribute("class"))
    assert report.state("Ended").locator(".state").get_attribute("aria-current") == "true"
    report.page.keyboard.press("ArrowUp")
    outline = report.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


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


def test_on_a_narrow_screen_nothing_has_to_be_scrolled_sideways(opened: Opened) -> None:
    report = opened(viewport={"width": 420, "height": 800})
    assert report.page.evaluate("document.documentElement.scrollWidth") <= 420
