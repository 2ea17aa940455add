from dataclasses import replace

import pytest

from invalidation.batches import snapshot as freezing
from invalidation.batches.close import pending_changes
from invalidation.batches.head import Execution, HeadState, Role, has_pending, pause, read_head, resume
from invalidation.batches.join import open_own_batch, open_paths_batch
from invalidation.batches.model import BatchState, Kind, find_batch, pending_to_item, read_batch
from invalidation.batches.snapshot import SAMPLE, frozen_changes, frozen_paths
from invalidation.batches.table import Item, batch_pk, chunk_key, head_key
from invalidation.errors import BatchContended, BatchNotFound, BatchTableUnavailable, ChangesNotAccepted
from invalidation.events import Change
from tests.lifecycle_kit import BUCKET, START, WINDOW, Clock, Lives, change, execution
from tests.memory_table import MemoryTable


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable(page_size=2)


@pytest.fixture
def lives(table: MemoryTable, clock: Clock) -> Lives:
    return Lives(table, clock)


def lists_of(table: MemoryTable, batch_id: str) -> list[str]:
    return [sk for sk in table.partitions.get(batch_pk(batch_id), {}) if sk.startswith("KEYS")]


# --- Close ---


def test_a_closed_batch_owns_what_was_pending_and_nothing_is_pending_any_more(lives: Lives, table: MemoryTable) -> None:
    joined = lives.join("first", change("b"), change("a"))
    lives.join("second", change("ü 🙂"))
    assert lives.close(joined) == ("FROZEN", 3)
    changes = frozen_changes(table, read_batch(table, joined.batch_id))
    assert {each.key: each for each in changes} == {key: change(key) for key in ("a", "b", "ü 🙂")}
    assert not has_pending(table, BUCKET)
    assert read_head(table, BUCKET).state is HeadState.CLOSED


def test_every_field_of_a_change_survives_the_list(lives: Lives, table: MemoryTable) -> None:
    full = Change(BUCKET, "k\n\x00\ud800", "e", True, "t", "r", "i", "etag", "v", "s", "why", "how")
    joined = lives.join("first", full)
    lives.close(joined)
    assert list(frozen_changes(table, read_batch(table, joined.batch_id))) == [full]


def test_the_batch_record_is_an_audit_record(lives: Lives, table: MemoryTable, clock: Clock) -> None:
    gone = replace(change("gone"), deleted=True, source_ip="198.51.100.7")
    joined = lives.join("first", change("a"), change("b"), gone)
    clock.seconds = 3
    lives.close(joined)
    batch = read_batch(table, joined.batch_id)
    assert (batch.bucket, batch.owner, batch.executions) == (BUCKET, joined.leader_arn, (joined.leader_arn,))
    assert (batch.opened, batch.closed) == (START, clock())
    assert (batch.changes, batch.deleted, sorted(batch.sample)) == (3, 1, ["a", "b", "gone"])
    assert batch.requesters == (
        {"requester": "123456789012", "sourceIp": "192.0.2.1", "changes": 2},
        {"requester": "123456789012", "sourceIp": "198.51.100.7", "changes": 1},
    )
    assert (batch.state, batch.kind, batch.by_hand, batch.dry_run) == (BatchState.FROZEN, Kind.CHANGES, False, False)


def test_the_record_of_a_storm_stays_small(lives: Lives, table: MemoryTable) -> None:
    storm = [replace(change(f"{n}" * 100, f"e{n}"), source_ip=f"2001:db8::{n}") for n in range(500)]
    joined = lives.join("first", *storm)
    lives.close(joined)
    batch = read_batch(table, joined.batch_id)
    assert (batch.changes, len(batch.sample), len(batch.requesters)) == (500, SAMPLE, SAMPLE)
    assert len(repr(batch.to_item())) < 10_000


def test_what_is_unfinished_never_expires(lives: Lives, table: MemoryTable) -> None:
    batch_id = lives.frozen("first", "a")
    lives.join("second", change("b"))
    assert find_batch(table, batch_id) is not None
    assert not any("expiresAt" in item for each in table.partitions.values() for item in each.values())


def test_a_change_that_comes_after_the_close_waits_for_the_next_batch(lives: Lives, table: MemoryTable) -> None:
    lives.frozen("first", "a")
    joined = lives.join("second", change("b"))
    assert joined.role is Role.LEADER
    assert [each.key for each in pending_changes(table, BUCKET)] == ["b"]


def test_closing_again_changes_nothing(lives: Lives, table: MemoryTable) -> None:
    joined = lives.join("first", change("a"))
    assert lives.close(joined) == lives.close(joined) == ("FROZEN", 1)
    assert lists_of(table, joined.batch_id) == ["KEYS#attempt2#0001"]


def test_a_repeated_close_deletes_what_its_dead_predecessor_left(lives: Lives, table: MemoryTable) -> None:
    joined = lives.join("first", change("a"), change("b"))
    left = [dict(item) for pk, each in table.partitions.items() if pk.startswith("PENDING") for item in each.values()]
    lives.close(joined)
    table.put_all(left)
    lives.join("second", change("c"))
    assert lives.close(joined) == ("FROZEN", 2)
    assert [each.key for each in pending_changes(table, BUCKET)] == ["c"]


def test_a_close_that_is_repeated_before_the_freeze_freezes(lives: Lives, table: MemoryTable) -> None:
    joined = lives.join("first", change("a"))
    table.update(head_key(BUCKET), {"state": "CLOSED"}, {})
    assert lives.close(joined) == ("FROZEN", 1)


def test_a_leader_that_was_taken_for_dead_leaves_everything_to_its_successor(
    lives: Lives, table: MemoryTable, clock: Clock
) -> None:
    late = lives.join("late", change("a"))
    clock.seconds = 121
    successor = lives.join("successor", change("b"))
    assert lives.close(late) == ("SUPERSEDED", 0)
    assert lives.close(successor) == ("FROZEN", 2)
    assert find_batch(table, late.batch_id) is None


def test_a_batch_that_was_frozen_before_its_leader_was_superseded_is_finished_all_the_same(
    lives: Lives, clock: Clock
) -> None:
    joined = lives.join("first", change("a"))
    lives.close(joined)
    clock.seconds = 500
    lives.join("successor", change("b"))
    assert lives.close(joined) == ("FROZEN", 1)


def test_nothing_is_read_as_long_as_the_head_gathers(
    lives: Lives, table: MemoryTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = lives.join("first", change("a"))
    monkeypatch.setattr(table, "update", lambda *_: None)
    with pytest.raises(BatchContended, match="could not be closed"):
        lives.close(joined)
    assert find_batch(table, joined.batch_id) is None
    assert has_pending(table, BUCKET)


def test_a_batch_with_nothing_in_it_leaves_no_record(lives: Lives, table: MemoryTable) -> None:
    joined = lives.join("lead")
    assert lives.close(joined) == ("EMPTY", 0)
    assert find_batch(table, joined.batch_id) is None
    assert lists_of(table, joined.batch_id) == []


def test_an_overtaken_attempt_uses_the_winners_list_and_takes_its_own_away(
    lives: Lives, table: MemoryTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = lives.join("first", change("a"))
    put_new = table.put_new

    def overtaken(item: Item) -> bool:
        monkeypatch.setattr(table, "put_new", put_new)
        table.put(pending_to_item(change("b"), table.shards))
        lives.close(joined)
        return put_new(item)

    monkeypatch.setattr(table, "put_new", overtaken)
    # The overtaken attempt has read "a" alone, the winner "a" and "b".
    assert lives.close(joined) == ("FROZEN", 2)
    assert lists_of(table, joined.batch_id) == [f"KEYS#{read_batch(table, joined.batch_id).attempt}#0001"]
    assert sorted(each.key for each in frozen_changes(table, read_batch(table, joined.batch_id))) == ["a", "b"]


def test_an_attempt_whose_answer_was_lost_keeps_its_list(
    lives: Lives, table: MemoryTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = lives.join("first", change("a"))
    put_new = table.put_new
    monkeypatch.setattr(table, "put_new", lambda item: put_new(item) and put_new(item))
    assert lives.close(joined) == ("FROZEN", 1)
    assert [each.key for each in frozen_changes(table, read_batch(table, joined.batch_id))] == ["a"]


def test_a_list_of_many_chunks_is_whole(lives: Lives, table: MemoryTable) -> None:
    names = [f"{number:04d}" * 250 for number in range(900)]
    joined = lives.join("first", *(change(name, name[:4]) for name in names))
    lives.close(joined)
    batch = read_batch(table, joined.batch_id)
    assert batch.chunks > 2
    assert sorted(each.key for each in frozen_changes(table, batch)) == names
    assert not has_pending(table, BUCKET)


def test_a_list_that_has_expired_is_said_to_have(lives: Lives, table: MemoryTable) -> None:
    batch = read_batch(table, lives.frozen("first", "a"))
    table.delete_all([chunk_key(batch.batch_id, batch.attempt, 1)])
    with pytest.raises(BatchNotFound, match="has expired"):
        list(frozen_changes(table, batch))


def test_a_batch_that_is_not_there_is_said_not_to_be(table: MemoryTable) -> None:
    with pytest.raises(BatchNotFound, match="20261123T000000Z-0123456789"):
        read_batch(table, "20261123T000000Z-0123456789")


# --- Pause ---


def test_a_paused_bucket_keeps_its_changes_pending(lives: Lives, table: MemoryTable) -> None:
    joined = lives.join("first", change("a"))
    pause(table, BUCKET)
    assert lives.close(joined) == ("PAUSED", 0)
    assert lives.join("second", change("b")).role is Role.PAUSED
    assert sorted(each.key for each in pending_changes(table, BUCKET)) == ["a", "b"]


def test_the_leader_of_a_paused_bucket_leads_still_so_that_the_head_gets_closed(
    lives: Lives, table: MemoryTable
) -> None:
    lives.join("first", change("a"))
    pause(table, BUCKET)
    assert lives.join("first", change("a")).role is Role.LEADER


def test_a_resumed_bucket_can_be_led_at_once(lives: Lives, table: MemoryTable, clock: Clock) -> None:
    joined = lives.join("first", change("a"))
    pause(table, BUCKET)
    lives.close(joined)
    assert resume(table, BUCKET, WINDOW, clock)
    leads = lives.join("lead")
    assert leads.role is Role.LEADER
    assert lives.close(leads) == ("FROZEN", 1)


def test_a_resumed_bucket_needs_nobody_when_nothing_waits_or_a_leader_gathers(
    lives: Lives, table: MemoryTable, clock: Clock
) -> None:
    pause(table, BUCKET)
    assert not resume(table, BUCKET, WINDOW, clock)
    lives.join("first", change("a"))
    pause(table, BUCKET)
    assert not resume(table, BUCKET, WINDOW, clock)


def test_opening_a_batch_does_not_resume_a_bucket(lives: Lives, table: MemoryTable) -> None:
    lives.join("first", change("a"))
    head = read_head(table, BUCKET)
    pause(table, BUCKET)
    opened = replace(head, batch_id="another", leader="another")
    assert table.update(head_key(BUCKET), opened.opening(), head.expectation())
    assert read_head(table, BUCKET).paused


def test_what_a_batch_owns_already_goes_on_in_a_paused_bucket(lives: Lives, table: MemoryTable) -> None:
    joined = lives.join("first", change("a"))
    lives.close(joined)
    pause(table, BUCKET)
    assert lives.close(joined) == ("FROZEN", 1)


# --- Batches of one's own ---


def test_a_request_has_a_batch_of_its_own_and_does_not_wait(lives: Lives, table: MemoryTable, clock: Clock) -> None:
    asked = [Change(BUCKET, "a", ""), Change(BUCKET, "b", "")]
    joined = open_own_batch(table, BUCKET, asked, execution("person"), clock, "attempt", dry_run=True)
    assert (joined.role, joined.closes_at, joined.bucket) == (Role.LEADER, START, BUCKET)
    batch = read_batch(table, joined.batch_id)
    assert (batch.by_hand, batch.dry_run, batch.changes) == (True, True, 2)
    assert list(frozen_changes(table, batch)) == asked
    assert lives.close(joined) == ("FROZEN", 2)


def test_closing_a_batch_of_ones_own_leaves_the_buckets_batch_alone(
    lives: Lives, table: MemoryTable, clock: Clock
) -> None:
    gathering = lives.join("first", change("a"))
    own = open_own_batch(table, BUCKET, [change("a")], execution("person"), clock, "attempt")
    lives.close(own)
    assert [each.key for each in pending_changes(table, BUCKET)] == ["a"]
    assert lives.close(gathering) == ("FROZEN", 1)


def test_paths_make_a_batch_of_a_distribution_without_a_bucket(lives: Lives, table: MemoryTable, clock: Clock) -> None:
    joined = open_paths_batch(table, "E1", ["/a", "/b*"], execution("person"), clock, "attempt")
    batch = read_batch(table, joined.batch_id)
    assert (batch.kind, batch.distribution_id, batch.bucket, batch.sample) == (Kind.PATHS, "E1", "", ("/a", "/b*"))
    assert list(frozen_paths(table, batch)) == ["/a", "/b*"]
    assert lives.close(joined) == ("FROZEN", 2)


def test_changes_are_not_taken_for_paths_nor_paths_for_changes(lives: Lives, table: MemoryTable, clock: Clock) -> None:
    paths = open_paths_batch(table, "E1", ["/a"], execution("person"), clock, "attempt")
    with pytest.raises(ValueError, match="holds paths"):
        frozen_changes(table, read_batch(table, paths.batch_id))
    with pytest.raises(ValueError, match="holds changes"):
        frozen_paths(table, read_batch(table, lives.frozen("first", "a")))


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
    many = (replace(change("a"), source_ip=f"{n}") for n in [*range(300), *[0] * 50])
    assert sum(1 for _ in tally.counting(many)) == 350
    assert len(tally.requesters) == 100
    assert tally.most_active()[0] == {"requester": "123456789012", "sourceIp": "0", "changes": 51}
