"""An execution's history as one HTML page that carries all that it needs.

The page may load nothing: its policy allows no address. What comes from the execution (names, keys, payloads, causes)
is data of a stranger: it is embedded as JSON in which no
markup can occur, the scripts only ever write it as text, and the Content-Security-Policy lets no script run but the two
that the page was made with, which it names by their hash.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

from invalidations_cli.report.items import with_items
from invalidations_cli.report.summary import summary_of

if TYPE_CHECKING:
    from invalidations_cli.history import ExecutionHistory


LIBRARY = "@dagrejs/dagre 3.1.3"
STYLES = ("colours", "base", "graph", "details", "record", "media")
SCRIPTS = (
    "dom",
    "data",
    "payload",
    "layout",
    "graph",
    "navigate",
    "summary",
    "details",
    "timeline",
    "events",
    "search",
    "main",
)
ICON_COLOURS = {"SUCCEEDED": "#1a7f37", "RUNNING": "#0969da"}
ICON_FAILED = "#cf222e"


def render(history: ExecutionHistory) -> str:
    """The whole page. The same history gives the same page."""
    style = "".join(_asset(f"{name}.css") for name in STYLES)
    library, script = _library(), _script()
    policy = [
        "default-src 'none'",
        f"script-src {_hash(library)} {_hash(script)}",
        f"style-src {_hash(style)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    parts = {
        "policy": html.escape("; ".join(policy)).replace("&#x27;", "'"),
        "title": html.escape(f"{history.name} · {history.status.lower()} · {history.machine}"),
        "icon": _icon(history.status),
        "style": style,
        "data": _data(with_items(history)),
        "library": library,
        "script": script,
    }
    # One pass: what is put in is never looked at again, whatever it contains.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("index.html"))


def _asset(name: str) -> str:
    return files("invalidations_cli.report").joinpath("page", name).read_text(encoding="utf-8")


def _library() -> str:
    """The layout library with its licence, and without its pointer to a source map."""
    code = re.sub(r"^//# sourceMappingURL=.*$", "", _asset("vendor/dagre.min.js"), flags=re.MULTILINE)
    return f"/*! {LIBRARY}\n{_asset('vendor/dagre.LICENSE.txt')}*/\n{code}"


def _script() -> str:
    parts = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();\n'


def _hash(content: str) -> str:
    """A source expression of Content Security Policy Level 3 that allows this very content."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _data(history: ExecutionHistory) -> str:
    """The history as JSON without `<`, `>` and `&`. Nothing in it can end the script element."""
    values = {**asdict(history), "unrecorded": sorted(history.unrecorded), "summary": summary_of(history)}
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _icon(status: str) -> str:
    colour = ICON_COLOURS.get(status, ICON_FAILED)
    circle = f'<circle cx="8" cy="8" r="7" fill="{colour}"/>'
    return "data:image/svg+xml," + quote(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">{circle}</svg>')
