"""The history holds the states inside a Map, and says what each event came after.

ministack leaves both out; parallel branches can share an event's id; and an execution that was stopped goes on, with
events after its last. Here there are MapStateStarted, MapIterationStarted, each state within, and previousEventId, as
GetExecutionHistory describes them, and nothing follows the end.
"""

from __future__ import annotations

import contextvars
import copy
import json
import threading
from functools import wraps
from typing import Any

import ministack.services.stepfunctions as states

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

Execution = dict[str, Any]
Context = dict[str, Any]

LAST_EVENT: contextvars.ContextVar[tuple[str, int]] = contextvars.ContextVar("last_event", default=("", 0))
ONE_AT_A_TIME = threading.Lock()
LAST = frozenset({"ExecutionAborted", "ExecutionFailed", "ExecutionSucceeded", "ExecutionTimedOut"})
"""After one of these nothing is added: a task that still runs ends unseen."""


def apply(_settings: LocalSettings) -> None:
    add_event = seam(states, "_add_event", "b1db143ccd21")
    run_items = seam(states, "_run_map_items", "5df19a8074ce")
    seam(states, "_run_sub_machine", "f8d844168b14")

    @wraps(add_event)
    def add_event_after_another(execution: Execution, kind: str, details: Any = None) -> Any:
        with ONE_AT_A_TIME:
            if execution["events"][-1]["type"] in LAST:
                return None
            event = add_event(execution, kind, details)
        execution["events"][0].setdefault("previousEventId", 0)
        owner, previous = LAST_EVENT.get()
        event["previousEventId"] = previous if owner == execution["executionArn"] else event["id"] - 1
        LAST_EVENT.set((execution["executionArn"], event["id"]))
        return event

    @wraps(run_items)
    def run_items_on_record(state: Any, raw_input: Any, execution: Execution, context: Context) -> Any:
        states._add_event(execution, "MapStateStarted", {"mapStateStartedEventDetails": {}})
        outcome = run_items(state, raw_input, execution, context)
        states._add_event(execution, "MapStateSucceeded")
        return outcome

    states._add_event = add_event_after_another
    states._run_map_items = run_items_on_record
    states._run_sub_machine = run_branch_on_record


def run_branch_on_record(
    branch: dict[str, Any], start_at: str, branch_input: Any, execution: Execution, context: Context
) -> Any:
    """One iteration of a Map, or one branch of a Parallel. Ministack's loop with the events that it leaves out."""
    iteration = iteration_details(context)
    record_iteration(execution, "Started", iteration)
    name: str | None = start_at
    current = copy.deepcopy(branch_input)
    try:
        while name:
            current, name = run_state(branch, name, current, execution, context)
    except states._ExecutionError:
        record_iteration(execution, "Failed", iteration)
        raise
    record_iteration(execution, "Succeeded", iteration)
    return current


def run_state(
    branch: dict[str, Any], name: str, state_input: Any, execution: Execution, context: Context
) -> tuple[Any, str | None]:
    if execution["status"] != "RUNNING":
        raise states._ExecutionError("States.Runtime", f"The execution is {execution['status']}.")
    state = branch.get(name)
    if state is None:
        raise states._ExecutionError("States.Runtime", f"State '{name}' not found")
    kind = state["Type"]
    context["State"] = {"Name": name, "EnteredTime": states.now_iso(), "RetryCount": 0}
    entered = {"name": name, "input": json.dumps(state_input)}
    states._add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": entered})
    output, following = outcome_of(kind, state, state_input, execution, context)
    exited = {"name": name, "output": json.dumps(output)}
    states._add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": exited})
    return output, following


def outcome_of(
    kind: str, state: dict[str, Any], state_input: Any, execution: Execution, context: Context
) -> tuple[Any, str | None]:
    """What a state makes of its input, and which state follows; None: no state does."""
    match kind:
        case "Succeed":
            selected = states._apply_input_path(state, state_input, context)
            return states._apply_output_path(state, selected, context), None
        case "Fail":
            raise states._ExecutionError(*states._fail_state_error(state, state_input, context))
        case "Task" | "Parallel" | "Map":
            run = {"Task": states._execute_task, "Parallel": states._execute_parallel, "Map": states._execute_map}
            output, following = run[kind](state, state_input, execution, context)
        case "Pass" | "Choice" | "Wait":
            decide = {"Pass": states._execute_pass, "Choice": states._execute_choice, "Wait": states._execute_wait}
            output, following = decide[kind](state, state_input, context)
        case _:
            raise states._ExecutionError("States.Runtime", f"Unknown state type: {kind}")
    return output, following


def iteration_details(context: Context) -> dict[str, Any] | None:
    """The Map and the index that this branch is an iteration of. None in a Parallel."""
    item = context.get("Map", {}).get("Item")
    return None if item is None else {"name": context["State"]["Name"], "index": item["Index"]}


def record_iteration(execution: Execution, how: str, details: dict[str, Any] | None) -> None:
    if details is not None:
        states._add_event(execution, f"MapIteration{how}", {f"mapIteration{how}EventDetails": details})
