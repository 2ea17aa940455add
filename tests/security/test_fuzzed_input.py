"""10,000 inputs out of shape: each is accepted, ignored, or refused in words that say which field to mend."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings

from invalidation.changes import Changes, parse
from invalidation.errors import MAX_MESSAGE, InvalidRequest
from tests.memory_table import MemoryTable
from tests.security.mutations import AT_ONCE, SAMPLES, SECRET, SECRETIVE, documents, mended

INPUTS = 10_000
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:site-invalidation:run-1"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:site-invalidation"
STARTED = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
ENDS = {"leader", "follower", "ignored", "rejected"}
MOST_MENDS = 30

fuzz = settings(max_examples=INPUTS // AT_ONCE, deadline=None, database=None, suppress_health_check=list(HealthCheck))


class StepFunctions:
    """Takes note of what is started."""

    def __init__(self) -> None:
        self.exceptions = SimpleNamespace(ExecutionAlreadyExists=KeyError)
        self.started: list[Any] = []

    def start_execution(self, **request: Any) -> None:
        self.started.append(json.loads(request["input"]))


@pytest.fixture(scope="module")
def join() -> Iterator[ModuleType]:
    """Join Batch's handler, with a table in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "client", lambda *_, **__: StepFunctions())
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "fuzz")
        patch.setenv("POWERTOOLS_SERVICE_NAME", "fuzz")
        for name in ("observed", "join_batch.app"):
            patch.delitem(sys.modules, name, raising=False)
        module = importlib.import_module("join_batch.app")
        patch.delitem(sys.modules, "join_batch.app")
        patch.setattr(module, "count", lambda *_: None)
        module.logger.setLevel("CRITICAL")
        yield module


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
    assert not any(json.dumps(sample)[1:-1] in message for sample in SAMPLES.values())


@fuzz
@given(some=documents)
def test_whatever_comes_ends_well_and_what_is_refused_can_be_mended_by_the_message(
    join: ModuleType, some: list[Any]
) -> None:
    for document in some:
        answered = answer(join, document)
        assert answered["role"] in ENDS
        message = refusal(document)
        assert (answered["role"] == "rejected") == bool(message or "retryBatch" in document)
        if answered["role"] == "rejected":
            check_words(answered["failure"]["message"])
            assert answered["failure"]["error"] in {"InvalidRequest", "BatchNotFound"}
        if message:
            mend(document, message)


def mend(document: Any, message: str) -> None:
    """Mend what the message names, and then what the next one names, until the document is accepted."""
    named = set()
    while message:
        check_words(message)
        assert message not in named, f"mended and named again: {message}"
        named.add(message)
        assert len(named) < MOST_MENDS
        document = mended(document, message)
        message = refusal(document)


def test_the_fuzzed_inputs_end_in_every_way_that_there_is(join: ModuleType) -> None:
    """Or the tests above would look at refusals alone."""
    ends: Counter[str] = Counter()

    @settings(fuzz, max_examples=20, derandomize=True)
    @given(documents)
    def look(some: list[Any]) -> None:
        ends.update(answer(join, document)["role"] for document in some)

    look()
    assert ends.total() >= 20 * AT_ONCE
    assert min(ends[end] for end in ("leader", "ignored", "rejected")) > 5


@pytest.mark.parametrize("number", range(len(SECRETIVE)), ids=SAMPLES)
def test_the_samples_themselves_are_accepted_secrets_and_all(number: int) -> None:
    assert refusal(SECRETIVE[number]) == ""
