"""Each metric that an alarm or the dashboard names is emitted by a function, and none that nobody reads."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any

from tests.definition import ROOT, resources

NAMESPACE = "CloudFrontAutoInvalidation"


def _emitted(*, dashboard_only: bool) -> set[str]:
    """The metrics that the handlers emit: for an alarm, or for the dashboard only."""
    trees = [ast.parse(source.read_text()) for source in (ROOT / "functions").glob("*/app.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = {
        part.value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "emit_metric"
        if dashboard_only == any(each.arg == "dashboard_only" for each in call.keywords)
        for part in ast.walk(call.args[0])
        if isinstance(part, ast.Constant)
    }
    return {name for name in found if isinstance(name, str) and name[0].isupper()}


def _of_alarms() -> Iterator[str]:
    for alarm in resources("AWS::CloudWatch::Alarm").values():
        metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
        for metric in [alarm, *metrics]:
            if metric.get("Namespace") == NAMESPACE:
                yield metric["MetricName"]


def _of_the_dashboard() -> Iterator[str]:
    (dashboard,) = resources("AWS::CloudWatch::Dashboard").values()
    body: dict[str, Any] = json.loads(dashboard["DashboardBody"]["Fn::Sub"])
    for widget in body["widgets"]:
        yield from (line[1] for line in widget["properties"]["metrics"] if line[0] == NAMESPACE)


def test_the_alarms_read_just_the_metrics_that_are_emitted_for_them() -> None:
    named = set(_of_alarms())
    assert named
    assert named == _emitted(dashboard_only=False)


def test_the_dashboard_shows_just_the_metrics_that_are_emitted() -> None:
    assert set(_of_the_dashboard()) == _emitted(dashboard_only=False) | _emitted(dashboard_only=True)


def test_the_namespace_and_the_dimension_are_those_of_the_functions() -> None:
    dimensions = [
        alarm["Dimensions"] for alarm in resources("AWS::CloudWatch::Alarm").values() if "Dimensions" in alarm
    ]
    ours = [each for each in dimensions if each[0]["Name"] == "service"]
    assert ours
    assert all(each[0]["Value"] == {"Ref": "AWS::StackName"} for each in ours)
    text = (ROOT / "template.yaml").read_text()
    assert f"POWERTOOLS_METRICS_NAMESPACE: {NAMESPACE}" in text
    assert "POWERTOOLS_SERVICE_NAME: !Ref AWS::StackName" in text
