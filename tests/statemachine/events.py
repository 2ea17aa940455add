"""S3 events as EventBridge delivers them, made from the samples."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.definition import ROOT

SAMPLES = ROOT / "events"


def sample(name: str) -> Any:
    """The JSON document of a file in ``events/``."""
    return json.loads((SAMPLES / f"{name}.json").read_text())


def changed(bucket: str, key: str, *, like: str = "object-created-put") -> Any:
    """A sample event about another object."""
    event = sample(like)
    event["id"] = str(uuid.uuid4())
    event["resources"] = [f"arn:aws:s3:::{bucket}"]
    event["detail"]["bucket"]["name"] = bucket
    event["detail"]["object"]["key"] = key
    return event
