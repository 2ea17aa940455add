"""What a notification, an event and a person are told of a batch.

What is told of a run: the outcome document, the subject that a person reads, and failures in plain words.

The outcome document is the same in the execution's output, the event on the bus and the notification; its shape is in
``events/schemas/outcome.json``.

The message for a chat channel: Amazon Q Developer in chat applications shows only those in its own schema.

Source: Amazon Q Developer in chat applications Administrator Guide, "Custom notifications". Others are dropped without
a word, which is why chat has a topic of its own. Slack and Teams read different mark-up: only what both read the same
is used, so the link is bare. No object keys are shown: a channel would read some as mark-up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from invalidation.batches.finish import Failure, Settled, outcome_of
from invalidation.batches.model import (
    Batch,
    BatchState,
    InvalidationRecord,
    Outcome,
    PlanSummary,
    Target,
    TargetState,
    read_batch,
    to_text,
)
from invalidation.batches.table import BatchTable, known
from invalidation.batches.targets import invalidations_of_each, targets_of
from invalidation.cloudfront.limits import price
from invalidation.errors import MAX_MESSAGE, BatchNotFound, InvalidRequest

if TYPE_CHECKING:
    pass


LONGEST_TARGETS = 60_000
"""Characters of JSON that a summary spends on its targets: a state's input and output go to 262,144 bytes (SFD,
"Quotas"), and so does an SNS message."""


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """What became of one distribution."""

    distribution_id: str
    state: TargetState
    paths: int
    wildcards: int
    widened: tuple[tuple[str, int], ...]
    invalidation_ids: tuple[str, ...]
    tries: int
    error: str
    message: str
    seconds: int | None
    path_sample: tuple[str, ...] = ()
    price: Decimal = Decimal(0)
    """The most that its paths cost, in US dollars; in a dry run, would have cost."""
    edge: tuple[Mapping[str, str], ...] = ()
    """What a look at the edge has shown, path by path (``VerifyAtEdge``)."""

    def to_document(self) -> dict[str, Any]:
        return {
            "distributionId": self.distribution_id,
            "state": self.state.value,
            "paths": self.paths,
            "wildcards": self.wildcards,
            **known(
                {
                    "pathSample": list(self.path_sample),
                    "widened": [{"path": path, "asked": asked} for path, asked in self.widened],
                    "price": float(self.price),
                    "invalidationIds": list(self.invalidation_ids),
                    "tries": self.tries,
                    "error": self.error,
                    "message": self.message,
                    "seconds": self.seconds,
                    "edge": [dict(each) for each in self.edge],
                }
            ),
        }


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch as it stands. ``recorded`` False: there is no record, and what was accepted is still pending."""

    outcome: Outcome
    recorded: bool
    batch_id: str
    error: str = ""
    message: str = ""
    bucket: str = ""
    distribution_id: str = ""
    by_hand: bool = False
    dry_run: bool = False
    changes: int = 0
    deleted: int = 0
    sample: tuple[str, ...] = ()
    requesters: tuple[dict[str, Any], ...] = ()
    opened: datetime | None = None
    closed: datetime | None = None
    finished: datetime | None = None
    tries: int = 0
    parked: bool = False
    """Whether somebody has to mend something: the batch, or one of its targets, is not tried again by itself."""
    next_try_at: datetime | None = None
    targets: tuple[TargetSummary, ...] = ()

    @property
    def succeeded(self) -> bool:
        return self.outcome.succeeded

    @property
    def price(self) -> Decimal:
        """The most that all of it cost, in US dollars; in a dry run, would have cost."""
        return sum((target.price for target in self.targets), Decimal(0))

    @property
    def seconds(self) -> int | None:
        """From the batch's opening to its end."""
        return (
            None
            if self.finished is None or self.opened is None
            else round((self.finished - self.opened).total_seconds())
        )

    def to_document(self) -> dict[str, Any]:
        """For the state: the failed targets first, and as many of the others as there is room for."""
        listed, omitted = _as_many_as_fit(self.targets)
        return {
            "outcome": self.outcome.value,
            "succeeded": self.succeeded,
            "recorded": self.recorded,
            "batchId": self.batch_id,
            "changes": self.changes,
            "parked": self.parked,
            "targets": listed,
            "error": self.error,
            "message": self.message,
            **known(
                {
                    "targetsOmitted": omitted,
                    "bucket": self.bucket,
                    "distributionId": self.distribution_id,
                    "byHand": self.by_hand,
                    "dryRun": self.dry_run,
                    "deleted": self.deleted,
                    "sample": list(self.sample),
                    "requesters": list(self.requesters),
                    "price": float(self.price),
                    "opened": to_text(self.opened) if self.opened else None,
                    "closed": to_text(self.closed) if self.closed else None,
                    "finished": to_text(self.finished) if self.finished else None,
                    "seconds": self.seconds,
                    "tries": self.tries,
                    "nextTryAt": to_text(self.next_try_at) if self.next_try_at else None,
                }
            ),
        }


def summarise(table: BatchTable, batch_id: str) -> Finished:
    """Raises BatchNotFound."""
    batch = read_batch(table, batch_id)
    return summary_of(table, batch, targets_of(table, batch))


def summary_of(table: BatchTable, batch: Batch, targets: Sequence[Target]) -> Finished:
    created = invalidations_of_each(table, batch.batch_id) if targets else []
    return Finished(
        outcome=batch.outcome or outcome_of(batch, targets),
        recorded=True,
        batch_id=batch.batch_id,
        error=batch.error,
        message=batch.message,
        bucket=batch.bucket,
        distribution_id=batch.distribution_id,
        by_hand=batch.by_hand,
        dry_run=batch.dry_run or any(target.only_planned for target in targets),
        changes=batch.changes,
        deleted=batch.deleted,
        sample=batch.sample,
        requesters=batch.requesters,
        opened=batch.opened,
        closed=batch.closed,
        finished=batch.finished,
        tries=batch.tries,
        parked=_needs_somebody(batch, targets),
        next_try_at=batch.next_try_at,
        targets=tuple(_target_summary(target, created) for target in targets),
    )


def _needs_somebody(batch: Batch, targets: Sequence[Target]) -> bool:
    if batch.outcome is Outcome.ABANDONED:
        return False
    return batch.state is BatchState.PARKED or any(target.state is TargetState.PARKED for target in targets)


def finished(table: BatchTable, settled: Settled, batch_id: str, failure: Failure | None) -> Finished:
    """What is told of a batch once Finish has settled it."""
    if settled.batch is None:
        return unrecorded(batch_id, failure.error if failure else "", failure.message if failure else "")
    return summary_of(table, settled.batch, settled.targets)


def unrecorded(batch_id: str, error: str, message: str) -> Finished:
    """For an execution that failed before there was a record: what it had accepted is pending, and the sweep's."""
    outcome = Outcome.REJECTED if error == InvalidRequest.__name__ else Outcome.FAILED
    return Finished(outcome, recorded=False, batch_id=batch_id, error=error, message=message)


def _target_summary(target: Target, created: Sequence[tuple[str, InvalidationRecord]]) -> TargetSummary:
    ours = [record for distribution_id, record in created if distribution_id == target.distribution_id]
    sent = sum(each.paths for each in ours)
    plan = target.plan or PlanSummary(sent, sum(each.wildcards for each in ours), len(ours))
    return TargetSummary(
        distribution_id=target.distribution_id,
        state=target.state,
        paths=plan.paths,
        wildcards=plan.wildcards,
        widened=plan.widened,
        invalidation_ids=tuple(each.invalidation_id for each in ours),
        tries=target.tries,
        error=target.error,
        message=target.message,
        seconds=target.seconds,
        path_sample=plan.sample,
        edge=target.edge,
        price=price(plan.paid if target.only_planned else sent),
    )


def _as_many_as_fit(targets: Sequence[TargetSummary]) -> tuple[list[dict[str, Any]], int]:
    """Their documents; what was sent is told of as many as there is room for once all that fit are named."""
    room = LONGEST_TARGETS
    listed = []
    for target in sorted(targets, key=lambda each: each.state.final):
        document = target.to_document()
        sample = document.pop("pathSample", [])
        room -= len(json.dumps(document))
        if room < 0:
            break
        listed.append((document, sample))
    for document, sample in listed:
        if sample and len(json.dumps(sample)) < room:
            document["pathSample"] = sample
            room -= len(json.dumps(sample))
    return [document for document, _ in listed], len(targets) - len(listed)


VERSION = 1
MAX_SUBJECT = 99
"""SNS takes subjects of fewer than 100 printable ASCII characters (SNS API Reference, Publish)."""

COMPLETED_EVENT = "CloudFront Invalidation Completed"
FAILED_EVENT = "CloudFront Invalidation Failed"


@dataclass(frozen=True, slots=True)
class Caught:
    """What a Catch put into state, or a handler returned, in plain words."""

    error: str
    message: str


def caught(failure: Mapping[str, Any]) -> Caught:
    """A failure as a Catch puts it into state: ``{"Error", "Cause"}``, where a function's cause is JSON with a trace.

    The Map's results and Join Batch write the same with small letters, and with a ``message`` that is plain already.
    """
    error = str(failure.get("Error") or failure.get("error") or "Unknown")
    cause = str(failure.get("Cause") or failure.get("cause") or failure.get("message") or "")
    try:
        told = json.loads(cause)
    except ValueError:
        told = None
    message = str(told["errorMessage"]) if isinstance(told, dict) and "errorMessage" in told else cause
    return Caught(error, message[:MAX_MESSAGE] or _WITHOUT_WORDS.get(error, "no cause was given"))


_WITHOUT_WORDS = {
    "States.Timeout": "the step did not end within its time limit, nor did its retries",
    "Lambda.Unknown": "the function ended without an answer: out of memory, out of time, or failed while starting",
}


def failure_of(state: Mapping[str, Any]) -> Caught | None:
    """What failed outside the Map, if anything did; Join Batch's own failure is the whole state."""
    if "failure" in state:
        return caught(state["failure"])
    return caught(state) if "Error" in state else None


@dataclass(frozen=True, slots=True)
class Run:
    """The execution that a report is about."""

    arn: str
    started: datetime
    finished: datetime

    @property
    def console(self) -> str:
        """The page of the Step Functions console that shows the execution."""
        partition, region = self.arn.split(":")[1:4:2]
        host = f"{region}.console.amazonaws.cn" if partition == "aws-cn" else f"{region}.console.aws.amazon.com"
        return f"https://{host}/states/home?region={region}#/v2/executions/details/{self.arn}"


_OF_THE_REQUEST = {InvalidRequest.__name__, BatchNotFound.__name__}


def of_batch(finished: Finished, run: Run) -> dict[str, Any]:
    """The report on a batch: ``{"completed", "error", "cause", "detailType", "outcome"}``."""
    return _report({**finished.to_document()}, run, completed=finished.succeeded)


def without_batch(failure: Caught, run: Run) -> dict[str, Any]:
    """The report on a run that has no batch: its request cannot be met, or its change could not be accepted."""
    outcome = Outcome.REJECTED if failure.error in _OF_THE_REQUEST else Outcome.FAILED
    document = {"outcome": outcome.value, "error": failure.error, "message": failure.message}
    return _report(document, run, completed=False)


def _report(document: dict[str, Any], run: Run, *, completed: bool) -> dict[str, Any]:
    outcome = {
        "version": VERSION,
        **document,
        "execution": run.arn,
        "console": run.console,
        "runSeconds": round((run.finished - run.started).total_seconds(), 1),
    }
    return {
        "completed": completed,
        "error": "" if completed else error_of_fail_state(document["error"] or document["outcome"]),
        "cause": "" if completed else document["message"],
        "detailType": COMPLETED_EVENT if completed else FAILED_EVENT,
        "outcome": outcome,
    }


def error_of_fail_state(error: str) -> str:
    """``States.Timeout`` becomes ``Timeout``.

    Names that begin with ``States.`` are Step Functions' own (SFD, "Error names"), and interpreters refuse them in a
    Fail state. The outcome document keeps the name as it was.
    """
    return error.removeprefix("States.")


def subject(outcome: Mapping[str, Any]) -> str:
    """One line that tells a person what happened: printable ASCII, fewer than 100 characters."""
    kind = Outcome(outcome["outcome"])
    text = f"{_HEADLINES[kind]}: {_what(outcome)}"
    if kind in (Outcome.FAILED, Outcome.PARTLY_FAILED, Outcome.ABANDONED, Outcome.REJECTED):
        text += f" ({outcome['error']})" if outcome.get("error") else ""
    printable = "".join(character if " " <= character <= "~" else "?" for character in text)
    return printable if len(printable) <= MAX_SUBJECT else printable[: MAX_SUBJECT - 3] + "..."


_HEADLINES = {
    Outcome.COMPLETED: "CloudFront is fresh",
    Outcome.NOTHING_TO_INVALIDATE: "Nothing to invalidate",
    Outcome.NO_DISTRIBUTION: "No distribution serves this",
    Outcome.DRY_RUN: "Dry run, nothing was sent",
    Outcome.PARTLY_FAILED: "CloudFront invalidation PARTLY FAILED",
    Outcome.STALE_AT_EDGE: "Still STALE AT THE EDGE",
    Outcome.FAILED: "CloudFront invalidation FAILED",
    Outcome.ABANDONED: "Abandoned, the edge may be stale",
    Outcome.REJECTED: "Request rejected",
}


def _what(outcome: Mapping[str, Any]) -> str:
    """Where and how much; the execution's name, where no batch was recorded."""
    bucket = outcome.get("bucket")
    where = bucket or outcome.get("distributionId")
    if not where:
        return str(outcome["execution"]).rsplit(":", 1)[-1]
    changes = outcome["changes"]
    noun = "change" if bucket else "path"
    return f"{where}, {changes} {noun}{'' if changes == 1 else 's'}"


MAX_TARGETS = 10
"""Distributions that a message lists; those that are owed something come first."""


def chat_message(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome document as a custom notification; those of one bucket, or distribution, share a thread."""
    thread = outcome.get("bucket") or outcome.get("distributionId") or "requests"
    return {
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": subject(outcome),
            "description": _description(outcome),
            "nextSteps": _next_steps(outcome),
            "keywords": ["CloudFront", outcome["outcome"], thread],
        },
        "metadata": {
            "threadId": f"cloudfront-auto-invalidation/{thread}",
            "summary": subject(outcome),
            "eventType": outcome["outcome"],
            "relatedResources": [outcome["execution"]],
            **({"additionalContext": {"batchId": outcome["batchId"]}} if outcome.get("batchId") else {}),
        },
    }


def _description(outcome: Mapping[str, Any]) -> str:
    targets = outcome.get("targets", [])
    lines = [f"`{each['distributionId']}`: {each['state']}, paths: {each['paths']}" for each in targets[:MAX_TARGETS]]
    more = len(targets) + outcome.get("targetsOmitted", 0) - len(lines)
    if more:
        lines.append(f"… and {more} more")
    if outcome.get("price"):
        lines.append(f"At most ${outcome['price']}, as if the month's free paths were used up.")
    if outcome.get("error"):
        lines.append(f"Error: `{outcome['error']}`")
    return "\n".join(lines) or "No distribution was invalidated."


def _next_steps(outcome: Mapping[str, Any]) -> list[str]:
    steps = [f"See the execution: {outcome['console']}"]
    if not Outcome(outcome["outcome"]).succeeded:
        steps.append("Find the error in docs/runbook.md")
    if outcome.get("parked"):
        steps.append(f"When it is mended: `invalidations retry {outcome['batchId']}`")
    elif outcome.get("nextTryAt"):
        at = outcome["nextTryAt"][:16].replace("T", " ")
        steps.append(f"Nothing to do yet: it is tried again at {at} UTC")
    return steps
