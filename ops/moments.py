"""Moments and spans of time, as people write and read them. All times are UTC, and say so."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Any

import click

SPAN = re.compile(r"([0-9]{1,6})\s*([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def now() -> datetime:
    return datetime.now(UTC)


class Moment(click.ParamType[datetime]):
    """A date, a time, or how long ago. A day alone means its first moment, or its last where it is an end."""

    name = "when"

    def __init__(self, *, end: bool = False) -> None:
        self.end = end

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        written = str(value).strip()
        try:
            if span := SPAN.fullmatch(written):
                return now() - timedelta(**{UNITS[span[2]]: int(span[1])})
            moment = datetime.fromisoformat(written)
        except (ValueError, OverflowError):
            self.fail(
                f"{written!r} is neither a date or time such as 2026-11-23 or 2026-11-23T06:30 (UTC), "
                "nor a span such as 24h or 7d",
                param,
                ctx,
            )
        if self.end and DAY.fullmatch(written):
            moment = datetime.combine(moment, time.max)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def stamp(moment: datetime | None) -> str:
    """`2026-11-23 06:27:19`, in UTC; nothing for None."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def clock(moment: datetime) -> str:
    """`06:27:19.4`, in UTC."""
    return f"{moment.astimezone(UTC):%H:%M:%S}.{moment.microsecond // 100_000}"


def took(seconds: float | None) -> str:
    """`0.3 s`, `12 s`, `3 min 5 s`, `2 h 5 min`, `3 d 4 h`; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 10:  # where tenths still tell something
        return f"{max(seconds, 0):.1f} s".replace(".0 ", " ")
    whole = round(seconds)
    for size, unit, smaller, name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest} {name}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"
