from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from invalidation.batches import snapshot as freezing
from invalidation.batches.head import Execution, Head, HeadState, Joined, Role, has_pending, pause, resume
from invalidation.batches.join import open_own_batch, open_paths_batch
from invalidation.batches.model import Batch, BatchState, Kind, PendingChange
from invalidation.batches.snapshot import SAMPLE, chunk_key, frozen_changes, frozen_paths
from invalidation.batches.table import BATCH, Item, Key
from invalidation.batches.targets import claim, freeze_targets
from invalidation.errors import BatchContended, BatchNotFound, BatchTableUnavailable, ChangesNotAccepted
from invalidation.events import Change
from tests.fakes.batch_steps import BUCKET, START, WINDOW, BatchSteps, Clock, change, execution, failed, invalidated
from tests.fakes.memory_table import MemoryTable


def lists_of(table: MemoryTable, batch_id: str) -> list[str]:
    return [sk for sk in table.partitions.get(f"{BATCH}{batch_id}", {}) if sk.startswith("KEYS")]


# --- Close ---


def test_a_closed_batch_owns_what_was_pending_and_nothing_is_pending_any_more(
    steps: BatchSteps, table: MemoryTable
) -> None:
    joined = steps.join("first", change("b"), change("a"))
    steps.join("second", change("ü 🙂"))
    assert steps.close(joined) == ("FROZEN", 3)
    changes = frozen_changes(table, Batch.read(table, joined.batch_id))
    assert {each.key: each for each in changes} == {key: change(key) for key in ("a", "b", "ü 🙂")}
    assert not has_pending(table, BUCKET)
    assert Head.read(table, BUCKET).state is HeadState.CLOSED


def test_every_field_of_a_change_survives_the_list(steps: BatchSteps, table: MemoryTable) -> None:
    full = Change(BUCKET, "k\n\x00\ud800", "e", True, "t", "r", "i", "etag", "v", "s", "why", "how")
    joined = steps.join("first", full)
    steps.close(joined)
    assert list(frozen_changes(table, Batch.read(table, joined.batch_id))) == [full]


def test_the_batch_record_is_an_audit_record(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    gone = replace(change("gone"), deleted=True, source_ip="198.51.100.7")
    joined = steps.join("first", change("a"), change("b"), gone)
    clock.seconds = 3
    steps.close(joined)
    batch = Batch.read(table, joined.batch_id)
    assert (batch.bucket, batch.owner, batch.executions) == (BUCKET, joined.leader_arn, (joined.leader_arn,))
    assert (batch.opened, batch.closed) == (START, clock())
    assert (batch.changes, batch.deleted, sorted(batch.sample)) == (3, 1, ["a", "b", "gone"])
    assert batch.requesters == (
        {"requester": "123456789012", "sourceIp": "192.0.2.1", "changes": 2},
        {"requester": "123456789012", "sourceIp": "198.51.100.7", "changes": 1},
    )
    assert (batch.state, batch.kind, batch.by_hand, batch.dry_run) == (BatchState.FROZEN, Kind.CHANGES, False, False)


def test_the_record_of_a_storm_stays_small(steps: BatchSteps, table: MemoryTable) -> None:
    storm = [replace(change(f"{n}" * 100, f"e{n}"), source_ip=f"2001:db8::{n}") for n in range(500)]
    joined = steps.join("first", *storm)
    steps.close(joined)
    batch = Batch.read(table, joined.batch_id)
    assert (batch.changes, len(batch.sample), len(batch.requesters)) == (500, SAMPLE, SAMPLE)
    assert len(repr(batch.to_item())) < 10_000


def test_what_is_unfinished_never_expires(steps: BatchSteps, table: MemoryTable) -> None:
    batch_id = steps.frozen("first", "a")
    steps.join("second", change("b"))
    assert Batch.find(table, batch_id) is not None
    assert not any("expiresAt" in item for each in table.partitions.values() for item in each.values())


def test_a_change_that_comes_after_the_close_waits_for_the_next_batch(steps: BatchSteps, table: MemoryTable) -> None:
    steps.frozen("first", "a")
    joined = steps.join("second", change("b"))
    assert joined.role is Role.LEADER
    assert [each.change.key for each in PendingChange.of_bucket(table, BUCKET)] == ["b"]


def test_closing_again_changes_nothing(steps: BatchSteps, table: MemoryTable) -> None:
    joined = steps.join("first", change("a"))
    assert steps.close(joined) == steps.close(joined) == ("FROZEN", 1)
    assert lists_of(table, joined.batch_id) == ["KEYS#attempt2#0001"]


def test_a_repeated_close_deletes_what_its_dead_predecessor_left(steps: BatchSteps, table: MemoryTable) -> None:
    joined = steps.join("first", change("a"), change("b"))
    left = [dict(item) for pk, each in table.partitions.items() if pk.startswith("PENDING") for item in each.values()]
    steps.close(joined)
    table.put_all(left)
    steps.join("second", change("c"))
    assert steps.close(joined) == ("FROZEN", 2)
    assert [each.change.key for each in PendingChange.of_bucket(table, BUCKET)] == ["c"]


def test_a_close_that_is_repeated_before_the_freeze_freezes(steps: BatchSteps, table: MemoryTable) -> None:
    joined = steps.join("first", change("a"))
    table.update(Head.key_of(BUCKET), {"state": "CLOSED"}, {})
    assert steps.close(joined) == ("FROZEN", 1)


def test_a_leader_that_was_taken_for_dead_leaves_everything_to_its_successor(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    late = steps.join("late", change("a"))
    clock.seconds = 121
    successor = steps.join("successor", change("b"))
    assert steps.close(late) == ("SUPERSEDED", 0)
    assert steps.close(successor) == ("FROZEN", 2)
    assert Batch.find(table, late.batch_id) is None


def test_a_late_close_does_not_close_the_head_of_another_batch(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    late = steps.join("late", change("a"))
    clock.seconds = 200
    taken_over = steps.join("next", change("b"))
    assert steps.close(late) == ("SUPERSEDED", 0)
    head = Head.read(table, BUCKET)
    assert (head.batch_id, head.state) == (taken_over.batch_id, HeadState.GATHERING)
    assert steps.join("third", change("c")).batch_id == taken_over.batch_id, "which gathers still"
    assert steps.close(taken_over) == ("FROZEN", 3)


def test_a_batch_that_was_frozen_before_its_leader_was_superseded_is_finished_all_the_same(
    steps: BatchSteps, clock: Clock
) -> None:
    joined = steps.join("first", change("a"))
    steps.close(joined)
    clock.seconds = 500
    steps.join("successor", change("b"))
    assert steps.close(joined) == ("FROZEN", 1)


def test_nothing_is_read_as_long_as_the_head_gathers(
    steps: BatchSteps, table: MemoryTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = steps.join("first", change("a"))
    monkeypatch.setattr(table, "update", lambda *_: None)
    with pytest.raises(BatchContended, match="could not be closed"):
        steps.close(joined)
    assert Batch.find(table, joined.batch_id) is None
    assert has_pending(table, BUCKET)


def test_a_batch_with_nothing_in_it_leaves_no_record(steps: BatchSteps, table: MemoryTable) -> None:
    joined = steps.join("lead")
    assert steps.close(joined) == ("EMPTY", 0)
    assert Batch.find(table, joined.batch_id) is None
    assert lists_of(table, joined.batch_id) == []


def test_an_overtaken_attempt_uses_the_winners_list_and_takes_its_own_away(
    steps: BatchSteps, table: MemoryTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = steps.join("first", change("a"))
    put_new = table.put_new

    def overtaken(item: Item) -> bool:
        monkeypatch.setattr(table, "put_new", put_new)
        table.put(PendingChange.of(change("b"), table.shards).to_item())
        steps.close(joined)
        return put_new(item)

    monkeypatch.setattr(table, "put_new", overtaken)
    # The overtaken attempt has read "a" alone, the winner "a" and "b".
    assert steps.close(joined) == ("FROZEN", 2)
    assert lists_of(table, joined.batch_id) == [f"KEYS#{Batch.read(table, joined.batch_id).attempt}#0001"]
    assert sorted(each.key for each in frozen_changes(table, Batch.read(table, joined.batch_id))) == ["a", "b"]


def test_an_attempt_whose_answer_was_lost_keeps_its_list(
    steps: BatchSteps, table: MemoryTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = steps.join("first", change("a"))
    put_new = table.put_new
    monkeypatch.setattr(table, "put_new", lambda item: put_new(item) and put_new(item))
    assert steps.close(joined) == ("FROZEN", 1)
    assert [each.key for each in frozen_changes(table, Batch.read(table, joined.batch_id))] == ["a"]


def test_a_list_of_many_chunks_is_whole(steps: BatchSteps, table: MemoryTable) -> None:
    names = [f"{number:04d}" * 250 for number in range(900)]
    joined = steps.join("first", *(change(name, name[:4]) for name in names))
    steps.close(joined)
    batch = Batch.read(table, joined.batch_id)
    assert batch.chunks > 2
    assert sorted(each.key for each in frozen_changes(table, batch)) == names
    assert not has_pending(table, BUCKET)


def test_a_list_that_has_expired_is_said_to_have(steps: BatchSteps, table: MemoryTable) -> None:
    batch = Batch.read(table, steps.frozen("first", "a"))
    table.delete_all([chunk_key(batch.batch_id, batch.attempt, 1)])
    with pytest.raises(BatchNotFound, match="has expired"):
        list(frozen_changes(table, batch))


def test_a_batch_that_is_not_there_is_said_not_to_be(table: MemoryTable) -> None:
    with pytest.raises(BatchNotFound, match="20261123T000000Z-0123456789"):
        Batch.read(table, "20261123T000000Z-0123456789")


# --- The pending items of a large batch ---


class MortalTable(MemoryTable):
    """Notes what is deleted, and dies before it would delete more than it may."""

    def __init__(self, shards: int = 4) -> None:
        super().__init__(shards)
        self.deleted: list[Key] = []
        self.may_delete = 1_000_000

    def delete_all(self, keys: Iterable[Key]) -> None:
        for key in keys:
            if len(self.deleted) == self.may_delete:
                raise BatchTableUnavailable("out of time")
            self.deleted.append(key)
            super().delete_all([key])


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> MortalTable:
    """Its lists have chunks of ten rows, or a few more."""
    monkeypatch.setattr(freezing, "RAW_CHUNK_BYTES", 1_600)
    return MortalTable()


@pytest.fixture
def large(mortal: MortalTable, clock: Clock) -> BatchSteps:
    return BatchSteps(mortal, clock)


def interrupted(large: BatchSteps, table: MortalTable, after: int) -> Joined:
    """A batch of 100 changes whose Close was interrupted after some of its deletes."""
    joined = large.join("first", *(change(f"{number:03}") for number in range(100)))
    table.may_delete = after
    with pytest.raises(BatchTableUnavailable):
        large.close(joined)
    table.may_delete = 1_000_000
    return joined


def test_a_close_that_is_tried_again_goes_on_deleting_where_the_last_one_stopped(
    large: BatchSteps, mortal: MortalTable
) -> None:
    joined = interrupted(large, mortal, 55)
    assert large.close(joined) == ("FROZEN", 100)
    assert not has_pending(mortal, BUCKET)
    assert 100 <= len(mortal.deleted) < 115, "of the chunk in which it stopped some are deleted twice"


def test_a_close_that_always_dies_after_some_chunks_comes_to_its_end(large: BatchSteps, mortal: MortalTable) -> None:
    joined = interrupted(large, mortal, 25)
    for _ in range(10):
        mortal.may_delete = len(mortal.deleted) + 25
        with suppress(BatchTableUnavailable):
            large.close(joined)
    assert not has_pending(mortal, BUCKET)


def test_a_later_leader_does_not_freeze_what_an_earlier_batch_owns(
    large: BatchSteps, mortal: MortalTable, clock: Clock
) -> None:
    interrupted(large, mortal, 25)
    sizes = []
    for number in range(3):
        clock.seconds += 60
        joined = large.join(f"next-{number}", change(f"new {number}"))
        clock.seconds += 60
        sizes.append(large.close(joined))
    assert sizes == [("FROZEN", 1)] * 3


def test_a_change_of_a_key_that_an_earlier_batch_owns_is_another_change(
    large: BatchSteps, mortal: MortalTable, clock: Clock
) -> None:
    interrupted(large, mortal, 25)
    clock.seconds += 60
    joined = large.join("next", change("050", "a later event"), change("050"))
    clock.seconds += 60
    assert large.close(joined) == ("FROZEN", 1)
    frozen = frozen_changes(mortal, Batch.read(mortal, joined.batch_id))
    assert [each.event_id for each in frozen] == ["a later event"]


def test_a_leader_who_finds_nothing_of_its_own_deletes_what_a_dead_one_left(
    large: BatchSteps, mortal: MortalTable, clock: Clock
) -> None:
    interrupted(large, mortal, 25)
    clock.seconds += 500
    assert large.close(large.join("sweep-lead")) == ("EMPTY", 0)
    assert not has_pending(mortal, BUCKET)


def test_what_an_ended_batch_owned_and_what_is_told_again_is_frozen_again(
    large: BatchSteps, mortal: MortalTable, clock: Clock
) -> None:
    joined = interrupted(large, mortal, 25)
    freeze_targets(mortal, Batch.read(mortal, joined.batch_id), {})
    large.finish(joined.batch_id, "first")
    clock.seconds += 60
    assert large.close(large.join("next", change("new")))[1] == 76


def test_a_retry_of_a_batch_that_has_been_resolved_deletes_nothing(
    large: BatchSteps, mortal: MortalTable, clock: Clock
) -> None:
    joined = large.join("first", *(change(f"{number:03}") for number in range(100)))
    large.close(joined)
    freeze_targets(mortal, Batch.read(mortal, joined.batch_id), {"E1": {}, "E2": {}})
    large.finish(joined.batch_id, "first", invalidated("E1"), failed("E2"))
    mortal.deleted.clear()
    assert large.close(claim(mortal, joined.batch_id, execution("sweep-retry"), clock)) == ("FROZEN", 100)
    assert mortal.deleted == []


def test_deletes_are_spread_over_the_shards(large: BatchSteps, mortal: MortalTable) -> None:
    large.close(large.join("first", *(change(f"{number:03}") for number in range(100))))
    for at in range(0, 60, 4):
        assert len({key.pk for key in mortal.deleted[at : at + 4]}) == 4


def test_a_release_with_more_shards_deletes_what_an_earlier_one_froze(large: BatchSteps, mortal: MortalTable) -> None:
    joined = interrupted(large, mortal, 25)
    mortal.shards = 16
    assert large.close(joined) == ("FROZEN", 100)
    assert not has_pending(mortal, BUCKET)


def test_a_list_that_does_not_say_where_its_changes_were_pending_is_of_a_release_with_as_many_shards(
    large: BatchSteps, mortal: MortalTable
) -> None:
    joined = interrupted(large, mortal, 0)
    for item in mortal.partitions[f"{BATCH}{joined.batch_id}"].values():
        item.pop("shards", None)
    assert large.close(joined) == ("FROZEN", 100)
    assert not has_pending(mortal, BUCKET)


# --- Pause ---


def test_a_paused_bucket_keeps_its_changes_pending(steps: BatchSteps, table: MemoryTable) -> None:
    joined = steps.join("first", change("a"))
    pause(table, BUCKET)
    assert steps.close(joined) == ("PAUSED", 0)
    assert steps.join("second", change("b")).role is Role.PAUSED
    assert sorted(each.change.key for each in PendingChange.of_bucket(table, BUCKET)) == ["a", "b"]


def test_the_leader_of_a_paused_bucket_leads_still_so_that_the_head_gets_closed(
    steps: BatchSteps, table: MemoryTable
) -> None:
    steps.join("first", change("a"))
    pause(table, BUCKET)
    assert steps.join("first", change("a")).role is Role.LEADER


def test_a_resumed_bucket_can_be_led_at_once(steps: BatchSteps, table: MemoryTable, clock: Clock) -> None:
    joined = steps.join("first", change("a"))
    pause(table, BUCKET)
    steps.close(joined)
    assert resume(table, BUCKET, WINDOW, clock)
    leads = steps.join("lead")
    assert leads.role is Role.LEADER
    assert steps.close(leads) == ("FROZEN", 1)


def test_a_resumed_bucket_needs_nobody_when_nothing_waits_or_a_leader_gathers(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    pause(table, BUCKET)
    assert not resume(table, BUCKET, WINDOW, clock)
    steps.join("first", change("a"))
    pause(table, BUCKET)
    assert not resume(table, BUCKET, WINDOW, clock)


def test_a_resume_finds_the_change_of_a_joiner_who_read_that_the_bucket_is_paused(
    steps: BatchSteps, table: MemoryTable, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause(table, BUCKET)
    update = table.update

    def after_a_joiner(key: Key, assign: Mapping[str, Any], expect: Mapping[str, Any]) -> Item | None:
        monkeypatch.setattr(table, "update", update)
        assert steps.join("in between", change("a")).role is Role.PAUSED
        return update(key, assign, expect)

    monkeypatch.setattr(table, "update", after_a_joiner)
    assert resume(table, BUCKET, WINDOW, clock)


def test_opening_a_batch_does_not_resume_a_bucket(steps: BatchSteps, table: MemoryTable) -> None:
    steps.join("first", change("a"))
    head = Head.read(table, BUCKET)
    pause(table, BUCKET)
    opened = replace(head, batch_id="another", leader="another")
    assert opened.open(table, before=head)
    assert Head.read(table, BUCKET).paused


def test_what_a_batch_owns_already_goes_on_in_a_paused_bucket(steps: BatchSteps, table: MemoryTable) -> None:
    joined = steps.join("first", change("a"))
    steps.close(joined)
    pause(table, BUCKET)
    assert steps.close(joined) == ("FROZEN", 1)


# --- Batches of one's own ---


def test_a_request_has_a_batch_of_its_own_and_does_not_wait(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    asked = [Change(BUCKET, "a", ""), Change(BUCKET, "b", "")]
    joined = open_own_batch(table, BUCKET, asked, execution("person"), clock, "attempt", dry_run=True)
    assert (joined.role, joined.closes_at, joined.bucket) == (Role.LEADER, START, BUCKET)
    batch = Batch.read(table, joined.batch_id)
    assert (batch.by_hand, batch.dry_run, batch.changes) == (True, True, 2)
    assert list(frozen_changes(table, batch)) == asked
    assert steps.close(joined) == ("FROZEN", 2)


def test_closing_a_batch_of_ones_own_leaves_the_buckets_batch_alone(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    gathering = steps.join("first", change("a"))
    own = open_own_batch(table, BUCKET, [change("a")], execution("person"), clock, "attempt")
    steps.close(own)
    assert [each.change.key for each in PendingChange.of_bucket(table, BUCKET)] == ["a"]
    assert steps.close(gathering) == ("FROZEN", 1)


def test_paths_make_a_batch_of_a_distribution_without_a_bucket(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    joined = open_paths_batch(table, "E1", ["/a", "/b*"], execution("person"), clock, "attempt")
    batch = Batch.read(table, joined.batch_id)
    assert (batch.kind, batch.distribution_id, batch.bucket, batch.sample) == (Kind.PATHS, "E1", "", ("/a", "/b*"))
    assert list(frozen_paths(table, batch)) == ["/a", "/b*"]
    assert steps.close(joined) == ("FROZEN", 2)


def test_changes_are_not_taken_for_paths_nor_paths_for_changes(
    steps: BatchSteps, table: MemoryTable, clock: Clock
) -> None:
    paths = open_paths_batch(table, "E1", ["/a"], execution("person"), clock, "attempt")
    with pytest.raises(ValueError, match="holds paths"):
        frozen_changes(table, Batch.read(table, paths.batch_id))
    with pytest.raises(ValueError, match="holds changes"):
        frozen_paths(table, Batch.read(table, steps.frozen("first", "a")))


def test_a_repeated_request_finds_the_batch_that_it_has_made(table: MemoryTable, clock: Clock) -> None:
    once = open_paths_batch(table, "E1", ["/a"], execution("person"), clock, "attempt1")
    clock.seconds = 60
    assert open_paths_batch(table, "E1", ["/a"], execution("person"), clock, "attempt2") == once
    assert lists_of(table, once.batch_id) == ["KEYS#attempt1#0001"]


def test_two_requests_never_share_a_batch_even_if_their_ids_should_collide(
    table: MemoryTable, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_own_batch(table, BUCKET, [change("a")], execution("person"), clock, "attempt1")
    monkeypatch.setattr("invalidation.batches.join.batch_id", lambda _: first.batch_id)
    with pytest.raises(BatchContended, match="already taken"):
        open_own_batch(table, BUCKET, [change("b")], execution("another"), clock, "attempt2")


def test_a_batch_of_nothing_is_refused(table: MemoryTable, clock: Clock) -> None:
    with pytest.raises(ValueError, match="at least one"):
        open_own_batch(table, BUCKET, [], execution("person"), clock, "attempt")


@pytest.mark.parametrize("operation", ["put", "put_new"])
def test_a_request_that_could_not_be_written_was_not_accepted(
    table: MemoryTable, clock: Clock, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    def unwilling(item: Item) -> bool:
        raise BatchTableUnavailable(f"throttled at {item['sk']}")

    monkeypatch.setattr(table, operation, unwilling)
    person = Execution("arn:aws:states:eu-central-1:123456789012:execution:invalidation:person", START)
    with pytest.raises(ChangesNotAccepted, match="throttled"):
        open_paths_batch(table, "E1", ["/a"], person, clock, "attempt")
    with pytest.raises(ChangesNotAccepted, match="throttled"):
        open_own_batch(table, BUCKET, [change("a")], person, clock, "attempt")


def test_only_so_many_requesters_are_counted() -> None:
    tally = freezing._Tally()
    many = (PendingChange(replace(change("a"), source_ip=f"{n}")) for n in [*range(300), *[0] * 50])
    assert sum(1 for _ in tally.counting(many)) == 350
    assert len(tally.requesters) == 100
    assert tally.most_active()[0] == {"requester": "123456789012", "sourceIp": "0", "changes": 51}
