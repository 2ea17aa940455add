"""Moments as text: ISO 8601 in UTC with a ``Z``, so that text order is time order."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Tells the time, as an aware datetime in UTC."""

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def to_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    return datetime.fromisoformat(text)


def optional_from_text(text: str | None) -> datetime | None:
    return None if text is None else from_text(text)


def whole_second_before(moment: datetime) -> str:
    """The form for ``TimestampPath``, which drops fractions (SFD, "Wait workflow state")."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def whole_second_after(moment: datetime) -> str:
    """The same rounded up, never early."""
    return whole_second_before(moment + timedelta(seconds=1) if moment.microsecond else moment)


def compact(moment: datetime) -> str:
    """The form for names of batches and executions: ``20261123T062719Z``."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def epoch_seconds(moment: datetime) -> int:
    """The form for DynamoDB's time to live (DynamoDB Developer Guide, "Time to Live")."""
    return math.ceil(moment.timestamp())
