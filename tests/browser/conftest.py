from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from invalidations_cli.history import Status, read_history
from invalidations_cli.recording import Recording, load
from invalidations_cli.report.page import render
from tests.needs import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDINGS = Path(__file__).parent.parent / "recordings"
TIMEOUT_MILLISECONDS = 60_000.0
"""Milliseconds for what happens at once on a machine that has nothing else to do."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        missing(f"no Chromium on this machine (looked for {', '.join(NAMES)}): install Debian's package chromium")
    # Chromium refuses to sandbox itself for root, which is who runs in most containers.
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=TIMEOUT_MILLISECONDS)
    with sync_playwright() as playwright:
        arguments = [*as_root, "--host-resolver-rules=MAP *.example 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments, timeout=TIMEOUT_MILLISECONDS)
        yield browser
        browser.close()


class Report:
    """A report in a browser: the page, what it asked for, and what it complained of."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.url = path.as_uri()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.set_default_timeout(TIMEOUT_MILLISECONDS)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        page.goto(self.url)
        page.wait_for_selector("html[data-ready]")

    def state(self, name: str) -> Any:
        return self.page.locator(f'[id=stage] .box:has([data-state="{name}"])')

    def statuses(self) -> dict[str, str]:
        """The class that colours each state, by its name."""
        return dict(
            self.page.evaluate(
                """(known) => [...document.querySelectorAll("#stage .box")].map((box) => [
                box.querySelector(".state").dataset.state,
                known.filter((each) => box.classList.contains(each)).join(" "),
            ])""",
                list(get_args(Status)),
            )
        )

    def details(self) -> str:
        return str(self.page.locator("#details").inner_text())

    def rows(self) -> list[str]:
        return [" ".join(text.split()) for text in self.page.locator("#events tbody tr").all_inner_texts()]


Opener = "Callable[..., Report]"


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Report]]:
    """Opens the report of a recording (or of an engine's, by its name); in the end no complaint may have been made."""
    reports: list[Report] = []

    def open_report(recording: str | Recording = "moto", **options: Any) -> Report:
        each = load(RECORDINGS / f"{recording}.json") if isinstance(recording, str) else recording
        path = tmp_path / f"report{len(reports)}.html"
        path.write_text(render(read_history(each.definition, each.execution, each.events)), encoding="utf-8")
        page = browser.new_page(**{"viewport": {"width": 1440, "height": 900}, **options})
        reports.append(Report(page, path))
        return reports[-1]

    yield open_report
    for report in reports:
        report.page.close()
    assert [complaint for report in reports for complaint in report.complaints] == []
