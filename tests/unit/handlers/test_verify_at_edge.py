"""Verify At Edge: CloudFront's word that an invalidation has completed is held against what viewers get."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from invalidation.batches.targets import Target
from invalidation.cloudfront.edge import EdgeAnswer, look
from invalidation.errors import EdgeStillStale
from tests.statemachine.site import Site
from tests.unit.handlers.invoking import Invoke

FUNCTION = "VerifyAtEdgeFunction"
OLD, NEW = '"old"', '"new"'


class Bucket:
    """An S3 client that knows some objects' ETags."""

    def __init__(self, **etags: str) -> None:
        self._etags = etags

    def head_object(self, **asked: str) -> dict[str, Any]:
        name = asked["Key"].removesuffix(".html")
        if name not in self._etags:
            raise ClientError({"Error": {"Code": "404", "Message": "Not Found"}}, "HeadObject")
        return {"ETag": self._etags[name]}


class Edge:
    """What one edge location gives, and who asked."""

    def __init__(self, **etags: str) -> None:
        self._etags = etags
        self.asked: list[tuple[str, str]] = []

    def __call__(self, host: str, path: str) -> EdgeAnswer:
        self.asked.append((host, path))
        etag = self._etags.get(path.strip("/").removesuffix(".html"))
        return EdgeAnswer(200, etag) if etag else EdgeAnswer(404, "")


def _verify(
    invoke: Invoke, site: Site, monkeypatch: pytest.MonkeyPatch, *, bucket: Bucket, edge: Edge, keys: list[str]
) -> Any:
    joined = invoke.join({"bucket": site.bucket, "keys": keys})
    invoke.resolve(joined)
    module = invoke.functions.module(FUNCTION)
    monkeypatch.setattr(module, "S3", bucket)
    monkeypatch.setattr(module, "look", partial(look, ask=edge))
    event = {"batchId": joined["batchId"], "bucket": site.bucket, "distributionId": site.distribution}
    try:
        return module.handler({**invoke.run(joined["leader"]), **event}, None)
    finally:
        recorded = Target.read(site.stack.table, joined["batchId"], site.distribution)
        assert [each["path"] for each in recorded.edge] == [path for _, path in edge.asked]


def test_fresh_content_is_told_path_by_path(site: Site, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = Edge(a=NEW)
    answer = _verify(invoke, site, monkeypatch, bucket=Bucket(a=NEW), edge=edge, keys=["a.html"])
    assert answer == {"looked": [{"path": "/a.html", "verdict": "Fresh", "stored": NEW, "served": NEW}]}
    assert edge.asked[0][0].endswith(".cloudfront.net")


def test_old_content_is_an_error_that_names_what_was_given(
    site: Site, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EdgeStillStale, match=r'/a\.html still gave "old", and the bucket holds "new"'):
        _verify(invoke, site, monkeypatch, bucket=Bucket(a=NEW), edge=Edge(a=OLD), keys=["a.html"])


def test_a_deleted_object_that_is_still_served_is_stale(
    site: Site, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EdgeStillStale):
        _verify(invoke, site, monkeypatch, bucket=Bucket(), edge=Edge(a=OLD), keys=["a.html"])


def test_a_few_of_many_keys_are_looked_at(site: Site, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    edge, keys = Edge(), [f"{name}.html" for name in "abcdef"]
    answer = _verify(invoke, site, monkeypatch, bucket=Bucket(), edge=edge, keys=keys)
    assert len(answer["looked"]) == len(edge.asked) == 3


def test_a_key_that_can_only_be_covered_by_a_wildcard_is_not_looked_at(
    site: Site, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _verify(invoke, site, monkeypatch, bucket=Bucket(), edge=Edge(), keys=["a*b"]) == {"looked": []}
