"""What an EventBridge rule lets through, by its event pattern.

The comparisons are those that S3's events are usually filtered by (EBU, "Comparison operators for use in event
patterns"). A pattern with another one is not guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

S3_KINDS: Final = ("Object Created", "Object Deleted")
"""Detail types of the events that tell of changed content (S3 User Guide, "EventBridge event message structure")."""


def s3_event(account: str, bucket: str, key: str, kind: str) -> dict[str, Any]:
    """As much of an S3 event as patterns look at."""
    detail = {"bucket": {"name": bucket}, "object": {"key": key}}
    return {"source": "aws.s3", "detail-type": kind, "account": account, "detail": detail}


def lets_through(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool | None:
    """Whether an event matches a pattern. None where that rests on a comparison that is not known here."""
    answers = [_field(wanted, event.get(name)) for name, wanted in pattern.items() if name != "$or"]
    if "$or" in pattern:
        answers.append(None)
    return _all(answers)


def excluded_keys(pattern: Mapping[str, Any]) -> list[str] | None:
    """What the pattern leaves out of a bucket. None where its condition on keys is not of the template's kind."""
    conditions = pattern.get("detail", {}).get("object", {}).get("key", [])
    try:
        return [each for condition in conditions for each in condition["anything-but"]["wildcard"]]
    except (KeyError, TypeError):
        return None


def without_keys(pattern: Mapping[str, Any]) -> dict[str, Any]:
    """The pattern without its condition on objects: what it asks of the bucket."""
    detail = {name: wanted for name, wanted in pattern.get("detail", {}).items() if name != "object"}
    return {**pattern, "detail": detail}


def _field(wanted: object, value: object) -> bool | None:
    """A field of an event against what a pattern wants of it. Further fields, or a list of conditions."""
    if isinstance(wanted, Mapping):
        return lets_through(wanted, value if isinstance(value, Mapping) else {})
    conditions = wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]
    values = value if isinstance(value, list) else [value]
    return _any([_condition(condition, each) for condition in conditions for each in values])


def _condition(condition: object, value: object) -> bool | None:
    if not isinstance(condition, Mapping):
        return condition == value and type(condition) is type(value)
    ((comparison, operand),) = condition.items() if len(condition) == 1 else [("", None)]
    if comparison == "exists":
        return (value is not None) is operand
    if comparison == "anything-but":
        return None if value is None else _no(_anything(operand, value))
    compared = _COMPARISONS.get(comparison)
    if compared is None or not isinstance(operand, str):
        return None
    return isinstance(value, str) and compared(operand, value)


def _anything(operand: object, value: object) -> bool | None:
    """Whether a value is one of those that ``anything-but`` names. Values, or one comparison with one or more."""
    if isinstance(operand, Mapping):
        return _any(
            [
                _condition({comparison: each}, value)
                for comparison, some in operand.items()
                for each in (some if isinstance(some, list) else [some])
            ]
        )
    return value in (operand if isinstance(operand, list) else [operand])


def wildcard_matches(operand: str, value: str) -> bool:
    """Whether a wildcard has the value. Only ``*`` is special, but after a backslash (EBU, "wildcard")."""
    parts = re.split(r"(\\.|\*)", operand, flags=re.DOTALL)
    written = (
        ".*" if part == "*" else re.escape(part[1:] if part.startswith("\\") and len(part) == 2 else part)
        for part in parts
    )
    return re.fullmatch("".join(written), value, re.DOTALL) is not None


_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "prefix": lambda operand, value: value.startswith(operand),
    "suffix": lambda operand, value: value.endswith(operand),
    "equals-ignore-case": lambda operand, value: value.casefold() == operand.casefold(),
    "wildcard": wildcard_matches,
}


def _no(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _all(answers: Sequence[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


def _any(answers: Sequence[bool | None]) -> bool | None:
    if True in answers:
        return True
    return None if None in answers else False
