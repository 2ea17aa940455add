"""A bucket with a distribution in front of it, in a stack that it may share with other tests."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from tests.statemachine.events import changed
from tests.statemachine.recorded_execution import RecordedExecution
from tests.statemachine.stack import Stack

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Site:
    """``distribution`` serves ``bucket``; index.html is its default root object."""

    stack: Stack
    bucket: str
    distribution: str

    @classmethod
    def create(cls, stack: Stack) -> Site:
        bucket = f"site-{next(_NUMBERS)}"
        stack.edge.polls = 1
        stack.machine.on_wait = lambda _state, _seconds: None
        return cls(stack, bucket, stack.distribution(bucket))

    def put(self, key: str, **options: Any) -> RecordedExecution:
        """An object is put into the bucket; what the execution did that the event started."""
        return self.stack.run(changed(self.bucket, key), **options)

    def has_just_changed(self, key: str = "first.html") -> None:
        """A batch has closed at this very moment, so that the next one has to wait."""
        clock = self.stack.machine.clock
        before = clock.now()
        self.put(key)
        clock.wait((before - clock.now()).total_seconds())

    @property
    def invalidated(self) -> list[list[str]]:
        """The paths of each invalidation of the distribution so far, oldest first."""
        return self.stack.edge.paths(self.distribution)

    @property
    def pending(self) -> int:
        return self.stack.pending(self.bucket)
