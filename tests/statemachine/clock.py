"""Time that passes when a state waits, and not otherwise."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, tzinfo


class Clock:
    """The time of this machine plus all that the state machine has waited.

    Waits of parallel iterations of a Map add up here: later than on AWS, never earlier.
    """

    def __init__(self) -> None:
        self._waited = timedelta()
        self._lock = threading.Lock()
        self.datetime = self._datetime_type()
        """In the place of ``datetime.datetime``, in modules that ask it for the time."""

    def now(self) -> datetime:
        return datetime.now(UTC) + self._waited

    def wait(self, seconds: float) -> None:
        with self._lock:
            self._waited += timedelta(seconds=seconds)

    def _datetime_type(self) -> type[datetime]:
        class Now(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # a plain datetime, as others
                return self.now().astimezone(tz) if tz else self.now().replace(tzinfo=None)

        return Now
