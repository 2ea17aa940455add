"""A state machine of which a test says what has become of its executions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from invalidation.batches.replay import Ended

ARN = "arn:aws:states:eu-central-1:123456789012:execution:invalidation:"


class FakeStateMachine:
    """Implements ``StateMachine``; counts calls, and fails those of which ``fails`` is true."""

    def __init__(self) -> None:
        self.runs: set[str] = set()
        """ARNs; the list of what runs has them as well, unless ``listed`` is cleared."""
        self.lists = True
        self.started: dict[str, Any] = {}
        self.ended: list[Ended] = []
        self.accepted: set[str] = set()
        self.inputs: dict[str, Any] = {}
        self.calls: list[tuple[str, str]] = []
        self.fails: Callable[[str, str], bool] = lambda _method, _about: False

    def end(self, name: str, stopped: datetime, document: Any, *, accepted: bool = False) -> Ended:
        ended = Ended(ARN + name, name, stopped)
        self.ended.append(ended)
        self.inputs[ended.arn] = document
        if accepted:
            self.accepted.add(ended.arn)
        return ended

    def count(self, method: str) -> int:
        return sum(each == method for each, _ in self.calls)

    def running(self) -> frozenset[str]:
        self._call("running")
        return frozenset(self.runs) if self.lists else frozenset()

    def is_running(self, arn: str) -> bool:
        self._call("is_running", arn)
        return arn in self.runs

    def start(self, name: str, document: Any) -> bool:
        self._call("start", name)
        new = name not in self.started
        self.started.setdefault(name, document)
        return new

    def ended_badly(self, started_since: datetime) -> list[Ended]:
        self._call("ended_badly", started_since.isoformat())
        return [each for each in self.ended if each.stopped >= started_since]

    def was_accepted(self, arn: str) -> bool:
        self._call("was_accepted", arn)
        return arn in self.accepted

    def input_of(self, arn: str) -> Any:
        self._call("input_of", arn)
        return self.inputs[arn]

    def _call(self, method: str, about: str = "") -> None:
        self.calls.append((method, about))
        if self.fails(method, about):
            raise PermissionError(f"{method} of {about} is denied")
