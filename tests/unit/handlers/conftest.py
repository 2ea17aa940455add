"""Handlers one at a time: against moto, with the environment of the template, and with calls that AWS refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.statemachine import stack as stacks
from tests.statemachine.site import Site
from tests.statemachine.stack import Stack
from tests.unit.handlers.invoking import Invoke

HERE = "tests/unit/handlers/"


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a module share a stack, so one worker runs them."""
    for item in items:
        if item.nodeid.startswith(HERE):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="module", name="stack")
def shared_stack() -> Iterator[Stack]:
    """A stack for the tests of a module; it fails at the end where a handler did what its role does not allow."""
    with stacks.deployed() as deployed:
        yield deployed


@pytest.fixture
def site(stack: Stack) -> Site:
    """A bucket of this test's own, with a distribution in front of it."""
    return Site.create(stack)


@pytest.fixture
def invoke(stack: Stack) -> Invoke:
    return Invoke(stack.functions)
