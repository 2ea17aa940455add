"""A model of an execution's history in the log, at level ALL with execution data.

Source: Step Functions Developer Guide, "CloudWatch Logs log levels".
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.cloud.assumed import LOG_EVENT_BYTES
from benchmarks.cloud.usage import Meter, Usage

ROLE = "arn:aws:iam::123456789012:role/cloudfront-auto-invalidat-InvalidationStateMachineRo-0123456789AB"
LARGEST_BYTES = 262_144
"""Of one event in CloudWatch Logs."""
WHOLE = {"truncated": False}
_HEADERS = {
    "X-Amz-Executed-Version": "$LATEST",
    "x-amzn-Remapped-Content-Length": "0",
    "Connection": "keep-alive",
    "x-amzn-RequestId": "0e0a8f8c-3d1b-4c55-9a35-6a9d3d7f7a10",
    "Content-Length": "1024",
    "Date": "Mon, 23 Nov 2026 09:00:00 GMT",
    "X-Amzn-Trace-Id": "Root=1-5e989cb6-90039fd8971196666b022b62;Parent=0123456789abcdef;Sampled=0;Lineage=1:0:0",
    "Content-Type": "application/json",
}
_ENVELOPE = {
    "ExecutedVersion": "$LATEST",
    "SdkHttpMetadata": {
        "AllHttpHeaders": {name: [value] for name, value in _HEADERS.items()},
        "HttpHeaders": _HEADERS,
        "HttpStatusCode": 200,
    },
    "SdkResponseMetadata": {"RequestId": "0e0a8f8c-3d1b-4c55-9a35-6a9d3d7f7a10"},
    "StatusCode": 200,
}


class History:
    """Counts what one execution writes; ``kinds`` are its events' types, in turn."""

    def __init__(self, usage: Usage, arn: str) -> None:
        self._usage = usage
        self._arn = arn
        self.kinds: list[str] = []

    def started(self, data: Any) -> None:
        self._write("ExecutionStarted", input=_text(data), inputDetails=WHOLE, roleArn=ROLE)

    def succeeded(self, data: Any) -> None:
        self._write("ExecutionSucceeded", output=_text(data), outputDetails=WHOLE)

    def entered(self, kind: str, name: str, data: Any) -> None:
        self._write(f"{kind}StateEntered", name=name, input=_text(data), inputDetails=WHOLE)

    def exited(self, kind: str, name: str, data: Any) -> None:
        self._write(f"{kind}StateExited", name=name, output=_text(data), outputDetails=WHOLE)

    def task_scheduled(self, state: dict[str, Any], parameters: Any) -> None:
        resource = _resource(state)
        self._write(
            "TaskScheduled",
            parameters=_text(parameters),
            region="us-east-1",
            timeoutInSeconds=state["TimeoutSeconds"],
            **resource,
        )
        self._write("TaskStarted", **resource)

    def task_succeeded(self, state: dict[str, Any], answer: Any) -> None:
        self._write("TaskSucceeded", output=_text({**_ENVELOPE, **answer}), outputDetails=WHOLE, **_resource(state))

    def task_failed(self, state: dict[str, Any], error: str, cause: str) -> None:
        self._write("TaskFailed", error=error, cause=cause, **_resource(state))

    def map_event(self, what: str, **details: Any) -> None:
        self._write(f"Map{what}", **details)

    def _write(self, kind: str, **details: Any) -> None:
        self.kinds.append(kind)
        line = {
            "id": str(len(self.kinds)),
            "type": kind,
            "details": details,
            "redrive_count": "0",
            "previous_event_id": str(len(self.kinds) - 1),
            "event_timestamp": "1795424400000",
            "execution_arn": self._arn,
        }
        size = min(LARGEST_BYTES, len(_text(line).encode()) + LOG_EVENT_BYTES)
        self._usage.add(Meter.LOG_GB, size / 2**30)


def _text(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def _resource(state: dict[str, Any]) -> dict[str, str]:
    kind, _, action = str(state["Resource"]).rpartition(":")
    return {"resource": action, "resourceType": kind.rpartition(":")[2]}
