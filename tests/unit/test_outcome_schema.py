"""The documented shape of what is told: every outcome that there can be fits it, and what is wrong does not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # jsonschema ships no types

from invalidation import outcome as reports
from invalidation.batches.model import Outcome, TargetState
from invalidation.outcome import Finished, TargetSummary
from tests.outcome_schemas import faults, schema

ARN = "arn:aws:states:us-east-1:123456789012:execution:stack-invalidation:name"
NOW = datetime(2026, 11, 23, 7, 0, 0, 123456, tzinfo=UTC)
RUN = reports.Run(ARN, NOW, NOW)
COMPLETED = TargetSummary("E1", TargetState.COMPLETED, 3, 1, (("/a/*", 40),), ("I1",), 0, "", "", 6)
PARKED = TargetSummary("E2", TargetState.PARKED, 0, 0, (), (), 1, "AccessDenied", "Grant it", None)
FULL = Finished(
    Outcome.COMPLETED,
    recorded=True,
    batch_id="20261123T070000Z-0123456789",
    bucket="my-site",
    changes=41,
    deleted=1,
    sample=("\x1b[31m", "ü"),
    requesters=({"requester": "123456789012", "sourceIp": "192.0.2.1", "changes": 41},),
    opened=NOW,
    closed=NOW,
    finished=NOW,
    targets=(COMPLETED, replace(COMPLETED, state=TargetState.SKIPPED, seconds=None)),
)
FAILED: dict[str, Any] = {"error": "AccessDenied", "message": "Grant it", "tries": 1, "parked": True, "finished": None}
GIVEN_UP: dict[str, Any] = {"message": "abandoned by somebody: gone", "parked": False, "finished": NOW}
SAMPLES = {
    "completed": FULL,
    "nothing to invalidate": replace(FULL, outcome=Outcome.NOTHING_TO_INVALIDATE),
    "no distribution": replace(FULL, outcome=Outcome.NO_DISTRIBUTION, targets=()),
    "dry run": replace(FULL, outcome=Outcome.DRY_RUN, dry_run=True, by_hand=True),
    "paths": replace(FULL, bucket="", distribution_id="E1", by_hand=True),
    "partly failed": replace(FULL, outcome=Outcome.PARTLY_FAILED, targets=(COMPLETED, PARKED), **FAILED),
    "failed, tried again": replace(FULL, outcome=Outcome.FAILED, targets=(PARKED,), next_try_at=NOW, **FAILED),
    "given up before it was told": replace(FULL, outcome=Outcome.ABANDONED, targets=(PARKED,), **FAILED | GIVEN_UP),
    "not recorded": Finished(Outcome.FAILED, recorded=False, batch_id="", error="BatchTableUnavailable", message="x"),
    "many distributions": replace(FULL, targets=tuple(replace(COMPLETED, distribution_id=f"E{n}") for n in range(900))),
}


@pytest.mark.parametrize("finished", SAMPLES.values(), ids=SAMPLES)
def test_what_is_told_of_a_batch_fits_the_schemas(finished: Finished) -> None:
    report = json.loads(json.dumps(reports.of_batch(finished, RUN)))
    assert faults("outcome", report["outcome"]) == []
    assert faults("event", sent(report)) == []
    detail_type = report.pop("detailType")
    assert (faults("output", report) == []) == (detail_type == reports.COMPLETED_EVENT)


@pytest.mark.parametrize("error", ["InvalidRequest", "ChangesNotAccepted", "States.Timeout"])
def test_what_is_told_of_a_run_without_a_batch_fits_them_too(error: str) -> None:
    report = reports.without_batch(reports.Caught(error, "why"), RUN)
    assert faults("outcome", report["outcome"]) == []
    assert faults("event", sent(report)) == []


def test_an_event_that_was_not_taken_is_told_of_in_the_notification() -> None:
    outcome = reports.of_batch(FULL, RUN)["outcome"] | {"announceError": "States.Timeout", "announceMessage": "why"}
    assert faults("outcome", outcome) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outcome": "Perhaps"}, "is not one of"),
        ({"version": 2}, "1 was expected"),
        ({"error": "AccessDenied"}, "'' was expected"),
        ({"outcome": "Failed"}, "should be non-empty"),
        ({"opened": "yesterday"}, "does not match"),
        ({"targets": [{}]}, "'distributionId' is a required property"),
        ({"surprise": 1}, "'surprise' was unexpected"),
        ({"changes": -1}, "less than the minimum"),
    ],
)
def test_what_is_wrong_does_not_fit(change: dict[str, Any], said: str) -> None:
    outcome = reports.of_batch(FULL, RUN)["outcome"] | change
    assert any(said in fault for fault in faults("outcome", outcome))


def test_an_event_s_type_and_its_outcome_say_the_same() -> None:
    event = sent(reports.of_batch(FULL, RUN)) | {"detail-type": reports.FAILED_EVENT}
    assert faults("event", event) != []


@pytest.mark.parametrize("name", ["outcome", "event", "output"])
def test_the_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))


def test_the_schema_s_list_of_outcomes_is_the_code_s() -> None:
    assert set(schema("outcome")["$defs"]["outcome"]["enum"]) == {outcome.value for outcome in Outcome}


def sent(report: dict[str, Any]) -> dict[str, Any]:
    """As Announce Outcome puts it on the bus."""
    return {
        "source": "cloudfront-auto-invalidation",
        "detail-type": report["detailType"],
        "resources": [ARN],
        "detail": report["outcome"],
    }
