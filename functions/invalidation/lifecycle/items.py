"""What every item has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invalidation.lifecycle.table import Item, Key

VERSION = 1
"""Of the items' form, in every item as ``v``: a later release can tell what an earlier one wrote."""


def blank(key: Key) -> Item:
    return {"pk": key.pk, "sk": key.sk, "v": VERSION}


def known(document: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is unknown or empty: an absent attribute costs nothing and reads back as its default."""
    return {name: value for name, value in document.items() if value not in (None, "", False, (), [], {})}
