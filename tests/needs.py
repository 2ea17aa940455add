"""What some tests need and `make test` cannot set up without root: a browser, Node, an AWS CLI, Lambda's Python."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip with the reason on a machine without it. CI has all of it, so that there it is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
