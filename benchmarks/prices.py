"""The one table of prices, and the bill that it makes of a usage.

US East (N. Virginia), list prices as of November 2026, in US dollars, with no free tier taken off: what is free each
month for an account (1,000 paths, 4,000 transitions, 1 million SQS requests, ten metrics, ten alarms, 5 GB of logs,
100,000 traces, …) may be used up by something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cloud.usage import Meter, Usage
from invalidation.cloudfront.limits import DOLLARS_PER_PATH


@dataclass(frozen=True, slots=True)
class Price:
    """``dollars`` for ``units`` of the meter; ``source`` is a page of aws.amazon.com."""

    dollars: float
    units: int
    source: str
    note: str = ""

    def of(self, amount: float) -> float:
        return self.dollars * amount / self.units


PRICES: Mapping[Meter, Price] = {
    Meter.PATHS: Price(float(DOLLARS_PER_PATH), 1, "cloudfront/pricing", "a wildcard is one path"),
    Meter.TRANSITIONS: Price(0.025, 1_000, "step-functions/pricing", "Standard; each state entered, each retry"),
    Meter.LAMBDA_REQUESTS: Price(0.20, 1_000_000, "lambda/pricing"),
    Meter.LAMBDA_GB_SECONDS: Price(0.0000133334, 1, "lambda/pricing", "Arm; INIT is billed"),
    Meter.WRITE_UNITS: Price(0.625, 1_000_000, "dynamodb/pricing/on-demand"),
    Meter.READ_UNITS: Price(0.125, 1_000_000, "dynamodb/pricing/on-demand"),
    Meter.TABLE_GB_MONTHS: Price(0.45, 1, "dynamodb/pricing/on-demand", "0.25 storage, 0.20 point-in-time recovery"),
    Meter.S3_EVENTS: Price(1.00, 1_000_000, "eventbridge/pricing", "opt-in events of AWS services"),
    Meter.CUSTOM_EVENTS: Price(1.00, 1_000_000, "eventbridge/pricing", "for each 64 KB"),
    Meter.SQS_REQUESTS: Price(0.40, 1_000_000, "sqs/pricing", "empty receives as well"),
    Meter.PIPE_REQUESTS: Price(0.40, 1_000_000, "eventbridge/pricing", "for each 64 KB"),
    Meter.LOG_GB: Price(0.50, 1, "cloudwatch/pricing", "vended logs cost the same, up to 10 TB"),
    Meter.LOG_GB_MONTHS: Price(0.03, 1, "cloudwatch/pricing", "not compressed, to be on the safe side"),
    Meter.METRIC_MONTHS: Price(0.30, 1, "cloudwatch/pricing", "by the hour in which a metric is emitted"),
    Meter.ALARM_MONTHS: Price(0.10, 1, "cloudwatch/pricing", "for each metric that an alarm reads"),
    Meter.KEY_MONTHS: Price(1.00, 1, "kms/pricing", "$1 more after each of the first two rotations"),
    Meter.KMS_REQUESTS: Price(0.03, 10_000, "kms/pricing"),
    Meter.TRACES: Price(5.00, 1_000_000, "xray/pricing", "recorded ones"),
    Meter.S3_LISTS: Price(0.005, 1_000, "s3/pricing", "1,000 keys each; of a storm only"),
    Meter.SNS_PUBLISHES: Price(0.50, 1_000_000, "sns/pricing"),
}


def bill(usage: Usage) -> dict[Meter, float]:
    """Dollars for each meter that is not at zero."""
    return {meter: PRICES[meter].of(usage[meter]) for meter in Meter if usage[meter]}


def total(usage: Usage) -> float:
    return sum(bill(usage).values())


def besides_paths(usage: Usage) -> float:
    """The bill without CloudFront's paths."""
    return total(usage) - PRICES[Meter.PATHS].of(usage[Meter.PATHS])
