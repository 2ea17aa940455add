"""The report of one execution: `read` a recording into a `Run`, `render` it as one HTML page that needs no network."""

from __future__ import annotations

from invalidations_cli.report.history import read
from invalidations_cli.report.page import render
from invalidations_cli.report.recording import Recording, collect, dump, load

__all__ = ["Recording", "collect", "dump", "load", "read", "render"]
