"""A `datetime` whose `now` tests can set ahead, for handlers.

The module imports only the standard library and nothing of this project, because its source is also put in front of
what each Lambda worker runs.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, tzinfo
from typing import Any

SECONDS_AHEAD_FILE = os.path.join(os.environ.get("TMPDIR", "/tmp"), "seconds-ahead")  # noqa: PTH118, S108 - the emulator's own


def seconds_ahead() -> float:
    try:
        with open(SECONDS_AHEAD_FILE, encoding="ascii") as file:  # noqa: PTH123 - read with every look at the clock
            return float(file.read())
    except FileNotFoundError:
        return 0.0


class ShiftedDatetime(datetime):
    """`datetime`, whose `now` is as far ahead as a test has set it."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> ShiftedDatetime:
        return super().now(tz) + timedelta(seconds=seconds_ahead())


def follow_the_clock(module: Any) -> None:
    """What the module calls `datetime` is ahead from now on; other modules' signatures and timeouts are not."""
    if getattr(module, "datetime", None) is datetime:
        module.datetime = ShiftedDatetime
