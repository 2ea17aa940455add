from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from invalidations_cli.recording import Recording, collect, dump, load

ARN = "arn:aws:states:eu-west-1:123456789012:execution:invalidate:a-run"
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:invalidate"
DEFINITION = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
NOON = datetime(2026, 11, 23, 12, 0, 0, 5000, tzinfo=UTC)


def event(number: int) -> dict[str, Any]:
    return {"id": number, "previousEventId": number - 1, "type": "PassStateEntered", "timestamp": NOON}


def test_all_pages_of_a_history_are_read_with_their_data() -> None:
    client = boto3.client("stepfunctions", region_name="eu-west-1")
    described = {"executionArn": ARN, "stateMachineArn": MACHINE, "status": "RUNNING", "startDate": NOON}
    machine = {
        "stateMachineArn": MACHINE,
        "name": "invalidate",
        "definition": json.dumps(DEFINITION),
        "roleArn": "arn:aws:iam::123456789012:role/any",
        "updateDate": NOON,
    }
    page = {"executionArn": ARN, "includeExecutionData": True, "maxResults": 1000}
    with Stubber(client) as stub:
        stub.add_response("describe_execution", described, {"executionArn": ARN})
        stub.add_response("describe_state_machine_for_execution", machine, {"executionArn": ARN})
        stub.add_response("get_execution_history", {"events": [event(1)], "nextToken": "more"}, page)
        stub.add_response("get_execution_history", {"events": [event(2)]}, {**page, "nextToken": "more"})
        recording = collect(client, ARN)
        stub.assert_no_pending_responses()
    assert recording == Recording(DEFINITION, described, [event(1), event(2)])


def test_a_saved_recording_is_read_back_with_its_times_as_text(tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    path.write_text(dump(Recording(DEFINITION, {"status": "RUNNING", "startDate": NOON}, [event(1)])))
    time = "2026-11-23T12:00:00.005+00:00"
    assert load(path) == Recording(
        DEFINITION, {"status": "RUNNING", "startDate": time}, [{**event(1), "timestamp": time}]
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"not json", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[]", "it lacks definition, execution, events"),
        (b'{"definition": {}, "events": []}', "it lacks execution"),
        (b'{"definition": {}, "execution": {}, "events": {}}', "it lacks events"),
    ],
)
def test_a_file_that_is_no_recording_is_refused_with_what_is_wrong(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=told):
        load(path)
