"""What every handler has around it: structured logs that name the execution and the bucket, and metrics in EMF.

The only module that knows Powertools. A log line of any function can be found by the ``execution`` and ``bucket`` keys.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

Event = dict[str, Any]
Handler = Callable[[Event, Any], Any]


def in_ascii(line: dict[str, Any]) -> str:
    """A log line as JSON in ASCII: nothing in a key can end the line, turn its direction, or steer a terminal."""
    return json.dumps(line, default=str, separators=(",", ":")).replace("\x7f", "\\u007f")


logger = Logger(json_serializer=in_ascii)
metrics = Metrics()


def observed(handler: Handler) -> Handler:
    """Wrap a handler: correlation keys on each log line, metrics flushed at the end, failures logged by name."""

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


def count(name: str, value: float = 1, unit: MetricUnit = MetricUnit.Count) -> None:
    """Add to a metric of this invocation. Names are listed in the README; each costs $0.30 a month while in use."""
    metrics.add_metric(name=name, unit=unit, value=value)


def seconds(name: str, value: float) -> None:
    """Add a duration to this invocation's metrics."""
    count(name, value, MetricUnit.Seconds)


def flush() -> None:
    """Write this invocation's metrics, where there are any, as one EMF line."""
    if metrics.metric_set:
        metrics.flush_metrics()
