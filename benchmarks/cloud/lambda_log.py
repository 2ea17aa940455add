"""A model of the lines that Lambda itself writes; their lengths are all that counts.

They are in JSON, with tracing on (Lambda Developer Guide, "Lambda Telemetry API").
"""

from __future__ import annotations

import json
from typing import Any

_TIME = "2026-11-23T09:00:00.000Z"
_REQUEST = {"requestId": "0e0a8f8c-3d1b-4c55-9a35-6a9d3d7f7a10"}
_TRACING = {
    "tracing": {
        "spanId": "0123456789abcdef",
        "type": "X-Amzn-Trace-Id",
        "value": "Root=1-5e989cb6-90039fd8971196666b022b62;Parent=0123456789abcdef;Sampled=1;Lineage=1:0:0",
    }
}
_SPAN = {"start": _TIME, "durationMs": 12.345}
_SPANS = [{"name": name, **_SPAN} for name in ("responseLatency", "responseDuration", "runtimeOverhead")]
_ARN = "arn:aws:lambda:us-east-1::runtime:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

_INVOCATION: dict[str, dict[str, Any]] = {
    "platform.start": {**_REQUEST, "version": "$LATEST", **_TRACING},
    "platform.runtimeDone": {
        **_REQUEST,
        "status": "success",
        "spans": _SPANS,
        "metrics": {"durationMs": 123.456, "producedBytes": 1234},
        **_TRACING,
    },
    "platform.report": {
        **_REQUEST,
        "metrics": {
            "durationMs": 123.456,
            "billedDurationMs": 124,
            "memorySizeMB": 256,
            "maxMemoryUsedMB": 100,
            "initDurationMs": 456.789,
        },
        **_TRACING,
        "status": "success",
    },
}
_INIT: dict[str, dict[str, Any]] = {
    "platform.initStart": {
        "initializationType": "on-demand",
        "phase": "init",
        "runtimeVersion": "python:3.13.v99",
        "runtimeVersionArn": _ARN,
        "functionName": "cloudfront-auto-invalidat-ResolveDistributionsFunct-0123456789AB",
        "functionVersion": "$LATEST",
    }
}


def _lengths(records: dict[str, dict[str, Any]]) -> list[int]:
    return [len(json.dumps({"time": _TIME, "type": kind, "record": record})) for kind, record in records.items()]


INVOCATION = _lengths(_INVOCATION)
"""Bytes of each line of an invocation."""
INIT = _lengths(_INIT)
"""The same of a cold start."""
