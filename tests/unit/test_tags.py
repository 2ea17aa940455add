"""Cache tags stand for paths where an object has them; where they cannot be read, or are too many, paths go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from invalidation.batches.head import Execution
from invalidation.batches.join import open_own_batch, open_paths_batch
from invalidation.batches.model import Batch
from invalidation.batches.targets import Target, freeze_targets
from invalidation.cloudfront.listing import BucketLister
from invalidation.cloudfront.plan import plan_paths
from invalidation.cloudfront.rules import Budget, InvalidateBy
from invalidation.cloudfront.tags import TagReader
from invalidation.events import Change
from tests.fakes.bucket import Bucket
from tests.fakes.memory_table import MemoryTable
from tests.statemachine.functions import Functions, parameters

NOW = datetime(2026, 11, 12, tzinfo=UTC)
FUNCTION = "CreateInvalidationFunction"
BUCKET, TAGGED = "my-site", "E2QWRUHAPOMQZL"
DOCUMENT: dict[str, Any] = {
    "id": TAGGED,
    "bucket": BUCKET,
    "origins": [{"id": "o", "domainName": f"{BUCKET}.s3.amazonaws.com"}],
    "behaviors": [{"pattern": "*", "originIds": ["o"]}],
    "tagHeader": "x-amz-meta-cache-tag",
}


# ---------------------------------------------------------------- what is read


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


def test_the_tags_are_those_in_the_objects_metadata(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="a b/ü.html", Metadata={"cache-tag": "blog, front", "other": "x"})
    assert TagReader(s3, BUCKET, "cache-tag")("a b/ü.html") == "blog, front"


def test_an_object_without_tags_and_one_that_is_gone_have_none(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="plain.html", Metadata={"other": "x"})
    read = TagReader(s3, BUCKET, "cache-tag")
    assert (read("plain.html"), read("gone.html")) == ("", "")


class FailingS3:
    """Counts how often it was asked, and answers with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def head_object(self, **_: Any) -> Any:
        self.asked += 1
        raise self.error


def _denied() -> ClientError:
    return ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")


def test_an_object_that_may_not_be_read_has_none_and_the_next_is_asked_for_all_the_same() -> None:
    denying: Any = FailingS3(_denied())
    read = TagReader(denying, BUCKET, "cache-tag")
    assert [read("a"), read("b")] == ["", ""]
    assert denying.asked == 2


def test_an_s3_that_does_not_answer_is_asked_once_and_not_for_every_object() -> None:
    silent: Any = FailingS3(ReadTimeoutError(endpoint_url="https://my-site.s3.amazonaws.com"))
    read = TagReader(silent, BUCKET, "cache-tag")
    assert [read("a"), read("b"), read("c")] == ["", "", ""]
    assert silent.asked == 1


# ---------------------------------------------------------------- what is planned


def test_tags_go_as_they_are_before_the_paths_which_are_planned() -> None:
    budget = Budget(max_exact_paths=2, max_cover_paths=1)
    planned = plan_paths(["/a/1", "#b", "/a/2", "#a", "/a/3", "#b"], budget)
    assert planned.paths == ("#a", "#b", "/a/*")
    assert [(each.path, each.asked) for each in planned.widened] == [("/a/*", 3)]
    assert planned.wildcards == 1


def test_tags_alone_are_an_invalidation_and_nothing_at_all_is_none() -> None:
    assert plan_paths(["#a"], Budget()).paths == ("#a",)
    assert plan_paths([], Budget()).paths == ()


# ---------------------------------------------------------------- what Create Invalidation makes of it


class FakeCloudFront:
    """Takes every invalidation and remembers its items."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []

    def targets(self, distribution: Any) -> tuple[str, ...]:
        return (distribution.id,)

    def create_invalidation(self, _target: Any, paths: Any, _reference: str) -> Any:
        self.sent.append(list(paths))
        return Created(f"I{len(self.sent)}")


class Created:
    completed = False
    create_time = NOW

    def __init__(self, invalidation_id: str) -> None:
        self.id = invalidation_id


class Site:
    """The handler of Create Invalidation over a table in memory, and a bucket whose objects have tags."""

    def __init__(self, app: ModuleType, patch: pytest.MonkeyPatch) -> None:
        self.app = app
        self.table, self.cloudfront, self.tags = MemoryTable(), FakeCloudFront(), dict[str, str]()
        self.looked_up: list[str] = []
        patch.setattr(app, "TABLE", self.table)
        patch.setattr(app, "CLOUDFRONT", self.cloudfront)
        patch.setattr(app, "s3", lambda: self)
        patch.setattr(app, "LISTER", BucketLister(self._bucket, lambda _reason: None))

    def _bucket(self) -> Any:
        return Bucket(self.tags)

    def head_object(self, **asked: str) -> Any:
        assert asked["Bucket"] == BUCKET
        self.looked_up.append(asked["Key"])
        if asked["Key"] not in self.tags:
            raise _denied()
        return {"Metadata": {"cache-tag": self.tags[asked["Key"]]}}

    def change(self, *keys: str) -> list[list[str]]:
        """What is sent for a batch of these keys."""
        run = Execution("arn:aws:states:us-east-1:123456789012:execution:s:x", NOW)
        changes = [Change(BUCKET, key, event_id="") for key in keys]
        joined = open_own_batch(self.table, BUCKET, changes, run, lambda: NOW, "attempt")
        return self._create(joined.batch_id)

    def ask_for(self, *paths: str) -> list[list[str]]:
        run = Execution("arn:aws:states:us-east-1:123456789012:execution:s:x", NOW)
        return self._create(open_paths_batch(self.table, TAGGED, paths, run, lambda: NOW, "attempt").batch_id)

    def _create(self, batch_id: str) -> list[list[str]]:
        freeze_targets(self.table, Batch.read(self.table, batch_id), {TAGGED: DOCUMENT})
        event = {"execution": "x", "batchId": batch_id, "bucket": BUCKET, "distributionId": TAGGED}
        self.app.handler({**event, "roomUntil": "2999-01-01T00:00:00+00:00"}, None)
        planned = Target.read(self.table, batch_id, TAGGED).plan
        assert planned is not None
        assert list(planned.sample) == self.cloudfront.sent[0][:30]
        return self.cloudfront.sent


@pytest.fixture(name="site_by")
def site_by_what(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[InvalidateBy], Site]]:
    """A site whose stack has this value for the parameter InvalidateBy."""
    functions = Functions({**parameters(), "BatchTable": "batches"}, datetime)
    with ExitStack() as stack:

        def site(by: InvalidateBy) -> Site:
            stack.enter_context(functions.with_environment(FUNCTION, INVALIDATE_BY=by.value))
            return Site(functions.module(FUNCTION), monkeypatch)

        yield site


@pytest.fixture
def site(site_by: Callable[[InvalidateBy], Site]) -> Site:
    return site_by(InvalidateBy.TAGS)


def test_objects_with_tags_are_invalidated_by_them_and_others_by_path(site: Site) -> None:
    site.tags = {"a.html": "blog, Front", "b.html": "blog"}
    assert site.change("a.html", "b.html", "deleted.html") == [["#blog", "#front", "/deleted.html"]]


def test_both_means_both(site_by: Callable[[InvalidateBy], Site]) -> None:
    site = site_by(InvalidateBy.BOTH)
    site.tags = {"a.html": "blog"}
    assert site.change("a.html") == [["#blog", "/a.html"]]


def test_paths_means_paths_and_reads_no_object(site_by: Callable[[InvalidateBy], Site]) -> None:
    site = site_by(InvalidateBy.PATHS)
    site.tags = {"a.html": "blog"}
    assert site.change("a.html") == [["/a.html"]]
    assert site.looked_up == []


@pytest.mark.parametrize("by", [InvalidateBy.TAGS, InvalidateBy.BOTH])
def test_too_many_tags_fall_back_to_paths(site_by: Callable[[InvalidateBy], Site], by: InvalidateBy) -> None:
    site = site_by(by)
    site.tags = {f"p/{number}.html": f"tag-{number}, everywhere" for number in range(31)}
    assert site.change(*site.tags) == [sorted(f"/{key}" for key in site.tags)]


def test_as_many_tags_as_paths_may_go_one_by_one_go(site: Site) -> None:
    site.tags = {f"p/{number}.html": f"tag-{number:02}" for number in range(30)}
    assert site.change(*site.tags) == [[f"#tag-{number:02}" for number in range(30)]]


def test_a_storm_of_objects_that_share_few_tags_costs_those_few(site: Site) -> None:
    site.tags = {f"p/{number}.html": "blog" for number in range(100)}
    assert site.change(*site.tags) == [["#blog"]]
    assert len(site.looked_up) == 100


def test_the_tags_of_more_than_a_hundred_objects_are_not_read(site: Site) -> None:
    site.tags = {f"p/{number}.html": "blog" for number in range(101)}
    assert site.change(*site.tags) == [sorted(f"/{key}" for key in site.tags)]
    assert site.looked_up == []


def test_tags_and_paths_that_somebody_asks_for_by_hand_go_however_many_they_are(site: Site) -> None:
    tags = [f"#tag-{number:02}" for number in range(40)]
    paths = [f"/p/{number:02}.html" for number in range(40)]
    assert site.ask_for(*tags, *paths) == [[*tags, *paths]]
