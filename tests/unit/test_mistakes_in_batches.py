"""One mistake at a time in the protocol's code, and the test that finds it."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from invalidation.batches import close, finish, head, join, model, snapshot, table, targets
from tests.unit import test_close, test_finish, test_join, test_queries, test_skip_unchanged
from tests.unit.test_close import large, mortal  # noqa: F401 # fixtures of the tests below
from tests.unit.test_finish import overtaken, overtaken_steps  # noqa: F401


@dataclass(frozen=True)
class Mistake:
    """``instead`` of ``code`` in a function of ``owner``, a module or class."""

    what: str
    owner: Any
    name: str
    code: str
    instead: str
    found_by: Callable[..., None]

    def __str__(self) -> str:
        return self.what

    def make(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the mistaken function wherever the right one is."""
        original: Any = inspect.getattr_static(self.owner, self.name)
        function: Any = original.fget if isinstance(original, property) else getattr(original, "__func__", original)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.code) == 1, f"{self.name} has no {self.code!r}, or has it more than once"
        found: dict[str, Any] = {}
        exec(source.replace(self.code, self.instead), function.__globals__, found)  # noqa: S102
        monkeypatch.setattr(self.owner, self.name, found[self.name])
        for module in [each for name, each in sys.modules.items() if name.startswith(("invalidation.", "tests."))]:
            if getattr(module, self.name, None) is original:
                monkeypatch.setattr(module, self.name, found[self.name])


MISTAKES = (
    Mistake(
        "resume looks for pending changes before it clears the pause",
        head,
        "resume",
        'table.update(Head.key_of(bucket), {"paused": None, "unfinished": OPEN}, {})\n    return needs_leader(',
        'waits = has_pending(table, bucket)\n    table.update(Head.key_of(bucket), {"paused": None}, {})\n'
        "    return waits and needs_leader(",
        test_close.test_a_resume_finds_the_change_of_a_joiner_who_read_that_the_bucket_is_paused,
    ),
    Mistake(
        "a failure overwrites a target that was completed meanwhile",
        finish,
        "_fail",
        'assign, {"state": TargetState.OWED.value, "tries": found.tries})',
        "assign, {})",
        test_finish.test_a_failure_that_is_overtaken_by_a_success_does_not_undo_it,
    ),
    Mistake(
        "an overtaken success is forgotten",
        finish,
        "_succeed",
        "found = Target.read(table, found.batch_id, found.distribution_id)",
        "return",
        test_finish.test_a_success_that_is_overtaken_by_a_failure_is_written_all_the_same,
    ),
    Mistake(
        "a claim by hand resets a target whatever its state",
        targets,
        "_take_over",
        'anew, {"state": TargetState.PARKED.value})',
        "anew, {})",
        test_finish.test_a_claim_by_hand_that_is_overtaken_by_a_success_does_not_undo_it,
    ),
    Mistake(
        "a batch ends first and makes its items expire afterwards",
        finish,
        "_end",
        "expire_what_is_below(table, batch.batch_id, expiry)\n    return batch.update(table, {**ending, **expiry})",
        "ended = batch.update(table, {**ending, **expiry})\n    expire_what_is_below(table, batch.batch_id, expiry)\n"
        "    return ended",
        test_finish.test_a_finish_that_dies_while_it_marks_what_expires_is_repeated_to_the_end,
    ),
    Mistake(
        "what is remembered of an object is kept as it is when it is contended, and its change accepted",
        join,
        "_is_unchanged",
        "raise BatchContended(",
        "return bool(",
        test_skip_unchanged.test_who_is_overtaken_too_often_accepts_nothing_and_forgets_nothing,
    ),
    Mistake(
        "a query stops at an empty page",
        table,
        "items",
        "while page.after is not None:",
        "while page.items and page.after is not None:",
        test_queries.test_an_empty_page_is_not_the_end_of_a_query,
    ),
    Mistake(
        "the record says of one chunk more than is true that its pending items are deleted",
        close,
        "_delete_pending",
        '{"pendingDeleted": number}',
        '{"pendingDeleted": number + 1}',
        test_close.test_a_close_that_always_dies_after_some_chunks_comes_to_its_end,
    ),
    Mistake(
        "how far the deletes have come is not kept",
        close,
        "_delete_pending",
        "if number < batch.chunks:",
        "if False:",
        test_close.test_a_close_that_is_tried_again_goes_on_deleting_where_the_last_one_stopped,
    ),
    Mistake(
        "a leader freezes what an earlier batch owns",
        close,
        "_unowned",
        "not in owned",
        "is not None",
        test_close.test_a_later_leader_does_not_freeze_what_an_earlier_batch_owns,
    ),
    Mistake(
        "another change of a key that an earlier batch owns is taken for that one",
        close,
        "_fingerprint",
        "key.sk",
        'key.sk.partition("#")[0]',
        test_close.test_a_change_of_a_key_that_an_earlier_batch_owns_is_another_change,
    ),
    Mistake(
        "what a dead leader left to be deleted is left there",
        close,
        "_freeze",
        "for each in earlier:",
        "for each in ():",
        test_close.test_a_leader_who_finds_nothing_of_its_own_deletes_what_a_dead_one_left,
    ),
    Mistake(
        "every retry of a batch deletes again what was pending",
        model.Batch,
        "chunks_pending",
        " or self.resolved is not None",
        "",
        test_close.test_a_retry_of_a_batch_that_has_been_resolved_deletes_nothing,
    ),
    Mistake(
        "pending items are read, and so deleted, one shard after the other",
        table,
        "items_in_turn",
        "partitions = [items(table, pk) for pk in pks]",
        "partitions = [(item for pk in pks for item in items(table, pk))]",
        test_close.test_deletes_are_spread_over_the_shards,
    ),
    Mistake(
        "where a change is pending is computed anew when it is deleted",
        snapshot,
        "pending_keys",
        'if "shards" in item:',
        "if False:",
        test_close.test_a_release_with_more_shards_deletes_what_an_earlier_one_froze,
    ),
    Mistake(
        "an old attempt of Join opens a batch in the name of an execution that has gone on",
        head.Head,
        "led_by",
        "if each == batch_id(execution, follows)",
        "if False",
        test_join.test_an_old_attempt_of_a_join_opens_no_second_batch_in_the_name_of_an_execution_that_has_gone_on,
    ),
    Mistake(
        "a repeated Join follows whoever gathers, and leaves the batch that it has closed",
        join,
        "lead_or_follow",
        "if led := head.led_by(execution):",
        "if (led := head.led_by(execution)) and not head.paused and not head.gathers(window, now()):",
        test_join.test_a_repeated_join_goes_on_with_the_batch_that_it_has_closed_whoever_gathers_or_pauses_meanwhile,
    ),
    Mistake(
        "a late Close closes the head of another batch",
        head.Head,
        "close",
        'expect = {"batchId": batch_id, "state"',
        'expect = {"state"',
        test_close.test_a_late_close_does_not_close_the_head_of_another_batch,
    ),
    Mistake(
        "opening a batch resumes its bucket",
        head.Head,
        "open",
        '"waited": self.waited,',
        '"waited": self.waited, "paused": None,',
        test_close.test_opening_a_batch_does_not_resume_a_bucket,
    ),
    Mistake(
        "a target that is gone counts as done",
        targets,
        "targets_of",
        "if gone and not batch.ended:",
        "if False:",
        test_finish.test_a_target_that_is_gone_from_an_unfinished_batch_is_not_taken_for_done,
    ),
    Mistake(
        "after any failure the same is sent, and paid, once more",
        finish,
        "_fail",
        "if failure.error == EdgeStillStale.__name__:",
        "if failure.error:",
        test_finish.test_only_a_distribution_that_was_stale_at_the_edge_is_sent_to_anew,
    ),
    Mistake(
        "an overtaken resolution goes on with its own targets",
        targets,
        "freeze_targets",
        "if resolved is not None and all(written):",
        "if True:",
        test_finish.test_a_resolution_that_is_overtaken_adopts_the_winners,
    ),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_is_found(mistake: Mistake, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    fixtures = {name: request.getfixturevalue(name) for name in inspect.signature(mistake.found_by).parameters}
    mistake.make(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        mistake.found_by(**fixtures)
