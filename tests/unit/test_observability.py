"""What every handler has around it: log lines that name the execution and the bucket, and metrics in EMF."""

from __future__ import annotations

import importlib
import io
import json
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from invalidation.errors import AccessDenied

EVENT = {"execution": "arn:…:execution:m:x", "bucket": "my-site", "batchId": "b", "distributionId": "E1"}
CONTEXT = SimpleNamespace(aws_request_id="request-1")


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module as a function loads it: it reads its environment then."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "a-site")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "CloudFrontAutoInvalidation")
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "INFO")
    monkeypatch.setenv("OBSERVABILITY", "Full")
    monkeypatch.delitem(sys.modules, "invalidation.observability", raising=False)
    module = importlib.import_module("invalidation.observability")
    module.logger.handlers[0].setStream(stream := io.StringIO())
    module.written = stream  # type: ignore[attr-defined] # for these tests
    yield module
    module.metrics.metric_set.clear()


def _lines(observed: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in observed.written.getvalue().splitlines()]


def _emf(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if '"_aws"' in line]


def test_a_handlers_answer_is_passed_on(observed: Any) -> None:
    assert observed.observed(lambda event, _: {"bucket": event["bucket"]})(EVENT, CONTEXT) == {"bucket": "my-site"}


def test_a_log_line_names_execution_bucket_batch_distribution_and_request(observed: Any) -> None:
    observed.observed(lambda *_: observed.logger.info("hello"))(EVENT, CONTEXT)
    (line,) = _lines(observed)
    assert (line["message"], line["service"]) == ("hello", "a-site")
    assert line["execution"] == EVENT["execution"]
    assert (line["bucket"], line["batch"], line["distribution"]) == ("my-site", "b", "E1")
    assert line["function_request_id"] == "request-1"


def test_the_names_of_one_invocation_are_not_left_for_the_next(observed: Any) -> None:
    handler = observed.observed(lambda *_: observed.logger.info("hello"))
    handler(EVENT, CONTEXT)
    handler({"execution": "another"}, None)
    assert (_lines(observed)[1]["bucket"], _lines(observed)[1]["batch"]) == ("", "")


def test_a_failure_is_logged_by_name_and_goes_on(observed: Any) -> None:
    def fail(*_: Any) -> None:
        raise AccessDenied("Grant it")

    with pytest.raises(AccessDenied, match="Grant it"):
        observed.observed(fail)(EVENT, CONTEXT)
    (line,) = _lines(observed)
    assert (line["level"], line["exception_name"], line["bucket"]) == ("ERROR", "AccessDenied", "my-site")


def test_metrics_are_written_as_one_emf_line_at_the_end(observed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def handle(*_: Any) -> None:
        observed.emit_metric("PathsInvalidated", 3, dashboard_only=True)
        observed.emit_metric("PathsInvalidated", 2, dashboard_only=True)
        observed.emit_metric("SecondsToComplete", 11.2, "Seconds", dashboard_only=True)

    observed.observed(handle)(EVENT, CONTEXT)
    (line,) = _emf(capsys.readouterr().out)
    (written,) = line["_aws"]["CloudWatchMetrics"]
    assert written["Namespace"] == "CloudFrontAutoInvalidation"
    assert written["Dimensions"] == [["service"]]
    assert {each["Name"]: each["Unit"] for each in written["Metrics"]} == {
        "PathsInvalidated": "Count",
        "SecondsToComplete": "Seconds",
    }
    assert (line["PathsInvalidated"], line["SecondsToComplete"], line["service"]) == ([3, 2], [11.2], "a-site")


def test_an_invocation_without_metrics_writes_none(observed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    observed.observed(lambda *_: None)(EVENT, CONTEXT)
    assert _emf(capsys.readouterr().out) == []


def test_what_was_counted_before_a_failure_is_written_all_the_same(
    observed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        observed.emit_metric("CloudFrontThrottles", dashboard_only=True)
        raise AccessDenied("Grant it")

    with pytest.raises(AccessDenied):
        observed.observed(fail)(EVENT, CONTEXT)
    (line,) = _emf(capsys.readouterr().out)
    assert line["CloudFrontThrottles"] == [1]


def test_without_a_dashboard_only_what_an_alarm_reads_is_written(
    observed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(observed, "HAS_DASHBOARD", False)

    def handle(*_: Any) -> None:
        observed.emit_metric("PathsInvalidated", 3, dashboard_only=True)
        observed.emit_metric("BatchesParked", 2)

    observed.observed(handle)(EVENT, CONTEXT)
    (line,) = _emf(capsys.readouterr().out)
    assert line["BatchesParked"] == [2]
    assert "PathsInvalidated" not in line
