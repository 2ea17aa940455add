"""The real definition with the real handlers: what one execution leaves behind, the sweep's executions complete."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.statemachine import stack as stacks
from tests.statemachine.functions import stumbled
from tests.statemachine.site import Site

ENDING = ("Finish Batch", "Announce Outcome", "Notify", "All Completed?")
TEN_MINUTES = 600.0


@pytest.fixture
def site() -> Iterator[Site]:
    """A site in a stack of its own: the sweep looks at everything in a stack."""
    with stacks.deployed() as stack:
        yield Site.create(stack)


def test_the_sweep_finds_the_invalidation_that_was_given_up_and_pays_for_no_second_one(site: Site) -> None:
    site.stack.edge.polls = 8
    with site.stack.functions.with_environment("CreateInvalidationFunction", COMPLETION_TIMEOUT_MINUTES="1"):
        execution = site.put("a.html")
    assert execution.error == "InvalidationTimedOut"
    site.stack.machine.clock.wait(TEN_MINUTES)
    swept = site.stack.sweep()
    assert [each["why"] for each in swept["started"]] == ["try 2 is due"]
    assert (site.stack.batch(execution).outcome, site.invalidated) == ("Completed", [["/a.html"]])


def test_a_change_that_was_never_accepted_is_replayed_from_the_executions_input(site: Site) -> None:
    site.stack.functions.fail("JoinBatchFunction", *[stumbled() for _ in range(7)])
    execution = site.put("a.html")
    assert (execution.status, execution.error) == ("FAILED", "Lambda.ServiceException")
    assert len(site.stack.notifications(execution)) == 1
    assert (site.invalidated, site.pending) == ([], 0)
    (started,) = site.stack.sweep()["started"]
    assert started["name"].startswith("replay-1-")
    assert site.invalidated == [["/a.html"]]
    assert site.stack.sweep()["started"] == []


def test_a_batch_table_that_takes_no_change_fails_the_run_by_name(site: Site) -> None:
    site.stack.functions.refuse("dynamodb:BatchWriteItem", "ThrottlingException", times=7)
    execution = site.put("a.html")
    assert (execution.error, execution.tries("Join Batch")) == ("ChangesNotAccepted", 7)
    assert execution.states == ("Join Batch", *ENDING, "Batch Failed")
    site.stack.sweep()
    assert site.invalidated == [["/a.html"]]


def test_a_failed_close_leaves_the_change_to_the_sweep(site: Site) -> None:
    site.has_just_changed()
    site.stack.functions.fail("CloseBatchFunction", *[stumbled() for _ in range(7)])
    execution = site.put("a.html")
    assert (execution.status, execution.error, site.pending) == ("FAILED", "Lambda.ServiceException", 1)
    site.stack.machine.clock.wait(TEN_MINUTES)
    assert [each["why"] for each in site.stack.sweep()["started"]] == ["changes wait without a leader"]
    assert (site.invalidated[1:], site.pending) == ([["/a.html"]], 0)


def test_a_failed_finish_is_told_and_finished_by_the_sweep(site: Site) -> None:
    site.stack.functions.fail("FinishBatchFunction", *[stumbled() for _ in range(7)])
    execution = site.put("a.html")
    assert (execution.status, execution.error) == ("FAILED", "Lambda.ServiceException")
    assert execution.states[-4:] == ("Finish Batch", "Notify", "All Completed?", "Batch Failed")
    assert len(site.stack.notifications(execution)) == 1
    assert [each["why"] for each in site.stack.sweep()["started"]] == ["its execution ended without finishing it"]
    assert (site.stack.batch(execution).outcome, site.invalidated) == ("Completed", [["/a.html"]])


def test_a_retry_of_a_batch_that_does_not_exist_is_rejected_and_not_replayed(site: Site) -> None:
    execution = site.stack.run({"retryBatch": "20261112T091401Z-5f2b8c41d0"})
    assert (execution.status, execution.error) == ("FAILED", "BatchNotFound")
    (told,) = site.stack.notifications(execution)
    assert told["body"]["outcome"] == "Rejected"
    assert site.stack.sweep()["started"] == []
