"""Structured logs and metrics (EMF) of every handler.

The only module that knows Powertools. A log line of any function can be found by the ``execution`` and ``bucket`` keys.

A custom metric costs $0.30 a month, by the hours in which it is emitted. So there are two kinds: what an alarm reads is
emitted when there is something to be alarmed of, and what only the dashboard shows where there is a dashboard
(``Observability: Full``). Whatever goes well costs nothing otherwise.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from invalidation.config import Settings

Event = dict[str, Any]
Handler = Callable[[Event, Any], Any]


def in_ascii(line: dict[str, Any]) -> str:
    """A log line as JSON in ASCII. Nothing in a key can end the line, turn its direction, or steer a terminal."""
    return json.dumps(line, default=str, separators=(",", ":")).replace("\x7f", "\\u007f")


logger = Logger(json_serializer=in_ascii)
metrics = Metrics()
HAS_DASHBOARD = Settings.from_environment(os.environ).observability == "Full"


def observed(handler: Handler) -> Handler:
    """Wrap a handler with correlation keys, metrics, and a log line for failures."""

    @functools.wraps(handler)
    def wrapper(event: Event, context: Any) -> Any:
        logger.append_keys(
            execution=event.get("execution", ""),
            bucket=event.get("bucket", ""),
            batch=event.get("batchId", ""),
            distribution=event.get("distributionId", ""),
            function_request_id=getattr(context, "aws_request_id", ""),
        )
        try:
            return handler(event, context)
        except Exception:
            logger.exception("The function failed")
            raise
        finally:
            flush()

    return wrapper


def emit_metric(name: str, value: float = 1, unit: str = "Count", *, dashboard_only: bool = False) -> None:
    """Emit a metric, or with ``dashboard_only`` do so where there is a dashboard.

    Alarms take silence for all being well.
    """
    if HAS_DASHBOARD or not dashboard_only:
        metrics.add_metric(name=name, unit=unit, value=value)


def flush() -> None:
    """Write this invocation's metrics, where there are any, as one EMF line."""
    if metrics.metric_set:
        metrics.flush_metrics()
