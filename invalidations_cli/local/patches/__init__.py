"""Where ministack does otherwise than AWS, and it matters here: one module for each concern.

Each module says what is wrong, has one `apply(settings)`, and takes what it changes through `seam`, which fails loudly
if ministack no longer looks as it did when the patch was written. `tests/local/test_canaries.py` shows for each that
plain ministack still needs it, and that it helps. What only tests need lives with them, in `tests/local/instruments/`.

These modules are imported in the emulator's own process only.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from importlib.metadata import version
from types import ModuleType
from typing import Any

from invalidations_cli.local.settings import LocalSettings

VERSION = "1.5.33"


class PatchDoesNotFit(Exception):
    """The installed ministack is not the one that the patches were written for."""


def apply(settings: LocalSettings) -> None:
    """Apply the patches that the settings name; raises PatchDoesNotFit."""
    installed = version("ministack")
    if installed != VERSION:
        raise PatchDoesNotFit(
            f"ministack {installed} is installed, and the patches of the local AWS are for {VERSION}. "
            f"Install ministack=={VERSION}, or go through the patches and change VERSION there."
        )
    own = [f"{__name__}.{name}" for name in settings.patches]
    for module in (*own, *settings.extra_patches):
        importlib.import_module(module).apply(settings)


def seam(owner: ModuleType | type, name: str, expected: str) -> Any:
    """What stands at `owner.name`, if its source is what the patch was written for.

    `expected` is the first twelve hex digits of the SHA-256 of the source. A replacement that carries
    `functools.wraps` counts as what it wraps, so that two patches may share a seam.
    """
    original = getattr(owner, name, None)
    found = fingerprint(original) if original is not None else "nothing"
    if found != expected:
        raise PatchDoesNotFit(
            f"{owner.__name__}.{name} is not what the patch expects ({found}, not {expected}). "
            f"Read the patch and the function again, and fix one or the other."
        )
    return original


def fingerprint(thing: Any) -> str:
    source = thing if isinstance(thing, str) else inspect.getsource(thing)
    return hashlib.sha256(source.encode()).hexdigest()[:12]
