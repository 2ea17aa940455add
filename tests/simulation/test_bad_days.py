"""The bad days in short form: all is covered, every tick ends within its time, and no bucket waits behind them.

Their table is printed at the end of the run; `make soak` prints that of the whole days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.simulation.bad_days import CASES, HEADINGS, Case, line, line_of, run


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.failed)
def test_a_bad_day_is_survived(case: Case, record_property: Callable[[str, object], None]) -> None:
    result = run(case, case.short)
    record_property(line(*HEADINGS), line_of(result))
    assert result.lost == 0
    assert result.led == 1, "the bucket that waits beside has waited for longer than a tick"
    assert result.longest < 300
    assert result.good


def test_a_day_that_is_not_survived_is_told_of_in_the_table() -> None:
    good = run(CASES[2])
    assert line_of(good).endswith(" 0")
    assert line_of(replace(good, lost=3, led=7)).endswith("3, and another bucket waited for 7 ticks")
