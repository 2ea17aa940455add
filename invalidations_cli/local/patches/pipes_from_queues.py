"""A pipe whose source is an SQS queue delivers.

ministack accepts such a pipe and does nothing. Here it reads the queue in batches (BatchSize,
MaximumBatchingWindowInSeconds), applies InputTemplate to each record, and starts its state machine with the list
(EventBridge User Guide, "Amazon SQS queue as a source", "Input transformation").
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import ministack.services.sqs as queues
from ministack.services import pipes
from ministack.services.cloudformation import provisioners

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

Pipe = dict[str, Any]
Record = dict[str, Any]
PARAMETERS = ("SourceParameters", "TargetParameters")
PLACEHOLDER = re.compile(r'"<(\$[^>]*)>"|<(\$[^>]*)>')


@dataclass(slots=True)
class QueuedBatch:
    opened: float = 0.0
    messages: list[dict[str, Any]] = field(default_factory=list)


OPEN_BATCHES: dict[str, QueuedBatch] = {}


def apply(_settings: LocalSettings) -> None:
    keep_parameters()
    poll = seam(pipes, "_poll_pipe", "9af42fb9df09")
    seam(pipes, "_poll_loop", "98a67a7527a8")

    def poll_any(tables: Any, pipe: Pipe, account: str) -> None:
        if pipes._arn_service(pipe["Source"]) == "sqs":
            pump(pipe)
        else:
            poll(tables, pipe, account)

    pipes._poll_pipe = poll_any
    pipes._poll_loop = poll_often


def keep_parameters() -> None:
    """Both ways to make a pipe lose its parameters: CloudFormation's and CreatePipe."""
    handlers = dict(provisioners._RESOURCE_HANDLERS["AWS::Pipes::Pipe"])
    create, update = handlers["create"], handlers["update"]
    create_by_api = seam(pipes, "_create_pipe", "c62c7af22b89")

    def create_whole(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        name, attributes = create(logical_id, properties, stack)
        add_parameters(name, properties)
        return name, attributes

    def update_whole(name: str, old: Any, new: dict[str, Any], stack: str, logical_id: str | None = None) -> Any:
        name, attributes = update(name, old, new, stack, logical_id)
        add_parameters(name, new)
        return name, attributes

    @wraps(create_by_api)
    def create_whole_by_api(name: str, body: dict[str, Any]) -> Any:
        response = create_by_api(name, body)
        add_parameters(name, body)
        return response

    provisioners._RESOURCE_HANDLERS["AWS::Pipes::Pipe"] = {**handlers, "create": create_whole, "update": update_whole}
    pipes._create_pipe = create_whole_by_api


def add_parameters(name: str, properties: dict[str, Any]) -> None:
    pipe = pipes._pipes.get(name)
    if pipe is not None:
        pipe.update({key: properties.get(key) or {} for key in PARAMETERS})
        pipes._pipes[name] = pipe


def poll_often() -> None:
    while True:
        try:
            pipes._poll_once()
        except Exception:  # noqa: BLE001 - a poller that ends, ends for good
            pipes.logger.exception("A pipe could not be polled.")
        time.sleep(0.2)


def pump(pipe: Pipe) -> None:
    """Move what waits in the queue into the pipe's batch. Deliver that when it is full, or its window has passed."""
    queue = queues._queue_by_arn(pipe["Source"])
    if queue is None or pipe.get("CurrentState") != "RUNNING":
        return
    limits = pipe.get("SourceParameters", {}).get("SqsQueueParameters") or {}
    size, window = int(limits.get("BatchSize", 10)), float(limits.get("MaximumBatchingWindowInSeconds", 0))
    url = queue.get("url") or queues._queue_name_to_url.get(queue["name"])
    batch = OPEN_BATCHES.setdefault(pipe["Arn"], QueuedBatch())
    while len(batch.messages) < size:
        received = queues._receive_messages_for_esm(url, min(10, size - len(batch.messages)))
        if not received:
            break
        batch.opened = batch.opened or time.monotonic()
        batch.messages += received
    if batch.messages and (len(batch.messages) >= size or time.monotonic() - batch.opened >= window):
        del OPEN_BATCHES[pipe["Arn"]]
        if deliver(pipe, batch.messages):
            queues._delete_messages_for_esm(url, {message["receipt_handle"] for message in batch.messages})


def deliver(pipe: Pipe, messages: list[dict[str, Any]]) -> bool:
    records = [record_of(message, pipe["Source"]) for message in messages]
    template = pipe.get("TargetParameters", {}).get("InputTemplate")
    shaped = [render(template, record) for record in records] if template else records
    return bool(pipes._deliver_batch(pipe, shaped))


def record_of(message: dict[str, Any], queue_arn: str) -> Record:
    return {
        "messageId": message["id"],
        "receiptHandle": message["receipt_handle"],
        "body": message["body"],
        "attributes": {"ApproximateReceiveCount": str(message.get("receive_count", 1)), **message.get("sys", {})},
        "messageAttributes": message.get("message_attributes", {}),
        "md5OfBody": message["md5_body"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


def render(template: str, record: Record) -> Any:
    """A record as the template shapes it; text that is not JSON stays text."""

    def value(match: re.Match[str]) -> str:
        return json.dumps(at(record, match.group(1) or match.group(2)))

    text = PLACEHOLDER.sub(value, template)
    try:
        return json.loads(text)
    except ValueError:
        return text


def at(record: Record, path: str) -> Any:
    """The value at a path such as `$.body.detail`. A body that is JSON is read as JSON, as Pipes does."""
    found: Any = record
    for name in path.removeprefix("$").strip(".").split("."):
        if isinstance(found, str):
            found = parsed(found)
        found = found.get(name) if isinstance(found, dict) else None
    return parsed(found) if isinstance(found, str) and path == "$.body" else found


def parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
