"""Join Batch and Close Batch: what is asked for is kept before anything else, however often they run."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from invalidation.batches.targets import count_paths
from invalidation.errors import BatchContended, ChangesNotAccepted
from tests.statemachine.events import changed
from tests.statemachine.site import Site
from tests.statemachine.stack import Stack
from tests.unit.handlers.invoking import Invoke

LOST = "arn:aws:states:us-east-1:123456789012:execution:invalidation:lost-answer"
FROZEN = {"status": "FROZEN", "changes": 1}


def test_the_first_change_is_frozen_at_once_the_second_leads_what_gathers_and_the_third_follows(
    site: Site, invoke: Invoke
) -> None:
    lone, leader, follower = (invoke.join(changed(site.bucket, f"{number}.html")) for number in range(3))
    assert (lone["role"], leader["role"], follower["role"]) == ("leader", "leader", "follower")
    assert (lone["closed"], "closed" in leader) == (FROZEN, False)
    assert follower["leader"] == leader["leader"]
    assert follower["batchId"] == leader["batchId"] != lone["batchId"]
    assert site.pending == 2


def test_a_join_whose_answer_was_lost_answers_the_same_and_leaves_nothing_pending(site: Site, invoke: Invoke) -> None:
    event = changed(site.bucket, "a.html")
    first = invoke.join(event, execution=LOST)
    assert first["closed"] == FROZEN
    assert invoke.join(event, execution=LOST) == first
    assert site.pending == 0


def test_a_close_whose_answer_was_lost_covers_the_same_changes(site: Site, invoke: Invoke) -> None:
    invoke.join(changed(site.bucket, "first.html"))
    joined = invoke.join(changed(site.bucket, "a.html"))
    assert invoke.close(joined) == FROZEN
    invoke.join(changed(site.bucket, "too-late.html"))
    assert invoke.close(joined) == FROZEN
    assert site.pending == 1


def test_a_change_that_the_table_did_not_take_is_not_accepted(site: Site, invoke: Invoke) -> None:
    site.stack.functions.refuse("dynamodb:BatchWriteItem", "ProvisionedThroughputExceededException")
    with pytest.raises(ChangesNotAccepted, match="ProvisionedThroughputExceededException"):
        invoke.join(changed(site.bucket, "a.html"))
    assert site.pending == 0


def test_a_head_that_is_always_taken_by_somebody_else_is_contended_and_the_change_is_safe(
    site: Site, invoke: Invoke
) -> None:
    invoke.join({"lead": site.bucket})  # registers nothing, but opens the head
    site.stack.machine.clock.wait(10_000)  # its leader is dead
    lost = "ConditionalCheckFailedException"
    site.stack.functions.refuse("dynamodb:UpdateItem", lost, times=10, about=f"BUCKET#{site.bucket}")
    with pytest.raises(BatchContended, match="the sweep starts one"):
        invoke.join(changed(site.bucket, "a.html"))
    assert site.pending == 1


def test_keys_that_the_parameter_leaves_out_are_ignored(site: Site, invoke: Invoke) -> None:
    with site.stack.functions.with_environment("JoinBatchFunction", INCLUDE_KEYS="images/*"):
        ignored = invoke.join(changed(site.bucket, "a.html"))
        kept = invoke.join([changed(site.bucket, "a.html"), changed(site.bucket, "images/a.jpg")])
    assert (ignored["role"], kept["role"], kept["closed"]["changes"]) == ("ignored", "leader", 1)
    assert "IncludeKeys" in ignored["reason"]


def test_a_rejected_input_is_answered_and_not_raised(invoke: Invoke) -> None:
    answer = invoke.join({"nonsense": 1})
    assert (answer["role"], answer["failure"]["error"]) == ("rejected", "InvalidRequest")


def test_a_retry_of_an_unknown_batch_is_answered_and_not_raised(invoke: Invoke) -> None:
    answer = invoke.join({"retryBatch": "20261112T091401Z-0000000000"})
    assert (answer["role"], answer["failure"]["error"]) == ("rejected", "BatchNotFound")


def test_a_list_with_a_wrong_event_starts_one_execution_for_the_others_however_often_it_runs(
    site: Site, invoke: Invoke, stack: Stack
) -> None:
    before = set(stack.machine.executions())
    events = [changed(site.bucket, "a.html"), {"source": "aws.s3"}]
    answers = [invoke.join(events, execution=LOST + "-list") for _ in range(2)]
    assert answers[0] == answers[1]
    (started,) = set(stack.machine.executions()) - before
    assert stack.machine.end(started).status == "SUCCEEDED"
    assert site.invalidated == [["/a.html"]]


def test_a_request_by_hand_is_a_batch_of_its_own_beside_the_one_that_gathers(site: Site, invoke: Invoke) -> None:
    invoke.join(changed(site.bucket, "first.html"))
    gathering = invoke.join(changed(site.bucket, "a.html"))
    by_hand = invoke.join({"bucket": site.bucket, "keys": ["b.html"]})
    assert by_hand["role"] == "leader"
    assert by_hand["batchId"] != gathering["batchId"]
    assert by_hand["closed"] == invoke.close(by_hand) == FROZEN
    assert site.pending == 1


def test_nothing_of_a_made_up_bucket_is_written_and_what_waits_in_one_that_was_watched_is_finished(
    site: Site, invoke: Invoke
) -> None:
    for key in ("first.html", "a.html"):
        invoke.join(changed(site.bucket, key))
    with site.stack.functions.with_environment("JoinBatchFunction", BUCKET_NAMES="another"):
        before = site.stack.stored()
        rejected = invoke.join([changed(f"made-up-{number}", "a") for number in range(50)])
        led = invoke.join({"lead": "made-up"})
        assert site.stack.stored() == before
        site.stack.machine.clock.wait(10_000)  # the leader is dead, and the bucket has left the list
        again = invoke.join({"lead": site.bucket})
    assert (rejected["role"], rejected["failure"]["error"]) == ("rejected", "InvalidRequest")
    assert led["role"] == "ended"
    assert again["role"] == "leader"


def test_beyond_the_days_paths_a_bucket_has_one_batch_an_hour_however_it_is_asked_for(
    site: Site, invoke: Invoke
) -> None:
    invoke.close(invoke.join(changed(site.bucket, "a.html")))
    count_paths(site.stack.table, 0, site.stack.machine.clock.now(), of_day=7)
    with site.stack.functions.with_environment("JoinBatchFunction", MAX_PATHS_A_DAY="7"):
        invoke.close(invoke.join(changed(site.bucket, "b.html")))
        held = invoke.join(changed(site.bucket, "c.html"))
        asked = invoke.join({"bucket": site.bucket, "keys": ["d.html"]})
        tried = invoke.join({"bucket": site.bucket, "keys": ["e.html"], "dryRun": True})
        named = invoke.join({"distributionId": site.distribution, "paths": ["/f.html"]})
    assert (held["role"], asked["role"], asked["batchId"]) == ("leader", "follower", held["batchId"])
    wait = datetime.fromisoformat(held["closesAt"]) - site.stack.machine.clock.now()
    assert timedelta(minutes=55) < wait <= timedelta(hours=1, seconds=1)
    assert (tried["role"], named["role"]) == ("leader", "leader"), "they cost nothing, or somebody wants just them"
