"""What the model assumes, because only AWS could show it. Each with where it comes from; all else is counted.

Every number of this file is printed with the results.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import Final


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long AWS takes, within a region."""

    dynamodb_call: float = 0.005
    """DynamoDB: "single-digit millisecond performance"."""
    cloudfront_call: float = 0.25
    """CloudFront's API answers from us-east-1, an XML page of 100 distributions in one piece. A guess on the low side,
    so that what a function does besides counts for more."""
    other_call: float = 0.02
    """SNS, Step Functions and CloudWatch."""
    transition: float = 0.025
    """A Standard state machine from one state to the next: it writes each to its history."""
    invocation: float = 0.015
    """Lambda, from the request to a warm handler."""
    delivery: float = 0.5
    """S3 to EventBridge to a target; S3 to Lambda as well, so that neither side gains."""
    completion: float = 15.0
    """Until CloudFront reports an invalidation as Completed: P95 is 25 s (AWS, April 2026)."""
    handler_cpu: float = 0.002
    """A handler's own work at a whole processor; for the simulated clock only, so that each run counts the same."""
    call_cpu: float = 0.001
    """The SDK's work for a call, likewise. The bill uses what was measured."""
    item_cpu: float = 0.00005
    """The same for each item that a call carries beyond its first."""
    cold_start: float = 0.5
    """INIT, likewise."""

    def processor(self, calls: Counter[str], items: Counter[str]) -> float:
        """The SDK's processor seconds for calls, and for the items that they carry beyond their first."""
        return self.call_cpu * calls.total() + self.item_cpu * items.total()

    def of_call(self, call: str) -> float:
        service = call.partition(":")[0]
        return {"dynamodb": self.dynamodb_call, "cloudfront": self.cloudfront_call}.get(service, self.other_call)


SECONDS: Final = Seconds()

PROCESSOR_MEGABYTES: Final = 1_769
"""Memory at which a function has one whole processor; less has proportionally less (Lambda Developer Guide, "Configure
function memory"). INIT has whole processors at any size (van Donkersgoed, 2022), and is billed since August 2025."""

WRITERS: Final = 8
"""Threads in which the batch table's adapter writes more items than fit into one request: their calls take as long as
one."""

CONCURRENCY: Final = 1_000
"""Functions that run at once, in an account (Lambda quotas)."""

STARTS_BURST: Final = 1_300
STARTS_A_SECOND: Final = 300
"""StartExecution in the three largest regions (Step Functions quotas). EventBridge tries again, which costs nothing."""

POLLERS: Final = 5
"""Readers of a queue: Lambda's for SQS are five (Lambda Developer Guide), taken to be true of Pipes as well."""
POLL_SECONDS: Final = 20
"""The longest that SQS lets a reader wait for a message; an empty answer is billed as well."""
RECEIVE_MESSAGES: Final = 10
"""Messages in one ReceiveMessage or DeleteMessageBatch. Receives are counted as if each found one message only."""

CREATE_BURST: Final = 10
CREATES_A_SECOND: Final = 0.5
"""CreateInvalidation for an account: an SDK maintainer gave 0.5 a second; users were throttled after 6 to 15 calls."""

TRACED_SHARE: Final = 0.05
"""X-Ray's default rule: the first request of each second, and this share of the others."""

LOG_EVENT_BYTES: Final = 26
"""CloudWatch Logs adds this to each event (CloudWatch Logs quotas, PutLogEvents)."""

TABLE_KEY_MINUTES: Final = 5
"""DynamoDB asks KMS for a table's key again after so long (DynamoDB Developer Guide, "Encryption at rest")."""


def listed() -> list[tuple[str, float]]:
    """Names and values, for the results."""
    numbers = [(name.lower(), value) for name, value in globals().items() if name.isupper() and name != "SECONDS"]
    return [(f"{each.name}, seconds", getattr(SECONDS, each.name)) for each in fields(SECONDS)] + numbers
