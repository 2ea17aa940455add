"""S3 events with keys in the form of a URL, as S3's own notifications have them: told to `/_local/encoded-keys`.

EventBridge's events have the key as it is. Nobody relies on a command that would find out if they had not, unless it
was seen finding out. Until a test tells it otherwise, keys are raw.
"""

from __future__ import annotations

from functools import wraps
from typing import Any
from urllib.parse import quote_plus

from ministack.services import s3

from invalidations_cli.local.patches import seam
from invalidations_cli.local.settings import LocalSettings
from tests.local.instruments import control

ENCODED = {"on": False}


def apply(_settings: LocalSettings) -> None:
    fire = seam(s3, "_fire_s3_event", "2ab38cfade76")

    @wraps(fire)
    def fire_encoded(bucket: str, key: str, *more: Any, **named: Any) -> None:
        fire(bucket, quote_plus(key, safe="/") if ENCODED["on"] else key, *more, **named)

    s3._fire_s3_event = fire_encoded
    control.offer("encoded-keys", set_encoded)


def set_encoded(order: Any) -> dict[str, bool]:
    if order is not None:
        ENCODED["on"] = bool(order["on"])
    return ENCODED
