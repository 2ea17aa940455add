from __future__ import annotations

from tests.recordings.history import History, by_state, machine, run_of

MAP = machine(
    Each={
        "Type": "Map",
        "ItemProcessor": machine(X={"Type": "Task", "Next": "Y"}, Y={"Type": "Pass", "End": True}),
        "Next": "After",
    },
    After={"Type": "Pass", "End": True},
)


def mapped(*, caught: bool) -> History:
    """A Map of two of which the second fails, on AWS: the first is cut off."""
    history = History().entered("Each", "Map").add("MapStateStarted", "mapStateStarted", length=2)
    started = history.last
    history.add("MapIterationStarted", "mapIterationStarted", name="Each", index=0).entered("X")
    history.add("TaskScheduled", "taskScheduled")
    history.add("MapIterationStarted", "mapIterationStarted", after=started, name="Each", index=1).entered("X")
    history.tried("Broken").add("MapIterationFailed", "mapIterationFailed", name="Each", index=1)
    history.add("MapIterationAborted", "mapIterationAborted", after=6, name="Each", index=0)
    history.add("MapStateFailed", after=history.last - 1)
    if caught:
        return history.exited("Each", "Map").entered("After", "Pass").exited("After", "Pass")
    return history.add("ExecutionFailed", "executionFailed", error="Broken", cause="in an iteration")


def test_an_iteration_that_fails_fails_its_map_and_stops_the_others() -> None:
    run = run_of(MAP, mapped(caught=False), "FAILED")
    assert [(each.index, each.status) for each in run.iterations] == [(0, "aborted"), (1, "failed")]
    assert [(visit.state, visit.iteration, visit.status) for visit in run.visits] == [
        ("Each", None, "failed"),
        ("X", 0, "aborted"),
        ("X", 1, "failed"),
    ]


def test_a_map_that_failed_can_be_caught() -> None:
    run = run_of(MAP, mapped(caught=True))
    assert by_state(run) == {"Each": "caught", "X": "failed", "Y": "unreached", "After": "succeeded"}


def test_a_maps_second_try_has_iterations_of_its_own() -> None:
    history = History().entered("Each", "Map")
    for outcome in ("Failed", "Succeeded"):
        history.add("MapStateStarted", "mapStateStarted", length=1)
        history.add("MapIterationStarted", "mapIterationStarted", name="Each", index=0).entered("X")
        history.tried("Broken" if outcome == "Failed" else "")
        if outcome == "Succeeded":
            history.exited("X").entered("Y", "Pass").exited("Y", "Pass")
        history.add(f"MapIteration{outcome}", f"mapIteration{outcome}", name="Each", index=0)
        history.add(f"MapState{outcome}")
    history.exited("Each", "Map")
    run = run_of(MAP, history, "RUNNING")
    assert [(each.attempt, each.index, each.status) for each in run.iterations] == [
        (1, 0, "failed"),
        (2, 0, "succeeded"),
    ]
    assert run.visits[0].status == "retried"


def test_a_map_inside_a_map_belongs_to_the_outer_iteration() -> None:
    inner = machine(Inner={"Type": "Map", "ItemProcessor": machine(X={"Type": "Pass", "End": True}), "End": True})
    definition = machine(Outer={"Type": "Map", "ItemProcessor": inner, "End": True})
    history = History().entered("Outer", "Map").add("MapStateStarted", "mapStateStarted", length=2)
    started = history.last
    for index in (0, 1):
        history.add("MapIterationStarted", "mapIterationStarted", after=started, name="Outer", index=index)
        history.entered("Inner", "Map").add("MapStateStarted", "mapStateStarted", length=1)
        history.add("MapIterationStarted", "mapIterationStarted", name="Inner", index=0)
        history.entered("X", "Pass").exited("X", "Pass")
        history.add("MapIterationSucceeded", "mapIterationSucceeded", name="Inner", index=0).add("MapStateSucceeded")
        history.exited("Inner", "Map").add("MapIterationSucceeded", "mapIterationSucceeded", name="Outer", index=index)
    history.add("MapStateSucceeded").exited("Outer", "Map")
    run = run_of(definition, history)
    around = [[run.visits[each.visit].state, run.visits[each.visit].iteration, each.index] for each in run.iterations]
    assert around == [["Outer", None, 0], ["Inner", 0, 0], ["Outer", None, 1], ["Inner", 2, 0]]
    assert [visit.iteration for visit in run.visits if visit.state == "X"] == [1, 3]


def test_a_distributed_map_tells_nothing_of_its_iterations_which_are_executions() -> None:
    history = History().entered("Each", "Map").add("MapStateStarted", "mapStateStarted", length=2)
    history.add("MapRunStarted", "mapRunStarted", mapRunArn="arn:aws:states:::mapRun:1").add("MapRunSucceeded")
    history.exited("Each", "Map").entered("After", "Pass").exited("After", "Pass")
    run = run_of(MAP, history)
    assert by_state(run) == {"Each": "succeeded", "X": "unrecorded", "Y": "unrecorded", "After": "succeeded"}
    assert run.iterations == ()
