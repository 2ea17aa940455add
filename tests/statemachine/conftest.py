"""What all state machine tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.statemachine.machine import MockedMachine, mocked

HERE = "tests/statemachine/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs them all: definitions are parsed once for a process, and parsing one takes half a second."""
    for item in items:
        if item.nodeid.startswith(HERE):
            item.add_marker(pytest.mark.xdist_group("statemachine"))


@pytest.fixture(scope="module", name="mocked")
def mocked_machine() -> Iterator[MockedMachine]:
    with mocked() as machine:
        yield machine
