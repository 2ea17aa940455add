from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import invalidations_cli.report
from invalidations_cli.history import read_history
from invalidations_cli.recording import load
from invalidations_cli.report.page import LIBRARY, SCRIPTS, STYLES, render

RECORDINGS = Path(__file__).parent.parent / "recordings"
PAGE = Path(invalidations_cli.report.__file__).parent / "page"
HOSTILE = "</script><img src=x onerror=\"document.title='run'\"><!--<script>{{data}}&\u2028\ud800"


class Elements(HTMLParser):
    """Collects the elements of a page, with their attributes and the text inside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in {"script", "style"} and data.strip():
            self.texts.append((self.found[-1][0], data))


def page_of(engine: str = "moto", **changes: Any) -> str:
    recording = load(RECORDINGS / f"{engine}.json")
    return render(read_history(recording.definition, {**recording.execution, **changes}, recording.events))


def hostile_page() -> str:
    definition = {"StartAt": HOSTILE, "States": {HOSTILE: {"Type": "Pass", "Comment": HOSTILE, "End": True}}}
    details = {"name": HOSTILE, "input": json.dumps({HOSTILE: HOSTILE})}
    events = [
        {"id": 1, "type": "PassStateEntered", "timestamp": 1_790_000_000, "stateEnteredEventDetails": details},
        {"id": 2, "type": HOSTILE, "timestamp": 1_790_000_001},
    ]
    return render(
        read_history(definition, {"name": HOSTILE, "status": HOSTILE, "error": HOSTILE, "cause": HOSTILE}, events)
    )


def policy_of(page: str) -> dict[str, list[str]]:
    (content,) = [
        attributes["content"] or ""
        for tag, attributes in Elements(page).found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    return {name: values for name, *values in (directive.split() for directive in content.split(";"))}


def test_the_page_names_no_address_at_all() -> None:
    page = page_of()
    for tag, attributes in Elements(page).found:
        assert not {"src", "action", "data", "srcset"} & attributes.keys(), tag
        assert str(attributes.get("href", "#")).startswith(("#", "data:")), tag
    assert not re.search(r"@import|url\((?!#|\"#)|fetch\(|XMLHttpRequest|WebSocket|sourceMappingURL", page)


def test_its_policy_allows_its_own_scripts_and_style_and_nothing_else() -> None:
    page = page_of()
    texts = Elements(page).texts
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for _tag, text in texts]
    style, _data, library, script = hashes
    assert policy_of(page) == {
        "default-src": ["'none'"],
        "script-src": [library, script],
        "style-src": [style],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }


def test_nothing_in_the_data_can_end_its_element_or_begin_another() -> None:
    ordinary, hostile = Elements(page_of()), Elements(hostile_page())
    assert [tag for tag, _ in hostile.found] == [tag for tag, _ in ordinary.found]
    (data,) = re.findall(r'<script type="application/json" id="run">(.*?)</script>', hostile_page(), flags=re.DOTALL)
    assert not set(data) & set("<>&\u2028")
    values = json.loads(data)
    assert values["visits"][0]["state"] == values["name"] == HOSTILE
    assert json.loads(values["events"][0]["details"]["input"]) == {HOSTILE: HOSTILE}


def test_the_title_tells_what_happened_and_is_escaped() -> None:
    assert "<title>a-run-of-everything · succeeded · invalidate</title>" in page_of()
    assert f"<title>{html.escape(HOSTILE)} ·" in hostile_page()


def test_the_same_run_gives_the_same_page() -> None:
    assert page_of() == page_of()


def test_the_page_is_small_enough_to_send() -> None:
    assert len(page_of().encode()) < 200_000


def test_the_icon_tells_success_from_failure() -> None:
    assert "%231a7f37" in page_of()
    assert "%23cf222e" in page_of(status="TIMED_OUT")


def test_what_is_vendored_is_what_its_table_says_and_its_licence_goes_with_it() -> None:
    table = (PAGE / "vendor" / "README.md").read_text(encoding="utf-8")
    digest = hashlib.sha256((PAGE / "vendor" / "dagre.min.js").read_bytes()).hexdigest()
    name, _, version = LIBRARY.rpartition(" ")
    assert f"`{digest}`" in table
    assert f"npm package `{name}`, as published | {version} | MIT" in table
    licence = (PAGE / "vendor" / "dagre.LICENSE.txt").read_text(encoding="utf-8")
    assert licence.startswith("Copyright (c)")
    assert f"/*! {LIBRARY}\n{licence}*/" in page_of()


def test_every_script_and_style_is_in_the_page_and_cannot_end_its_own_element() -> None:
    assert {path.stem for path in PAGE.glob("*.js")} == set(SCRIPTS)
    assert {path.stem for path in PAGE.glob("*.css")} == set(STYLES)
    for path in (*PAGE.glob("*.js"), *PAGE.glob("vendor/*.js"), *PAGE.glob("*.css")):
        assert not re.search(r"</script|</style|<!--", path.read_text(encoding="utf-8")), path.name


def test_the_scripts_write_text_and_never_markup() -> None:
    for path in PAGE.glob("*.js"):
        used = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser|srcdoc",
            path.read_text(encoding="utf-8"),
        )
        assert used == [], path.name
