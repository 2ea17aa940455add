"""A batch table in memory, with DynamoDB's semantics: what the contract tests hold it to.

Every request goes through ``_request``, which a simulation overrides to interleave, kill, lose and repeat requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from invalidation.batches.table import VERSION, Index, Item, Key, Page

T = TypeVar("T")


class MemoryTable:
    """Implements ``BatchTable``.

    Args:
        shards: over how many partitions pending items are spread.
        page_size: items in one page of a query, however many are asked for.
    """

    def __init__(self, shards: int = 16, page_size: int = 100) -> None:
        self.shards = shards
        self.page_size = page_size
        self.partitions: dict[str, dict[str, Item]] = {}

    def _request(self, operation: str, key: Key, effect: Callable[[], T]) -> T:
        """One request. ``effect`` is atomic, and can be applied again, as when the SDK repeats a request."""
        del operation, key
        return effect()

    def find(self, key: Key) -> Item | None:
        """Look without a request: for assertions."""
        return self.partitions.get(key.pk, {}).get(key.sk)

    def get(self, key: Key) -> Item | None:
        def effect() -> Item | None:
            item = self.find(key)
            return None if item is None else dict(item)

        return self._request("get", key, effect)

    def get_all(self, keys: Iterable[Key]) -> list[Item]:
        wanted = list(dict.fromkeys(keys))
        found: list[Item] = []
        for at in range(0, len(wanted), 100):
            some = wanted[at : at + 100]
            effect = partial(self._found, some)
            found += self._request("get_all", some[0], effect)
        return found

    def ensure(self, key: Key) -> None:
        self.update(key, {"v": VERSION}, {"v": None})

    def put(self, item: Item) -> None:
        self._request("put", _key_of(item), lambda: self._write(item))

    def put_new(self, item: Item) -> bool:
        key = _key_of(item)

        def effect() -> bool:
            if self.find(key) is not None:
                return False
            self._write(item)
            return True

        return self._request("put_new", key, effect)

    def put_all(self, items: Iterable[Item]) -> None:
        for item in items:
            self.put(item)

    def update(self, key: Key, assign: Mapping[str, Any], expect: Mapping[str, Any]) -> Item | None:
        def effect() -> Item | None:
            found = self.find(key) or {}
            if any(found.get(name) != value for name, value in expect.items()):
                return None
            changed = {**found, "pk": key.pk, "sk": key.sk, **assign}
            self._write({name: value for name, value in changed.items() if value is not None})
            return dict(self.partitions[key.pk][key.sk])

        return self._request("update", key, effect)

    def add(self, key: Key, attribute: str, number: int) -> int:
        def effect() -> int:
            found = self.find(key) or {}
            total = int(found.get(attribute, 0)) + number
            self._write({"v": VERSION, **found, "pk": key.pk, "sk": key.sk, attribute: total})
            return total

        return self._request("add", key, effect)

    def delete_all(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._request("delete", key, partial(self._remove, key))

    def page(self, pk: str, prefix: str = "", *, after: Key | None = None, limit: int = 0, keys: bool = False) -> Page:
        def effect() -> Page:
            partition = self.partitions.get(pk, {})
            found = sorted(sk for sk in partition if sk.startswith(prefix) and (after is None or sk > after.sk))
            size = min(limit or self.page_size, self.page_size)
            items = tuple(_outline(partition[sk]) if keys else dict(partition[sk]) for sk in found[:size])
            return Page(items, Key(pk, found[size - 1]) if len(found) > size else None)

        return self._request("page", Key(pk, prefix), effect)

    def index_page(
        self,
        index: Index,
        value: str,
        *,
        since: str = "",
        until: str = "",
        after: Key | None = None,
        limit: int = 0,
        oldest_first: bool = False,
    ) -> Page:
        def effect() -> Page:
            found = [
                Key(pk, sk)
                for pk, partition in self.partitions.items()
                if since <= pk and (not until or pk <= until)
                for sk, item in partition.items()
                if item.get(index.value) == value
                and (after is None or ((pk, sk) > after if oldest_first else (pk, sk) < after))
            ]
            found.sort(reverse=not oldest_first)
            size = min(limit or self.page_size, self.page_size)
            items = tuple({"pk": key.pk, "sk": key.sk} for key in found[:size])
            return Page(items, found[size - 1] if len(found) > size else None)

        return self._request("index_page", Key(index.value, value), effect)

    def _found(self, keys: Iterable[Key]) -> list[Item]:
        return [dict(item) for key in keys if (item := self.find(key)) is not None]

    def _write(self, item: Item) -> None:
        self.partitions.setdefault(item["pk"], {})[item["sk"]] = dict(item)

    def _remove(self, key: Key) -> None:
        self.partitions.get(key.pk, {}).pop(key.sk, None)


def _outline(item: Item) -> Item:
    return {name: item[name] for name in ("pk", "sk", "v", "expiresAt") if name in item}


def _key_of(item: Item) -> Key:
    return Key(item["pk"], item["sk"])
