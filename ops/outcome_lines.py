"""What came of a request, in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from invalidation.outcomes import Outcome
from ops.follow import Ending
from ops.shown import count, shown

SAID = {
    Outcome.COMPLETED: "Fresh",
    Outcome.NOTHING_TO_INVALIDATE: "Nothing to invalidate: no distribution serves these keys",
    Outcome.NO_DISTRIBUTION: "Nothing to invalidate: no distribution serves the bucket",
    Outcome.DRY_RUN: "Dry run, nothing was sent",
    Outcome.PARTLY_FAILED: "Partly failed",
    Outcome.STALE_AT_EDGE: "Still stale at the edge",
    Outcome.FAILED: "Failed",
    Outcome.ABANDONED: "Abandoned: the edge may be stale",
    Outcome.REJECTED: "Rejected",
}


def lines_of(endings: Sequence[Ending]) -> Iterator[str]:
    for ending in endings:
        yield _headline(ending)
        for target in ending.outcome.get("targets", []):
            yield "  " + _target(target)
            if ending.outcome.get("outcome") == Outcome.DRY_RUN:
                yield from _paths(target)
        if ending.outcome.get("targetsOmitted"):
            yield f"  and {count(ending.outcome['targetsOmitted'], 'more distribution')}"
        if not ending.succeeded:
            yield f"  {shown(ending.error or ending.status)}: {shown(_cause(ending), 1_000)}"
    yield from _price(endings)


def _headline(ending: Ending) -> str:
    outcome = ending.outcome
    kind = {each.value: each for each in Outcome}.get(outcome.get("outcome", ""))
    said = SAID[kind] if kind else f"The execution {ending.status.lower().replace('_', ' ')}"
    if kind and kind.succeeded and not ending.succeeded:
        said += ", but the execution failed"
    what = count(outcome.get("changes", 0), "key" if outcome.get("bucket") else "path")
    where = outcome.get("bucket") or outcome.get("distributionId", "")
    return said + (f": {what} of {shown(where)}" if where else "") + _seconds(outcome)


def _seconds(outcome: Mapping[str, Any]) -> str:
    return f", in {outcome['runSeconds']} s" if "runSeconds" in outcome else ""


def _target(target: Mapping[str, Any]) -> str:
    wildcards = f" ({count(target['wildcards'], 'wildcard')})" if target["wildcards"] else ""
    parts = [shown(target["distributionId"]), target["state"].lower(), count(target["paths"], "path") + wildcards]
    parts += [shown(each) for each in target.get("invalidationIds", [])]
    for widened in target.get("widened", []):
        parts.append(f"{shown(widened['path'])} stands for {widened['asked']}")
    if target.get("error"):
        parts.append(f"{shown(target['error'])}: {shown(target.get('message', ''), 1_000)}")
    return "  ".join(parts)


def _paths(target: Mapping[str, Any]) -> Iterator[str]:
    """What a dry run would have sent, as far as the outcome has room for it."""
    sample = target.get("pathSample", [])
    yield from (f"    {shown(path, 4_000)}" for path in sample)
    if sample and target["paths"] > len(sample):
        yield f"    and {count(target['paths'] - len(sample), 'more path')}"


def _cause(ending: Ending) -> str:
    return str(ending.cause or ending.outcome.get("message", "") or "no cause was given")


def _price(endings: Sequence[Ending]) -> Iterator[str]:
    dry = [ending.outcome for ending in endings if ending.outcome.get("outcome") == Outcome.DRY_RUN]
    if dry:
        dollars = sum(outcome.get("price", 0) for outcome in dry)
        yield f"It would cost at most ${dollars:.3f} (as if the 1,000 free paths of the month were used up)."
