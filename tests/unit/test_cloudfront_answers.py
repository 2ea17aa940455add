"""The adapter on botocore's Stubber: pages, tenants, policies and errors, which moto does not have."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.stub import Stubber

from invalidation.cloudfront.client import CloudFront, Invalidation, adapted, cloudfront_client
from invalidation.cloudfront.distribution import Distribution, has_origin, outline
from invalidation.errors import (
    AccessDenied,
    CloudFrontThrottled,
    CloudFrontUnavailable,
    InvalidationError,
    InvalidationRefused,
    NoSuchDistribution,
    TooManyInvalidationsInProgress,
    TooManyTenants,
)
from tests.unit.cloudfront_documents import (
    THEN,
    config,
    custom_policy,
    invalidation,
    page,
    quantity,
    summary,
    tenant,
)

if TYPE_CHECKING:
    from mypy_boto3_cloudfront import CloudFrontClient

TENANTS = Distribution("E1", "site", tenant_only=True)


@pytest.fixture
def client() -> CloudFrontClient:
    return boto3.client(
        "cloudfront",
        region_name="us-east-1",
        aws_access_key_id="made",
        aws_secret_access_key="up",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def stub(client: CloudFrontClient) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_a_configuration_is_read_again_when_the_listing_shows_another_etag_and_not_before(
    client: CloudFrontClient, stub: Stubber
) -> None:
    def listed(etag: str) -> None:
        stub.add_response("list_distributions", page({**summary("E1", "site.s3.amazonaws.com"), "ETag": etag}), {})

    def configured(root: str) -> None:
        answer = config()
        answer["DistributionConfig"]["DefaultRootObject"] = root
        stub.add_response("get_distribution_config", answer, {"Id": "E1"})

    cloudfront = CloudFront(client, cache_seconds=0)
    listed("E2A")
    configured("old.html")
    listed("E2A")
    listed("E2B")
    configured("new.html")
    listed("")
    configured("newest.html")
    found = [cloudfront.distributions_serving("site")[0].default_root_object for _ in range(4)]
    assert found == ["old.html", "old.html", "new.html", "newest.html"], "without an ETag it is always read"


def test_every_page_is_read_and_the_configuration_of_the_few_that_matter(
    client: CloudFrontClient, stub: Stubber
) -> None:
    stub.add_response("list_distributions", page(summary("E1", "a.s3.amazonaws.com"), next_marker="m"), {})
    stub.add_response("list_distributions", page(next_marker="n"), {"Marker": "m"})
    stub.add_response("list_distributions", page(summary("E3", "site.s3.amazonaws.com")), {"Marker": "n"})
    stub.add_response("get_distribution_config", config(), {"Id": "E3"})
    (found,) = CloudFront(client).distributions_serving("site")
    assert (found.id, found.domain_name) == ("E3", "e3.cloudfront.net")


def test_a_distribution_that_is_deleted_while_it_is_listed_is_left_out(client: CloudFrontClient, stub: Stubber) -> None:
    both = page(summary("E1", "site.s3.amazonaws.com"), summary("E2", "site.s3.amazonaws.com"))
    stub.add_response("list_distributions", both)
    stub.add_client_error("get_distribution_config", "NoSuchDistribution", http_status_code=404)
    stub.add_response("get_distribution_config", config(), {"Id": "E2"})
    assert [each.id for each in CloudFront(client).distributions_serving("site")] == ["E2"]


@pytest.mark.parametrize(("behavior", "caches"), [("none", False), ("all", True)])
def test_a_custom_cache_policy_is_read_once_for_a_while(
    client: CloudFrontClient, stub: Stubber, behavior: str, caches: bool
) -> None:
    now = [0.0]
    cloudfront = CloudFront(client, cache_seconds=60, clock=lambda: now[0])
    stub.add_response("get_distribution_config", config("p"), {"Id": "E1"})
    stub.add_response("get_cache_policy", custom_policy(behavior), {"Id": "p"})
    stub.add_response("get_distribution_config", config("p"), {"Id": "E2"})
    read = [cloudfront.distribution(each, "site") for each in ("E1", "E2")]
    assert [each.behaviors[0].query_strings for each in read] == [caches, caches]
    now[0] = 61
    stub.add_response("get_distribution_config", config("p"), {"Id": "E3"})
    stub.add_response("get_cache_policy", custom_policy("whitelist"), {"Id": "p"})
    assert cloudfront.distribution("E3", "site").behaviors[0].query_strings


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("NoSuchCachePolicy", 404)])
def test_a_cache_policy_that_may_not_be_read_is_taken_to_cache_query_strings(
    client: CloudFrontClient, stub: Stubber, code: str, status: int
) -> None:
    stub.add_response("get_distribution_config", config("p"), {"Id": "E1"})
    stub.add_client_error("get_cache_policy", code, http_status_code=status)
    assert CloudFront(client).distribution("E1", "site").behaviors[0].query_strings


def test_a_cache_policy_that_cannot_be_read_just_now_is_tried_again(client: CloudFrontClient, stub: Stubber) -> None:
    stub.add_response("get_distribution_config", config("p"), {"Id": "E1"})
    stub.add_client_error("get_cache_policy", "Throttling", http_status_code=400)
    with pytest.raises(CloudFrontThrottled):
        CloudFront(client).distribution("E1", "site")


def test_an_ordinary_distribution_is_its_own_target_without_a_call(client: CloudFrontClient, stub: Stubber) -> None:
    assert CloudFront(client).targets(Distribution("E1", "site")) == ("E1",)
    stub.assert_no_pending_responses()


def test_a_multi_tenant_distribution_is_invalidated_by_its_enabled_tenants(
    client: CloudFrontClient, stub: Stubber
) -> None:
    asked = {"AssociationFilter": {"DistributionId": "E1"}}
    first = {"DistributionTenantList": [tenant("dt_b"), tenant("dt_off", Enabled=False)], "NextMarker": "m"}
    stub.add_response("list_distribution_tenants", first, asked)
    stub.add_response(
        "list_distribution_tenants", {"DistributionTenantList": [tenant("dt_a", Enabled=True)]}, asked | {"Marker": "m"}
    )
    assert CloudFront(client).targets(TENANTS) == ("E1/dt_a", "E1/dt_b")


def test_a_multi_tenant_distribution_may_have_no_tenant(client: CloudFrontClient, stub: Stubber) -> None:
    stub.add_response("list_distribution_tenants", {})
    assert CloudFront(client).targets(TENANTS) == ()


@pytest.mark.parametrize(("tenants", "too_many"), [(2, False), (3, True)])
def test_more_tenants_than_the_cap_have_an_error_of_their_own(
    client: CloudFrontClient, stub: Stubber, tenants: int, too_many: bool
) -> None:
    listed = [tenant(f"dt_{number}") for number in range(tenants)]
    stub.add_response("list_distribution_tenants", {"DistributionTenantList": listed})
    cloudfront = CloudFront(client, max_tenants=2)
    if too_many:
        with pytest.raises(TooManyTenants, match=r"E1 has more than 2 enabled tenants"):
            cloudfront.targets(TENANTS)
    else:
        assert len(cloudfront.targets(TENANTS)) == 2


def test_a_tenant_has_invalidations_of_its_own(client: CloudFrontClient, stub: Stubber) -> None:
    batch = {"Paths": quantity("/a"), "CallerReference": "r"}
    stub.add_response(
        "create_invalidation_for_distribution_tenant",
        invalidation() | {"Location": "l"},
        {"Id": "dt_a", "InvalidationBatch": batch},
    )
    stub.add_response(
        "get_invalidation_for_distribution_tenant",
        invalidation("Completed"),
        {"DistributionTenantId": "dt_a", "Id": "I1"},
    )
    cloudfront = CloudFront(client)
    created = cloudfront.create_invalidation("E1/dt_a", ["/a"], "r")
    assert created == Invalidation("I1", "InProgress", THEN)
    assert not created.completed
    assert cloudfront.get_invalidation("E1/dt_a", created.id).completed


REFUSALS = [
    ("AccessDenied", 403, AccessDenied),
    ("NoSuchDistribution", 404, NoSuchDistribution),
    ("InvalidationBatchAlreadyExists", 409, InvalidationRefused),
    ("TooManyInvalidationsInProgress", 400, TooManyInvalidationsInProgress),
    ("Throttling", 400, CloudFrontThrottled),
    ("ServiceUnavailable", 503, CloudFrontUnavailable),
]


@pytest.mark.parametrize("refused", REFUSALS, ids=[refused[0] for refused in REFUSALS])
@pytest.mark.parametrize(
    ("target", "call"),
    [
        ("E1", "CreateInvalidation on distribution/E1"),
        ("E1/dt_a", "CreateInvalidationForDistributionTenant on distribution-tenant/dt_a"),
    ],
)
def test_a_refused_invalidation_is_a_named_error_without_a_chain(
    client: CloudFrontClient, stub: Stubber, refused: tuple[str, int, type[InvalidationError]], target: str, call: str
) -> None:
    code, status, error = refused
    operation = "create_invalidation_for_distribution_tenant" if "Tenant" in call else "create_invalidation"
    stub.add_client_error(operation, code, "as CloudFront puts it", http_status_code=status)
    with pytest.raises(error) as raised:
        CloudFront(client).create_invalidation(target, ["/a"], "r")
    assert str(raised.value).startswith(f"{call}: {code} (as CloudFront puts it). ")
    assert raised.value.__suppress_context__
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("problem", "error"),
    [
        (EndpointConnectionError(endpoint_url="https://cloudfront.amazonaws.com"), CloudFrontUnavailable),
        (ConnectTimeoutError(endpoint_url="https://cloudfront.amazonaws.com"), CloudFrontUnavailable),
        (ReadTimeoutError(endpoint_url="https://cloudfront.amazonaws.com"), CloudFrontUnavailable),
        (NoCredentialsError(), AccessDenied),
        (ParamValidationError(report="Paths"), InvalidationRefused),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_botocore_raises_by_itself_has_a_name_too(
    client: CloudFrontClient, problem: Exception, error: type[InvalidationError]
) -> None:
    def fail(**_: Any) -> None:
        raise problem

    client.meta.events.register("before-call.cloudfront", fail)
    with pytest.raises(error, match=f"GetInvalidation on distribution/E1: {type(problem).__name__}"):
        CloudFront(client).get_invalidation("E1", "I1")


@pytest.mark.parametrize(
    ("operation", "ask", "grant"),
    [
        ("list_distributions", lambda c: c.distributions_serving("site"), r"cloudfront:ListDistributions on \* "),
        ("get_distribution_config", lambda c: c.distribution("E1"), "cloudfront:GetDistributionConfig on arn:"),
        ("list_distribution_tenants", lambda c: c.targets(TENANTS), r"cloudfront:ListDistributionTenants on \* "),
        ("get_invalidation", lambda c: c.get_invalidation("E1", "I1"), "cloudfront:GetInvalidation on arn:"),
        (
            "get_invalidation_for_distribution_tenant",
            lambda c: c.get_invalidation("E1/dt_a", "I1"),
            r"cloudfront:GetInvalidationForDistributionTenant on arn:\S+:distribution-tenant/dt_a ",
        ),
    ],
)
def test_a_denied_call_says_what_to_grant(
    client: CloudFrontClient, stub: Stubber, operation: str, ask: Any, grant: str
) -> None:
    stub.add_client_error(operation, "AccessDenied", http_status_code=403)
    with pytest.raises(AccessDenied, match=grant):
        ask(CloudFront(client))


def refusing(monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, str]) -> tuple[CloudFront, list[str]]:
    """The functions' own client, whose requests get these answers one after the other, and what was asked."""
    for name, value in (("ACCESS_KEY_ID", "made"), ("SECRET_ACCESS_KEY", "up"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    client, asked, left = cloudfront_client(), list[str](), list(answers)

    def answer(request: Any, **_more: Any) -> AWSResponse:
        asked.append(request.method)
        status, code = left.pop(0)
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"
        return AWSResponse(request.url, status, HTTPHeaders(), SimpleNamespace(stream=lambda: [body.encode()]))

    events: Any = client.meta.events
    events.register("before-send.cloudfront", answer)
    return CloudFront(client), asked


@pytest.mark.parametrize("target", ["E1", "E1/dt_abc"])
@pytest.mark.parametrize(
    ("status", "code"), [(400, "Throttling"), (400, "ThrottlingException"), (429, "TooManyRequestsException")]
)
def test_an_invalidation_that_is_throttled_is_not_sent_again_as_it_is(
    monkeypatch: pytest.MonkeyPatch, target: str, status: int, code: str
) -> None:
    cloudfront, asked = refusing(monkeypatch, (status, code))
    with pytest.raises(CloudFrontThrottled, match=r"Rate exceeded"):
        cloudfront.create_invalidation(target, ["/a/*", "/b/*"], "reference")
    assert asked == ["POST"]


def test_an_invalidation_that_a_server_has_failed_at_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cloudfront, asked = refusing(monkeypatch, (503, "ServiceUnavailable"), (400, "TooManyInvalidationsInProgress"))
    with pytest.raises(TooManyInvalidationsInProgress):
        cloudfront.create_invalidation("E1", ["/a/*"], "reference")
    assert len(asked) == 2


def listing(*elements: str) -> str:
    """A page of ListDistributions, whole as CloudFront writes it; the distributions have these elements besides."""
    origin = "<CustomHeaders><Quantity>0</Quantity></CustomHeaders><OriginPath>/v1</OriginPath>"
    summaries = "".join(
        f"<DistributionSummary><Id>E{number}</Id><ARN>arn</ARN><ETag>T{number}</ETag><Status>Deployed</Status>"
        f"<LastModifiedTime>2026-11-23T09:00:00Z</LastModifiedTime><DomainName>d{number}.cloudfront.net</DomainName>"
        f"<Aliases><Quantity>1</Quantity><Items><CNAME>www{number}.example.com</CNAME></Items></Aliases>"
        f"<Origins><Quantity>1</Quantity><Items><Origin><Id>o</Id><DomainName>{domain}</DomainName>{origin}"
        "</Origin></Items></Origins><DefaultCacheBehavior><TargetOriginId>o</TargetOriginId></DefaultCacheBehavior>"
        f"<Comment>&lt;b&gt; ü</Comment>{element}</DistributionSummary>"
        for number, (domain, element) in enumerate(
            zip(("site.s3.amazonaws.com", "other.s3.amazonaws.com", "example.com"), elements, strict=True)
        )
    )
    return (
        '<?xml version="1.0"?>\n<DistributionList xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/">'
        "<Marker></Marker><MaxItems>100</MaxItems><IsTruncated>false</IsTruncated><Quantity>3</Quantity>"
        f"<Items>{summaries}</Items></DistributionList>"
    )


@pytest.mark.parametrize("prepare", [lambda made: made, adapted], ids=["whole", "adapted"])
def test_a_listing_of_which_half_is_left_unread_says_the_same_of_every_distribution(prepare: Any) -> None:
    elements = (
        "<Enabled>true</Enabled><Staging>false</Staging>",
        "<Enabled>false</Enabled><Staging>true</Staging>",
        "<Enabled>true</Enabled><ConnectionMode>tenant-only</ConnectionMode>",
    )
    made: Any = prepare(boto3.client("cloudfront", aws_access_key_id="made", aws_secret_access_key="up"))

    def answer(request: Any, **_more: Any) -> AWSResponse:
        body = listing(*elements)
        return AWSResponse(request.url, 200, HTTPHeaders(), SimpleNamespace(stream=lambda: [body.encode()]))

    made.meta.events.register("before-send.cloudfront", answer)
    summaries = made.list_distributions()["DistributionList"]["Items"]
    assert [(each["Id"], each["ETag"], has_origin(each, "site")) for each in summaries] == [
        ("E0", "T0", True),
        ("E1", "T1", False),
        ("E2", "T2", False),
    ]
    assert [outline(each["Id"], "site", each) for each in summaries] == [
        Distribution(
            id=f"E{number}",
            bucket="site",
            domain_name=f"d{number}.cloudfront.net",
            aliases=(f"www{number}.example.com",),
            enabled=number != 1,
            staging=number == 1,
            tenant_only=number == 2,
            unrecognised=("example.com",) if number == 2 else (),
        )
        for number in range(3)
    ]
    assert ("Comment" in summaries[0]) == (prepare is not adapted)
