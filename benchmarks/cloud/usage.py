"""The model's meters: what a run has used, in the units that AWS charges for, and what it did besides."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

HOURS_A_MONTH = 730


class Meter(StrEnum):
    """A line of the bill. The values are what the results call it."""

    PATHS = "CloudFront paths"
    TRANSITIONS = "state transitions"
    LAMBDA_REQUESTS = "Lambda invocations"
    LAMBDA_GB_SECONDS = "Lambda GB-seconds"
    WRITE_UNITS = "DynamoDB write units"
    READ_UNITS = "DynamoDB read units"
    TABLE_GB_MONTHS = "DynamoDB storage and backup, GB-months"
    S3_EVENTS = "S3 events on EventBridge"
    CUSTOM_EVENTS = "custom events on EventBridge"
    SQS_REQUESTS = "SQS requests"
    PIPE_REQUESTS = "Pipes requests of 64 KB"
    LOG_GB = "logs taken in, GB"
    LOG_GB_MONTHS = "logs kept, GB-months"
    METRIC_MONTHS = "custom metrics, months"
    ALARM_MONTHS = "alarms' metrics, months"
    KEY_MONTHS = "KMS keys, months"
    KMS_REQUESTS = "KMS requests"
    TRACES = "X-Ray traces"
    S3_LISTS = "S3 list requests"
    SNS_PUBLISHES = "SNS publishes"


@dataclass
class Usage:
    """Counted while a simulation runs.

    ``calls`` counts requests to AWS as ``service:Operation``; ``emitted`` holds each custom metric with each hour in
    which it was emitted, because that is how custom metrics are charged.
    """

    metered: Counter[Meter] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    executions: int = 0
    cold_starts: int = 0
    wildcards: int = 0
    emitted: set[tuple[str, int]] = field(default_factory=set)

    def add(self, meter: Meter, amount: float = 1) -> None:
        self.metered[meter] += amount  # type: ignore[assignment] # a Counter counts floats as well

    def __getitem__(self, meter: Meter) -> float:
        if meter is Meter.METRIC_MONTHS:
            return self.metered[meter] + len(self.emitted) / HOURS_A_MONTH
        return self.metered[meter]

    @property
    def cloudfront_calls(self) -> int:
        return sum(count for call, count in self.calls.items() if call.startswith("cloudfront:"))
