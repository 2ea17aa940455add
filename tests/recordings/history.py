"""Histories made by hand, in the form of GetExecutionHistory, for what no emulator does: `History().entered("A")…`."""

from __future__ import annotations

from typing import Any

from invalidations_cli.history import ExecutionHistory, read_history, worst

START = 1_790_000_000.0
"""When every such history starts, in seconds since 1970; each event is one second after the one before it."""


class History:
    """Events in the order in which they are added, each after the one before it unless `after` says otherwise."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.add("ExecutionStarted", "executionStarted", input="{}")

    @property
    def last(self) -> int:
        return len(self.events)

    def add(self, kind: str, details: str = "", *, after: int | None = None, **values: Any) -> History:
        event: dict[str, Any] = {
            "id": self.last + 1,
            "previousEventId": self.last if after is None else after,
            "type": kind,
            "timestamp": START + self.last,
        }
        if details:
            event[f"{details}EventDetails"] = values
        self.events.append(event)
        return self

    def entered(self, name: str, kind: str = "Task", *, after: int | None = None) -> History:
        return self.add(f"{kind}StateEntered", "stateEntered", after=after, name=name, input='{"in": 1}')

    def exited(self, name: str, kind: str = "Task") -> History:
        return self.add(f"{kind}StateExited", "stateExited", name=name, output='{"out": 2}')

    def tried(self, error: str = "", *, family: str = "Task") -> History:
        """One attempt: scheduled, and then failed with the error or succeeded."""
        prefix = family[0].lower() + family[1:]
        self.add(f"{family}Scheduled", f"{prefix}Scheduled", resource="invoke")
        if error:
            return self.add(f"{family}Failed", f"{prefix}Failed", error=error, cause=f"{error} happened")
        return self.add(f"{family}Succeeded", f"{prefix}Succeeded", output="{}")

    def without_previous(self) -> list[dict[str, Any]]:
        """The events as an engine writes them that does not tell what an event came after."""
        return [{key: value for key, value in event.items() if key != "previousEventId"} for event in self.events]


def machine(**states: dict[str, Any]) -> dict[str, Any]:
    """A definition that starts at the first of its states."""
    return {"StartAt": next(iter(states)), "States": states}


def run_of(definition: dict[str, Any], history: History, status: str = "SUCCEEDED") -> ExecutionHistory:
    return read_history(definition, {"status": status, "name": "one"}, history.events)


def by_state(run: ExecutionHistory) -> dict[str, str]:
    """The worst that happened in any visit of each state; `unrecorded` where the history leaves out what is inside."""
    known = {
        state.name: worst([visit.status for visit in run.visits if visit.state == state.name])
        for state, _ in run.flow.walk()
    }
    left_out = {name for name, status in known.items() if status == "unreached" and name in run.unrecorded}
    return {name: "unrecorded" if name in left_out else status for name, status in known.items()}
