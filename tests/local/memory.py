"""How much memory the emulator and its Lambda workers take."""

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Peak:
    """The most that was resident at once, in bytes, and by how many processes."""

    size: int = 0
    processes: int = 0


def resident(leader: int) -> Peak:
    """Of a process group, now: pages that processes share count for each, so that this is rather too much."""
    sizes = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(entry.name)) == leader:
                sizes.append(int((entry / "statm").read_text(encoding="ascii").split()[1]) * PAGE)
    return Peak(sum(sizes), len(sizes))


@contextlib.contextmanager
def watched(leader: int, every: float = 0.25) -> Iterator[Peak]:
    """Look at a process group again and again; what the context gives holds the most so far."""
    peak, done = Peak(), threading.Event()

    def look() -> None:
        while not done.is_set():
            found = resident(leader)
            peak.size, peak.processes = max(peak.size, found.size), max(peak.processes, found.processes)
            done.wait(every)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
