"""SIGTERM and SIGHUP end a command the way Ctrl-C does: through its `with` blocks, so that nothing is left behind."""

from __future__ import annotations

import signal
from types import FrameType

HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heed_signals() -> None:
    """A signal that the caller chose to ignore, as nohup does, stays ignored."""
    for number in HEEDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Once is enough: a second signal does not disturb the cleaning up."""
    for number in HEEDED:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
