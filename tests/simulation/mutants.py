"""The protocol with one mistake each. What lets one of these live is no test.

Each replaces a function where it is used. Those that ``calm`` schedules find lose liveness or thrift, without any
fault; the others lose changes, or leave them to nobody, when something dies at the wrong moment. ``MUTANTS`` are the
random schedules'; mistakes that show only when few requests meet exactly are left to the exhaustive search, which comes
to them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

from invalidation.batches import close as closing
from invalidation.batches import finish as finishing
from invalidation.batches import finish as settling
from invalidation.batches import head as executions
from invalidation.batches import join as joining
from invalidation.batches import model as records
from invalidation.batches import replay as replaying
from invalidation.batches import send as sending
from invalidation.batches import snapshot as freezing
from invalidation.batches import sweep as sweeping
from invalidation.batches import targets as resolving
from invalidation.batches.head import Closed, ClosedStatus, Execution, Head, HeadState, Joined, Role, Window
from invalidation.batches.model import Batch, Clock, PendingChange, digest
from invalidation.batches.snapshot import chunk_key
from invalidation.batches.table import BATCH, BatchTable, Key
from invalidation.batches.targets import InvalidationRecord, PlanSummary, Target, TargetState
from invalidation.cloudfront import client, progress
from invalidation.cloudfront.rules import Status
from invalidation.errors import BatchContended
from invalidation.events import Change
from tests.simulation.faults import Fault
from tests.simulation.machine import Protocol
from tests.simulation.schedules import Outcome, calm, repeated, stormy


@dataclass(frozen=True)
class Mutant:
    """``where`` names the function that is replaced: a module or class, and an attribute."""

    mistake: str
    where: tuple[object, str]
    instead: Callable[..., Any] | property
    breaks: str
    """The invariant that says so, by words of its complaint."""
    by: Callable[..., Outcome] = stormy
    """The kind of schedule that brings it to light."""
    among: tuple[Fault, ...] = ()
    """Faults that do, where it would take thousands of schedules with all of them."""

    def found_in(self, seed: int, protocol: Protocol) -> bool:
        among = {"among": self.among} if self.among else {}
        return any(self.breaks in what for what in self.by(seed, protocol, **among).broken)

    def __str__(self) -> str:
        return self.mistake


# --- Join ---


def read_then_write(  # noqa: PLR0917 -- the signature that it replaces
    table: BatchTable,
    bucket: str,
    changes: Sequence[Change],
    execution: Execution,
    window: Window,
    now: Clock,
    attempt: str,
    *,
    at_once: bool = False,
) -> Joined:
    del attempt
    joined = joining.lead_or_follow(table, bucket, execution, window, now, at_once=at_once)
    joining.accept(table, bucket, changes, execution)
    return joined


def follow_a_closed_head(head: Head, window: Window, now: datetime) -> bool:
    return bool(head.batch_id) and now <= head.closes_at + window.grace


def follow_for_ever(head: Head, window: Window, now: datetime) -> bool:
    del window, now
    return head.state is HeadState.GATHERING


def one_item_for_a_key(pending: PendingChange) -> Key:
    assert pending.shard is not None
    return Key(PendingChange.pk_of(pending.change.bucket, pending.shard), digest(pending.change.key))


def stay_open(head: Head, now: datetime) -> Head:
    """What Join freezes itself is read while its head gathers."""
    del now
    return head


OPEN = Head.open


class Unconditional:
    """A table whose updates expect nothing."""

    def __init__(self, table: BatchTable) -> None:
        self._table = table

    def update(self, key: Key, assign: Mapping[str, Any], _expect: Mapping[str, Any]) -> Any:
        return self._table.update(key, assign, {})


def open_regardless(head: Head, table: BatchTable, before: Head) -> Head | None:
    unconditional: Any = Unconditional(table)
    return OPEN(head, unconditional, before)


def do_not_wait(head: Head, execution: Execution, window: Window, now: datetime) -> Head:
    del window
    batch_id = executions.batch_id(execution, head.batch_id)
    gathering = HeadState.GATHERING
    return replace(head, batch_id=batch_id, leader=execution.arn, state=gathering, closes_at=now, window=10)


def wait_long(head: Head, execution: Execution, window: Window, now: datetime) -> Head:
    opened = SUCCESSOR(head, execution, window, now)
    return replace(opened, closes_at=now + timedelta(minutes=10)) if opened.waited else opened


SUCCESSOR = Head.successor


def follow_oneself(
    table: BatchTable, bucket: str, execution: Execution, window: Window, now: Clock, *, at_once: bool = False
) -> Joined:
    head = Head.read(table, bucket)
    if not head.gathers(window, now()):
        return LEAD_OR_FOLLOW(table, bucket, execution, window, now, at_once=at_once)
    return head.joined(Role.FOLLOWER)


LEAD_OR_FOLLOW = joining.lead_or_follow


# --- Close ---


def read_then_close(  # noqa: PLR0917 -- the signature that it replaces
    table: BatchTable,
    bucket: str,
    batch_id: str,
    execution: Execution,
    attempt: str,
    now: Clock,
    *,
    most: int | None = None,
) -> Closed:
    del most
    batch = records.Batch.find(table, batch_id)
    if batch is None:
        read = list(PendingChange.of_bucket(table, bucket))
        head = Head.close(table, bucket, batch_id, now())
        if head.batch_id != batch_id:
            return Closed(ClosedStatus.SUPERSEDED)
        drafted = freezing.draft(execution, batch_id, attempt, now(), bucket=bucket, gathered=True)
        batch = freezing.freeze_changes(table, drafted, read)
        if batch is None:
            return Closed(ClosedStatus.EMPTY)
    closing._delete_pending(table, batch)
    return Closed(ClosedStatus.FROZEN, batch.changes)


def delete_then_freeze(table: BatchTable, drafted: Batch, changes: Iterable[PendingChange]) -> Batch | None:
    read = list(changes)
    table.delete_all(each.key for each in read)
    return freezing.freeze_changes(table, drafted, read)


def share_the_list_name(batch_id: str, attempt: str, number: int) -> Key:
    del attempt
    return Key(f"{BATCH}{batch_id}", f"KEYS#{number:04d}")


def overwrite(table: BatchTable, complete: Batch) -> Batch:
    table.put(complete.to_item())
    return complete


def keep_mine(table: BatchTable, complete: Batch) -> Batch:
    table.put_new(complete.to_item())
    return complete


def throw_away_my_list_unlooked(table: BatchTable, complete: Batch) -> Batch:
    """Take a refusal for somebody else's doing, when it may be one's own first request that was carried out."""
    if table.put_new(complete.to_item()):
        return complete
    table.delete_all(chunk_key(complete.batch_id, complete.attempt, n) for n in range(1, complete.chunks + 1))
    return records.Batch.read(table, complete.batch_id)


def delete_nothing(table: BatchTable, batch: Batch) -> None:
    del table, batch


def freeze_nothing_as_well(table: BatchTable, drafted: Batch, changes: Iterable[PendingChange]) -> Batch | None:
    """Stop after the first page, as a query without its loop does."""
    read = []
    for change in changes:
        read.append(change)
        break
    frozen = freezing.freeze_changes(table, drafted, read)
    if frozen is not None:
        table.delete_all(each.key for each in changes)
    return frozen


# --- Create Invalidation, Get Invalidation ---


def one_reference_for_all(batch_id: str, target: str, number: int, paths: Sequence[str], resends: int = 0) -> str:
    del number, paths
    return f"{batch_id}.{target}.{resends}"


REFERENCES = count()


def a_new_reference(batch_id: str, target: str, number: int, paths: Sequence[str], resends: int = 0) -> str:
    return f"{client.caller_reference(batch_id, target, number, paths, resends)}.{next(REFERENCES)}"


def the_same_reference_again(batch_id: str, target: str, number: int, paths: Sequence[str], _resends: int = 0) -> str:
    return client.caller_reference(batch_id, target, number, paths)


def one_request_is_all(paths: Sequence[str], accepted: Iterable[range], *unused: Any) -> progress.Request | None:
    before = list(accepted)
    return None if before else progress.next_request(paths, before, *unused)


def nothing_was_accepted(*unused: object) -> list[tuple[range, InvalidationRecord]]:
    del unused
    return []


def plan_again(table: BatchTable, target: Target, paths: Sequence[str], summary: PlanSummary) -> Target | None:
    """As if nobody else could have frozen one, and what is frozen named its attempt."""
    frozen = {"name": f"plan{next(REFERENCES)}", "chunks": bool(paths)}
    for rows, _ in freezing.pack(paths):
        pk, sk = sending._chunk_key(target, str(frozen["name"]), 1)
        table.put({"pk": pk, "sk": sk, "v": 1, "rows": rows})
    target.update(table, {"plan": summary.to_document(), "frozen": frozen}, {})
    return Target.read(table, target.batch_id, target.distribution_id)


def done_at_the_first_look(before: progress.Progress, now: datetime, distribution_id: str) -> progress.Progress:
    del now, distribution_id
    return replace(before, status=Status.COMPLETED)


def send_what_is_refused_for_ever(pace: progress.Pace, request: progress.Request, now: datetime) -> progress.Pace:
    del request
    return replace(pace, since=pace.since or now.isoformat(), slow=True)


# --- Resolve, Finish, Sweep ---


def name_then_write(table: BatchTable, batch: Batch, routing: Mapping[str, Mapping[str, Any]]) -> tuple[Target, ...]:
    batch_id = batch.batch_id
    table.update(Batch.key_of(batch_id), {"resolved": list(routing)}, {"batchId": batch_id, "resolved": None})
    for distribution_id, document in routing.items():
        table.put_new(Target(batch_id, distribution_id, dict(document)).to_item())
    return resolving.targets_of(table, records.Batch.read(table, batch_id))


def name_anew(table: BatchTable, batch: Batch, routing: Mapping[str, Mapping[str, Any]]) -> tuple[Target, ...]:
    for distribution_id, document in routing.items():
        table.put_new(Target(batch.batch_id, distribution_id, dict(document)).to_item())
    table.update(Batch.key_of(batch.batch_id), {"resolved": list(routing)}, {"batchId": batch.batch_id})
    return resolving.targets_of(table, records.Batch.read(table, batch.batch_id))


def owe_nothing_once_tried(batch: Batch, targets: Sequence[Target]) -> bool:
    return batch.resolved is not None and all(target.state.final or target.tries for target in targets)


def owe_nothing_unresolved(batch: Batch, targets: Sequence[Target]) -> bool:
    del batch
    return all(target.state.final for target in targets)


def give_up_in_silence(table: BatchTable, found: Target, *unused: object) -> None:
    del unused
    skipped = settling.TargetResult(found.distribution_id, skipped=True)
    settling._succeed(table, found, skipped)


def never_try_again(policy: settling.RetryPolicy, tries: int) -> timedelta:
    del policy, tries
    return timedelta(days=3650)


def trust_every_closed_head(head: Head, window: Window, now: datetime) -> bool:
    return head.state is HeadState.GATHERING and not head.gathers(window, now)


def trust_every_gathering_head(head: Head, window: Window, now: datetime) -> bool:
    return head.state is HeadState.CLOSED and abs(now - head.closed_at) > window.grace


def only_what_is_scheduled(visit: sweeping._SweepRun, batch: Batch) -> tuple[Batch | None, str]:
    del visit
    return (batch, "due") if batch.next_try_at is not None else (None, "")


def look_then_resume(table: BatchTable, bucket: str, window: Window, now: Clock) -> bool:
    pending = executions.has_pending(table, bucket)
    table.update(Head.key_of(bucket), {"paused": None}, {})
    return executions.needs_leader(table, bucket, window, now) and pending


def owe_everything_again(table: BatchTable, batch: Batch, execution: Execution) -> bool:
    """A claim by hand that counts every target anew, whatever has become of it."""
    for target in resolving.targets_of(table, batch) if not execution.started_by_sweep else ():
        target.update(table, {"state": TargetState.OWED.value, "tries": 0}, {})
    claimed = {"owner": execution.arn, "state": "FROZEN", "unfinished": "UNFINISHED", "nextTryAt": None, "tries": 0}
    return batch.update(table, claimed) is not None


def claim_whatever_comes(table: BatchTable, batch_id: str, execution: Execution, now: Clock) -> Joined:
    batch = records.Batch.read(table, batch_id)
    if batch.owner != execution.arn and not resolving._take_over(table, batch, execution):
        raise BatchContended("somebody came first")
    return Joined(Role.LEADER, batch.bucket, batch_id, execution.arn, now())


def end_then_expire(table: BatchTable, batch: Batch, ending: Mapping[str, Any], expires: datetime) -> Batch | None:
    expiry = {"expiresAt": records.epoch_seconds(expires)}
    ended = batch.update(table, {**ending, **expiry})
    if ended is not None:
        finishing.expire_what_is_below(table, batch.batch_id, expiry)
    return ended


# --- Replay ---


def replay_nothing(machine: replaying.StateMachine, ended: replaying.Ended) -> replaying.Started | None:
    del machine, ended
    return None


UNCOVERED = "is not covered"

MUTANTS = (
    Mutant(
        "the joiner reads the head before it writes its change", (joining, "join"), read_then_write, UNCOVERED, calm
    ),
    Mutant("the joiner follows a closed head", (Head, "gathers"), follow_a_closed_head, UNCOVERED, calm),
    Mutant(
        "what Join freezes itself is read before the head is closed",
        (Head, "closing"),
        stay_open,
        UNCOVERED,
        calm,
    ),
    Mutant(
        "a repeated Join follows the batch that it has opened",
        (joining, "lead_or_follow"),
        follow_oneself,
        UNCOVERED,
        repeated,
    ),
    Mutant(
        "the leader reads what is pending before it closes the head",
        (closing, "close"),
        read_then_close,
        UNCOVERED,
        calm,
    ),
    Mutant("a busy bucket's next batch does not wait", (Head, "successor"), do_not_wait, "is covered twice", calm),
    Mutant(
        "a busy bucket's next batch waits for ten minutes", (Head, "successor"), wait_long, "was covered after", calm
    ),
    Mutant("a dead leader is followed for ever", (Head, "gathers"), follow_for_ever, UNCOVERED, among=(Fault.STOPPED,)),
    Mutant(
        "a later change of a key shares the earlier one's item",
        (PendingChange, "key"),
        property(one_item_for_a_key),
        UNCOVERED,
    ),
    Mutant(
        "pending items are deleted before the batch owns them",
        (closing, "freeze_changes"),
        delete_then_freeze,
        "belonged to nobody",
    ),
    Mutant("pending items are never deleted", (closing, "_delete_pending"), delete_nothing, "still has", calm),
    Mutant("attempts of Close share one list name", (freezing, "chunk_key"), share_the_list_name, "belonged to nobody"),
    Mutant(
        "an attempt throws its list away unlooked",
        (freezing, "_write_record"),
        throw_away_my_list_unlooked,
        "has not ended",
        among=(Fault.REPEATED,),
    ),
    Mutant("more is deleted than was frozen", (closing, "freeze_changes"), freeze_nothing_as_well, UNCOVERED, calm),
    Mutant(
        "targets are named before they are written",
        (resolving, "freeze_targets"),
        name_then_write,
        UNCOVERED,
        among=(Fault.DIES_AFTER,),
    ),
    Mutant(
        "what a batch owes to is decided again",
        (resolving, "freeze_targets"),
        name_anew,
        "and now to",
        among=(Fault.LIST_CHANGES, Fault.INVOKED_TWICE),
    ),
    Mutant(
        "a caller reference does not tell what is sent",
        (sending, "caller_reference"),
        one_reference_for_all,
        "and is sent for",
        calm,
    ),
    Mutant(
        "each attempt has a caller reference of its own",
        (sending, "caller_reference"),
        a_new_reference,
        "is paid twice without a reason",
    ),
    Mutant(
        "what was stale at the edge is sent under its old caller reference",
        (sending, "caller_reference"),
        the_same_reference_again,
        UNCOVERED,
    ),
    Mutant(
        "what does not fit into one request is not sent",
        (sending, "next_request"),
        one_request_is_all,
        "and the edge has not seen",
        calm,
    ),
    Mutant("what was accepted is not looked up", (sending, "accepted_ranges"), nothing_was_accepted, "for ever", calm),
    Mutant("a plan is frozen over another one", (sending, "freeze_plan"), plan_again, "had its paths frozen"),
    Mutant(
        "what is refused is sent again as it is",
        (progress.Pace, "refused"),
        send_what_is_refused_for_ever,
        "was covered after",
        calm,
    ),
    Mutant(
        "a poll takes what it asks for as completed",
        (progress.Progress, "polled"),
        done_at_the_first_look,
        "and the edge has not seen",
        calm,
    ),
    Mutant(
        "what has been tried is not owed any more",
        (finishing, "_owes_nothing"),
        owe_nothing_once_tried,
        "and its batch still owes",
    ),
    Mutant(
        "a batch that was never resolved owes nothing",
        (finishing, "_owes_nothing"),
        owe_nothing_unresolved,
        "and its batch still owes",
        among=(Fault.REFUSED,),
    ),
    Mutant("a failure counts as skipped", (settling, "_fail"), give_up_in_silence, "belonged to nobody"),
    Mutant("what failed is never due", (settling.RetryPolicy, "wait_after"), never_try_again, "has not ended"),
    Mutant("the sweep trusts every closed head", (sweeping, "_leaderless"), trust_every_closed_head, UNCOVERED),
    Mutant(
        "the sweep trusts every gathering head",
        (sweeping, "_leaderless"),
        trust_every_gathering_head,
        UNCOVERED,
        among=(Fault.STOPPED, Fault.CLOCK_JUMPS, Fault.DIES_AFTER),
    ),
    Mutant(
        "the sweep does not ask who is still running",
        (sweeping._SweepRun, "_due"),
        only_what_is_scheduled,
        "has not ended",
    ),
    Mutant(
        "a claim by hand resets every target",
        (resolving, "_take_over"),
        owe_everything_again,
        "for good, and is",
        among=(Fault.DENIED,),
    ),
    Mutant(
        "a batch that has ended is claimed",
        (resolving, "claim"),
        claim_whatever_comes,
        "had ended, and is",
        partial(stormy, abandon=finishing.abandon),
        among=(Fault.DENIED,),
    ),
    Mutant(
        "a batch ends first and expires its items afterwards", (finishing, "_end"), end_then_expire, "never expires"
    ),
    Mutant(
        "what was not accepted is not replayed",
        (sweeping, "look_at"),
        replay_nothing,
        "was never accepted",
        among=(Fault.REFUSED, Fault.STOPPED),
    ),
)
