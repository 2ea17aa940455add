"""What only S3 knows of a bucket: asked for when it matters, remembered, and never a reason to fail."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from invalidation.cloudfront.bucket import BucketReader, max_age
from invalidation.cloudfront.distribution import Website

DENIED = ClientError({"Error": {"Code": "AccessDenied"}}, "GetBucketWebsite")
UNREACHABLE = EndpointConnectionError(endpoint_url="https://s3.example")


class S3:
    """A boto3 client for S3 and S3 Control: what it answers, or raises, and what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[dict[str, Any]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.asked.append({"operation": operation, **arguments})
            answer = self.answers[operation]
            if isinstance(answer, list):
                answer = answer[sum(each["operation"] == operation for each in self.asked) - 1]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def reader(s3: S3, clock: Any = lambda: 0.0) -> BucketReader:
    made = BucketReader(lambda *_service, **_options: s3, clock)
    made.account = "123456789012"
    return made


def test_a_websites_documents_are_read_once_a_minute() -> None:
    now = [0.0]
    s3 = S3(get_bucket_website={"IndexDocument": {"Suffix": "default.html"}, "ErrorDocument": {"Key": "404.html"}})
    asked = reader(s3, lambda: now[0])
    assert asked.website("site") == asked.website("site") == Website("default.html", "404.html")
    assert len(s3.asked) == 1
    now[0] = 61.0
    asked.website("site")
    assert len(s3.asked) == 2


def test_a_website_that_only_redirects_has_no_documents() -> None:
    assert reader(S3(get_bucket_website={"RedirectAllRequestsTo": {"HostName": "x.org"}})).website("site") == Website(
        ""
    )


@pytest.mark.parametrize("error", [DENIED, UNREACHABLE])
def test_what_may_not_be_read_is_unknown(error: Exception) -> None:
    s3 = S3(get_bucket_website=error, list_access_points=error, list_multi_region_access_points=error)
    assert reader(s3).website("site") is None
    assert reader(s3).aliases("site") == frozenset()


def test_access_points_are_listed_page_by_page_in_every_region_that_has_them() -> None:
    s3 = S3(
        list_access_points=[
            {"AccessPointList": [{"Alias": "One-abc-s3alias"}, {"Name": "in a VPC only"}], "NextToken": "more"},
            {"AccessPointList": [{"Alias": "two-def-s3alias"}]},
        ],
        list_multi_region_access_points={
            "AccessPoints": [
                {"Alias": "ours.mrap", "Regions": [{"Bucket": "other"}, {"Bucket": "site"}]},
                {"Alias": "theirs.mrap", "Regions": [{"Bucket": "other"}]},
            ]
        },
    )
    assert reader(s3).aliases("site") == {"one-abc-s3alias", "two-def-s3alias", "ours.mrap"}
    assert s3.asked[1]["NextToken"] == "more"


def test_one_list_that_is_denied_does_not_hide_the_other() -> None:
    s3 = S3(list_access_points={"AccessPointList": [{"Alias": "a-s3alias"}]}, list_multi_region_access_points=DENIED)
    assert reader(s3).aliases("site") == {"a-s3alias"}


def test_without_an_account_nothing_is_listed() -> None:
    s3 = S3()
    asked = reader(s3)
    asked.account = ""
    assert asked.aliases("site") == frozenset()
    assert s3.asked == []


@pytest.mark.parametrize(
    ("stored", "seconds"),
    [
        ({}, 0),
        ({"CacheControl": "no-cache"}, 0),
        ({"CacheControl": "public, max-age=86400"}, 86_400),
        ({"CacheControl": "max-age=5, s-maxage=600"}, 600),
        ({"CacheControl": "S-MaxAge = 0, max-age=600"}, 0),
        ({"ExpiresString": "Thu, 01 Dec 2033 16:00:00 GMT"}, None),
    ],
)
def test_an_object_says_how_long_it_may_be_kept(stored: dict[str, str], seconds: int | None) -> None:
    assert max_age(S3(head_object=stored), "site", "404.html") == seconds  # type: ignore[arg-type] # a fake client


@pytest.mark.parametrize("error", [DENIED, UNREACHABLE])
def test_an_object_that_may_not_be_read_says_nothing(error: Exception) -> None:
    assert max_age(S3(head_object=error), "site", "404.html") is None  # type: ignore[arg-type] # a fake client
