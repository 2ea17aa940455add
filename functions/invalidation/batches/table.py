"""The batch table as a port with DynamoDB's guarantees, and where each item is stored.

The protocol's safety rests on four of them, which the contract tests check on every implementation: reads and queries
are strongly consistent, a conditional write is atomic, an update touches only the attributes that it names, and
nothing is promised across two items.

An item is a dict with ``pk`` and ``sk`` and values of str, int, bool, bytes, and lists and dicts of those. There are no
floats (DynamoDB has none), and an attribute that is unknown is absent, never null.

============================  =======================================  ============================================
pk                            sk                                       what
============================  =======================================  ============================================
``BUCKETS``                   ``<bucket>``                             a bucket that has had a change or a request
``PENDING#<bucket>#<shard>``  ``<sha-256 of the key>#<event id>``      an accepted change that no batch owns yet
``BUCKET#<bucket>``           ``HEAD``                                 the bucket's current batch
``BATCH#<id>``                ``META``                                 the batch record, which is the audit record
``BATCH#<id>``                ``KEYS#<attempt>#<number>``              a chunk of the frozen list of what it owns
``BATCH#<id>``                ``TARGET#<distribution>``                what it owes to one distribution
``BATCH#<id>``                ``INVALIDATION#<distribution>#<its id>`` an invalidation that was created for it
``CONFIGURATION#<id>``        ``ETAG``                                 a distribution's, as read at an ETag
``USAGE``                     ``<year>-<month>``, ``…-<day>``          how many paths that month, or day, has taken
``BATCH#<id>``                ``PLAN#<distribution>#<hash>#<number>``  a chunk of its frozen paths, where they are many
``CONTENT#<bucket>#<hash>``   ``ETAG``                                 a key's newest ETag, with ``SkipUnchanged``
``SWEEP``                     ``NOTES``, ``VISIT``, ``REPLAY``         how far the sweep has come, and when it was there
``REPLAY``                    ``<when it is due>#<hash of its ARN>``   an execution to look at: was its change accepted?
============================  =======================================  ============================================

What the protocol promises: from acceptance until an invalidation created after it exists for every distribution that
serves it, a change is in the table, as pending or owned by an unfinished batch, or it is owed by a parked batch that
somebody has been told of; or somebody has given it up, and the record says who and why. Any step may die at any point,
run twice, or come back late. Nothing but ``dynamodb`` knows DynamoDB, reads a clock, or sleeps: the table and the clock
are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol, TypeVar

T = TypeVar("T")

Item = dict[str, Any]

BUCKETS: Final = "BUCKETS"
BATCH: Final = "BATCH#"
USAGE: Final = "USAGE"
USAGE_OF_DAY: Final = "%Y-%m-%d"
"""How the day's item is named, by ``strftime``; days are in UTC, as the bill is."""

VERSION: Final = 1
"""Of the items' form, in every item as ``v``: a later release can tell what an earlier one wrote.

It is raised only where an earlier release would misread what a later one writes; what is added beside the rest, and may
be absent, needs no new number. Earlier numbers are read for as long as such items can be in a table.
"""

ATTEMPTS: Final = 10
"""Lost conditional writes in a row before giving up. Who loses reads what the winner wrote, and seldom loses again."""


class Key(NamedTuple):
    """An item's primary key."""

    pk: str
    sk: str


class Index(StrEnum):
    """The two sparse indexes. Each holds keys only, ordered by ``pk``, which for a batch begins with its time."""

    UNFINISHED = "unfinished"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a query. ``after`` is where the next page begins, None when this is the last."""

    items: tuple[Item, ...]
    after: Key | None


class BatchTable(Protocol):
    """A table of items. Every method is one request, or a loop of requests that succeed or fail one by one.

    All raise ``BatchTableUnavailable`` when DynamoDB throttles, fails or does not answer. The request may then have
    been carried out all the same: an answer can be lost after the write.
    """

    @property
    def shards(self) -> int:
        """Over how many partitions a bucket's pending items are spread; 1 to 16.

        A release may raise the number: where an item is pending is kept with it. None may lower it.
        """

    def get(self, key: Key) -> Item | None:
        """The item, strongly consistent."""

    def get_all(self, keys: Iterable[Key]) -> list[Item]:
        """The items that are there, in no order, each strongly consistent. One request for 100 keys."""

    def put(self, item: Item) -> None:
        """Write the item whether or not it is there."""

    def ensure(self, key: Key) -> None:
        """Create the item if it is missing. May be skipped when this very process has done so before."""

    def put_new(self, item: Item) -> bool:
        """Write the item unless there is one with its key.

        False does not prove that somebody else wrote it: an answer may have been lost and the request sent again.
        """

    def put_all(self, items: Iterable[Item]) -> None:
        """``put`` for each; some may have been written when this raises."""

    def update(self, key: Key, assign: Mapping[str, Any], expect: Mapping[str, Any]) -> Item | None:
        """Set the named attributes if those in ``expect`` have these values.

        None removes an attribute, and expects that one is absent.

        The item is created if it is missing and ``expect`` allows that. Returns the whole item as it is afterwards, or
        None when the expectation does not hold; what ``put_new`` says of False is true of None here.
        """

    def add(self, key: Key, attribute: str, number: int) -> int:
        """Add to a number, atomically, and return the new total. A missing item or attribute counts as 0.

        A negative number gives back what was added before. A request that is repeated after a lost answer adds twice.
        """

    def delete_all(self, keys: Iterable[Key]) -> None:
        """Delete each, whether or not it is there; some may be gone when this raises."""

    def page(self, pk: str, prefix: str = "", *, after: Key | None = None, limit: int = 0, keys: bool = False) -> Page:
        """Items of one partition whose ``sk`` begins with the prefix, in its order, strongly consistent.

        ``keys`` asks for ``pk``, ``sk``, ``v`` and ``expiresAt`` only. A page can be empty and not the last.
        """

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
        """Keys of the items whose index attribute is the value, **eventually** consistent. Newest first by default.

        ``since`` and ``until`` bound ``pk``, both inclusive; empty means no bound.
        """


def items(table: BatchTable, pk: str, prefix: str = "", *, keys: bool = False, page_size: int = 0) -> Iterator[Item]:
    """All pages of a partition, one at a time. Not a snapshot, but nothing that was there before is missed."""
    page = table.page(pk, prefix, limit=page_size, keys=keys)
    yield from page.items
    while page.after is not None:
        page = table.page(pk, prefix, after=page.after, limit=page_size, keys=keys)
        yield from page.items


def items_in_turn(table: BatchTable, pks: Iterable[str]) -> Iterator[Item]:
    """All items of several partitions, one of each in turn. What is done with them is spread over the partitions."""
    partitions = [items(table, pk) for pk in pks]
    while partitions:
        left = []
        for partition in partitions:
            item = next(partition, None)
            if item is not None:
                left.append(partition)
                yield item
        partitions = left


def indexed(
    table: BatchTable, index: Index, value: str, *, since: str = "", until: str = "", oldest_first: bool = False
) -> Iterator[Key]:
    """All pages of an index, one at a time."""
    after: Key | None = None
    while True:
        page = table.index_page(index, value, since=since, until=until, after=after, oldest_first=oldest_first)
        yield from (Key(item["pk"], item["sk"]) for item in page.items)
        after = page.after
        if after is None:
            return


def slices(many: Iterable[T], length: int) -> Iterator[list[T]]:
    """The same in lists of this length; the last may be shorter."""
    iterator = iter(many)
    while some := list(islice(iterator, length)):
        yield some
