"""How tests control a running emulator: one JSON document for each subject, at `/_local/<subject>`.

Nothing listens there but what a patch offers with `offer`, in the emulator's own process. `tell` and `ask` are for
whoever drives the emulator.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from functools import wraps
from typing import Any

PREFIX = "/_local/"
INSTRUMENTS = tuple(
    f"tests.local.instruments.{name}"
    for name in ("iam_calls", "clock", "fault_injection", "invalidation_counts", "encoded_keys")
)
"""For `LocalSettings(extra_patches=…)`: the modules that answer there."""
JSON = {"Content-Type": "application/json"}

Answer = Callable[[Any], Any]
OFFERED: dict[str, Answer] = {}
"""Subject → what takes the document that was sent (None for a question) and gives the answer."""


def ask(endpoint: str, subject: str) -> Any:
    return exchange(urllib.request.Request(f"{endpoint}{PREFIX}{subject}"))  # noqa: S310 - on this machine


def tell(endpoint: str, subject: str, document: Any) -> Any:
    request = urllib.request.Request(  # noqa: S310 - on this machine
        f"{endpoint}{PREFIX}{subject}", json.dumps(document).encode(), JSON, method="PUT"
    )
    return exchange(request)


def exchange(request: urllib.request.Request) -> Any:
    """The answer; raises urllib.error.HTTPError where nobody offers the subject."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=30) as response:
        return json.load(response)


def offer(subject: str, answer: Answer) -> None:
    """In the emulator's process only: answer what is asked and told about a subject."""
    if not OFFERED:
        listen()
    OFFERED[subject] = answer


def listen() -> None:
    from ministack import app  # noqa: PLC0415 - the emulator's process has it loaded

    from invalidations_cli.local.patches import seam  # noqa: PLC0415 - likewise

    dispatch = seam(app, "_dispatch_service_request", "17e5ef6dcfa0")

    @wraps(dispatch)
    async def dispatch_or_answer(method: str, path: str, headers: Any, body: bytes, *more: Any) -> Any:
        answer = OFFERED.get(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
        if answer is None:
            return await dispatch(method, path, headers, body, *more)
        return 200, dict(JSON), json.dumps(answer(json.loads(body) if method == "PUT" else None)).encode()

    app._dispatch_service_request = dispatch_or_answer
