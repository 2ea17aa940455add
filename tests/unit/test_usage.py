"""What the month has cost so far is counted as the bill counts it: from the first of the month, in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from invalidation.usage import paths_this_month

NAMESPACE, SERVICE = "CloudFrontAutoInvalidation", "site"
NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)


@pytest.fixture
def cloudwatch() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("cloudwatch", region_name="eu-central-1")


def _count(client: Any, at: datetime, paths: float, **changed: Any) -> None:
    datum = {
        "MetricName": "PathsInvalidated",
        "Dimensions": [{"Name": "service", "Value": SERVICE}],
        "Timestamp": at,
        "Value": paths,
        **changed,
    }
    client.put_metric_data(Namespace=NAMESPACE, MetricData=[datum])


def test_a_month_without_invalidations_has_cost_nothing(cloudwatch: Any) -> None:
    assert paths_this_month(cloudwatch, NAMESPACE, SERVICE, NOW) == 0


def test_the_paths_of_all_days_of_the_month_are_added_up(cloudwatch: Any) -> None:
    for at in (NOW.replace(day=1, hour=0, minute=1), NOW - timedelta(days=3), NOW - timedelta(hours=1)):
        _count(cloudwatch, at, 30)
        _count(cloudwatch, at, 7)
    assert paths_this_month(cloudwatch, NAMESPACE, SERVICE, NOW) == 111


def test_other_months_other_stacks_and_other_metrics_do_not_count(cloudwatch: Any) -> None:
    _count(cloudwatch, NOW.replace(day=1, hour=0, minute=0) - timedelta(minutes=1), 1_000)
    _count(cloudwatch, NOW - timedelta(hours=1), 100, Dimensions=[{"Name": "service", "Value": "another"}])
    _count(cloudwatch, NOW - timedelta(hours=1), 10, MetricName="WildcardsInvalidated")
    assert paths_this_month(cloudwatch, NAMESPACE, SERVICE, NOW) == 0


class Asked:
    """What CloudWatch was asked."""

    def get_metric_statistics(self, **asked: Any) -> dict[str, Any]:
        self.asked = asked
        return {"Datapoints": [{"Sum": 0.1}] * 10}


@pytest.mark.parametrize("hour", [0, 23])
def test_the_question_is_for_whole_days_from_the_first_and_stays_within_one_answer(hour: int) -> None:
    """GetMetricStatistics gives at most 1,440 data points (CloudWatch API Reference)."""
    client: Any = Asked()
    now = datetime(2026, 12, 31, hour, tzinfo=UTC)
    assert paths_this_month(client, NAMESPACE, SERVICE, now) == 1, "floats that add up to a whole number"
    asked = client.asked
    assert asked["StartTime"] == datetime(2026, 12, 1, tzinfo=UTC)
    assert (asked["EndTime"], asked["Period"], asked["Statistics"]) == (now, 86_400, ["Sum"])
    assert (asked["EndTime"] - asked["StartTime"]).total_seconds() / asked["Period"] <= 31
