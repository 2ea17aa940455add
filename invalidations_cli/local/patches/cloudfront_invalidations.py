"""Invalidations take time, are checked, and have limits.

To ministack each one is Completed at once, every path is good, and there may be any number: polling, waiting for room
and splitting would never happen. Here they are InProgress for a while, there may be as many as the settings' quota
allows, and CreateTime has its milliseconds. AWS documents no message texts; these say what was wrong.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, now_iso
from ministack.services import cloudfront

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings

Invalidation = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]
Refusal = tuple[str, str, int]
"""Error code, message and HTTP status."""

LONGEST_PATH = 4000
UNSAFE = re.compile(r"[^!-~]|[\"<>#{}|\\^~\[\]`]|\*(?!$)")
"""What a path may not hold as it is: RFC 1738's unsafe characters, non-ASCII, and `*` anywhere but at the end."""

ANSWERED: Counter[str] = Counter()
"""How many new requests were accepted, and how many refused."""


class Rate:
    """What each account has been allowed within the last second. A second is scaled as every wait is."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.accepted: dict[str, list[tuple[float, int, int]]] = {}

    def refusal_of(self, paths: list[str], settings: LocalSettings) -> Refusal | None:
        wildcards = sum(path.endswith("*") and not path.startswith("#") for path in paths)
        if settings.rate_counts == "requests":
            wildcards = min(wildcards, 1)
        now = time.monotonic() / settings.wait_scale
        with self.lock:
            account = get_account_id()
            recent = [one for one in self.accepted.get(account, []) if one[0] > now - 1]
            if (
                sum(one[1] for one in recent) + len(paths) > settings.paths_a_second
                or sum(one[2] for one in recent) + wildcards > settings.wildcards_a_second
            ):
                return settings.rate_error, "Rate exceeded", 400
            self.accepted[account] = [*recent, (now, len(paths), wildcards)]
        return None


RATE = Rate()


def apply(settings: LocalSettings) -> None:
    take_time(settings)
    refuse(settings, "_create_invalidation", "801254ce5555", cloudfront._invalidations.get)
    refuse(
        settings,
        "_create_tenant_invalidation",
        "a58cca847601",
        lambda owner: cloudfront._tenant_invalidations.get(owner, []),
    )


def take_time(settings: LocalSettings) -> None:
    build = seam(cloudfront, "_build_invalidation_xml", "badd718d7dd3")
    seam(cloudfront, "_now_iso", "778fa6b8bda0")
    cloudfront._now_iso = now_iso

    def build_as_of_now(parent: Any, invalidation: Invalidation) -> None:
        settle(invalidation, settings)
        build(parent, invalidation)

    cloudfront._build_invalidation_xml = build_as_of_now


def settle(invalidation: Invalidation, settings: LocalSettings) -> None:
    """Bring the status up to date."""
    done = time.monotonic() >= completes_at(invalidation, settings)
    invalidation["Status"] = "Completed" if done else "InProgress"


def completes_at(invalidation: Invalidation, settings: LocalSettings) -> float:
    """When, by the monotonic clock, this invalidation is completed."""
    return float(invalidation.setdefault("born", time.monotonic())) + settings.invalidation_seconds


def refuse(settings: LocalSettings, name: str, expected: str, invalidations_of: Callable[[str], Any]) -> None:
    create = seam(cloudfront, name, expected)

    def create_unless_refused(owner: str, body: bytes) -> Response:
        batch, existing = cloudfront._parse_body(body), invalidations_of(owner)
        if batch is None or existing is None:
            return create(owner, body)  # type: ignore[no-any-return] # ministack is untyped
        reference = cloudfront._text(batch, "CallerReference")
        if any(one["InvalidationBatch"]["CallerReference"] == reference for one in existing):
            return create(owner, body)  # type: ignore[no-any-return] # ministack is untyped
        refusal = refusal_of(paths_in(batch), existing, settings)
        ANSWERED["refused" if refusal else "accepted"] += 1
        return cloudfront._error(*refusal) if refusal else create(owner, body)  # type: ignore[no-any-return] # likewise

    setattr(cloudfront, name, create_unless_refused)


def paths_in(batch: Any) -> list[str]:
    paths = cloudfront._find(batch, "Paths")
    items = cloudfront._find(paths, "Items") if paths is not None else None
    return [] if items is None else [item.text or "" for item in items]


def refusal_of(paths: list[str], existing: list[Invalidation], settings: LocalSettings) -> Refusal | None:
    """The error with which CloudFront would refuse these paths; None: it takes them."""
    wrong = [path for path in paths if not is_path(path)]
    if wrong or not paths or len(set(paths)) < len(paths):
        return "InvalidArgument", f"Your request contains one or more invalid invalidation paths: {wrong[:3]}", 400
    if len(paths) > settings.max_paths:
        return "BatchTooLarge", f"A request may hold {settings.max_paths} paths; this one holds {len(paths)}.", 413
    if settings.cloudfront_quota == "rate":
        return RATE.refusal_of(paths, settings)
    return None if settings.cloudfront_quota == "none" else refusal_in_progress(paths, existing, settings)


def refusal_in_progress(paths: list[str], existing: list[Invalidation], settings: LocalSettings) -> Refusal | None:
    running = list(paths)
    for invalidation in existing:
        settle(invalidation, settings)
        if invalidation["Status"] == "InProgress":
            running += invalidation["InvalidationBatch"]["Paths"]["Items"]
    wildcards = sum(path.endswith("*") for path in running)
    if wildcards > settings.max_wildcards or len(running) - wildcards > settings.max_paths:
        return "TooManyInvalidationsInProgress", "This would exceed what may be in progress at the same time.", 400
    return None


def is_path(path: str) -> bool:
    """Whether CloudFront takes this as a path, or as a cache tag (`#…`)."""
    return path.startswith("#") or (path.startswith("/") and len(path) <= LONGEST_PATH and not UNSAFE.search(path))
