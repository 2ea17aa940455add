"""The sweep's handler: idle it starts nothing and counts nothing; doubled it starts nothing twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.statemachine import stack as stacks
from tests.statemachine.functions import stumbled
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
    assert invoke.handler("SweepFunction", TICK) == {"started": [], "unfinished": 0, "parked": 0, "complete": True}
    assert _metrics(capsys.readouterr().out) == {}
    assert stack.machine.executions() == []


def test_a_sweep_that_is_delivered_twice_starts_nothing_twice(site: Site, invoke: Invoke) -> None:
    site.stack.functions.fail("JoinBatchFunction", *[stumbled() for _ in range(7)])
    site.put("a.html")
    names = [each["name"] for each in invoke.handler("SweepFunction", TICK)["started"]]
    assert names[0].startswith("replay-1-")
    started = site.stack.machine.executions()
    assert {site.stack.machine.end(arn).status for arn in started[1:]} == {"SUCCEEDED"}
    invoke.handler("SweepFunction", TICK)
    assert site.stack.machine.executions() == started
    assert site.invalidated == [["/a.html"]]


def test_parked_batches_are_counted_for_their_alarm(
    site: Site, invoke: Invoke, capsys: pytest.CaptureFixture[str]
) -> None:
    site.stack.functions.refuse("cloudfront:CreateInvalidation", "AccessDenied", 403)
    site.put("a.html")
    capsys.readouterr()
    assert invoke.handler("SweepFunction", TICK)["parked"] == 1
    assert _metrics(capsys.readouterr().out)["BatchesParked"] == [1]


def test_once_an_hour_the_budgets_alarm_is_told_of_paths_beyond_it(
    site: Site, invoke: Invoke, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("a.html", "b.html"):
        site.put(key)
    assert site.invalidated == [["/a.html"], ["/b.html"]]
    told = []
    for budget, tick in ((2, ON_THE_HOUR), (1, TICK), (1, ON_THE_HOUR)):
        capsys.readouterr()
        with site.stack.functions.with_environment("SweepFunction", MONTHLY_PATH_BUDGET=str(budget)):
            invoke.handler("SweepFunction", tick)
        told.append(_metrics(capsys.readouterr().out).get("PathsThisMonth"))
    assert told == [None, None, [2]]


def test_what_has_waited_for_too_long_is_told_to_its_alarm(
    site: Site, invoke: Invoke, capsys: pytest.CaptureFixture[str]
) -> None:
    site.stack.functions.refuse("cloudfront:CreateInvalidation", "ServiceUnavailable", 503, times=1_000)
    site.put("a.html")
    site.stack.functions.forgive()
    told = []
    for seconds in (3_600, 0):
        capsys.readouterr()
        with site.stack.functions.with_environment("SweepFunction", NO_COMPLETION_SECONDS=str(seconds)):
            assert invoke.handler("SweepFunction", TICK)["unfinished"] == 1
        told.append("OldestChange" in _metrics(capsys.readouterr().out))
    assert told == [False, True]
