"""A model of Step Functions that walks the definition; every state entered is a transition.

It knows the states and fields that the definition uses, and refuses what it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from benchmarks.cloud.assumed import SECONDS
from benchmarks.cloud.clock import Clock, Process
from benchmarks.cloud.data import NotUnderstood, chosen, fill, placed, read
from benchmarks.cloud.functions import MACHINE, Failed
from benchmarks.cloud.history import History
from benchmarks.cloud.usage import Meter, Usage

Invoke = Callable[[str, Any], Process[Any]]
EVENT_CHUNK = 64 * 1024
"""Bytes for which an event is billed once (Amazon EventBridge Pricing)."""


@dataclass
class Execution:
    """One execution, with the states that it has entered."""

    arn: str
    started: datetime
    history: History
    context: dict[str, Any]
    states: list[str] = field(default_factory=list)
    output: Any = None


class StateMachine:
    """A deployed state machine; ``invoke`` runs the function of a logical id."""

    def __init__(self, definition: Mapping[str, Any], clock: Clock, usage: Usage, invoke: Invoke) -> None:
        self._definition = definition
        self._clock = clock
        self._usage = usage
        self._invoke = invoke
        self.executions: list[Execution] = []

    def execution(self, document: Any) -> Process[None]:
        """From its start to its end."""
        execution = self._begun()
        execution.history.started(document)
        output = yield from self._walk(self._definition, document, execution, execution.context)
        execution.output = output
        execution.history.succeeded(output)

    def _begun(self) -> Execution:
        name = f"{len(self.executions):08x}-05d4-b198-2fde-7ededc63b101_2f1c9a6e-93ab-5c0d-1b6e-0d4f5a2b7c3d"
        arn = f"{MACHINE.replace(':stateMachine:', ':execution:')}:{name}"
        started = self._clock.now()
        context = {
            "Execution": {"Id": arn, "StartTime": started.isoformat(timespec="milliseconds").replace("+00:00", "Z")},
            "StateMachine": {"Id": MACHINE},
        }
        execution = Execution(arn, started, History(self._usage, arn), context)
        self.executions.append(execution)
        self._usage.executions += 1
        return execution

    def _walk(self, machine: Mapping[str, Any], data: Any, execution: Execution, context: Any) -> Process[Any]:
        name = machine["StartAt"]
        while True:
            state = machine["States"][name]
            self._count_transition(execution, name)
            execution.history.entered(state["Type"], name, data)
            yield SECONDS.transition
            following, data = yield from self._step(name, state, data, execution, context)
            if state["Type"] == "Fail":
                raise NotUnderstood(f"{execution.arn} failed in {name}: {data}")
            execution.history.exited(state["Type"], name, data)
            if following is None:
                return data
            name = following

    def _count_transition(self, execution: Execution, name: str) -> None:
        execution.states.append(name)
        self._usage.states[name] += 1
        self._usage.add(Meter.TRANSITIONS)

    def _step(
        self, name: str, state: Any, data: Any, execution: Execution, context: Any
    ) -> Process[tuple[str | None, Any]]:
        """The next state, and its input."""
        match state["Type"]:
            case "Choice":
                return chosen(state, data), data
            case "Wait":
                yield self._seconds(state, data, context)
            case "Pass":
                data = placed(fill(state["Parameters"], data, context), state, data)
            case "Task":
                return (yield from self._task(state, data, execution, context))
            case "Map":
                data = yield from self._map(name, state, data, execution, context)
            case "Succeed" | "Fail":
                return None, data
            case other:
                raise NotUnderstood(other)
        return state.get("Next"), data

    def _seconds(self, state: Any, data: Any, context: Any) -> float:
        if "SecondsPath" in state:
            return float(read(state["SecondsPath"], data, context))
        until = datetime.fromisoformat(read(state["TimestampPath"], data, context))
        return self._clock.seconds_at(until) - self._clock.seconds

    def _task(self, state: Any, data: Any, execution: Execution, context: Any) -> Process[tuple[str, Any]]:
        retries = [0] * len(state["Retry"])
        parameters = fill(state["Parameters"], data, context)
        while True:
            execution.history.task_scheduled(state, parameters)
            try:
                answer = yield from self._resource(state["Resource"], parameters)
            except Failed as failure:
                error, cause = failure.args
                execution.history.task_failed(state, error, cause)
                pause = retried(state["Retry"], retries, error)
                if pause is None:
                    return caught(state, data, error, cause)
                self._usage.add(Meter.TRANSITIONS)
                yield pause
                continue
            execution.history.task_succeeded(state, answer)
            result = fill(state["ResultSelector"], answer, context) if "ResultSelector" in state else answer
            return state["Next"], read(state.get("OutputPath", "$"), placed(result, state, data), context)

    def _resource(self, resource: str, parameters: Any) -> Process[Any]:
        if resource.endswith(":lambda:invoke"):
            answer = yield from self._invoke(parameters["FunctionName"].rpartition(":")[2], parameters["Payload"])
            return {"Payload": answer}
        if resource.endswith(":events:putEvents"):
            yield SECONDS.other_call
            chunks = -(-len(str(parameters["Entries"])) // EVENT_CHUNK)
            self._usage.add(Meter.CUSTOM_EVENTS, chunks)
            return {"Entries": [{"EventId": "17793124-05d4-b198-2fde-7ededc63b101"}], "FailedEntryCount": 0}
        raise NotUnderstood(resource)

    def _map(self, name: str, state: Any, data: Any, execution: Execution, context: Any) -> Process[Any]:
        items = read(state["ItemsPath"], data, context)
        execution.history.map_event("StateStarted", length=len(items))
        results: list[Any] = [None] * len(items)
        waiting = iter(enumerate(items))

        def lane() -> Process[None]:
            for index, item in waiting:
                execution.history.map_event("IterationStarted", index=index, name=name)
                of_item = {**context, "Map": {"Item": {"Index": index, "Value": item}}}
                selected = fill(state["ItemSelector"], data, of_item)
                results[index] = yield from self._walk(state["ItemProcessor"], selected, execution, of_item)
                execution.history.map_event("IterationSucceeded", index=index, name=name)

        yield from [self._clock.begin(lane()) for _ in range(state["MaxConcurrency"])]
        execution.history.map_event("StateSucceeded")
        return placed(results, state, data)


def retried(retriers: Any, retries: list[int], error: str) -> float | None:
    """The pause before the next try; None when the error is not tried again. FULL jitter is taken at its mean."""
    for position, retrier in enumerate(retriers):
        if error in retrier["ErrorEquals"]:
            if retries[position] >= retrier["MaxAttempts"]:
                return None
            pause = retrier["IntervalSeconds"] * retrier["BackoffRate"] ** retries[position]
            retries[position] += 1
            return float(min(pause, retrier["MaxDelaySeconds"]) / 2)
    return None


def caught(state: Any, data: Any, error: str, cause: str) -> tuple[str, Any]:
    for catcher in state["Catch"]:
        if error in catcher["ErrorEquals"] or catcher["ErrorEquals"] == ["States.ALL"]:
            return catcher["Next"], placed({"Error": error, "Cause": cause}, catcher, data)
    raise NotUnderstood(f"nothing catches {error}: {cause}")
