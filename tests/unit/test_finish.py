import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from invalidation.batches.finish import Failure, RetryPolicy, TargetResult, finish
from invalidation.batches.head import Role
from invalidation.batches.join import open_own_batch
from invalidation.batches.model import Batch, BatchState, Outcome
from invalidation.batches.table import ATTEMPTS, BATCH, Item, Key
from invalidation.batches.targets import (
    InvalidationRecord,
    PlanSummary,
    Target,
    TargetState,
    claim,
    freeze_targets,
    invalidations,
    owed_targets,
    record_invalidation,
    targets_of,
)
from invalidation.cloudfront.plan import plan_paths
from invalidation.cloudfront.rules import Budget, Widening
from invalidation.errors import BatchContended, BatchNotFound, BatchTableUnavailable
from invalidation.outcome import LONGEST_TARGETS, report_of_finish
from tests.fakes.batch_steps import (
    BUCKET,
    RETENTION,
    RETRY,
    START,
    BatchSteps,
    Clock,
    change,
    execution,
    failed,
    invalidated,
    record_plan,
    report,
    skipped,
)
from tests.fakes.memory_table import MemoryTable
from tests.outcome_schemas import faults


def states(table: MemoryTable, batch_id: str) -> dict[str, str]:
    return {each.distribution_id: each.state.value for each in report(table, batch_id).targets}


# --- Resolve and Create ---


def test_the_first_resolution_of_a_batch_stands(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.frozen("first", "a")
    freeze_targets(table, Batch.read(table, batch_id), {"E1": {"id": "E1", "rate": 0.5}, "E2": {}})
    again = freeze_targets(table, Batch.read(table, batch_id), {"E1": {"other": True}, "E3": {}})
    assert [(each.distribution_id, each.document) for each in again] == [("E1", {"id": "E1", "rate": 0.5}), ("E2", {})]
    assert Batch.read(table, batch_id).resolved == ("E1", "E2")


def test_a_resolution_that_is_overtaken_adopts_the_winners(
    steps: BatchSteps, table: MemoryTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = steps.frozen("first", "a")
    update = table.update

    def overtaken(key: Key, assign: dict[str, object], expect: dict[str, object]) -> object:
        monkeypatch.setattr(table, "update", update)
        freeze_targets(table, Batch.read(table, batch_id), {"E2": {}})
        return update(key, assign, expect)

    monkeypatch.setattr(table, "update", overtaken)
    assert [each.distribution_id for each in freeze_targets(table, Batch.read(table, batch_id), {"E1": {}})] == ["E2"]
    assert [each.distribution_id for each in owed_targets(targets_of(table, Batch.read(table, batch_id)))] == ["E2"]


def test_the_least_tried_targets_are_owed_first(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1", "E2", "E3")
    steps.finish(batch_id, "first", failed("E1"), invalidated("E3"))
    assert [each.distribution_id for each in owed_targets(targets_of(table, Batch.read(table, batch_id)))] == [
        "E2",
        "E1",
    ]


def test_a_target_that_is_not_there_is_said_not_to_be(steps: BatchSteps, table: MemoryTable) -> None:
    with pytest.raises(BatchNotFound, match="E9"):
        Target.read(table, steps.resolved("first", "E1"), "E9")


def test_what_is_planned_and_created_is_in_the_record(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    record_plan(table, batch_id, "E1", PlanSummary.of(plan_paths(["/a", "/b*"], Budget()), requests=1))
    for number in (1, 0, 1):
        record = InvalidationRecord(number, f"I{number}", f"ref{number}", 1, number, clock())
        record_invalidation(table, batch_id, "E1", record)
    planned = Target.read(table, batch_id, "E1").plan
    assert planned is not None
    assert (planned.paths, planned.wildcards, planned.requests, planned.widened) == (2, 1, 1, ())
    assert [each.invalidation_id for each in invalidations(table, batch_id)] == ["I0", "I1"]
    assert [each.caller_reference for each in invalidations(table, batch_id, "E1")] == ["ref0", "ref1"]
    assert invalidations(table, batch_id, "E2") == ()
    first = report(table, batch_id).to_report()["targets"][0]
    assert (first["paths"], first["wildcards"], first["invalidationIds"]) == (2, 1, ["I0", "I1"])


# --- What ends ---


def test_a_batch_ends_when_every_distribution_is_served(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    clock.seconds = 42
    finished = steps.finish(batch_id, "first", invalidated("E1"), skipped("E2"))
    assert (finished.outcome, finished.succeeded) == (Outcome.COMPLETED, True)
    assert (finished.batch.finished, finished.seconds, finished.parked) == (clock(), 42, False)
    assert states(table, batch_id) == {"E1": "COMPLETED", "E2": "SKIPPED"}
    assert [each.seconds for each in finished.targets] == [12, None]
    assert Batch.read(table, batch_id).state is BatchState.ENDED


def test_an_ended_batch_expires_with_all_that_belongs_to_it(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    record_invalidation(table, batch_id, "E1", InvalidationRecord(0, "I0", "ref", 1, 0, clock()))
    steps.finish(batch_id, "first", invalidated("E1"))
    partition = table.partitions[f"{BATCH}{batch_id}"]
    assert {sk.split("#")[0] for sk in partition} == {"META", "KEYS", "TARGET", "INVALIDATION"}
    expected = int((clock() + RETENTION).timestamp())
    assert {item.get("expiresAt") for item in partition.values()} == {expected}


def test_a_batch_leaves_the_index_of_the_unfinished_when_it_ends(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.finish(batch_id, "first", invalidated("E1"))
    assert "unfinished" not in table.partitions[f"{BATCH}{batch_id}"]["META"]


def test_finishing_again_tells_the_same_and_changes_nothing(steps: BatchSteps, clock: Clock) -> None:
    batch_id = steps.resolved("first", "E1")
    once = steps.finish(batch_id, "first", invalidated("E1"))
    clock.seconds += 100
    assert steps.finish(batch_id, "first", failed("E1")) == once


@pytest.mark.parametrize(
    ("distributions", "results", "outcome"),
    [
        ((), (), Outcome.NO_DISTRIBUTION),
        (("E1",), (skipped("E1"),), Outcome.NOTHING_TO_INVALIDATE),
        (("E1", "E2"), (skipped("E1"), invalidated("E2")), Outcome.COMPLETED),
        (("E1", "E2"), (failed("E1"), invalidated("E2")), Outcome.PARTLY_FAILED),
        (("E1", "E2"), (failed("E1"), skipped("E2")), Outcome.FAILED),
        (("E1", "E2"), (failed("E1"), failed("E2", "AccessDenied")), Outcome.FAILED),
    ],
)
def test_the_outcome_is_told_of_the_batch_as_a_whole(
    steps: BatchSteps,
    table: MemoryTable,
    distributions: tuple[str, ...],
    results: tuple[TargetResult, ...],
    outcome: Outcome,
) -> None:
    finished = steps.finish(steps.resolved("first", *distributions), "first", *results)
    assert finished.outcome == outcome
    assert Batch.read(table, finished.batch.batch_id).outcome is outcome


def test_outcomes_that_leave_something_to_do_are_no_successes() -> None:
    assert {outcome for outcome in Outcome if not outcome.succeeded} == {
        Outcome.PARTLY_FAILED,
        Outcome.STALE_AT_EDGE,
        Outcome.FAILED,
        Outcome.ABANDONED,
        Outcome.REJECTED,
    }


# --- What fails ---


def test_a_passing_failure_is_owed_and_due_after_growing_intervals(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    finished = steps.finish(batch_id, "first", failed("E1"), invalidated("E2"))
    batch = finished.batch
    assert (batch.next_try_at, batch.tries, finished.parked) == (clock() + timedelta(minutes=5), 1, False)
    assert (batch.error, batch.message) == ("CloudFrontThrottled", "CloudFrontThrottled said why")
    assert states(table, batch_id) == {"E1": "OWED", "E2": "COMPLETED"}
    claim(table, batch_id, execution("sweep-retry-1"), clock)
    again = steps.finish(batch_id, "sweep-retry-1", failed("E1"))
    assert (again.batch.next_try_at, again.batch.tries) == (clock() + timedelta(minutes=15), 2)


def test_intervals_grow_up_to_a_day() -> None:
    policy = RetryPolicy()
    assert [policy.wait_after(tries) // timedelta(minutes=1) for tries in range(8)] == [
        5,
        5,
        15,
        45,
        135,
        405,
        1215,
        1440,
    ]


def test_a_failure_is_parked_when_its_tries_are_used_up(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.finish(batch_id, "first", failed("E1"))
    for name in ("sweep-1", "sweep-2"):
        claim(table, batch_id, execution(name), clock)
        finished = steps.finish(batch_id, name, failed("E1"))
    assert (finished.parked, finished.batch.next_try_at) == (True, None)
    assert Batch.read(table, batch_id).state is BatchState.PARKED
    assert table.partitions[f"{BATCH}{batch_id}"]["META"]["unfinished"] == "PARKED"


def test_a_permanent_failure_is_parked_at_once(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1")
    finished = steps.finish(batch_id, "first", failed("E1", "AccessDenied"))
    assert (finished.parked, finished.outcome) == (True, Outcome.FAILED)
    assert states(table, batch_id) == {"E1": "PARKED"}


def test_a_parked_distribution_does_not_hold_the_tries_of_another(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    finished = steps.finish(batch_id, "first", failed("E1", "AccessDenied"), failed("E2"))
    assert finished.parked
    assert finished.batch.next_try_at is not None
    assert [each.distribution_id for each in owed_targets(targets_of(table, Batch.read(table, batch_id)))] == ["E2"]


def test_a_failure_outside_the_map_counts_for_every_distribution_without_a_result(
    steps: BatchSteps, table: MemoryTable
) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    finished = steps.finish(batch_id, "first", invalidated("E1"), failure=Failure("States.Timeout", "took too long"))
    assert (finished.outcome, finished.batch.error) == (Outcome.PARTLY_FAILED, "States.Timeout")
    assert Target.read(table, batch_id, "E2").error == "States.Timeout"


def test_a_distribution_that_was_not_reached_is_due_at_once_and_has_not_been_tried(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    finished = steps.finish(batch_id, "first", invalidated("E1"))
    assert finished.batch.next_try_at == clock()
    assert (Target.read(table, batch_id, "E2").tries, Target.read(table, batch_id, "E2").state) == (0, TargetState.OWED)


def test_an_execution_without_any_result_has_failed(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1")
    finished = steps.finish(batch_id, "first")
    assert (finished.batch.error, Target.read(table, batch_id, "E1").tries) == ("NotTried", 1)


def test_a_batch_that_failed_before_it_was_resolved_owes_everything(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    batch_id = steps.frozen("first", "a")
    finished = steps.finish(batch_id, "first", failure=Failure("CloudFrontUnavailable", "503"))
    assert (finished.outcome, finished.batch.next_try_at) == (Outcome.FAILED, clock() + timedelta(minutes=5))
    assert Batch.read(table, batch_id).state is BatchState.FROZEN


@pytest.mark.parametrize(("error", "parked"), [("AccessDenied", True), ("Lambda.Unknown", False)])
def test_a_batch_that_cannot_be_resolved_is_parked_if_that_is_permanent(
    steps: BatchSteps, table: MemoryTable, error: str, *, parked: bool
) -> None:
    batch_id = steps.frozen("first", "a")
    assert steps.finish(batch_id, "first", failure=Failure(error)).parked is parked
    assert (Batch.read(table, batch_id).state is BatchState.PARKED) is parked


def test_an_execution_that_never_resolved_its_batch_and_does_not_say_why_has_failed(steps: BatchSteps) -> None:
    assert steps.finish(steps.frozen("first", "a"), "first").batch.error == "NotResolved"


def test_a_failure_counts_once_however_often_it_is_recorded(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1")
    once = steps.finish(batch_id, "first", failed("E1"))
    assert steps.finish(batch_id, "first", failed("E1")) == once
    assert (Target.read(table, batch_id, "E1").tries, Batch.read(table, batch_id).tries) == (1, 1)


def test_a_failure_that_comes_after_a_success_is_no_failure(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    steps.finish(batch_id, "first", invalidated("E1"), failed("E2"))
    claim(table, batch_id, execution("second"), steps.clock)
    steps.finish(batch_id, "second", failed("E1"), failed("E2"))
    assert states(table, batch_id) == {"E1": "COMPLETED", "E2": "OWED"}


def test_an_old_execution_does_not_use_up_the_tries_of_the_one_that_took_over(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    claim(table, batch_id, execution("second"), clock)
    told = steps.finish(batch_id, "first", failed("E1"))
    assert (told.to_report()["outcome"], told.batch.next_try_at, told.batch.tries) == ("Failed", None, 0)
    assert Target.read(table, batch_id, "E1").tries == 0
    assert Batch.read(table, batch_id).owner == execution("second").arn


def test_an_old_executions_success_ends_the_batch_of_the_one_that_took_over(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    claim(table, batch_id, execution("second"), clock)
    assert steps.finish(batch_id, "first", invalidated("E1")).outcome == Outcome.COMPLETED
    assert claim(table, batch_id, execution("third"), clock).role is Role.ENDED


def test_a_success_counts_for_a_target_that_was_parked_meanwhile(steps: BatchSteps) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.finish(batch_id, "first", failed("E1", "AccessDenied"))
    assert steps.finish(batch_id, "late", invalidated("E1")).outcome == Outcome.COMPLETED


def test_a_run_without_a_record_says_what_became_of_its_changes(steps: BatchSteps) -> None:
    by, state = execution("first"), {"batchId": "20261123T000000Z-0123456789"}
    failure = {"failure": {"Error": "BatchContended", "Cause": "ten times"}}
    settled = finish(steps.table, state["batchId"], by, [], None, steps.clock, RETRY, RETENTION)
    told = report_of_finish(steps.table, state | failure, settled, by, steps.clock())["outcome"]
    assert (told["outcome"], told["recorded"], told["error"]) == ("Failed", False, "BatchContended")
    assert faults("outcome", told) == []


class Restless(MemoryTable):
    """The record changes before each conditional write to it."""

    def update(self, key: Key, assign: Mapping[str, Any], expect: Mapping[str, Any]) -> Item | None:
        if "state" in expect and key.sk == "META":
            self.partitions[key.pk][key.sk]["tries"] += 1
        return super().update(key, assign, expect)


def test_who_is_always_overtaken_says_so(clock: Clock) -> None:
    table = Restless()
    batch_id = BatchSteps(table, clock).resolved("first", "E1")
    with pytest.raises(BatchContended, match=f"{ATTEMPTS} attempts"):
        BatchSteps(table, clock).finish(batch_id, "first", invalidated("E1"))


# --- Dry runs ---


def test_a_dry_run_ends_with_its_plan(table: MemoryTable, clock: Clock, steps: BatchSteps) -> None:
    joined = open_own_batch(table, BUCKET, [change("a")], execution("p"), clock, "attempt", dry_run=True)
    freeze_targets(table, Batch.read(table, joined.batch_id), {"E1": {}})
    record_plan(table, joined.batch_id, "E1", PlanSummary(1, 1, 1, (Widening("/a*", 40, 0),)))
    finished = steps.finish(joined.batch_id, "p", skipped("E1"))
    assert (finished.outcome, finished.dry_run, finished.batch.by_hand) == (Outcome.DRY_RUN, True, True)
    assert finished.targets[0].plan == PlanSummary(1, 1, 1, (Widening("/a*", 40, 0),))
    assert finished.to_report()["targets"][0]["widened"] == [{"path": "/a*", "asked": 40, "unchanged": 0}]


def test_a_dry_run_that_fails_is_not_tried_again(table: MemoryTable, clock: Clock, steps: BatchSteps) -> None:
    joined = open_own_batch(table, BUCKET, [change("a")], execution("p"), clock, "attempt", dry_run=True)
    finished = steps.finish(joined.batch_id, "p", failure=Failure("CloudFrontUnavailable", "503"))
    batch = finished.batch
    assert (batch.outcome, batch.error, batch.next_try_at) == (Outcome.FAILED, "CloudFrontUnavailable", None)
    assert batch.state is BatchState.ENDED


# --- Claim ---


def test_a_claimed_batch_is_the_claimants(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.finish(batch_id, "first", failed("E1"))
    clock.seconds = 300
    joined = claim(table, batch_id, execution("second"), clock)
    assert (joined.role, joined.bucket, joined.batch_id) == (Role.LEADER, BUCKET, batch_id)
    assert (joined.leader_arn, joined.closes_at) == (execution("second").arn, clock())
    batch = Batch.read(table, batch_id)
    assert (batch.owner, batch.next_try_at) == (execution("second").arn, None)
    assert batch.executions == (execution("first").arn, execution("second").arn)


def test_a_claim_that_is_repeated_is_still_the_claimants(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    batch_id = steps.resolved("first", "E1")
    assert claim(table, batch_id, execution("second"), clock) == claim(table, batch_id, execution("second"), clock)
    assert len(Batch.read(table, batch_id).executions) == 2


def test_executions_that_claim_in_turn_are_named_once_the_first_and_the_last_in_their_places(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1")
    for name in ("second", "third", "second", "third", "second"):
        claim(table, batch_id, execution(name), clock)
    named = tuple(execution(each).arn for each in ("first", "third", "second"))
    assert Batch.read(table, batch_id).executions == named
    claim(table, batch_id, execution("first"), clock)
    batch = Batch.read(table, batch_id)
    assert (batch.owner, batch.executions) == (execution("first").arn, named)


def test_of_two_who_claim_at_once_one_goes_on(
    steps: BatchSteps, table: MemoryTable, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = steps.resolved("first", "E1")
    update = table.update

    def overtaken(key: Key, assign: dict[str, object], expect: dict[str, object]) -> object:
        monkeypatch.setattr(table, "update", update)
        claim(table, batch_id, execution("other"), clock)
        return update(key, assign, expect)

    monkeypatch.setattr(table, "update", overtaken)
    joined = claim(table, batch_id, execution("second"), clock)
    assert (joined.role, joined.leader_arn) == (Role.FOLLOWER, execution("other").arn)


def test_a_batch_that_owes_nothing_is_not_claimed(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    batch_id = steps.resolved("first", "E1")
    steps.finish(batch_id, "first", invalidated("E1"))
    assert claim(table, batch_id, execution("second"), clock).role is Role.ENDED


def test_a_batch_that_is_not_there_cannot_be_claimed(table: MemoryTable, clock: Clock) -> None:
    with pytest.raises(BatchNotFound):
        claim(table, "20261123T000000Z-0123456789", execution("second"), clock)


def test_a_person_who_retries_a_parked_batch_gives_it_all_its_tries_again(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    steps.finish(batch_id, "first", failed("E1", "AccessDenied"), invalidated("E2"))
    assert claim(table, batch_id, execution("person"), clock).role is Role.LEADER
    assert states(table, batch_id) == {"E1": "OWED", "E2": "COMPLETED"}
    assert (Target.read(table, batch_id, "E1").tries, Batch.read(table, batch_id).tries) == (0, 0)
    assert Batch.read(table, batch_id).state is BatchState.FROZEN


def test_the_sweep_leaves_parked_what_a_person_has_to_mend(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    steps.finish(batch_id, "first", failed("E1", "AccessDenied"), failed("E2"))
    assert claim(table, batch_id, execution("sweep-retry-x"), clock).role is Role.LEADER
    assert states(table, batch_id) == {"E1": "PARKED", "E2": "OWED"}
    steps.finish(batch_id, "sweep-retry-x", failed("E2", "NoSuchDistribution"))
    assert claim(table, batch_id, execution("sweep-retry-y"), clock).role is Role.ENDED


def test_a_record_does_not_grow_with_somebodys_patience(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    batch_id = steps.resolved("first", "E1")
    for number in range(60):
        claim(table, batch_id, execution(f"person{number}"), clock)
    executions = Batch.read(table, batch_id).executions
    assert len(executions) == 50
    assert (executions[0], executions[-1]) == (execution("first").arn, execution("person59").arn)


def test_who_is_always_overtaken_in_a_claim_says_so(clock: Clock) -> None:
    class Flickering(MemoryTable):
        """A late Finish parks the batch, and another unparks it, whenever somebody looks."""

        def get(self, key: Key) -> dict[str, object] | None:
            found = super().get(key)
            if found and key.sk == "META":
                item = self.partitions[key.pk][key.sk]
                item["state"] = "PARKED" if item["state"] == "FROZEN" else "FROZEN"
            return found

    table = Flickering()
    batch_id = BatchSteps(table, clock).resolved("first", "E1")
    with pytest.raises(BatchContended, match="claim"):
        claim(table, batch_id, execution("second"), clock)


# --- What is told ---


def test_the_summary_travels_in_state(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    clock.seconds = 30
    document = steps.finish(batch_id, "first", failed("E1"), invalidated("E2")).to_report()
    assert document == {
        "outcome": "PartlyFailed",
        "succeeded": False,
        "recorded": True,
        "batchId": batch_id,
        "changes": 1,
        "parked": False,
        "bucket": BUCKET,
        "sample": ["first.html"],
        "requesters": [{"requester": "123456789012", "sourceIp": "192.0.2.1", "changes": 1}],
        "opened": "2026-11-23T06:27:19.000000Z",
        "closed": "2026-11-23T06:27:19.000000Z",
        "nextTryAt": "2026-11-23T06:32:49.000000Z",
        "tries": 1,
        "error": "CloudFrontThrottled",
        "message": "CloudFrontThrottled said why",
        "targets": [
            {
                "distributionId": "E1",
                "state": "OWED",
                "paths": 0,
                "wildcards": 0,
                "tries": 1,
                "error": "CloudFrontThrottled",
                "message": "CloudFrontThrottled said why",
            },
            {"distributionId": "E2", "state": "COMPLETED", "paths": 0, "wildcards": 0, "seconds": 12},
        ],
    }
    assert report(table, batch_id).to_report() == document


def test_a_summary_of_many_distributions_lists_the_failed_ones_and_says_how_many_it_leaves_out(
    steps: BatchSteps,
) -> None:
    names = [f"E{number:03d}" for number in range(200)]
    results = [failed(name) if name > "E197" else invalidated(name) for name in names]
    results[-1] = TargetResult("E199", failure=Failure("AccessDenied", "é" * 1_000))
    finished = steps.finish(steps.resolved("first", *names), "first", *results)
    assert len(finished.targets) == 200
    document = replace(finished, targets=finished.targets * 10).to_report()
    listed = document["targets"]
    assert len(listed) + document["targetsOmitted"] == 2_000
    assert {each["distributionId"] for each in listed[:20]} == {"E198", "E199"}
    assert len(json.dumps(listed)) < LONGEST_TARGETS + 2 * len(listed) + 2


def test_results_are_read_as_the_map_returns_them() -> None:
    read = TargetResult.from_document
    assert read({"distributionId": "E1", "outcome": "Invalidated", "seconds": 12.4}) == invalidated("E1")
    assert read({"distributionId": "E1", "outcome": "Skipped"}) == skipped("E1")
    assert read({"distributionId": "E1", "outcome": "Failed", "error": "X", "message": "m" * 2_000}) == TargetResult(
        "E1", failure=Failure("X", "m" * 1_000)
    )
    assert read({"distributionId": "E1", "outcome": "Failed"}).failure == Failure("Unknown")
    with pytest.raises(ValueError, match="'Fine'"):
        read({"distributionId": "E1", "outcome": "Fine"})


def test_the_time_of_opening_is_that_of_the_execution(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    clock.seconds = 5
    assert report(table, steps.frozen("first", "a")).batch.opened == START


class Overtaken(MemoryTable):
    """Somebody else writes to a target just before the first update that a test is about."""

    def __init__(self) -> None:
        super().__init__(page_size=2)
        self.before: Callable[[], object] | None = None

    def update(self, key: Key, assign: Mapping[str, Any], expect: Mapping[str, Any]) -> Item | None:
        before, self.before = (self.before, None) if key.sk.startswith("TARGET") else (None, self.before)
        if before is not None:
            before()
        return super().update(key, assign, expect)


@pytest.fixture
def overtaken() -> Overtaken:
    return Overtaken()


@pytest.fixture
def overtaken_steps(overtaken: Overtaken, clock: Clock) -> BatchSteps:
    return BatchSteps(overtaken, clock)


def to_state(table: MemoryTable, batch_id: str, state: TargetState) -> Callable[[], object]:
    return partial(table.update, Target.key_of(batch_id, "E1"), {"state": state.value}, {})


def test_a_failure_that_is_overtaken_by_a_success_does_not_undo_it(
    overtaken_steps: BatchSteps, overtaken: Overtaken
) -> None:
    batch_id = overtaken_steps.resolved("first", "E1")
    overtaken.before = to_state(overtaken, batch_id, TargetState.COMPLETED)
    overtaken_steps.finish(batch_id, "first", failed("E1"))
    assert Target.read(overtaken, batch_id, "E1").state is TargetState.COMPLETED


def test_a_success_that_is_overtaken_by_a_failure_is_written_all_the_same(
    overtaken_steps: BatchSteps, overtaken: Overtaken
) -> None:
    batch_id = overtaken_steps.resolved("first", "E1")
    overtaken.before = to_state(overtaken, batch_id, TargetState.PARKED)
    overtaken_steps.finish(batch_id, "first", invalidated("E1"))
    assert Target.read(overtaken, batch_id, "E1").state is TargetState.COMPLETED


def test_a_claim_by_hand_that_is_overtaken_by_a_success_does_not_undo_it(
    overtaken_steps: BatchSteps, overtaken: Overtaken, clock: Clock
) -> None:
    batch_id = overtaken_steps.resolved("first", "E1")
    overtaken_steps.finish(batch_id, "first", failed("E1", "AccessDenied"))
    overtaken.before = to_state(overtaken, batch_id, TargetState.COMPLETED)
    claim(overtaken, batch_id, execution("by-hand"), clock)
    assert Target.read(overtaken, batch_id, "E1").state is TargetState.COMPLETED


def test_a_finish_that_dies_while_it_marks_what_expires_is_repeated_to_the_end(
    steps: BatchSteps, table: MemoryTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = steps.resolved("first", "E1")
    update = table.update

    def dying(key: Key, assign: Mapping[str, Any], expect: Mapping[str, Any]) -> Item | None:
        if key.sk.startswith("KEYS") and "expiresAt" in assign:
            raise BatchTableUnavailable("dies here")
        return update(key, assign, expect)

    monkeypatch.setattr(table, "update", dying)
    with pytest.raises(BatchTableUnavailable):
        steps.finish(batch_id, "first", invalidated("E1"))
    monkeypatch.setattr(table, "update", update)
    steps.finish(batch_id, "first", invalidated("E1"))
    assert all("expiresAt" in item for item in table.partitions[f"{BATCH}{batch_id}"].values())


def test_only_a_distribution_that_was_stale_at_the_edge_is_sent_to_anew(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    steps.finish(batch_id, "first", failed("E1", "EdgeStillStale"), failed("E2"))
    claim(table, batch_id, execution("sweep-1"), clock)
    steps.finish(batch_id, "sweep-1", failed("E1", "EdgeStillStale"), failed("E2"))
    assert [each.resends for each in targets_of(table, Batch.read(table, batch_id))] == [2, 0]


def test_of_an_ended_batch_the_targets_that_have_not_expired_are_told(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    steps.finish(batch_id, "first", invalidated("E1"), invalidated("E2"))
    table.delete_all([Target.key_of(batch_id, "E1")])
    assert [each.distribution_id for each in targets_of(table, Batch.read(table, batch_id))] == ["E2"]


def test_a_target_that_is_gone_from_an_unfinished_batch_is_not_taken_for_done(
    steps: BatchSteps, table: MemoryTable
) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    table.delete_all([Target.key_of(batch_id, "E1")])
    with pytest.raises(BatchNotFound, match="no record of distribution E1"):
        steps.finish(batch_id, "first", invalidated("E2"))
    assert not Batch.read(table, batch_id).ended


def test_a_policy_gives_up_on_permanent_errors_and_on_used_up_tries() -> None:
    assert RETRY.gives_up(1, "AccessDenied")
    assert RETRY.gives_up(3, "CloudFrontThrottled")
    assert not RETRY.gives_up(2, "Lambda.Unknown")
