"""`invalidations wait`: what it decides from the facts, and what it tells."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import click
import pytest

from invalidation.batches.model import Batch, BatchState
from invalidations_cli.aws import Stack
from invalidations_cli.backlog import BucketBacklog
from invalidations_cli.commands.wait import QuietWatch, WaitResult, check, document, ending, progress
from tests.fakes.backlog import NOW, batch

# ---------------------------------------------------------------- the decision

UNDER_WAY = BucketBacklog(unfinished=(batch(),))
OWED = {
    "a change that waits": BucketBacklog(pending=1),
    "a batch under way": UNDER_WAY,
    "a batch that is tried again": BucketBacklog(unfinished=(batch(tries=2, next_try_at=NOW),)),
    "an execution that runs": BucketBacklog(running=("arn",)),
    "an execution that was lost": BucketBacklog(lost=("name",)),
    "a message in the intake queue": BucketBacklog(queued=1),
}


def judged(quiet: float, *looks: tuple[float, BucketBacklog]) -> WaitResult:
    watch = QuietWatch(quiet)
    result = WaitResult.WAITING
    for at, facts in looks:
        result = watch.look(facts, at)
    return result


@pytest.mark.parametrize("facts", OWED.values(), ids=OWED)
def test_while_anything_is_owed_it_waits_however_long_nothing_arrives(facts: BucketBacklog) -> None:
    assert judged(10, (0, facts), (1000, facts)) is WaitResult.WAITING


@pytest.mark.parametrize("facts", OWED.values(), ids=OWED)
def test_what_has_just_arrived_starts_the_quiet_time_anew(facts: BucketBacklog) -> None:
    assert judged(10, (0, BucketBacklog()), (9, facts), (10, BucketBacklog())) is WaitResult.WAITING or facts.lost
    assert judged(10, (0, BucketBacklog()), (9, facts), (19, BucketBacklog())) is WaitResult.FRESH


def test_a_quiet_bucket_is_fresh_after_the_quiet_time_and_not_before() -> None:
    assert judged(10, (0, BucketBacklog())) is WaitResult.WAITING
    assert judged(10, (0, BucketBacklog()), (9.9, BucketBacklog())) is WaitResult.WAITING
    assert judged(10, (0, BucketBacklog()), (9.9, BucketBacklog()), (10, BucketBacklog())) is WaitResult.FRESH


def test_time_in_which_nothing_new_arrives_counts_while_a_batch_is_under_way() -> None:
    assert judged(10, (0, UNDER_WAY), (15, UNDER_WAY), (20, BucketBacklog())) is WaitResult.FRESH


def test_the_leader_that_still_notifies_is_nothing_new() -> None:
    ending = BucketBacklog(running=(batch().owner,))
    assert judged(10, (0, UNDER_WAY), (15, ending), (16, BucketBacklog())) is WaitResult.FRESH


def test_a_batch_that_came_and_went_between_two_looks_is_seen_by_its_bucket_s_head() -> None:
    assert (
        judged(10, (0, BucketBacklog(head="one")), (9, BucketBacklog(head="two")), (11, BucketBacklog(head="two")))
        is WaitResult.WAITING
    )


def test_a_paused_bucket_ends_it_at_once() -> None:
    assert judged(10, (0, BucketBacklog(paused=True, pending=3))) is WaitResult.PAUSED


def test_a_parked_batch_ends_it_at_once_whenever_it_was_parked() -> None:
    parked = batch(state=BatchState.PARKED, tries=1, error="AccessDenied")
    watch = QuietWatch(10)
    assert watch.look(BucketBacklog(parked=(parked,)), 0) is WaitResult.FAILED
    assert watch.failed == (parked,)


def test_older_parked_batches_only_get_a_mention_where_that_is_asked_for() -> None:
    parked = batch(state=BatchState.PARKED, opened=NOW - timedelta(hours=2))
    watch = QuietWatch(10, NOW - timedelta(hours=1))
    facts = BucketBacklog(parked=(parked,))
    assert watch.look(facts, 0) is WaitResult.WAITING
    assert watch.look(facts, 10) is WaitResult.FRESH
    assert "1 batch parked" in progress(facts, watch, 10)
    assert watch.look(BucketBacklog(parked=(replace(parked, opened=NOW),)), 11) is WaitResult.FAILED


def test_a_batch_that_fails_meanwhile_ends_it_and_one_that_had_failed_before_is_waited_for() -> None:
    before = BucketBacklog(unfinished=(batch(tries=1, next_try_at=NOW),))
    watch = QuietWatch(10)
    assert watch.look(before, 0) is WaitResult.WAITING
    assert "one that failed before is tried again at 07:00:00 UTC" in progress(before, watch, 0)
    again = BucketBacklog(unfinished=(batch(tries=2),))
    assert watch.look(again, 300) is WaitResult.FAILED
    assert watch.failed == again.unfinished
    assert judged(10, (0, BucketBacklog()), (5, BucketBacklog(unfinished=(batch(tries=1),)))) is WaitResult.FAILED


def test_an_event_that_ends_up_as_a_dead_letter_meanwhile_ends_it_and_older_ones_do_not() -> None:
    assert judged(10, (0, BucketBacklog(dead_letters=2)), (11, BucketBacklog(dead_letters=2))) is WaitResult.FRESH
    assert judged(10, (0, BucketBacklog(dead_letters=2)), (5, BucketBacklog(dead_letters=3))) is WaitResult.FAILED


# ---------------------------------------------------------------- what is told


def ended(result: WaitResult, facts: BucketBacklog, *seen: Batch, failed: tuple[Batch, ...] = ()) -> list[str]:
    watch = QuietWatch(10, batches={each.batch_id: each for each in seen}, failed=failed)
    return list(ending(result, "my-site", facts, watch, 31.4))


def test_the_end_is_told_in_a_line_that_says_how_it_ended() -> None:
    assert ended(WaitResult.FRESH, BucketBacklog(), batch("1"), batch("2")) == [
        "Fresh after 31 s: 6 changes of my-site, in 2 batches."
    ]
    assert ended(WaitResult.NOTHING_ARRIVED, BucketBacklog()) == [
        "No change of my-site arrived within 31 s, nor in the 10 s before, and none was left: did it change?"
    ]
    (paused,) = ended(WaitResult.PAUSED, BucketBacklog(pending=2))
    assert paused.endswith("wait until it is resumed (2 changes so far).")
    (late,) = ended(WaitResult.WAITING, BucketBacklog(running=("a", "b"), queued=1, lost=("\x1b[1m",), dead_letters=1))
    assert late == (
        "Not within 31 s: my-site: 2 executions running, 1 message in the intake queue, "
        r"\x1b[1m failed before its change was accepted and is replayed by the sweep, "
        "1 event in the dead-letter queue; nothing new for 10 of 10 s."
    )


def test_what_failed_is_told_with_its_error_its_advice_and_what_comes_next() -> None:
    parked = batch("1", error="AccessDenied", message="Grant\nthis", state=BatchState.PARKED)
    later = batch("2", error="CloudFrontThrottled", message="Busy", next_try_at=NOW)
    assert ended(WaitResult.FAILED, BucketBacklog(), failed=(parked, later))[1:] == [
        "  batch 1, 3 changes: AccessDenied (fix the cause, then retry it)",
        r"    Grant\nthis",
        "  batch 2, 3 changes: CloudFrontThrottled (tried again at 07:00 UTC)",
        "    Busy",
    ]
    assert "dead-letter queue" in ended(WaitResult.FAILED, BucketBacklog())[1]


def test_the_end_is_one_document_for_a_script() -> None:
    facts = BucketBacklog(
        pending=1, unfinished=(batch("2", tries=1, error="X", message="m"),), running=("arn",), queued=3
    )
    watch = QuietWatch(10, batches={"2": facts.unfinished[0], "1": batch("1")}, failed=facts.unfinished)
    assert json.loads(json.dumps(document(WaitResult.WAITING, "my-site", facts, watch, 31.44))) == {
        "result": "timeout",
        "bucket": "my-site",
        "seconds": 31.4,
        "quietSeconds": 10,
        "batches": ["1", "2"],
        "changes": 6,
        "owed": {"pending": 1, "unfinished": ["2"], "parked": [], "running": 1, "lost": [], "queued": 3},
        "failed": [{"batchId": "2", "changes": 3, "error": "X", "message": "m"}],
    }


def test_waiting_is_refused_where_it_would_end_well_without_an_invalidation() -> None:
    def stack(**parameters: str) -> Stack:
        return Stack("s", cast("Any", None), {}, parameters)

    check(stack(BucketNames="other, my-site"), "my-site")
    with pytest.raises(click.UsageError, match=r"does not watch my-site\. It watches: other"):
        check(stack(BucketNames="other"), "my-site")
    with pytest.raises(click.ClickException, match="DryRun is true"):
        check(stack(BucketNames="my-site", DryRun="true"), "my-site")
