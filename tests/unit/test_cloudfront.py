"""The adapter on moto, which is faithful for what it has; what moto lacks is in ``test_cloudfront_answers.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from invalidation.cloudfront.client import CloudFront
from invalidation.cloudfront.routing import served
from invalidation.cloudfront.rules import PathRules
from invalidation.errors import NoSuchDistribution, NoSuchInvalidation

if TYPE_CHECKING:
    from mypy_boto3_cloudfront import CloudFrontClient

OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Counting:
    """A client that counts its calls by name."""

    def __init__(self, client: CloudFrontClient) -> None:
        self.calls: list[str] = []
        client.meta.events.register("before-call.cloudfront", self._count)

    def _count(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)


@pytest.fixture
def client() -> Iterator[CloudFrontClient]:
    with mock_aws():
        yield boto3.client("cloudfront", region_name="us-east-1", aws_access_key_id="made", aws_secret_access_key="up")


def create(client: CloudFrontClient, domain_name: str, **settings: Any) -> str:
    config: Any = {
        "CallerReference": domain_name + repr(settings),
        "Comment": "",
        "Enabled": True,
        "Origins": {
            "Quantity": 1,
            "Items": [{"Id": "o", "DomainName": domain_name, "S3OriginConfig": {"OriginAccessIdentity": ""}}],
        },
        "DefaultCacheBehavior": {
            "TargetOriginId": "o",
            "ViewerProtocolPolicy": "allow-all",
            "CachePolicyId": OPTIMIZED,
        },
    }
    return client.create_distribution(DistributionConfig=config | settings)["Distribution"]["Id"]


def test_an_account_without_distributions_has_none(client: CloudFrontClient) -> None:
    assert CloudFront(client).distributions_serving("site") == []
    assert CloudFront(client).distributions("site") == []


def test_the_distributions_of_the_bucket_are_found_and_read_in_full(client: CloudFrontClient) -> None:
    first = create(client, "site.s3.eu-west-1.amazonaws.com", DefaultRootObject="index.html")
    create(client, "site-staging.s3.eu-west-1.amazonaws.com")
    second = create(client, "SITE.s3.amazonaws.com", Enabled=False)
    found = {each.id: each for each in CloudFront(client).distributions_serving("site")}
    assert found.keys() == {first, second}
    assert served(found[first], "index.html", PathRules()).paths == ("/", "/index.html")
    assert found[first].domain_name.endswith(".cloudfront.net")
    assert not found[second].enabled


def test_for_explaining_every_distribution_is_there(client: CloudFrontClient) -> None:
    ours = create(client, "site.s3.amazonaws.com")
    alias = create(client, "reader-abcdef-s3alias.s3.eu-west-1.amazonaws.com")
    found = {each.id: each for each in CloudFront(client).distributions("site")}
    assert [each.id for each in found.values() if each.origins] == [ours]
    assert found[alias].unrecognised == ("reader-abcdef-s3alias.s3.eu-west-1.amazonaws.com",)


def test_named_distributions_are_not_listed_and_their_unknown_origins_are_the_bucket(client: CloudFrontClient) -> None:
    named = create(client, "reader-abcdef-s3alias.s3.eu-west-1.amazonaws.com")
    counting = Counting(client)
    found = CloudFront(client).distributions_serving("site", named=[named, "E00000000000", named])
    assert [each.id for each in found] == [named, "E00000000000"]
    assert [served(each, "a.css", PathRules()).paths for each in found] == [("/a.css",), ("/a.css",)]
    assert counting.calls == ["GetDistributionConfig", "GetDistributionConfig"]


def test_a_named_distribution_that_does_not_exist_fails_by_itself(client: CloudFrontClient) -> None:
    cloudfront = CloudFront(client)
    (missing,) = cloudfront.distributions_serving("site", named=["E00000000000"])
    (target,) = cloudfront.targets(missing)
    with pytest.raises(NoSuchDistribution, match="DistributionIds"):
        cloudfront.create_invalidation(target, ["/a.css"], "reference")


def test_what_was_found_is_kept_for_a_while_and_then_looked_for_again(client: CloudFrontClient) -> None:
    clock = Clock()
    cloudfront = CloudFront(client, cache_seconds=60, clock=clock)
    first = create(client, "site.s3.amazonaws.com")
    assert [each.id for each in cloudfront.distributions_serving("site")] == [first]
    counting = Counting(client)
    second = create(client, "site.s3.eu-west-1.amazonaws.com")
    clock.now += 59
    assert [each.id for each in cloudfront.distributions_serving("site")] == [first]
    assert counting.calls == ["CreateDistribution"]
    assert {each.id for each in cloudfront.distributions_serving("site", fresh=True)} == {first, second}
    clock.now += 59
    assert {each.id for each in cloudfront.distributions_serving("site")} == {first, second}
    third = create(client, "site.s3.eu-west-2.amazonaws.com")
    clock.now += 2
    assert {each.id for each in cloudfront.distributions_serving("site")} == {first, second, third}


def test_that_there_is_none_is_never_concluded_from_what_was_kept(client: CloudFrontClient) -> None:
    cloudfront = CloudFront(client, clock=Clock())
    assert cloudfront.distributions_serving("site") == []
    created = create(client, "site.s3.amazonaws.com")
    assert [each.id for each in cloudfront.distributions_serving("site")] == [created]


def test_one_bucket_s_distributions_are_not_kept_for_another(client: CloudFrontClient) -> None:
    cloudfront = CloudFront(client, clock=Clock())
    site, blog = create(client, "site.s3.amazonaws.com"), create(client, "blog.s3.amazonaws.com")
    assert [each.id for each in cloudfront.distributions_serving("site")] == [site]
    assert [each.id for each in cloudfront.distributions_serving("blog")] == [blog]
    assert [each.id for each in cloudfront.distributions_serving("site", named=[blog])] == [blog]


def test_a_caller_cannot_spoil_what_is_kept(client: CloudFrontClient) -> None:
    cloudfront = CloudFront(client, clock=Clock())
    create(client, "site.s3.amazonaws.com")
    found = cloudfront.distributions_serving("site")
    found += found
    assert len(cloudfront.distributions_serving("site")) == 1


def test_one_distribution_by_its_id(client: CloudFrontClient) -> None:
    created = create(client, "site.s3.amazonaws.com")
    cloudfront = CloudFront(client)
    assert cloudfront.distribution(created).origins == ()
    assert cloudfront.distribution(created, "site").origins[0].id == "o"
    with pytest.raises(NoSuchDistribution, match=r"GetDistributionConfig on distribution/E00000000000"):
        cloudfront.distribution("E00000000000")


def test_an_invalidation_is_created_with_its_paths_and_reference_and_can_be_looked_at(client: CloudFrontClient) -> None:
    created = create(client, "site.s3.amazonaws.com")
    cloudfront = CloudFront(client)
    (target,) = cloudfront.targets(cloudfront.distribution(created))
    made = cloudfront.create_invalidation(target, ("/a.css", "/caf%C3%A9*"), "batch.E1.1.abc")
    assert cloudfront.get_invalidation(str(target), made.id) == made
    batch = client.get_invalidation(DistributionId=created, Id=made.id)["Invalidation"]["InvalidationBatch"]
    assert batch["Paths"] == {"Quantity": 2, "Items": ["/a.css", "/caf%C3%A9*"]}
    assert batch["CallerReference"] == "batch.E1.1.abc"
    assert made.create_time.tzinfo is not None


def test_an_invalidation_that_nobody_knows(client: CloudFrontClient) -> None:
    created = create(client, "site.s3.amazonaws.com")
    with pytest.raises(NoSuchInvalidation):
        CloudFront(client).get_invalidation(created, "I0000")
