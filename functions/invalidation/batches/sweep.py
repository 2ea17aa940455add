"""Sweep: find what nobody is working on, and start an execution for it.

This is what makes the promise independent of the next change: a leader that died, a joiner that died between its
write and its reading, a batch that failed and is due again, an execution that ended before its change was accepted.
Everything that it starts is safe to start twice, and what it misses it finds the next time.

It is built for bad days. What waits is started as it is found, oldest first, before executions are replayed. A record
or a call that fails costs that item only, and is told of. It stops before its time is over; what it has seen to is
found quickly the next time, or not at all, so that it comes to the rest. What there is to do is found by index:
buckets by the mark that an opened head carries until it is closed and nothing is pending, batches by being
unfinished. So a visit costs what is wrong, not what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from invalidation.batches.finish import Failure, RetryPolicy
from invalidation.batches.head import (
    Head,
    HeadState,
    Window,
    has_pending,
    sweep_lead_name,
    sweep_retry_name,
)
from invalidation.batches.model import (
    OPEN,
    PARKED,
    UNFINISHED,
    Batch,
    BatchState,
    Clock,
    epoch_seconds,
    readable,
    to_text,
)
from invalidation.batches.replay import Look, Started, StateMachine, due_looks, look_at, look_later, note_ended
from invalidation.batches.table import BUCKETS, VERSION, BatchTable, Index, Item, Key, indexed, slices
from invalidation.errors import RecordsOfLaterRelease, SweepIncomplete

LEADERS, RETRIES, REPLAY, REGISTRY = 0.4, 0.75, 0.95, 1.0
"""The part of a visit's time by which each stage is over. What one leaves, those after it have."""
RESERVE_SECONDS = 30
"""Left of the function's time when the sweep stops: a call that Step Functions does not answer takes 28 to give up."""
SCHEDULE = timedelta(minutes=5)
LOGGED = 20
"""Of each kind, in the log."""
AT_ONCE = 100
"""Records that are read in one request."""
REGISTERED = 1_000
"""Buckets without a mark that a visit looks at, in turn, as far as there is time: each costs four small queries."""
LATE_LEADER = timedelta(hours=1)
"""For how long a leader that runs is waited for; Close has 15 minutes, three times."""
UNWATCHED_KEPT = timedelta(days=90)
"""How long the registry names a bucket that is not watched, and in which nothing waits."""
FORGOTTEN = timedelta(days=1)
"""When a head that claims to gather, with nothing pending, loses its mark."""

ENDED_UNFINISHED = Failure("EndedUnfinished", "the execution that worked on it ended without finishing it")
NEVER_CLAIMED = Failure("NeverClaimed", "the executions that were to try it again ended before they had begun")

_NOTES = Key("SWEEP", "NOTES")
VISIT: Final = Key("SWEEP", "VISIT")
"""Where it is noted when the sweep has run: what looks after it reads that."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What was started, and what there is to tell of what was not.

    ``parked`` counts batches that wait for a person. It is to be a metric with an alarm: the execution that parked a
    batch may have died before it could notify anybody. ``left_alone`` says the same of records that cannot be read,
    because a later release wrote them or they are damaged, and ``given_up`` of executions that were replayed in vain.
    ``failed`` are calls that went wrong, which the next visit makes again.
    """

    started: tuple[Started, ...] = ()
    waiting: tuple[str, ...] = ()
    unfinished: int = 0
    parked: int = 0
    paused: tuple[str, ...] = ()
    left_alone: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    complete: bool = True
    """Whether there was time for all; the next visit goes on."""
    oldest: timedelta = timedelta()
    """For how long the longest has been waiting, of what is unfinished, paused or not, leaderless or unrecorded."""

    @property
    def needing_somebody(self) -> int:
        return self.parked + len(self.left_alone) + len(self.given_up)

    def to_document(self) -> dict[str, Any]:
        started = [{"name": each.name, "why": each.why} for each in self.started]
        return {"started": started, "unfinished": self.unfinished, "parked": self.parked, "complete": self.complete}

    def to_log(self) -> dict[str, Any]:
        """The same for a log line. One may have 256 KB (CloudWatch Logs User Guide, quotas)."""
        document = self.to_document()
        return {**document, "started": document["started"][:LOGGED], "count": len(self.started)}

    def troubles(self) -> Iterator[tuple[str, str]]:
        """What somebody should know, as text and particulars; the first of each kind."""
        for reason in self.left_alone[:LOGGED]:
            yield "A record that cannot be read is left alone", reason
        for name in self.given_up[:LOGGED]:
            yield "An execution ended before its changes were accepted, and is not replayed again", name
        for call in self.failed[:LOGGED]:
            yield "A call of the sweep failed", call

    def check(self) -> None:
        """Raises SweepIncomplete: a call has failed."""
        if self.failed:
            raise SweepIncomplete(f"{len(self.failed)} calls failed, and all else is seen to; first: {self.failed[0]}")


def note_visit(table: BatchTable, now: datetime) -> None:
    """Note that the sweep has run."""
    table.update(VISIT, {"at": to_text(now)}, {})


def sweep(  # noqa: PLR0917 -- collaborators are arguments
    table: BatchTable,
    machine: StateMachine,
    window: Window,
    now: Clock,
    tick: datetime,
    retry: RetryPolicy,
    left: Callable[[], float],
    watched: Collection[str] = (),
) -> Swept:
    """Start what is due, as far as there is time.

    ``tick`` is the schedule's own time: a sweep that is delivered twice has the same one, and so starts nothing twice,
    while the next sweep can start again what died once more. ``left`` tells the seconds that the function has left;
    ``watched`` are the stack's buckets, none: any.
    """
    visit = _SweepRun(table, machine, window, now, tick, retry, lambda: left() - RESERVE_SECONDS, watched)
    with visit.noting_failures("the sweep's notes"):
        visit.notes = readable(table.get(_NOTES) or {"pk": _NOTES.pk, "sk": _NOTES.sk, "v": VERSION})
    with visit.noting_failures("executions that run"):
        visit.running = machine.running()
    for stage in (visit.start_leaders, visit.start_retries, visit.count_parked, visit.replay, visit.look_at_registry):
        with visit.noting_failures(stage.__name__):
            stage()
    visit.write_notes()
    return visit.swept()


@dataclass
class _SweepRun:
    """One run of the sweep, and what it has come to so far."""

    table: BatchTable
    machine: StateMachine
    window: Window
    now: Clock
    tick: datetime
    retry: RetryPolicy
    left: Callable[[], float]
    watched: Collection[str] = ()
    notes: Item = field(default_factory=dict)
    running: frozenset[str] = frozenset()
    retries_from: str = ""
    buckets_from: str = ""
    started: list[Started] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    unfinished: int = 0
    parked: int = 0
    paused: dict[str, bool] = field(default_factory=dict)
    """Of each bucket whose head has been read."""
    left_alone: dict[str, None] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    given_up: tuple[str, ...] = ()
    complete: bool = True
    since: list[datetime] = field(default_factory=list)
    """The oldest of each kind that waits."""

    def __post_init__(self) -> None:
        self._time = self.left()

    def swept(self) -> Swept:
        return Swept(
            started=tuple(self.started),
            waiting=tuple(self.waiting),
            unfinished=self.unfinished,
            parked=self.parked,
            paused=tuple(bucket for bucket, paused in self.paused.items() if paused),
            left_alone=tuple(self.left_alone),
            failed=tuple(self.failed),
            given_up=self.given_up,
            complete=self.complete,
            oldest=max((self.now() - moment for moment in self.since), default=timedelta()),
        )

    def write_notes(self) -> None:
        """Where the next visit begins. Not where the last one's notes could not be read."""
        notes = {**self.notes, "retriesFrom": self.retries_from, "bucketsFrom": self.buckets_from}
        if self.notes and notes != self.notes:
            with self.noting_failures("the sweep's notes"):
                self.table.put(notes)

    @contextmanager
    def noting_failures(self, what: str) -> Iterator[None]:
        """Go on without what fails here, and note it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- whatever it is, it must not keep the sweep from the rest
            self._note(what, error)

    def _note(self, what: str, error: Exception) -> None:
        if isinstance(error, RecordsOfLaterRelease):
            self.left_alone.setdefault(str(error))
        elif isinstance(error, (LookupError, ValueError, TypeError)):
            self.left_alone.setdefault(f"{what} in the batch table cannot be read: {error!r}")
        else:
            self.failed.append(f"{what}: {error!r}")

    def _over(self, share: float) -> bool:
        """Whether the part of the time is over that a stage may take."""
        if self.left() > self._time * (1 - share):
            return False
        self.complete = False
        return True

    def _start(self, name: str, document: Any, why: str) -> None:
        if self.machine.start(name, document):
            self.started.append(Started(name, document, why))

    def _runs(self, execution: str) -> bool:
        """The list lags behind: who has just begun is not on it yet."""
        return execution in self.running or self.machine.is_running(execution)

    # --- Leaders ---

    def start_leaders(self) -> None:
        """For buckets whose changes wait and will be read by nobody."""
        marked = indexed(self.table, Index.UNFINISHED, OPEN, oldest_first=True)
        for head in sorted(self._heads(bucket_of(key) for key in marked), key=lambda head: head.closes_at):
            if self._over(LEADERS):
                return
            with self.noting_failures(f"the head of {head.bucket}"):
                self._see_to(head, marked=True)

    def _heads(self, buckets: Iterable[str]) -> Iterator[Head]:
        for some in slices(buckets, AT_ONCE):
            with self.noting_failures(f"the heads of {some[0]} and {len(some) - 1} more"):
                found = {item["pk"]: item for item in self.table.get_all(map(Head.key_of, some))}
                for bucket in some:
                    with self.noting_failures(f"the head of {bucket}"):
                        head = Head.from_item(bucket, found.get(Head.key_of(bucket).pk))
                        self.paused[bucket] = head.paused
                        yield head

    def _see_to(self, head: Head, *, marked: bool) -> None:
        if head.paused or not _leaderless(head, self.window, self.now()):
            return
        if not has_pending(self.table, head.bucket):
            if marked and (head.state is HeadState.CLOSED or self.now() - head.closes_at > FORGOTTEN):
                self._forget(head)
            return
        if self._is_late(head):
            return
        self.waiting.append(head.bucket)
        if head.batch_id:  # of a bucket whose very first execution died it is not known since when it waits
            self.since.append(head.closes_at)
        self._start(sweep_lead_name(head.bucket, self.tick), {"lead": head.bucket}, "changes wait without a leader")

    def _forget(self, head: Head) -> None:
        """Take the mark away. Whoever accepts a change from now on opens a batch, or its execution is replayed."""
        closed = {"batchId": head.batch_id or None, "state": head.state.value if head.batch_id else None}
        self.table.update(Head.key_of(head.bucket), {"unfinished": None}, {**closed, "unfinished": OPEN})

    def _is_late(self, head: Head) -> bool:
        """Whether the leader lives and has yet to read what is pending. It has very much to read, or was throttled.

        A second leader would read the same, and slow down the first. If this one fails, it does not live any more.
        """
        due = bool(head.batch_id) and timedelta() <= self.now() - head.closes_at <= LATE_LEADER
        return due and self._leads(head) and Batch.find(self.table, head.batch_id) is None

    def _leads(self, head: Head) -> bool:
        """Where nobody answers for the leader, its change does not wait for that. A second leader does no harm."""
        leads = False
        with self.noting_failures(f"the leader of {head.bucket}"):
            leads = self._runs(head.leader)
        return leads  # noqa: RET504 -- False where the call has failed

    def look_at_registry(self) -> None:
        """Some of the buckets that have no mark, in turn. No pending change may rest on a mark alone."""
        after: Key | None = Key(BUCKETS, str(self.notes["bucketsFrom"])) if self.notes.get("bucketsFrom") else None
        seen = 0
        while seen < REGISTERED:
            page = self.table.page(BUCKETS, after=after, limit=AT_ONCE)
            seen += len(page.items)
            for row in page.items:
                with self.noting_failures(f"the entry of {row['sk']}"):
                    self._see_to_entry(row)
            for head in self._heads(item["sk"] for item in page.items if item["sk"] not in self.paused):
                if self._over(REGISTRY):
                    self.buckets_from = after.sk if after else ""
                    return
                with self.noting_failures(f"the head of {head.bucket}"):
                    self._see_to(head, marked=False)
            after = page.after
            if after is None:
                return
        self.buckets_from = after.sk if after else ""

    def _see_to_entry(self, row: Item) -> None:
        """The entry of a bucket that is not watched expires, unless changes of it wait. That of any other does not."""
        stays = not self.watched or row["sk"] in self.watched or has_pending(self.table, row["sk"])
        if stays == ("expiresAt" in row):
            expires = None if stays else epoch_seconds(self.now() + UNWATCHED_KEPT)
            self.table.update(Key(row["pk"], row["sk"]), {"expiresAt": expires}, {"v": row["v"]})

    # --- Retries ---

    def start_retries(self) -> None:
        """For batches that are due; begins where the last visit stopped, and goes round once."""
        begin = str(self.notes.get("retriesFrom", ""))
        for since, until in ((begin, ""), ("", begin)) if begin else (("", ""),):
            found = indexed(self.table, Index.UNFINISHED, UNFINISHED, since=since, until=until, oldest_first=True)
            for keys in slices(found, AT_ONCE):
                for batch in self._batches(keys):
                    if self._over(RETRIES):
                        self.retries_from = Batch.key_of(batch.batch_id).pk
                        return
                    with self.noting_failures(Batch.key_of(batch.batch_id).pk):
                        self._try(batch)

    def _batches(self, keys: Sequence[Key]) -> Iterator[Batch]:
        """The index only says where to look, and lags behind; what counts is the record."""
        with self.noting_failures(f"{keys[0].pk} and {len(keys) - 1} more"):
            for item in sorted(self.table.get_all(keys), key=lambda item: str(item["pk"])):
                with self.noting_failures(item["pk"]):
                    batch = Batch.from_item(item)
                    if batch.state is BatchState.FROZEN:
                        yield batch

    def _try(self, batch: Batch) -> None:
        self.unfinished += 1
        self.since.append(batch.opened)
        if batch.bucket not in self.paused:
            self.paused[batch.bucket] = bool(batch.bucket) and Head.read(self.table, batch.bucket).paused
        if self.paused[batch.bucket]:
            return
        found, why = self._due(batch)
        if found is None or found.next_try_at is None or found.next_try_at > self.now():
            return
        if found.starts >= self.retry.max_tries:
            self._park(found, NEVER_CLAIMED)
            return
        self._start(sweep_retry_name(found.batch_id, self.tick), {"retryBatch": found.batch_id}, why)
        # Whoever claims it first has made this out of date, and it is not written.
        starts = found.starts + 1
        self._write(found, {"starts": starts, "nextTryAt": to_text(self.now() + self.retry.wait_after(starts))})

    def _due(self, batch: Batch) -> tuple[Batch | None, str]:
        """The batch with the time of its next try, and why. None: it is worked on."""
        if batch.next_try_at is not None:
            return batch, f"try {batch.tries + 1} is due"
        if self._runs(batch.owner):
            return None, ""
        return self._count(batch), "its execution ended without finishing it"

    def _count(self, batch: Batch) -> Batch | None:
        """What Finish would have written: a try that failed. The first is repeated at once; None: somebody came first.

        Without it a batch whose executions die would be tried for ever.
        """
        tries = batch.tries + 1
        if tries >= self.retry.max_tries:
            self._park(batch, ENDED_UNFINISHED)
            return None
        wait = self.retry.wait_after(tries) if tries > 1 else timedelta()
        assign = {
            "tries": tries,
            "triedBy": batch.owner,
            "nextTryAt": to_text(self.now() + wait),
            "error": ENDED_UNFINISHED.error,
            "message": ENDED_UNFINISHED.message,
        }
        return self._write(batch, assign)

    def _park(self, batch: Batch, why: Failure) -> None:
        parked = {
            "state": BatchState.PARKED.value,
            "unfinished": PARKED,
            "nextTryAt": None,
            "tries": batch.tries + 1,
            "triedBy": batch.owner,
            "error": why.error,
            "message": f"{why.message}, {batch.tries + 1} times",
        }
        self._write(batch, parked)

    def _write(self, batch: Batch, assign: dict[str, Any]) -> Batch | None:
        expect = {
            "state": batch.state.value,
            "owner": batch.owner,
            "tries": batch.tries,
            "starts": batch.starts or None,
            "nextTryAt": to_text(batch.next_try_at) if batch.next_try_at else None,
        }
        written = self.table.update(Batch.key_of(batch.batch_id), assign, expect)
        return None if written is None else Batch.from_item(written)

    def count_parked(self) -> None:
        """By their index entries: how many they are does not cost a reading of each."""
        self.parked = sum(1 for _ in indexed(self.table, Index.UNFINISHED, PARKED, oldest_first=True))

    # --- Replay ---

    def replay(self) -> None:
        """Executions that ended before their changes were accepted."""
        with self.noting_failures("executions that ended"):
            self.given_up = note_ended(self.table, self.machine, self.now())
        done: list[Key] = []
        try:
            for item in due_looks(self.table, self.now()):
                if self._over(REPLAY):
                    break
                with self.noting_failures(f"{item['pk']} / {item['sk']}"):
                    look = Look.from_item(item)
                    if self._look_at(look):
                        done.append(look.key)
                if len(done) == AT_ONCE:
                    self.table.delete_all(done)
                    done.clear()
        finally:
            self.table.delete_all(done)

    def _look_at(self, look: Look) -> bool:
        """Whether it is done with; else it is put behind the others."""
        self.since.append(look.ended.stopped)
        try:
            replay = look_at(self.machine, look.ended)
        except Exception as error:  # noqa: BLE001 -- as in ``noting_failures``
            self.failed.append(f"{look.ended.name}: {error!r}")
            if not look_later(self.table, look, self.now()):
                self.given_up += (look.ended.name,)
            return False
        if replay is not None:
            self.started.append(replay)
        return True


def bucket_of(key: Key) -> str:
    """Of a head's key."""
    return key.pk.removeprefix("BUCKET#")


def _leaderless(head: Head, window: Window, now: datetime) -> bool:
    """Whether what is pending waits for longer than a living leader would let it.

    A head that has just become CLOSED has a leader that is reading what is pending. The distance is taken both ways:
    a moment of closing that lies far ahead was written by a wrong clock.
    """
    if head.state is HeadState.CLOSED:
        return abs(now - head.closed_at) > window.grace
    return not head.gathers(window, now)
