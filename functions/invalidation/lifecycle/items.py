"""What every item has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invalidation.errors import RecordsOfLaterRelease
from invalidation.lifecycle.table import Item, Key

VERSION = 1
"""Of the items' form, in every item as ``v``: a later release can tell what an earlier one wrote.

It is raised only where an earlier release would misread what a later one writes; what is added beside the rest, and may
be absent, needs no new number. Earlier numbers are read for as long as such items can be in a table.
"""


def blank(key: Key) -> Item:
    return {"pk": key.pk, "sk": key.sk, "v": VERSION}


def readable(item: Item) -> Item:
    """The item, if this release knows its form: any that it or an earlier one wrote.

    Raises:
        RecordsOfLaterRelease: it does not, for the stack was set back to an earlier release.
    """
    version = item.get("v", VERSION)
    if version > VERSION:
        raise RecordsOfLaterRelease(
            f"{item['pk']} / {item['sk']} in the batch table has form {version}, and this release knows {VERSION} at "
            "most: a later release wrote it. It is left as it is; deploy that one again, or a later one, to continue it"
        )
    return item


def known(document: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is unknown or empty: an absent attribute costs nothing and reads back as its default."""
    return {name: value for name, value in document.items() if value not in (None, "", False, (), [], {})}
