"""What a notification says of the paths: which they are, as many as there is room for, and what they cost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from invalidation.batches.finish import Failure, TargetResult
from invalidation.batches.model import Batch, Outcome
from invalidation.batches.queries import batches_of_bucket
from invalidation.batches.targets import (
    MAX_SAMPLE_CHARACTERS,
    MAX_SAMPLE_PATHS,
    InvalidationRecord,
    PlanSummary,
    Target,
    TargetState,
    claim,
    record_invalidation,
)
from invalidation.cloudfront.limits import price
from invalidation.cloudfront.plan import Plan, plan_paths
from invalidation.cloudfront.rules import Budget
from invalidation.outcome import LONGEST_TARGETS, BatchReport
from tests.fakes.batch_steps import BUCKET, BatchSteps, Clock, execution, record_plan, report
from tests.fakes.memory_table import MemoryTable
from tests.fakes.reports import COMPLETED, DONE

LONGEST_PATH = "/" + "x" * 3_999
ONLY_PLANNED = TargetResult("E1", skipped=True, only_planned=True)


def _planned(*paths: str, copies: int = 1) -> PlanSummary:
    return PlanSummary.of(plan_paths(paths, Budget(max_exact_paths=3_000)), requests=1, copies=copies)


def _told(report: BatchReport) -> Any:
    return json.loads(json.dumps(report.to_report()))


# ---------------------------------------------------------------- which paths


@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=600), max_size=60))
def test_a_sample_is_the_first_paths_within_its_bounds_and_the_count_is_of_all(names: list[str]) -> None:
    planned = Plan(tuple(sorted({f"/{name}" for name in names})))
    summary = PlanSummary.of(planned, requests=1)
    assert summary.paths == len(planned.paths)
    assert summary.sample == planned.paths[: len(summary.sample)]
    assert len(summary.sample) <= MAX_SAMPLE_PATHS
    assert sum(len(json.dumps(path)) for path in summary.sample) <= MAX_SAMPLE_CHARACTERS
    following = planned.paths[len(summary.sample) : len(summary.sample) + 1]
    taken = sum(len(json.dumps(path)) for path in (*summary.sample, *following))
    assert not following or len(summary.sample) == MAX_SAMPLE_PATHS or taken > MAX_SAMPLE_CHARACTERS


def test_all_paths_of_an_ordinary_batch_are_told() -> None:
    paths = [f"/{number:02}.html" for number in range(MAX_SAMPLE_PATHS)]
    assert _planned(*paths).sample == tuple(paths)


def test_the_longest_paths_leave_room_for_two() -> None:
    paths = tuple(LONGEST_PATH[:-1] + letter for letter in "abc")
    assert _planned(*paths).sample == paths[:2]


def test_a_summary_is_read_as_it_was_written() -> None:
    summary = _planned("/a", "/b/*", copies=3)
    assert PlanSummary.from_document(json.loads(json.dumps(summary.to_document()))) == summary


def test_a_summary_that_an_earlier_release_wrote_has_no_sample_and_one_copy() -> None:
    earlier = {"paths": 2, "wildcards": 0, "requests": 1, "widened": []}
    assert PlanSummary.from_document(earlier) == PlanSummary(2, 0, 1)


# ---------------------------------------------------------------- through the record


def test_the_sample_survives_tries_that_fail_and_executions_that_take_over(
    steps: BatchSteps, table: MemoryTable
) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    record_plan(table, batch_id, "E1", _planned("/a", "/b"))
    failing = [TargetResult(each, failure=Failure("CloudFrontThrottled", "told")) for each in ("E1", "E2")]
    first = steps.finish(batch_id, "first", *failing)
    assert [each.get("pathSample") for each in _told(first)["targets"]] == [["/a", "/b"], None]
    claim(table, batch_id, execution("second"), steps.clock)
    record_plan(table, batch_id, "E2", _planned("/c"))
    second = steps.finish(batch_id, "second", TargetResult("E2", seconds=3), failing[0])
    assert {each["distributionId"]: each["pathSample"] for each in _told(second)["targets"]} == {
        "E1": ["/a", "/b"],
        "E2": ["/c"],
    }


def test_the_audit_keeps_the_sample(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1")
    record_plan(table, batch_id, "E1", _planned("/a"))
    steps.finish(batch_id, "first", TargetResult("E1", seconds=3))
    (kept,) = batches_of_bucket(table, BUCKET).batches
    planned = Target.read(table, kept.batch_id, "E1").plan
    assert planned is not None
    assert planned.sample == ("/a",)


def test_many_distributions_are_all_named_before_any_says_its_paths() -> None:
    long = tuple(LONGEST_PATH[:-1] + letter for letter in "ab")
    one = replace(DONE, distribution_id="E1", plan=PlanSummary(2, 0, 1, (), long))
    owed = replace(one, distribution_id="E0", state=TargetState.OWED)
    document = replace(COMPLETED, targets=(one,) * 100 + (owed,)).to_report()
    assert len(document["targets"]) == 101
    assert "targetsOmitted" not in document
    told = [each for each in document["targets"] if "pathSample" in each]
    assert [each["distributionId"] for each in told][:2] == ["E0", "E1"]
    assert 1 < len(told) < 101
    assert len(json.dumps(document["targets"])) <= LONGEST_TARGETS


# ---------------------------------------------------------------- at what price


def _created(table: MemoryTable, batch_id: str, number: int, paths: int, at: Clock) -> None:
    record = InvalidationRecord(number, f"I{number}", f"r{number}", paths, 0, at())
    record_invalidation(table, batch_id, "E1", record)


def test_the_price_is_that_of_the_invalidations_that_were_created(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1")
    record_plan(table, batch_id, "E1", _planned("/a", "/b", copies=2))
    for tenant in range(2):
        _created(table, batch_id, tenant, 2, steps.clock)
    told = _told(steps.finish(batch_id, "first", TargetResult("E1", seconds=3)))
    assert (told["targets"][0]["paths"], told["targets"][0]["price"], told["price"]) == (2, 0.02, 0.02)


def test_what_was_planned_and_not_sent_has_cost_nothing(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1")
    record_plan(table, batch_id, "E1", _planned("/a"))
    told = _told(steps.finish(batch_id, "first", TargetResult("E1", failure=Failure("AccessDenied", "told"))))
    assert "price" not in told
    assert "price" not in told["targets"][0]
    assert told["targets"][0]["paths"] == 1


def test_a_dry_run_tells_what_it_would_have_cost_each_tenant_included(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1", "E2")
    record_plan(table, batch_id, "E1", _planned("/a", "/b", "/c", copies=20))
    record_plan(table, batch_id, "E2", _planned("/a"))
    finished = steps.finish(batch_id, "first", ONLY_PLANNED, replace(ONLY_PLANNED, distribution_id="E2"))
    told = _told(finished)
    assert (told["outcome"], told["dryRun"], told["price"]) == ("DryRun", True, 0.305)
    assert [each["price"] for each in told["targets"]] == [0.3, 0.005]
    assert told["targets"][0]["pathSample"] == ["/a", "/b", "/c"]
    assert finished.price == price(61)


def test_a_dry_run_by_the_stacks_parameter_is_one_in_the_audit_record_too(
    steps: BatchSteps, table: MemoryTable
) -> None:
    batch_id = steps.resolved("first", "E1")
    assert not Batch.read(table, batch_id).dry_run, "nobody asked for it in the request"
    record_plan(table, batch_id, "E1", _planned("/a"))
    steps.finish(batch_id, "first", ONLY_PLANNED)
    kept = Batch.read(table, batch_id)
    assert (kept.dry_run, kept.outcome, kept.ended) == (True, Outcome.DRY_RUN, True)
    assert _told(report(table, batch_id))["price"] == 0.005


def test_nothing_to_invalidate_is_not_a_dry_run(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.resolved("first", "E1")
    record_plan(table, batch_id, "E1", _planned())
    told = _told(steps.finish(batch_id, "first", TargetResult("E1", skipped=True)))
    assert told["outcome"] == "NothingToInvalidate"
    assert "dryRun" not in told
    assert not Batch.read(table, batch_id).dry_run


def test_a_batch_of_which_one_distribution_was_only_planned_is_not_fresh(steps: BatchSteps) -> None:
    """The parameter was set while the batch was tried again."""
    batch_id = steps.resolved("first", "E1", "E2")
    finished = steps.finish(batch_id, "first", ONLY_PLANNED, TargetResult("E2", seconds=3))
    assert finished.outcome == Outcome.DRY_RUN
