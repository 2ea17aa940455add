"""The local edge as a viewer sees it: what is kept and for how long, websites, and what CloudFront would refuse."""

import http.client
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from invalidations_cli.local import site
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.patches.cloudfront_edge_cache import explicit_seconds, seconds_by_headers
from tests.local import distributions, tools
from tests.local.behaviours_of_resources import let_anybody_read, website
from tests.local.conftest import Emulators

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("emulators")]

CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
"""AWS's managed cache policy of that name (CloudFront Developer Guide, "Use managed cache policies")."""
FORBIDDEN = 403
"""What S3 answers for a key that is not there, to whoever may not list the bucket."""


@dataclass(frozen=True, slots=True)
class Seen:
    status: int
    body: str
    cache: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A bucket and a distribution in front of it."""

    aws: LocalAws
    bucket: str
    domain: str

    def put(self, key: str, body: str, **options: Any) -> None:
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body.encode(), **options)

    def moved(self, path: str) -> tuple[int, str | None]:
        with closing(http.client.HTTPConnection(urlsplit(self.aws.endpoint).netloc, timeout=60)) as connection:
            connection.request("GET", path, headers={"Host": self.domain})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Location")

    def view(self, path: str) -> Seen:
        with closing(http.client.HTTPConnection(urlsplit(self.aws.endpoint).netloc, timeout=60)) as connection:
            connection.request("GET", path, headers={"Host": self.domain})
            answer = connection.getresponse()
            cache = str(answer.getheader("X-Cache")).partition(" ")[0]
            return Seen(answer.status, answer.read().decode(), cache)


MakeEdge = Callable[..., Edge]


@pytest.fixture
def edge_of(emulators: Emulators) -> MakeEdge:
    def make(**configured: Any) -> Edge:
        aws, bucket = emulators.patched, tools.new_name()
        site.create_bucket(aws, bucket)
        document = distributions.configuration([distributions.s3_origin(bucket)], **configured)
        created = aws.client("cloudfront").create_distribution(DistributionConfig=document)["Distribution"]
        let_anybody_read(aws, bucket)
        return Edge(aws, bucket, created["DomainName"])

    return make


def error_pages(seconds: int) -> dict[str, Any]:
    """As for a single-page application: whatever is missing is answered with its start page."""
    response = {
        "ErrorCode": FORBIDDEN,
        "ResponsePagePath": "/index.html",
        "ResponseCode": "200",
        "ErrorCachingMinTTL": seconds,
    }
    return {"CustomErrorResponses": {"Quantity": 1, "Items": [response]}}


def test_an_object_is_kept_for_its_max_age_and_then_fetched_again(edge_of: MakeEdge) -> None:
    edge = edge_of()
    edge.put("a.html", "one", CacheControl="max-age=2")
    assert edge.view("/a.html") == Seen(200, "one", "Miss")
    edge.put("a.html", "two", CacheControl="max-age=2")
    assert edge.view("/a.html") == Seen(200, "one", "Hit")
    assert tools.eventually(lambda: edge.view("/a.html").body == "two")


def test_a_behaviour_that_never_caches_asks_the_origin_each_time_but_keeps_errors(edge_of: MakeEdge) -> None:
    edge = edge_of(cache_policy=CACHING_DISABLED)
    for body in ("one", "two"):
        edge.put("a.html", body, CacheControl="max-age=86400")
        assert edge.view("/a.html") == Seen(200, body, "Miss")
    assert edge.view("/missing.html").cache == "Error"
    edge.put("missing.html", "here")
    assert edge.view("/missing.html").status == FORBIDDEN


def test_an_error_page_is_kept_for_its_minimum_and_for_its_own_max_age(edge_of: MakeEdge) -> None:
    short, long = edge_of(**error_pages(1)), edge_of(**error_pages(1))
    for edge, options in ((short, {}), (long, {"CacheControl": "max-age=86400"})):
        edge.put("index.html", "one", **options)
        assert edge.view("/some/route").body == "one"
        edge.put("index.html", "two", **options)
    assert tools.eventually(lambda: short.view("/some/route").body == "two", 15)
    assert long.view("/some/route").body == "one"


def test_a_path_that_was_missing_is_found_ten_seconds_later_or_when_the_configuration_says(edge_of: MakeEdge) -> None:
    response = {"ErrorCode": FORBIDDEN, "ErrorCachingMinTTL": 0}
    edge = edge_of(CustomErrorResponses={"Quantity": 1, "Items": [response]})
    usual = edge_of()
    for each in (edge, usual):
        assert each.view("/new.html").status == FORBIDDEN
        each.put("new.html", "here")
    assert tools.eventually(lambda: edge.view("/new.html").body == "here", 5)
    assert usual.view("/new.html").status == FORBIDDEN


@pytest.mark.parametrize(
    ("headers", "ttls", "seconds"),
    [
        ({}, (0, 86400, 31536000), 86400),
        ({"cache-control": "max-age=60"}, (0, 86400, 31536000), 60),
        ({"cache-control": "max-age=60, s-maxage=5"}, (0, 86400, 31536000), 5),
        ({"cache-control": "max-age=60"}, (300, 86400, 31536000), 300),
        ({"cache-control": "max-age=99999999"}, (0, 86400, 31536000), 31536000),
        ({"cache-control": "no-cache"}, (0, 86400, 31536000), 0),
        ({"cache-control": "private, max-age=60"}, (1, 86400, 31536000), 1),
        ({"cache-control": "max-age=60"}, (0, 0, 0), 0),
        ({"expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, (0, 86400, 31536000), 0),
    ],
)
def test_headers_count_within_the_ttls_of_the_behaviour(
    headers: dict[str, str], ttls: tuple[float, float, float], seconds: float
) -> None:
    assert seconds_by_headers(headers, *ttls) == seconds


def test_expires_says_for_how_long() -> None:
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3600))
    assert 3500 < (explicit_seconds({"expires": later}) or 0) <= 3600
    assert explicit_seconds({"cache-control": "public"}) is None


def test_an_object_whose_key_begins_with_a_slash_is_found(edge_of: MakeEdge) -> None:
    edge = edge_of()
    edge.put("/x", "with a slash")
    edge.put("x", "without")
    assert edge.view("//x").body == "with a slash"
    assert edge.view("/x").body == "without"


def test_a_website_endpoint_has_its_own_index_and_error_document(emulators: Emulators) -> None:
    aws, bucket = emulators.patched, tools.new_name()
    website(aws, bucket, "default.html", "errors/404.html")
    created = aws.client("cloudfront").create_distribution(DistributionConfig=distributions.of_its_website(bucket))
    edge = Edge(aws, bucket, created["Distribution"]["DomainName"])
    edge.put("default.html", "the root")
    edge.put("docs/default.html", "a directory")
    edge.put("errors/404.html", "not here")
    assert edge.view("/").body == "the root"
    assert edge.view("/docs/").body == "a directory"
    assert edge.view("/docs").status == 302
    assert edge.view("/docs/default.html").body == "a directory"
    assert edge.view("/missing") == Seen(404, "not here", "Error")


def test_a_websites_routing_rules_redirect_by_a_keys_beginning_and_by_what_is_missing(emulators: Emulators) -> None:
    aws, bucket = emulators.patched, tools.new_name()
    moved = {
        "Condition": {"KeyPrefixEquals": "old/"},
        "Redirect": {"ReplaceKeyPrefixWith": "new/", "HttpRedirectCode": "302"},
    }
    gone = {
        "Condition": {"KeyPrefixEquals": "shop/", "HttpErrorCodeReturnedEquals": "404"},
        "Redirect": {"HostName": "shop.example.com", "Protocol": "https", "ReplaceKeyWith": "gone.html"},
    }
    website(aws, bucket, "index.html", RoutingRules=[moved, gone])
    created = aws.client("cloudfront").create_distribution(DistributionConfig=distributions.of_its_website(bucket))
    edge = Edge(aws, bucket, created["Distribution"]["DomainName"])
    edge.put("old/a.html", "never seen")
    edge.put("shop/here.html", "here")
    assert edge.moved("/old/a.html") == (302, f"http://{bucket}.s3-website-us-east-1.amazonaws.com/new/a.html")
    assert edge.moved("/shop/x.html") == (301, "https://shop.example.com/gone.html")
    assert edge.view("/shop/here.html").body == "here"
    assert edge.view("/missing.html").status == 404


def test_a_bucket_that_is_no_website_is_answered_as_s3_does(emulators: Emulators) -> None:
    aws, bucket = emulators.patched, tools.new_name()
    site.create_bucket(aws, bucket)
    created = aws.client("cloudfront").create_distribution(DistributionConfig=distributions.of_its_website(bucket))
    seen = Edge(aws, bucket, created["Distribution"]["DomainName"]).view("/")
    assert seen.status == 404
    assert "NoSuchWebsiteConfiguration" in seen.body


WEBSITE_ORIGIN = {
    "Id": "b",
    "DomainName": "b.s3-website-us-east-1.amazonaws.com",
    "OriginPath": "",
    "S3OriginConfig": {"OriginAccessIdentity": ""},
}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (distributions.configuration([WEBSITE_ORIGIN]), "InvalidArgument"),
        (distributions.on_a_pattern_only("b", "*.{css,js}"), "InvalidArgument"),
        (distributions.on_a_pattern_only("b", "/a b/*"), "InvalidArgument"),
        (distributions.on_a_pattern_only("b", "/a|b"), "InvalidArgument"),
    ],
    ids=["website as S3 origin", "braces", "space", "bar"],
)
def test_what_cloudfront_refuses_is_refused_when_it_is_created_and_when_it_is_updated(
    document: dict[str, Any], code: str, emulators: Emulators
) -> None:
    cloudfront = emulators.patched.client("cloudfront")
    with pytest.raises(ClientError, match=code):
        cloudfront.create_distribution(DistributionConfig=document)
    good = distributions.on_a_pattern_only("b", "/images/*.jp?g")
    created = cloudfront.create_distribution(DistributionConfig=good)
    with pytest.raises(ClientError, match=code):
        cloudfront.update_distribution(
            Id=created["Distribution"]["Id"],
            IfMatch=created["ETag"],
            DistributionConfig={**document, "CallerReference": good["CallerReference"]},
        )
