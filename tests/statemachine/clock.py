"""Time that passes when a state waits, and not otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo


class Clock:
    """The time of this machine plus all that the state machine has waited.

    Waits of parallel iterations of a Map add up here: later than on AWS, never earlier.
    """

    def __init__(self) -> None:
        self._waited = timedelta()
        self._lock = threading.Lock()
        self.datetime = datetime_of(self.now)
        """In the place of ``datetime.datetime``, in modules that ask it for the time."""

    def now(self) -> datetime:
        return datetime.now(UTC) + self._waited

    def wait(self, seconds: float) -> None:
        with self._lock:
            self._waited += timedelta(seconds=seconds)


def datetime_of(clock: Callable[[], datetime]) -> type[datetime]:
    """A ``datetime`` that tells the clock's time, for modules that ask it for the time."""

    class Now(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # a plain datetime, as others
            return clock().astimezone(tz) if tz else clock().replace(tzinfo=None)

    return Now
