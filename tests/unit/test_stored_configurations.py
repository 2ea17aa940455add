"""What was read of a distribution outlives the function that has read it, and is used under the same ETag only."""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.stub import Stubber

from invalidation.batches.table import VERSION, Item, Key
from invalidation.batches.targets import StoredConfigurations
from invalidation.cloudfront.client import CloudFront
from invalidation.errors import BatchTableUnavailable
from tests.fakes.memory_table import MemoryTable
from tests.unit.cloudfront_documents import THEN, config, page, quantity, summary

if TYPE_CHECKING:
    from mypy_boto3_cloudfront import CloudFrontClient

KEY = Key("CONFIGURATION#E1", "ETAG")
NEVER = "another.html"


class Asked:
    """CloudFront's answers, and how often it was asked for a configuration that was to be known."""

    def __init__(self, stub: Stubber, table: MemoryTable) -> None:
        self._stub = stub
        self._table = table

    def lists(self, etag: str = "E2A") -> None:
        self._stub.add_response("list_distributions", page({**summary("E1", "site.s3.amazonaws.com"), "ETag": etag}))

    def configures(self, root: str = "index.html", etag: str = "E2A", **more: Any) -> None:
        answer = config()
        answer["DistributionConfig"] |= {"DefaultRootObject": root, **more}
        self._stub.add_response("get_distribution_config", {**answer, "ETag": etag}, {"Id": "E1"})

    def cold(self, now: Callable[[], Any] = lambda: THEN) -> CloudFront:
        """As a worker that has just started has it. A call that is not expected fails."""
        client = cast("CloudFrontClient", self._stub.client)
        return CloudFront(client, configurations=StoredConfigurations(self._table, now))

    def root(self) -> str:
        """The root object, as a worker that has just started finds it."""
        (found,) = self.cold().distributions_serving("site")
        return found.default_root_object


class BrokenTable(MemoryTable):
    """A table that fails the named requests."""

    broken: frozenset[str] = frozenset()

    def _request(self, operation: str, key: Key, effect: Callable[[], Any]) -> Any:
        if operation in self.broken:
            raise BatchTableUnavailable("DynamoDB answered with ThrottlingException")
        return super()._request(operation, key, effect)


@pytest.fixture
def table() -> BrokenTable:
    return BrokenTable()


@pytest.fixture
def aws(table: BrokenTable) -> Iterator[Asked]:
    client = boto3.client("cloudfront", region_name="us-east-1", aws_access_key_id="made", aws_secret_access_key="up")
    with Stubber(client) as stub:
        yield Asked(stub, table)
        stub.assert_no_pending_responses()


def item_of(table: MemoryTable) -> Item:
    item = table.find(KEY)
    assert item is not None
    return item


def test_a_cold_function_reads_no_configuration_that_another_one_has_read(aws: Asked) -> None:
    aws.lists()
    aws.configures("index.html")
    aws.lists()
    assert [aws.root(), aws.root()] == ["index.html", "index.html"]


def test_another_etag_is_read_anew_and_kept_in_its_place(aws: Asked, table: MemoryTable) -> None:
    for etag, root in (("E2A", "old.html"), ("E2B", "new.html")):
        aws.lists(etag)
        aws.configures(root, etag)
    aws.lists("E2B")
    assert [aws.root(), aws.root(), aws.root()] == ["old.html", "new.html", "new.html"]
    assert len(table.partitions[KEY.pk]) == 1


def test_a_configuration_that_changed_since_it_was_listed_is_not_stored(aws: Asked, table: MemoryTable) -> None:
    aws.lists("E2A")
    aws.configures("new.html", "E2B")
    assert aws.root() == "new.html"
    assert table.find(KEY) is None


def test_one_process_asks_the_table_once(aws: Asked, table: BrokenTable) -> None:
    aws.lists()
    aws.configures()
    aws.root()
    cloudfront = aws.cold()
    aws.lists()
    cloudfront.distributions_serving("site", fresh=True)
    table.broken = frozenset({"get"})
    aws.lists()
    (found,) = cloudfront.distributions_serving("site", fresh=True)
    assert found.default_root_object == "index.html"


def test_without_a_listed_etag_nothing_is_looked_up_or_stored(aws: Asked, table: BrokenTable) -> None:
    aws.configures()
    aws.configures()
    aws.lists("")
    aws.configures()
    aws.cold().distribution("E1")
    aws.cold().distributions_serving("site", named=["E1"])
    assert aws.root() == "index.html"
    assert not table.partitions


def test_no_value_of_a_custom_header_reaches_the_table(aws: Asked, table: MemoryTable) -> None:
    header = {"HeaderName": "x-origin-verify", "HeaderValue": "a-shared-secret"}
    origin = {
        "Id": "o",
        "DomainName": "site.s3.amazonaws.com",
        "OriginPath": "/live",
        "CustomHeaders": quantity(header),
    }
    aws.lists()
    aws.configures(Origins=quantity(origin))
    (read,) = aws.cold().distributions_serving("site")
    aws.lists()
    (found,) = aws.cold().distributions_serving("site")
    assert found == read
    stored = zlib.decompress(item_of(table)["configuration"])
    assert b"site.s3.amazonaws.com" in stored
    assert b"a-shared-secret" not in stored
    assert b"CustomHeaders" not in stored


@pytest.mark.parametrize("operation", ["get", "put_new", "update"])
def test_a_table_that_fails_costs_a_call_and_no_batch(aws: Asked, table: BrokenTable, operation: str) -> None:
    if operation == "update":
        table.put({"pk": KEY.pk, "sk": KEY.sk, "v": VERSION, "version": "of another ETag"})
    table.broken = frozenset({operation})
    for _ in range(2):
        aws.lists()
        aws.configures()
        assert aws.root() == "index.html"


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param({"v": VERSION + 1}, id="a later release's"),
        pytest.param({"configuration": b"no zlib"}, id="not compressed"),
        pytest.param({"configuration": zlib.compress(b"{")}, id="not JSON"),
        pytest.param({"configuration": zlib.compress(b"\xff")}, id="not text"),
        pytest.param({"configuration": zlib.compress(b"[]")}, id="not an object"),
        pytest.param({"configuration": "text"}, id="not bytes"),
        pytest.param({"configuration": None}, id="without a configuration"),
        pytest.param({"version": None}, id="without a version"),
    ],
)
def test_an_item_that_cannot_be_read_is_as_good_as_none(aws: Asked, table: MemoryTable, damage: Item) -> None:
    aws.lists()
    aws.configures(NEVER)
    aws.root()
    table.update(KEY, damage, {})
    aws.lists()
    aws.configures()
    assert aws.root() == "index.html"


def test_a_later_release_s_item_stays_as_it_is(aws: Asked, table: MemoryTable) -> None:
    later = {"pk": KEY.pk, "sk": KEY.sk, "v": VERSION + 1, "whatItMeans": "something else"}
    table.put(later)
    aws.lists()
    aws.configures()
    assert aws.root() == "index.html"
    assert item_of(table) == later


def test_what_another_release_of_the_sdk_has_read_is_read_anew(aws: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.lists()
    aws.configures("index.html")
    aws.root()
    monkeypatch.setattr("invalidation.cloudfront.client.SDK", "1.0.0")
    aws.lists()
    aws.configures("members-that-were-unknown.html")
    assert aws.root() == "members-that-were-unknown.html"


def test_a_configuration_that_no_item_can_hold_is_read_each_time(aws: Asked, table: MemoryTable) -> None:
    for _ in range(2):
        aws.lists()
        aws.configures(Comment=secrets.token_hex(400_000))
        assert aws.root() == "index.html"
    assert table.find(KEY) is None


def test_an_item_expires_after_a_month_and_is_used_until_it_is_gone(aws: Asked, table: MemoryTable) -> None:
    aws.lists()
    aws.configures()
    aws.root()
    assert item_of(table)["expiresAt"] == (THEN + timedelta(days=30)).timestamp()
    aws.lists()
    (found,) = aws.cold(lambda: THEN + timedelta(days=31)).distributions_serving("site")
    assert found.default_root_object == "index.html"


def test_what_is_stored_is_the_whole_configuration_otherwise(aws: Asked, table: MemoryTable) -> None:
    aws.lists()
    aws.configures(Comment="Größe")
    aws.root()
    assert json.loads(zlib.decompress(item_of(table)["configuration"])) == {
        **config()["DistributionConfig"],
        "DefaultRootObject": "index.html",
        "Comment": "Größe",
    }
