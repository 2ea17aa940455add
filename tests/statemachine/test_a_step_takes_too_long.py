"""The real definition, but for one shorter time limit: what becomes of a step that does not end."""

from __future__ import annotations

from tests.definition import rendered
from tests.statemachine import stack as stacks
from tests.statemachine.site import Site

STEP, FUNCTION = "Resolve Distributions", "ResolveDistributionsFunction"


def test_a_step_that_does_not_end_is_tried_twice_more_and_then_told_and_owed() -> None:
    hasty = rendered()
    hasty["States"][STEP]["TimeoutSeconds"] = 1
    with stacks.deployed(hasty) as stack:
        site = Site.create(stack)
        stack.functions.hang(FUNCTION, times=3)
        execution = site.put("a.html")
        (told,) = stack.notifications(execution)
        retried = stack.run({"retryBatch": stack.batch(execution).batch_id})
        assert (retried.status, site.invalidated) == ("SUCCEEDED", [["/a.html"]])
    assert execution.errors(STEP) == ("States.Timeout",) * 3
    assert told["body"]["error"] == "States.Timeout"
    assert told["body"]["message"] == "the step did not end within its time limit, nor did its retries"
    # The names that begin with States. are Step Functions' own: a Fail state must not use them.
    assert (execution.status, execution.error) == ("FAILED", "Timeout")
