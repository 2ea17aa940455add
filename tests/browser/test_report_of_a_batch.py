"""What a person finds in the report of a batch: what it came to, where, and how long it waited; on a phone too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.recordings.batch import ARN, BATCH, DISTRIBUTIONS, recording_of_a_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import Report

pytestmark = pytest.mark.browser


@pytest.fixture
def report(opened: Callable[..., Report]) -> Report:
    return opened(recording_of_a_batch())


def test_the_summary_tells_outcome_paths_price_transitions_and_each_distribution(report: Report) -> None:
    told = " ".join(report.details().split())
    for each in (
        "Partly failed",
        BATCH,
        "40 keys of my-site",
        "3 paths (1 wildcard)",
        "at most $0.015",
        "Transitions 6",
    ):
        assert each in told, told
    for each in (*DISTRIBUTIONS, "I1AAAAAAAAAAAA", "I2BBBBBBBBBBBB", "AccessDenied"):
        assert each in told


def test_the_consoles_page_is_one_click_away(report: Report) -> None:
    link = report.page.get_by_role("link", name="Step Functions console")
    assert str(link.get_attribute("href")).endswith(f"#/v2/executions/details/{ARN}")
    assert link.get_attribute("rel") == "noopener noreferrer"


def test_distributions_are_named_by_their_ids_in_graph_timeline_and_details(report: Report) -> None:
    assert report.page.locator("#stage .chip").all_inner_texts()[1:] == [
        f"✓\n{DISTRIBUTIONS[0]}",
        f"!\n{DISTRIBUTIONS[1]}",
    ]
    assert report.page.locator("#timeline .group").all_inner_texts() == list(DISTRIBUTIONS)
    report.page.get_by_role("button", name=f"Iteration {DISTRIBUTIONS[1]}, error caught").click()
    assert f"Input of {DISTRIBUTIONS[1]}" in report.details()
    assert "#0" not in report.page.locator("body").inner_text()


def test_an_address_opens_the_same_state_and_visit(opened: Callable[..., Report], report: Report) -> None:
    report.page.locator('#timeline .span[aria-label^="Create Invalidation, E2"]').click()
    address = report.page.url
    assert address.endswith("#state=Create%20Invalidation&visit=3"), address
    other = opened(recording_of_a_batch())
    other.page.goto(f"{other.url}#{address.partition('#')[2]}")
    other.page.wait_for_function("document.querySelector('#details h2').textContent === 'Create Invalidation'")
    assert DISTRIBUTIONS[1] in other.details()
    assert other.page.locator("#timeline .span.selected").get_attribute("data-visit") == "3"
    other.page.get_by_role("button", name="Overview").click()
    assert other.page.evaluate("location.hash") == ""


NOWHERE = ["#state=Nowhere", "#state=Create%20Invalidation&visit=99", "#%", "#state=__proto__", "#x"]


@pytest.mark.parametrize("hash_", NOWHERE)
def test_an_address_that_names_nothing_opens_the_overview(opened: Callable[..., Report], hash_: str) -> None:
    report = opened(recording_of_a_batch())
    report.page.goto("about:blank")
    report.page.goto(report.url + hash_)
    report.page.wait_for_selector("html[data-ready]")
    expected = "Create Invalidation" if "Create" in hash_ else "Execution"
    assert report.page.locator("#details h2").inner_text() == expected


def looks(report: Report, selector: str) -> str:
    return str(report.page.locator(selector).first.evaluate("(each) => getComputedStyle(each).backgroundImage"))


def test_waiting_looks_different_from_working_in_graph_and_timeline(report: Report) -> None:
    waits = '#stage .box:has([data-state="Wait For Batch To Close"]) .state'
    works = '#stage .box:has([data-state="Create Invalidation"]) .state'
    assert "repeating-linear-gradient" in looks(report, waits)
    assert "repeating-linear-gradient" not in looks(report, works)
    assert "repeating-linear-gradient" in looks(report, "#timeline .span[aria-label^='Wait']")
    assert "repeating-linear-gradient" not in looks(report, "#timeline .span[aria-label^='Create']")
    assert "Waiting" in report.details()


def found(report: Report) -> list[str]:
    return sorted(report.page.locator("#stage .box.found .name").all_inner_texts())


def test_search_finds_states_by_name_and_by_what_is_in_their_data(report: Report) -> None:
    report.page.keyboard.press("/")
    report.page.keyboard.type("batch fail")
    assert found(report) == ["Batch Failed"]
    report.page.get_by_role("searchbox", name="Search states").fill(DISTRIBUTIONS[1].lower())
    assert found(report) == ["Batch Failed", "Create Invalidation"]
    report.page.keyboard.press("Enter")
    assert report.page.locator("#details h2").inner_text() in found(report)
    report.page.keyboard.press("Escape")
    assert found(report) == []


PHONE = {"viewport": {"width": 390, "height": 844}}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 800, 1440])
def test_nothing_overflows(opened: Callable[..., Report], width: int, scheme: str) -> None:
    options: dict[str, Any] = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme}
    report = opened(recording_of_a_batch(), **options)
    for tab in ("Timeline", "Events"):
        report.page.get_by_role("tab", name=tab).click()
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert report.page.evaluate(over) == 0
        beyond = """() => [...document.querySelectorAll("header *, #details *, #record *, .bar *")]
            .filter((each) => each.getBoundingClientRect().right > innerWidth + 1 && !each.closest("pre, .unseen"))
            .map((each) => each.outerHTML.slice(0, 80))"""
        assert report.page.evaluate(beyond) == []


@pytest.mark.parametrize("width", [390, 800, 1_100, 1_440])
def test_a_long_name_takes_no_more_than_a_few_lines(opened: Callable[..., Report], width: int) -> None:
    recording = recording_of_a_batch()
    name = "2bbd1efd-c639-4937-82ef-49d3c0a151e5_b86c60cd-acd0-41bb-87b3-526b07fc09ec"
    report = opened(
        replace(recording, execution={**recording.execution, "name": name}), viewport={"width": width, "height": 844}
    )
    assert report.page.locator("h1").inner_text() == name
    assert report.page.locator("h1").evaluate("(each) => each.getClientRects()[0].height / 21") < 5
    legend = report.page.locator(".speed").bounding_box()
    first = report.page.locator(".tick").first.bounding_box()
    assert legend
    assert first
    assert legend["x"] + legend["width"] <= first["x"]


def test_on_a_phone_outcome_and_error_come_before_the_graph(opened: Callable[..., Report]) -> None:
    report = opened(recording_of_a_batch(), **PHONE)
    top = {
        name: report.page.locator(selector).first.evaluate("(each) => each.getBoundingClientRect().y")
        for name, selector in {"outcome": "#top dd", "error": "#details .error", "graph": "#graph"}.items()
    }
    assert top["outcome"] < top["error"] < 844 < top["graph"], top
    assert report.page.locator("#top dd").first.inner_text() == "Partly failed"
