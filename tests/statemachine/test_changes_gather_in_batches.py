"""The real definition with the real handlers, when more than one thing happens to a bucket."""

from __future__ import annotations

from invalidation.batches.head import Window, pause, resume
from tests.statemachine.events import changed
from tests.statemachine.recorded_execution import RecordedExecution
from tests.statemachine.site import Site
from tests.statemachine.stack import Stack

LEADING = "Wait For Batch To Close"
WINDOW_SECONDS = 10.0


def _while_a_leader_waits(
    site: Site, key: str, *, then: list[str], after: float = 0.0
) -> tuple[RecordedExecution, list[RecordedExecution]]:
    """A leader that has to wait, and what the executions did that were started while it waited."""
    site.has_just_changed()
    meanwhile: list[RecordedExecution] = []

    def on_wait(state: str, _seconds: float) -> None:
        if state == LEADING and not meanwhile:
            site.stack.machine.on_wait = lambda *_: None
            site.stack.machine.clock.wait(after)
            meanwhile.extend(site.put(each) for each in then)

    site.stack.machine.on_wait = on_wait
    return site.put(key), meanwhile


def test_what_changes_while_a_leader_waits_joins_its_batch(site: Site) -> None:
    leader, followers = _while_a_leader_waits(site, "a.html", then=["b.html", "a.html"])
    assert [(execution.status, execution.states[-1]) for execution in followers] == [
        ("SUCCEEDED", "Joined Open Batch")
    ] * 2
    assert {execution.output["leader"] for execution in followers} == {leader.arn}
    assert site.invalidated == [["/first.html"], ["/a.html", "/b.html"]]
    assert (leader.output["outcome"]["changes"], site.pending) == (3, 0)


def test_the_second_batch_of_a_window_waits_until_the_window_is_over(site: Site) -> None:
    site.has_just_changed()
    (waited,) = site.put("second.html").waited_in(LEADING)
    assert 0 < waited <= WINDOW_SECONDS


def test_a_leader_that_is_taken_for_dead_hands_its_batch_to_the_next_and_ends_well(site: Site) -> None:
    leader, (successor,) = _while_a_leader_waits(site, "a.html", then=["b.html"], after=1_000.0)
    assert (leader.status, leader.states[-1]) == ("SUCCEEDED", "Covered By Another Batch")
    assert leader.output["closed"]["status"] == "SUPERSEDED"
    assert successor.status == "SUCCEEDED"
    assert site.invalidated == [["/first.html"], ["/a.html", "/b.html"]]


def test_a_leader_that_is_asked_for_where_nothing_waits_ends_without_an_invalidation(site: Site) -> None:
    execution = site.stack.run({"lead": site.bucket})
    assert (execution.status, execution.states[-1]) == ("SUCCEEDED", "Covered By Another Batch")
    assert (execution.output["closed"]["status"], site.invalidated) == ("EMPTY", [])


def test_a_paused_bucket_keeps_its_changes_until_it_is_resumed(site: Site) -> None:
    pause(site.stack.table, site.bucket)
    execution = site.put("a.html")
    assert (execution.status, execution.states[-1]) == ("SUCCEEDED", "Bucket Paused")
    assert (site.invalidated, site.pending) == ([], 1)
    assert resume(site.stack.table, site.bucket, Window(), site.stack.machine.clock.now)
    site.stack.run({"lead": site.bucket})
    assert (site.invalidated, site.pending) == ([["/a.html"]], 0)


def test_a_bucket_that_is_paused_while_its_leader_waits_keeps_its_changes_too(site: Site) -> None:
    site.stack.machine.on_wait = lambda state, _seconds: (
        pause(site.stack.table, site.bucket) if state == LEADING else None
    )
    site.has_just_changed()
    execution = site.put("a.html")
    assert (execution.status, execution.states[-1], site.pending) == ("SUCCEEDED", "Bucket Paused", 1)


def test_with_batching_off_every_change_is_a_batch_of_its_own(site: Site) -> None:
    with site.stack.functions.with_environment("JoinBatchFunction", BATCH_WINDOW_SECONDS="0"):
        runs = [site.put(key) for key in ("a.html", "b.html")]
    assert not any(LEADING in execution.states for execution in runs)
    assert site.invalidated == [["/a.html"], ["/b.html"]]


def test_a_list_of_events_of_one_bucket_is_one_batch(site: Site) -> None:
    execution = site.stack.run([changed(site.bucket, key) for key in ("a.html", "b.html", "c.html")])
    assert (execution.status, site.invalidated) == ("SUCCEEDED", [["/a.html", "/b.html", "/c.html"]])


def test_a_list_of_events_of_several_buckets_starts_a_leader_for_each_other_bucket(stack: Stack) -> None:
    one, other = Site.create(stack), Site.create(stack)
    before = set(stack.machine.executions())
    execution = stack.run([changed(one.bucket, "a.html"), changed(other.bucket, "b.html")])
    (started,) = set(stack.machine.executions()) - before - {execution.arn}
    assert (stack.machine.end(started).status, execution.status) == ("SUCCEEDED", "SUCCEEDED")
    assert (one.invalidated, other.invalidated) == ([["/a.html"]], [["/b.html"]])
    assert (one.pending, other.pending) == (0, 0)


def test_while_the_month_has_free_paths_changes_go_out_one_by_one(site: Site) -> None:
    keys = [f"assets/v2/{number}.js" for number in range(40)]
    site.stack.run([changed(site.bucket, key) for key in keys])
    assert site.invalidated == [sorted(f"/{key}" for key in keys)]


def test_a_storm_of_changes_becomes_few_paths_that_cover_them_all(site: Site) -> None:
    keys = [f"assets/v{number % 20}/{number}.js" for number in range(200)]
    execution = site.stack.run([changed(site.bucket, key) for key in keys])
    paths = [path for request in site.invalidated for path in request]
    assert len(paths) <= 150
    prefixes = tuple(path.removesuffix("*") for path in paths)
    assert all(f"/{key}".startswith(prefixes) for key in keys)
    (target,) = execution.output["outcome"]["targets"]
    assert sum(each["asked"] for each in target["widened"]) <= 200
    assert target["wildcards"] <= 15
