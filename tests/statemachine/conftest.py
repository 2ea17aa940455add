"""What all state machine tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.statemachine import stack
from tests.statemachine.machine import MockedMachine, mocked
from tests.statemachine.site import Site

HERE = "tests/statemachine/"


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a module share a state machine or a stack, so one worker runs them."""
    for item in items:
        if item.nodeid.startswith(HERE):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="module", name="mocked")
def mocked_machine() -> Iterator[MockedMachine]:
    """The state machine with mocked responses, for all tests of a module."""
    with mocked() as machine:
        yield machine


@pytest.fixture(scope="module", name="stack")
def shared_stack() -> Iterator[stack.Stack]:
    """A stack for all tests of a module: each has a bucket of its own in it."""
    with stack.deployed() as deployed:
        yield deployed


@pytest.fixture
def site(stack: stack.Stack) -> Site:
    """A bucket of this test's own, with a distribution in front of it."""
    return Site.create(stack)
