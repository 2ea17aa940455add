"""Adapter: how many paths this stack has invalidated this month, as CloudWatch has counted them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

DAY = 86_400


def paths_this_month(client: CloudWatchClient, namespace: str, service: str, now: datetime) -> int:
    """The month's paths up to now, in UTC, as the bill counts them. A few minutes behind, as CloudWatch is."""
    answer = client.get_metric_statistics(
        Namespace=namespace,
        MetricName="PathsInvalidated",
        Dimensions=[{"Name": "service", "Value": service}],
        StartTime=now.replace(day=1, hour=0, minute=0, second=0, microsecond=0),
        EndTime=now,
        Period=DAY,
        Statistics=["Sum"],
    )
    return round(sum(point["Sum"] for point in answer["Datapoints"]))
