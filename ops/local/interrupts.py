"""SIGTERM and SIGHUP end a command the way Ctrl-C does: through its `with` blocks, so that nothing is left behind."""

import signal
from types import FrameType


def heed_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
