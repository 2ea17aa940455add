"""Injects the faults that `faults.py` describes, sent to `/_local/faults`; until then there are none.

ministack never throttles, hangs, loses a worker or an event, or is stale; AWS is all that, some day.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import wraps
from random import Random
from typing import Any

import ministack.core.lambda_runtime as runtime
import ministack.services.eventbridge as events
from ministack import app
from ministack.core import iam_actions

from invalidations_cli.local.patches import cloudfront_edge_cache, seam
from invalidations_cli.local.settings import LocalSettings
from tests.local.instruments import control
from tests.local.instruments.faults import Fault

OF_A_FUNCTION = "ASIA"
"""How a role's temporary keys begin; the keys of whoever drives the emulator do not."""


class Faults:
    """What has been ordered, and what came of it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.random = Random(0)  # noqa: S311 - faults, no secrets
        self.ordered: list[Fault] = []
        self.struck: Counter[str] = Counter()
        self.left: Counter[str] = Counter()

    def answer(self, order: Any) -> dict[str, int]:
        if order is not None:
            with self.lock:
                self.random = Random(order["seed"])  # noqa: S311 - likewise
                self.ordered = [Fault(**fault) for fault in order["faults"]]
                self.left = Counter({fault.kind: fault.times for fault in self.ordered})
        return dict(self.struck)

    def strike(self, at: str, what: str) -> Fault | None:
        """The fault that strikes here, or, as a rule, none."""
        with self.lock:
            for fault in self.ordered:
                fits = fault.strikes == at and fnmatchcase(what, fault.on) and self.left[fault.kind] > 0
                if fits and self.random.random() < fault.share:
                    self.left[fault.kind] -= 1
                    self.struck[fault.kind] += 1
                    return fault
        return None

    def some_of(self, seconds: float) -> float:
        with self.lock:
            return self.random.uniform(0, seconds)


FAULTS = Faults()


def apply(_settings: LocalSettings) -> None:
    strike_at_requests()
    strike_at_workers()
    strike_at_events()
    strike_at_the_edge()
    control.offer("faults", FAULTS.answer)


def strike_at_requests() -> None:
    dispatch = seam(app, "_dispatch_service_request", "17e5ef6dcfa0")

    @wraps(dispatch)
    async def dispatch_unless_struck(  # noqa: PLR0917 - its signature is ministack's
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Sequence[str]], request_id: str
    ) -> Any:
        fault, service, action = None, "", ""
        if FAULTS.ordered and (app.extract_access_key_id(headers, query) or "").startswith(OF_A_FUNCTION):
            routing = app._routing_params(method, path, headers, body, query)
            service = app.detect_service(method, path, headers, routing)
            action = iam_actions.extract_iam_action(service, method, path, headers, body, routing) or ""
            fault = FAULTS.strike("request", action)
        if fault is None:
            return await dispatch(method, path, headers, body, query, request_id)
        answer = refusal(fault, service, action, request_id, headers)
        if fault.carried_out:
            carried_out = await dispatch(method, path, headers, body, query, request_id)
            answer = answer if fault.code else carried_out
        await asyncio.sleep(fault.seconds)
        return answer

    app._dispatch_service_request = dispatch_unless_struck


def refusal(fault: Fault, service: str, action: str, request_id: str, headers: dict[str, str]) -> Any:
    """The error, written as the service's protocol has it."""
    _status, answer_headers, text = iam_actions.access_denied_response(
        service, action, "", request_id, error_code=fault.code or "InternalError", message=fault.kind, headers=headers
    )
    return fault.status, answer_headers, text


def strike_at_workers() -> None:
    invoke = seam(runtime.Worker, "invoke", "96751a754710")

    @wraps(invoke)
    def invoke_unless_struck(worker: Any, *arguments: Any, **named: Any) -> Any:
        process = worker._proc
        lives = process is not None and process.poll() is None
        fault = FAULTS.strike("worker", worker.func_name) if lives and FAULTS.ordered else None
        if fault is None:
            return invoke(worker, *arguments, **named)
        executioner = threading.Timer(FAULTS.some_of(fault.seconds), kill, (process,))
        executioner.daemon = True
        executioner.start()
        result = invoke(worker, *arguments, **named)
        executioner.join()
        return result

    runtime.Worker.invoke = invoke_unless_struck


def kill(process: Any) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)


def strike_at_events() -> None:
    invoke_target = seam(events, "_invoke_target", "550e304af080")

    @wraps(invoke_target)
    def invoke_unless_struck(target: Any, event: dict[str, Any], *more: Any) -> None:
        fault = FAULTS.strike("event", event["DetailType"]) if event.get("Source") == "aws.s3" else None
        if fault is None or fault.carried_out:
            invoke_target(target, event, *more)
        if fault is not None:
            within = contextvars.copy_context()
            later = threading.Timer(FAULTS.some_of(fault.seconds), within.run, (invoke_target, target, event, *more))
            later.daemon = True
            later.start()

    events._invoke_target = invoke_unless_struck


def strike_at_the_edge() -> None:
    is_fresh = cloudfront_edge_cache.is_fresh

    def is_fresh_or_struck(copy: Any, place: tuple[str, str], settings: LocalSettings) -> bool:
        if is_fresh(copy, place, settings):
            return True
        return bool(FAULTS.ordered) and FAULTS.strike("edge", place[0]) is not None

    cloudfront_edge_cache.is_fresh = is_fresh_or_struck
