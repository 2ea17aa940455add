"""Counts requests for invalidations: `/_local/invalidations` gives how many were accepted, and how many refused."""

from __future__ import annotations

from invalidations_cli.local.patches.cloudfront_invalidations import ANSWERED
from invalidations_cli.local.settings import LocalSettings
from tests.local.instruments import control


def apply(_settings: LocalSettings) -> None:
    control.offer("invalidations", lambda _nothing: dict(ANSWERED))
