"""What is told of a run: the outcome document, the subject that a person reads, and failures in plain words.

The outcome document is the same in the execution's output, the event on the bus and the notification; its shape is in
``events/schemas/outcome.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from invalidation.errors import MAX_MESSAGE, BatchNotFound, InvalidRequest
from invalidation.outcomes import Outcome

if TYPE_CHECKING:
    from invalidation.lifecycle.summaries import Finished

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
