"""10,000 inputs out of shape: each is accepted, ignored, or refused in words that say which field to fix."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from invalidation.errors import MAX_MESSAGE, InvalidRequest
from invalidation.events import Changes, parse
from tests.fakes.memory_table import MemoryTable
from tests.security.mutations import AT_ONCE, SAMPLES, SECRET, SECRETIVE, documents, fixed

INPUTS = 10_000
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:site-invalidation:run-1"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:site-invalidation"
STARTED = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
MOST_MENDS = 30
WHOLE = [json.dumps(sample)[1:-1] for sample in SAMPLES.values()]

fuzz = settings(max_examples=INPUTS // AT_ONCE, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def answer(join: ModuleType, document: Any) -> dict[str, Any]:
    """What the handler answers, in a stack to which nothing has happened yet."""
    join.TABLE = MemoryTable()  # type: ignore[attr-defined] # the handler's collaborator
    event = {"execution": EXECUTION, "startedAt": STARTED.isoformat(), "stateMachine": MACHINE, "input": document}
    answered: dict[str, Any] = join.handler(event, None)
    return answered


def refusal(document: Any) -> str:
    """Why an input is refused; "" if it is not."""
    try:
        parsed = parse(document)
    except InvalidRequest as error:
        return str(error)
    return parsed.rejected[0].message if isinstance(parsed, Changes) and parsed.rejected else ""


def check_words(message: str) -> None:
    assert len(message) <= MAX_MESSAGE
    assert message.isprintable()
    assert SECRET not in message
    assert "Traceback" not in message
    assert not any(whole in message for whole in WHOLE)


def test_whatever_comes_ends_well_and_what_is_refused_can_be_mended_by_the_message(join_batch: ModuleType) -> None:
    ends: Counter[str] = Counter()

    @fuzz
    @given(documents)
    def look(some: list[Any]) -> None:
        for document in some:
            ends[end_of(join_batch, document)] += 1
            if message := refusal(document):
                fix(document, message)

    look()
    assert ends.total() >= INPUTS
    assert ends.keys() == {"leader", "ignored", "rejected"}
    assert min(ends.values()) > INPUTS / 100, "or this has looked at one kind of input alone"


def end_of(join: ModuleType, document: Any) -> str:
    answered = answer(join, document)
    assert (answered["role"] == "rejected") == bool(refusal(document) or "retryBatch" in document)
    if answered["role"] == "rejected":
        check_words(answered["failure"]["message"])
        assert answered["failure"]["error"] in {"InvalidRequest", "BatchNotFound"}
    return str(answered["role"])


def fix(document: Any, message: str) -> None:
    """Fix what the message names, and then what the next one names, until the document is accepted."""
    named = set()
    while message:
        check_words(message)
        assert message not in named, f"fixed and named again: {message}"
        named.add(message)
        assert len(named) < MOST_MENDS
        document = fixed(document, message)
        message = refusal(document)


@pytest.mark.parametrize("number", range(len(SECRETIVE)), ids=SAMPLES)
def test_the_samples_themselves_are_accepted_secrets_and_all(number: int) -> None:
    assert refusal(SECRETIVE[number]) == ""
