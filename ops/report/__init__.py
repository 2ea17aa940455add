"""The report of one execution: `read` a recording into a `Run`, `render` it as one HTML page that needs no network."""

from ops.report.history import read
from ops.report.page import render
from ops.report.recording import Recording, collect, dump, load

__all__ = ["Recording", "collect", "dump", "load", "read", "render"]
