"""What the stack costs in a month in which nothing changes."""

from __future__ import annotations

from benchmarks.calibration import Calibration
from benchmarks.cloud.account import Account, alarm_metrics, keys, sweeps_a_month
from benchmarks.cloud.assumed import POLL_SECONDS, POLLERS
from benchmarks.cloud.clock import Process
from benchmarks.cloud.usage import HOURS_A_MONTH, Meter, Usage

SWEEPS = 12
"""That many are run: an hour of them, of which one is cold. Workers that run every five minutes stay warm for long."""
PAUSE = 300.0


def idle_month(calibration: Calibration) -> Usage:
    """Alarms, the key, the pipe that polls an empty queue, and the real sweep on its schedule, cold once an hour."""
    account = Account()
    account.change(["index.html"], 1)  # so that there is a bucket to look after
    usage, before = account.usage, dict(account.usage.metered)
    account.functions.work.clear()
    for _ in range(SWEEPS):
        account.clock.begin(_pause())
        account.clock.run()
        account.run("SweepFunction", {"time": account.clock.now().isoformat(timespec="seconds")})
    work = account.functions.work["SweepFunction"]
    work.cold_starts = 1
    month = Usage()
    for meter, amount in usage.metered.items():
        month.add(meter, (amount - before.get(meter, 0)) * sweeps_a_month(HOURS_A_MONTH) / SWEEPS)
    month.add(
        Meter.LAMBDA_GB_SECONDS,
        calibration.gb_seconds("SweepFunction", work) * sweeps_a_month(HOURS_A_MONTH) / SWEEPS,
    )
    month.add(Meter.ALARM_MONTHS, alarm_metrics())
    month.add(Meter.KEY_MONTHS, keys())
    month.add(Meter.SQS_REQUESTS, POLLERS * HOURS_A_MONTH * 3600 / POLL_SECONDS)
    month.add(Meter.LOG_GB_MONTHS, month[Meter.LOG_GB])
    return month


def idle_queue() -> Usage:
    """A queue with Lambda's readers on it, in which nothing comes: all that the batching rival costs then."""
    month = Usage()
    month.add(Meter.SQS_REQUESTS, POLLERS * HOURS_A_MONTH * 3600 / POLL_SECONDS)
    return month


def _pause() -> Process[None]:
    yield PAUSE
