"""The sweep's handler: idle it starts nothing and counts nothing; doubled it starts nothing twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.statemachine import stack as stacks
from tests.statemachine.functions import throttled
from tests.statemachine.site import Site
from tests.statemachine.stack import Stack
from tests.unit.handlers.invoking import Invoke

TICK = {"time": "2026-11-12T09:17:00Z"}
ON_THE_HOUR = {"time": "2026-11-12T09:00:00Z"}


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack of its own: the sweep looks at everything in a stack."""
    with stacks.deployed() as deployed:
        yield deployed


def _metrics(text: str) -> dict[str, Any]:
    lines = [json.loads(line) for line in text.splitlines() if '"_aws"' in line]
    return {name: value for line in lines for name, value in line.items() if name not in {"_aws", "service"}}


def test_an_idle_sweep_starts_nothing_and_costs_no_metric(
    stack: Stack, invoke: Invoke, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke.handler("SweepFunction", TICK) == {"started": [], "unfinished": 0, "parked": 0}
    assert _metrics(capsys.readouterr().out) == {}
    assert stack.machine.executions() == []


def test_a_sweep_that_is_delivered_twice_starts_nothing_twice(site: Site, invoke: Invoke) -> None:
    site.stack.functions.fail("JoinBatchFunction", *[throttled() for _ in range(7)])
    site.put("a.html")
    names = [each["name"] for each in invoke.handler("SweepFunction", TICK)["started"]]
    assert names[0].startswith("replay-1-")
    started = site.stack.machine.executions()
    invoke.handler("SweepFunction", TICK)
    assert site.stack.machine.executions() == started
    assert {site.stack.machine.end(arn).status for arn in started[1:]} == {"SUCCEEDED"}
    assert site.invalidated == [["/a.html"]]


def test_parked_batches_are_counted_for_their_alarm(
    site: Site, invoke: Invoke, capsys: pytest.CaptureFixture[str]
) -> None:
    site.stack.functions.refuse("cloudfront:CreateInvalidation", "AccessDenied", 403)
    site.put("a.html")
    capsys.readouterr()
    assert invoke.handler("SweepFunction", TICK)["parked"] == 1
    assert _metrics(capsys.readouterr().out)["BatchesParked"] == [1]


def test_once_an_hour_the_months_paths_are_asked_for(stack: Stack, invoke: Invoke) -> None:
    invoke.handler("SweepFunction", TICK)
    asked = ("SweepFunction", "cloudwatch:GetMetricStatistics")
    assert asked not in stack.functions.calls
    invoke.handler("SweepFunction", ON_THE_HOUR)
    assert asked in stack.functions.calls
