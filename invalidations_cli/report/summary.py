"""What an execution came to, in the product's own terms: outcome, paths, invalidations, price, transitions.

An execution of another state machine has no outcome document; of it there are the transitions and the console's page.
What a file holds is a stranger's, so that each value is taken only where it has the type that it should have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from invalidation.outcome import console_page
from invalidations_cli.history import ExecutionHistory, document_in

DOLLARS_A_TRANSITION = 0.025 / 1_000
"""Of a Standard workflow, each retry included (AWS Step Functions pricing)."""
ARN = re.compile(
    r"arn:aws(-cn)?:states:[a-z]{2}(-[a-z]+)+-[0-9]:[0-9]{12}:execution:[\w.-]{1,80}:[\w.+=@-]{1,80}", re.ASCII
)
"""Of which a link can be made: nothing else may decide where it leads."""
LOCAL_ACCOUNT = "000000000000"
MOST = 100
"""Distributions, and invalidations of one, that are listed."""


def summary_of(history: ExecutionHistory) -> dict[str, Any]:
    """For the page: `transitions`, their `dollars`, `console` (an address, or null) and `batch` (or null).

    `batch` holds `outcome`, `batchId`, `bucket`, `changes`, `paths`, `wildcards`, `price`, `error`, `message`, and for
    each distribution `id`, `state`, `paths`, `wildcards`, `invalidations`, `error`, `message`.
    """
    transitions = sum(1 + max(0, len(visit.attempts) - 1) for visit in history.visits)
    linked = ARN.fullmatch(history.arn) and f":{LOCAL_ACCOUNT}:" not in history.arn
    return {
        "transitions": transitions,
        "dollars": round(transitions * DOLLARS_A_TRANSITION, 6),
        "console": console_page(history.arn) if linked else None,
        "batch": _batch(outcome_in(history)),
    }


def outcome_in(history: ExecutionHistory) -> Mapping[str, Any]:
    """The outcome document that a state was told last; {} where there is none."""
    for event in reversed(history.events):
        for data in (event.details.get("output"), event.details.get("input")):
            outcome = document_in(data).get("outcome") if isinstance(data, str) and '"outcome"' in data else None
            if isinstance(outcome, dict) and "batchId" in outcome:
                return outcome
    return {}


def _batch(outcome: Mapping[str, Any]) -> dict[str, Any] | None:
    if not outcome:
        return None
    distributions = list(_distributions(outcome))
    price = outcome.get("price")
    return {
        "outcome": _text(outcome, "outcome"),
        "batchId": _text(outcome, "batchId"),
        "bucket": _text(outcome, "bucket"),
        "changes": _number(outcome, "changes"),
        "paths": sum(each["paths"] for each in distributions if each["invalidations"]),
        "wildcards": sum(each["wildcards"] for each in distributions if each["invalidations"]),
        "price": price if isinstance(price, int | float) else None,
        "error": _text(outcome, "error"),
        "message": _text(outcome, "message"),
        "omitted": _number(outcome, "targetsOmitted"),
        "distributions": distributions,
    }


def _distributions(outcome: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for target in _list(outcome, "targets"):
        if isinstance(target, dict):
            yield {
                "id": _text(target, "distributionId"),
                "state": _text(target, "state"),
                "paths": _number(target, "paths"),
                "wildcards": _number(target, "wildcards"),
                "invalidations": [each for each in _list(target, "invalidationIds") if isinstance(each, str)],
                "error": _text(target, "error"),
                "message": _text(target, "message"),
            }


def _text(document: Mapping[str, Any], name: str) -> str:
    found = document.get(name)
    return found if isinstance(found, str) else ""


def _number(document: Mapping[str, Any], name: str) -> int:
    found = document.get(name)
    return found if isinstance(found, int) else 0


def _list(document: Mapping[str, Any], name: str) -> list[Any]:
    found = document.get(name)
    return found[:MOST] if isinstance(found, list) else []
