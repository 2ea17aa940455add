"""How fast the local AWS works: objects are put, and the clock stops when the last of them is covered.

The whole chain runs: S3, EventBridge, Step Functions, the handlers in workers of their own, CloudFront, SNS.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from invalidations_cli.local import environment, server
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.settings import LocalSettings

WRITERS = 4
TIMEOUT_SECONDS = 300.0
QUICK = LocalSettings(wait_scale=0.2, invalidation_seconds=1.0)
PARAMETERS = {"BatchWindowSeconds": "2"}
"""As this project's own tests set it up."""


@dataclass(frozen=True, slots=True)
class Row:
    """``put`` and ``covered`` are seconds from the first put; ``ready`` is how long the stack took to be there."""

    objects: int
    ready: float
    put: float
    covered: float
    batches: int

    @property
    def a_second(self) -> float:
        return self.objects / self.covered


def run(objects: int) -> Row:
    """Raises TimeoutError when not everything is covered in time."""
    before = time.monotonic()
    with environment.running(QUICK, server.free_port(), PARAMETERS) as there:
        ready = time.monotonic() - before
        begun = time.monotonic()
        s3 = there.aws.client("s3")
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(lambda number: s3.put_object(Bucket=there.bucket, Key=f"{number:05}.html"), range(objects)))
        put = time.monotonic() - begun
        covered = batches = 0
        for changes in _outcomes(there):
            covered, batches = covered + changes, batches + 1
            if covered >= objects:
                return Row(objects, ready, put, time.monotonic() - begun, batches)
    raise TimeoutError(f"{covered} of {objects} changes were covered within {TIMEOUT_SECONDS:g} s")


def _outcomes(there: LocalEnvironment) -> Iterator[int]:
    """How many changes each batch has covered, as its notification tells."""
    sqs = there.aws.client("sqs")
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        answer = sqs.receive_message(QueueUrl=there.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=there.queue_url, ReceiptHandle=message["ReceiptHandle"])
            outcome = json.loads(json.loads(message["Body"])["Message"])
            if outcome["outcome"] == "Completed":
                yield outcome["changes"]
