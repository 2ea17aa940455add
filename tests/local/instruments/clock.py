"""A clock that tests set ahead: `{"ahead": seconds}`, sent to `/_local/clock`.

A sweep comes every five minutes, and what it looks for has been left alone for two: nobody tests that by waiting. Here
the clock of the handlers and of Step Functions is set ahead, both at once; what signs requests keeps the true time. A
state that waits for a time which has passed by then goes on. Until a test sets it, the clock is the true one.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ministack.core.lambda_runtime as runtime
import ministack.services.stepfunctions as states

from invalidations_cli.local.patches import PatchDoesNotFit, seam
from invalidations_cli.local.settings import LocalSettings
from tests.local.instruments import control, shifted_datetime

LOADED = "handler_fn = getattr(mod, handler_name)\n"
LONGEST_NAP = 0.2


def apply(_settings: LocalSettings) -> None:
    if runtime._PYTHON_WORKER_SCRIPT.count(LOADED) != 1:
        raise PatchDoesNotFit("The worker script of ministack loads handlers otherwise than clock.py expects.")
    script = runtime._PYTHON_WORKER_SCRIPT.replace(LOADED, f"{LOADED}        follow_the_clock(mod)\n")
    source = Path(shifted_datetime.__file__).read_text(encoding="utf-8")
    runtime._PYTHON_WORKER_SCRIPT = f"{source}\nSECONDS_AHEAD_FILE = {shifted_datetime.SECONDS_AHEAD_FILE!r}\n{script}"
    seam(states, "now_iso", "f75b8f211421")
    seam(states, "_sleep_until", "2738e0a4030c")
    states.now_iso = now_in_milliseconds
    states._sleep_until = sleep_until
    control.offer("clock", set_clock)


def set_clock(order: Any) -> dict[str, float]:
    if order is not None:
        unfinished = f"{shifted_datetime.SECONDS_AHEAD_FILE}.new"
        Path(unfinished).write_text(str(float(order["ahead"])), encoding="ascii")
        os.replace(unfinished, shifted_datetime.SECONDS_AHEAD_FILE)  # noqa: PTH105 - a reader finds the old text or the new
    return {"ahead": shifted_datetime.seconds_ahead()}


def now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=shifted_datetime.seconds_ahead())


def now_in_milliseconds() -> str:
    return now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sleep_until(moment: str) -> None:
    """Sleep as a Wait state does, scaled as every wait is, and look at the clock now and then."""
    try:
        target = datetime.fromisoformat(moment)
        left = (target - now()).total_seconds()
    except (ValueError, TypeError):
        return
    deadline = time.monotonic() + left * states._SFN_WAIT_SCALE
    while time.monotonic() < deadline and now() < target:
        time.sleep(max(0.0, min(LONGEST_NAP, deadline - time.monotonic())))
