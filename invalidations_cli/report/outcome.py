"""What became of a visit and of an iteration: its attempts, its error, and one status for a person to see."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from invalidations_cli.report.run import Attempt, Event, Iteration, Status, Visit, worst

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invalidations_cli.report.history import OpenIteration, OpenVisit, Reader


TASK = r"(Task|LambdaFunction|Activity)"
ABORTED = re.compile(r"\w+StateAborted$|MapRunAborted$|Execution(Aborted|TimedOut)$")
STOPPED = ("ABORTED", "TIMED_OUT")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The types of event that begin and end an attempt at a state."""

    scheduled: re.Pattern[str]
    succeeded: re.Pattern[str]
    failed: re.Pattern[str]


TASKS = Vocabulary(
    scheduled=re.compile(rf"{TASK}Scheduled$"),
    succeeded=re.compile(rf"{TASK}Succeeded$"),
    failed=re.compile(rf"({TASK}\w*(Failed|TimedOut)|EvaluationFailed)$"),
)
# Events of Tasks may lie here too, where the engine does not tell which state inside they are of.
CONTAINERS = Vocabulary(
    scheduled=re.compile(r"(Map|Parallel)StateStarted$"),
    succeeded=re.compile(r"((Map|Parallel)State|MapRun)Succeeded$"),
    failed=re.compile(r"((Map|Parallel)StateFailed|MapRunFailed|EvaluationFailed)$"),
)


def visit(opened: OpenVisit, reader: Reader, execution_status: str) -> Visit:
    """The visit with its outcome, in an execution with a status of DescribeExecution's."""
    words = CONTAINERS if opened.type in ("Map", "Parallel") else TASKS
    attempts = _attempts(opened.events, words)
    error, cause = _error(opened.events, words)
    over = execution_status != "RUNNING" or _parent_is_over(opened)
    status = _status(opened, attempts, words, over=over)
    if status == "failed" and execution_status in STOPPED and opened.type != "Fail" and not _parent_is_over(opened):
        status = "aborted"  # it waited for its next attempt
    if status == "succeeded" and (_left_by_catch(opened, reader) or _never_ended(attempts)):
        status = "caught"
    return Visit(
        number=opened.number,
        state=opened.state,
        type=opened.type,
        iteration=opened.events[0].iteration,
        entered=opened.entered.id,
        exited=opened.exited.id if opened.exited else None,
        start=opened.entered.time,
        end=_end(opened, reader, over=over),
        status=status,
        attempts=attempts,
        error=error,
        cause=cause,
        next=opened.next,
    )


def iteration(opened: OpenIteration, inside: Sequence[Status], execution_status: str) -> Iteration:
    """The iteration with its outcome; `inside` are the statuses of its visits: a success says what was caught there."""
    end = opened.ended
    status: Status
    if end is None:
        status = "running" if execution_status == "RUNNING" else "aborted"
    elif end.type == "MapIterationSucceeded":
        status = worst([each for each in inside if each in ("caught", "retried")] or ["succeeded"])
    else:
        status = "failed" if end.type == "MapIterationFailed" else "aborted"
    return Iteration(
        number=opened.number,
        visit=opened.parent.number,
        attempt=opened.attempt,
        index=opened.index,
        start=opened.started.time,
        end=end.time if end else None,
        status=status,
        recorded=True,
        input=None,
        output=None,
    )


def _attempts(events: Sequence[Event], words: Vocabulary) -> tuple[Attempt, ...]:
    attempts: list[Attempt] = []
    for event in events:
        if words.scheduled.match(event.type):
            attempts.append(Attempt(event.id, None, event.time, None, "open", "", ""))
        elif attempts and (words.succeeded.match(event.type) or words.failed.match(event.type)):
            latest = attempts[-1]
            outcome: Literal["succeeded", "failed"] = "succeeded" if words.succeeded.match(event.type) else "failed"
            attempts[-1] = Attempt(latest.scheduled, event.id, latest.start, event.time, outcome, *_reason(event))
    return tuple(attempts)


def _reason(event: Event) -> tuple[str, str]:
    return str(event.details.get("error") or ""), str(event.details.get("cause") or "")


def _error(events: Sequence[Event], words: Vocabulary) -> tuple[str, str]:
    """The error that the visit ended with, if it did: an attempt that succeeds wipes out those before it."""
    found = ("", "")
    for event in events:
        if words.succeeded.match(event.type):
            found = ("", "")
        elif (words.failed.match(event.type) or event.type.startswith("Execution")) and any(_reason(event)):
            found = _reason(event)
    return found


def _status(opened: OpenVisit, attempts: Sequence[Attempt], words: Vocabulary, *, over: bool) -> Status:
    types = [event.type for event in opened.events]
    ends = [each for each in types if words.succeeded.match(each) or words.failed.match(each)]
    failed = bool(ends) and not words.succeeded.match(ends[-1])
    if opened.exited:
        if failed:
            return "caught"
        return "retried" if len(attempts) > 1 else "succeeded"
    if any(ABORTED.match(each) for each in types):
        return "aborted"
    if opened.type == "Fail" or "ExecutionFailed" in types or (failed and over):
        return "failed"
    if opened.type == "Succeed":  # some engines write no SucceedStateExited
        return "succeeded"
    return "aborted" if over else "running"


def _never_ended(attempts: Sequence[Attempt]) -> bool:
    """Whether a visit that was left has an attempt without an end: engines may leave out that a Map failed."""
    return bool(attempts) and attempts[-1].outcome == "open"


def _left_by_catch(opened: OpenVisit, reader: Reader) -> bool:
    """Whether only a Catch leads from here to the state that came next."""
    kinds = reader.edges.get((opened.state, opened.next or ""), set())
    return kinds == {"catch"}


def _parent_is_over(opened: OpenVisit) -> bool:
    place = opened.parent
    while place is not None:
        if (place.exited if hasattr(place, "exited") else place.ended) is not None:
            return True
        place = place.parent
    return False


def _end(opened: OpenVisit, reader: Reader, *, over: bool) -> float | None:
    if opened.exited:
        return opened.exited.time
    if opened.type in ("Succeed", "Fail"):
        return opened.entered.time
    if not over:
        return None
    ended = getattr(opened.parent, "ended", None)
    return ended.time if ended else reader.events[-1].time
