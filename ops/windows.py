"""How long changes gather in a stack, for the questions of `invalidation.lifecycle` that depend on it."""

from __future__ import annotations

from invalidation.lifecycle.joining import Window
from ops.stack import Stack


def window_of(stack: Stack) -> Window:
    """As the template's parameters have it, and as its functions read them."""
    default = Window()
    seconds = int(stack.parameters.get("BatchWindowSeconds", default.seconds))
    return Window(seconds, max(int(stack.parameters.get("MaxBatchWindowSeconds", default.max_seconds)), seconds))
