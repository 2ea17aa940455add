"""The state machine in a few lines: the same states in the same order, and the real protocol in their handlers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast

from greenlet import getcurrent

from invalidation.batches import close as closing
from invalidation.batches import finish as finishing
from invalidation.batches import head as executions
from invalidation.batches import join as joining
from invalidation.batches import join as requesting
from invalidation.batches import model as records
from invalidation.batches import sweep as sweeping
from invalidation.batches import targets as claiming
from invalidation.batches import targets as resolving
from invalidation.batches.finish import Failure, RetryPolicy, Settled, TargetResult
from invalidation.batches.head import Closed, ClosedStatus, Execution, Joined, Role, Window
from invalidation.batches.replay import Ended
from invalidation.batches.send import Sender
from invalidation.cloudfront.client import CloudFront
from invalidation.cloudfront.listing import BucketLister
from invalidation.cloudfront.progress import Progress
from invalidation.cloudfront.rules import PathRules, Status
from invalidation.config import SendingLimits
from invalidation.errors import EdgeStillStale, InvalidationError, is_transient
from invalidation.events import Change
from tests.simulation.cloudfront import routing_of
from tests.simulation.faults import AT_STEP_FUNCTIONS, Fault
from tests.simulation.scheduler import Call, Task
from tests.simulation.world import START, HandlerFailed, World

T = TypeVar("T")

ATTEMPTS = 3
"""Of a Task state, its retries included."""
RETRY = RetryPolicy(max_tries=3, first_minutes=5)
RETENTION = timedelta(days=90)
ROOM = timedelta(hours=1)
NO_ROOM = ("TooManyInvalidationsInProgress", "CloudFrontThrottled")
"""Errors after which Create Invalidation waits."""
MOST_CREATIONS = 300
"""Calls of Create Invalidation for one distribution: in an hour without room it waits some thirty times."""


def _no_bucket() -> Any:
    raise AssertionError("these few changes need nothing of their bucket")


def _no_warning(message: str, **particulars: Any) -> None:
    raise AssertionError(f"{message}: {particulars}")


class StepFunctionsRefused(Exception):
    """Step Functions throttled a call, or denied it: no error of the application's."""


def _refused(fault: Fault) -> StepFunctionsRefused:
    return StepFunctionsRefused(fault.value)


@dataclass(frozen=True, slots=True)
class Protocol:
    """The functions under test; a mutant replaces one of them."""

    join_each: Callable[..., joining.JoinedEach] = joining.join_each
    open_own_batch: Callable[..., Joined] = requesting.open_own_batch
    claim: Callable[..., Joined] = claiming.claim
    close: Callable[..., Closed] = closing.close
    freeze_targets: Callable[..., Any] = resolving.freeze_targets
    finish: Callable[..., finishing.Settled] = finishing.finish
    sweep: Callable[..., sweeping.Swept] = sweeping.sweep


class StateMachine:
    """Starts executions and sweeps in a world, and is the port that the sweep asks."""

    def __init__(self, world: World, window: Window, protocol: Protocol) -> None:
        self._world = world
        self.window = window
        self._protocol = protocol
        self._executions: dict[str, Task] = {}
        self._started: dict[str, datetime] = {}
        self._documents: dict[str, Mapping[str, Any]] = {}
        self._accepted: set[str] = set()
        self._succeeded: set[str] = set()
        self._answers: dict[tuple[str, str], Any] = {}
        client: Any = world.cloudfront
        self._cloudfront = CloudFront(client)
        lister = BucketLister(_no_bucket, _no_warning)
        rules, limits = PathRules(), SendingLimits()
        self._sender = Sender(world.table, self._cloudfront, _no_bucket, lister, world.now, rules, limits)
        self._verifies = Fault.EDGE_STALE in world.faults.kinds
        self._attempts = 0
        self.swept: list[sweeping.Swept] = []

    # --- The port: Step Functions, whose lists are late, and which throttles and denies ---

    def running(self) -> frozenset[str]:
        def effect() -> frozenset[str]:
            return frozenset(arn for arn in self._executions if self._goes_on(arn))

        return self._asked("list running", "running", effect)

    def is_running(self, arn: str) -> bool:
        return self._asked("describe", arn, lambda: self._goes_on(arn))

    def ended_badly(self, started_since: datetime) -> list[Ended]:
        def effect() -> list[Ended]:
            return [
                Ended(arn, task.name, START + timedelta(seconds=task.until))
                for arn, task in self._executions.items()
                if self._started[arn] >= started_since and not self._goes_on(arn) and arn not in self._succeeded
            ]

        return self._asked("list ended", "ended", effect)

    def was_accepted(self, arn: str) -> bool:
        return self._asked("history", arn, lambda: arn in self._accepted, lags=False)

    def input_of(self, arn: str) -> Any:
        return self._asked("input", arn, lambda: self._documents[arn], lags=False)

    def _goes_on(self, arn: str) -> bool:
        return not self._executions[arn].dead and self._executions[arn] in self._world.scheduler.tasks

    def _asked(self, what: str, about: str, effect: Callable[[], T], *, lags: bool = True) -> T:
        """What Step Functions answers now, or what it would have answered the last time that somebody asked."""
        answer = self._world.request((what, about), AT_STEP_FUNCTIONS, _refused, effect)
        before = self._answers.setdefault((what, about), answer)
        self._answers[what, about] = answer
        return cast("T", before) if lags and self._world.faults.strike((Fault.STEP_FUNCTIONS_LAGS,)) else answer

    def start(self, name: str, document: Mapping[str, Any]) -> bool:
        def effect() -> bool:
            if self._arn(name) in self._executions:
                return False
            self.begin(name, document, at=self._world.scheduler.clock)
            return True

        return self._world.request(("start", name), AT_STEP_FUNCTIONS, _refused, effect)

    def begin(self, name: str, document: Mapping[str, Any], *, at: float) -> None:
        arn = self._arn(name)
        execution = Execution(arn, START + timedelta(seconds=at))
        self._started[arn], self._documents[arn] = execution.started, document
        self._executions[arn] = self._world.scheduler.spawn(name, lambda: self._run(execution, document), at=at)

    @property
    def documents(self) -> list[Mapping[str, Any]]:
        """The inputs with changes, of all executions so far."""
        return [each for each in self._documents.values() if "changes" in each or "keys" in each]

    def events(self) -> set[str]:
        """Of all changes that executions were started with."""
        lists = [each.get("keys") or [c for some in each["changes"].values() for c in some] for each in self.documents]
        return {change.event_id for changes in lists for change in changes}

    def sweep_once(self, *, at: float, calls: int = 1_000_000) -> None:
        """What the schedule does: one invocation of the sweep, whose time is over after so many turns of all."""
        tick = START + timedelta(seconds=at)

        def body() -> None:
            ends = self._world.scheduler.steps + calls
            world = self._world
            swept = self._protocol.sweep(
                world.table, self, self.window, world.now, tick, RETRY, lambda: ends - world.scheduler.steps
            )
            self.swept.append(swept)
            world.note(f"swept: {swept}")

        self._world.scheduler.spawn(f"sweep at {at:.0f}", body, at=at)

    def by_hand(self, command: Callable[[], object], *, at: float) -> None:
        """What a person does, who may fail like everybody else."""

        def body() -> None:
            try:
                command()
            except InvalidationError as error:
                self._world.note(f"a person is told: {error}")

        self._world.scheduler.spawn("person", body, at=at)

    @staticmethod
    def _arn(name: str) -> str:
        return f"arn:aws:states:eu-central-1:123456789012:execution:invalidation:{name}"

    # --- An execution ---

    def _run(self, execution: Execution, document: Mapping[str, Any]) -> None:
        try:
            joined = self._task("Join", lambda: self._join(execution, document))
        except HandlerFailed:
            return
        self._accepted.add(execution.arn)
        if joined.role is not Role.LEADER:
            self._succeeded.add(execution.arn)
            return
        if joined.closed is None:
            self._world.scheduler.sleep((joined.closes_at - START).total_seconds())
        results: list[TargetResult] = []
        failure = None
        try:
            closed = joined.closed or self._task("Close", lambda: self._close(execution, joined))
            self._world.deadlines.pop(joined.batch_id, None)
            if closed.status is not ClosedStatus.FROZEN:
                return
            owed = self._task("Resolve", lambda: self._resolve(joined.batch_id))
            room_until = self._world.now() + ROOM
            results = [self._invalidate(joined.batch_id, distribution, room_until) for distribution in owed]
        except HandlerFailed as error:
            failure = Failure(str(error))
        try:
            self._task("Finish", lambda: self._finish(execution, joined.batch_id, results, failure))
        except HandlerFailed:
            return

    def _task(self, state: str, handler: Callable[[], Any]) -> Any:
        """A Task state with its Retry."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._invoke(f"{state} {attempt}", handler)
            except HandlerFailed as error:
                if attempt == ATTEMPTS or not is_transient(str(error)) or str(error) == NO_ROOM[0]:
                    raise
        raise AssertionError

    def _invoke(self, name: str, handler: Callable[[], Any]) -> Any:
        scheduler = self._world.scheduler
        me = getcurrent()
        assert isinstance(me, Task)
        call = Call(me)

        def body() -> None:
            try:
                result = handler()
            except (InvalidationError, StepFunctionsRefused) as error:
                scheduler.answer(call, error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 -- a handler that crashes is a finding, not an end
                self._world.observed.crashes.append(f"{name}: {error!r}")
                scheduler.answer(call, error="Lambda.Unknown")
            else:
                lost = self._world.faults.strike((Fault.RESULT_LOST,), weight=4)
                scheduler.answer(call, result=result, error="Lambda.Unknown" if lost else "")

        scheduler.spawn(f"{me.name}/{name}", body).call = call
        if self._world.faults.strike((Fault.INVOKED_TWICE,), weight=4, state=name):
            scheduler.spawn(f"{me.name}/{name} twin", body, at=self._world.later()).call = call
        if not call.answered:
            scheduler.block()
        if call.error:
            raise HandlerFailed(call.error)
        return call.result

    # --- The handlers ---

    def _attempt(self) -> str:
        self._attempts += 1
        return f"attempt{self._attempts}"

    def _join(self, execution: Execution, document: Mapping[str, Any]) -> Joined:
        world, protocol, attempt = self._world, self._protocol, self._attempt()
        if "retryBatch" in document:
            claimed = protocol.claim(world.table, document["retryBatch"], execution, world.now)
            return closing.close_at_once(world.table, claimed, execution, attempt, world.now)
        if "lead" in document:
            changes: dict[str, Sequence[Change]] = {document["lead"]: ()}
        elif "keys" in document:
            wanted = world.requested.setdefault(execution.arn, document["keys"])
            opened = protocol.open_own_batch(world.table, wanted[0].bucket, wanted, execution, world.now, attempt)
            return closing.close_at_once(world.table, opened, execution, attempt, world.now)
        else:
            changes = dict(document["changes"])
            if not self.window.seconds:
                world.requested.setdefault(execution.arn, [*next(iter(changes.values()))])
        joined = protocol.join_each(world.table, changes, execution, self.window, world.now, attempt)
        for bucket in joined.leaderless:
            self.start(executions.lead_name(bucket, execution), {"lead": bucket})
        return joined.joined

    def _close(self, execution: Execution, joined: Joined) -> Closed:
        world = self._world
        return self._protocol.close(world.table, joined.bucket, joined.batch_id, execution, self._attempt(), world.now)

    def _resolve(self, batch_id: str) -> list[str]:
        table = self._world.table
        batch = records.Batch.read(table, batch_id)
        if batch.resolved is None:
            routing = {each: routing_of(each, begin) for each, begin in self._world.observed.distributions.items()}
            if self._world.faults.strike((Fault.LIST_CHANGES,), weight=4):
                routing["E3"] = routing_of("E3", "")
            targets = self._protocol.freeze_targets(table, batch, routing)
        else:
            targets = resolving.targets_of(table, batch)
        return [target.distribution_id for target in resolving.owed_targets(targets)]

    def _invalidate(self, batch_id: str, distribution: str, room_until: datetime) -> TargetResult:
        """One iteration of the Map: what fails in it is a result like any other."""
        try:
            progress = self._sent(batch_id, distribution, room_until)
            while progress.status is Status.IN_PROGRESS:
                self._wait(progress.wait_seconds)
                progress = self._task(f"Get {distribution}", partial(self._get, progress, distribution))
            if progress.status is Status.COMPLETED and self._verifies:
                self._task(f"Verify {distribution}", lambda: self._verify(batch_id, distribution))
        except HandlerFailed as error:
            return TargetResult(distribution, failure=Failure(str(error)))
        return TargetResult(distribution, skipped=progress.status is not Status.COMPLETED)

    def _sent(self, batch_id: str, distribution: str, room_until: datetime) -> Progress:
        """Create Invalidation, again and again where CloudFront has no room or takes a part."""
        room = 15.0
        for _ in range(MOST_CREATIONS):
            try:
                progress = self._task(
                    f"Create {distribution}", lambda: self._create(batch_id, distribution, room_until)
                )
            except HandlerFailed as error:
                if str(error) not in NO_ROOM:
                    raise
                self._wait(self._world.random.uniform(5, room))
                room += 15
                continue
            if progress.status is not Status.SENDING:
                return cast("Progress", progress)
            room = 15.0
            self._wait(self._world.random.uniform(1, 4))
        self._world.observed.broken.append(f"{batch_id} is sent for ever to {distribution}")
        raise HandlerFailed("States.Timeout")

    def _wait(self, seconds: float) -> None:
        self._world.scheduler.sleep(self._world.scheduler.clock + seconds)

    def _create(self, batch_id: str, distribution: str, room_until: datetime) -> Progress:
        """With time for a few requests, or for none: what is left of it is asked for before each."""
        world = self._world
        over = partial(world.faults.strike, (Fault.TIME_OVER,), weight=4)
        return self._sender.send(batch_id, distribution, room_until, lambda: 0.0 if over() else 900.0)[0]

    def _get(self, progress: Progress, distribution: str) -> Progress:
        return progress.polled_by(self._cloudfront, self._world.now(), distribution)

    def _verify(self, batch_id: str, distribution: str) -> None:
        """The look at the edge itself is not simulated: this asks the observer, who knows."""
        target = self._world.table.find(claiming.Target.key_of(batch_id, distribution))
        if target is not None and self._world.not_fresh(target):
            raise EdgeStillStale("what was invalidated is at the edge still")

    def _finish(
        self, execution: Execution, batch_id: str, results: Sequence[TargetResult], failure: Failure | None
    ) -> Settled:
        world = self._world
        return self._protocol.finish(world.table, batch_id, execution, results, failure, world.now, RETRY, RETENTION)
