"""Distributions of another account: its role is assumed when it is needed, renewed, and refused with what to do."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest

from invalidation.cloudfront.client import CloudFront, cloudfront_client, role_refusal
from invalidation.errors import AccessDenied, CloudFrontThrottled, CloudFrontUnavailable, InvalidationError

ROLE = "arn:aws:iam::210987654321:role/theirs"
OWN, THEIRS = "AKIAOWN0000000000000", "ASIATHEIRS0000000000"
NONE_LISTED = """<DistributionList xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Marker/><MaxItems>100</MaxItems>
<IsTruncated>false</IsTruncated><Quantity>0</Quantity></DistributionList>"""
ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>made-up</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>{until}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
DENIED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>User: x is not authorized to perform: sts:AssumeRole</Message></Error>
</ErrorResponse>"""


class Aws(BaseHTTPRequestHandler):
    """STS, which gets POSTs, and CloudFront, which gets GETs."""

    server: Any

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.assumed.append({name: value for name, (value,) in form.items()})
        if self.server.denies:
            self._answer(403, DENIED)
            return
        until = datetime.now(UTC) + timedelta(seconds=self.server.lifetimes.pop(0))
        self._answer(200, ASSUMED.format(key=THEIRS, until=until.isoformat()))

    def do_GET(self) -> None:
        (key,) = re.findall("Credential=([A-Z0-9]+)/", self.headers["Authorization"])
        self.server.listed_by.append((key, self.headers.get("X-Amz-Security-Token", "")))
        self._answer(200, NONE_LISTED)

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Aws)
    server.assumed, server.listed_by, server.denies, server.lifetimes = [], [], False, [3600] * 5
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
        "AWS_ACCESS_KEY_ID": OWN,
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "NO_PROXY": "127.0.0.1",
    }
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_CLOUDFRONT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_without_a_role_the_functions_own_credentials_are_used(aws: Any) -> None:
    cloudfront_client().list_distributions()
    assert aws.listed_by == [(OWN, "")]
    assert aws.assumed == []


def test_nobody_is_asked_before_the_first_call_so_that_the_function_starts_whatever_the_role_says(aws: Any) -> None:
    aws.denies = True
    cloudfront_client(ROLE, "shared-secret")
    assert aws.assumed == []


def test_the_role_is_assumed_with_its_external_id_and_its_credentials_are_used(aws: Any) -> None:
    cloudfront_client(ROLE, "shared-secret").list_distributions()
    (assumed,) = aws.assumed
    assert (assumed["Action"], assumed["RoleArn"], assumed["ExternalId"]) == ("AssumeRole", ROLE, "shared-secret")
    assert assumed["RoleSessionName"] == "cloudfront-auto-invalidation"
    assert aws.listed_by == [(THEIRS, "token")]


def test_no_external_id_is_sent_where_there_is_none(aws: Any) -> None:
    cloudfront_client(ROLE).list_distributions()
    assert "ExternalId" not in aws.assumed[0]


def test_the_role_is_assumed_once_for_many_calls_and_again_when_its_credentials_end(aws: Any) -> None:
    aws.lifetimes = [3600, 3600]
    lasting = cloudfront_client(ROLE)
    for _ in range(3):
        lasting.list_distributions()
    assert len(aws.assumed) == 1
    aws.lifetimes = [60, 3600]
    ending = cloudfront_client(ROLE)
    for _ in range(3):
        ending.list_distributions()
    assert len(aws.assumed) == 3


def test_a_role_that_may_not_be_assumed_is_a_named_error_that_says_what_to_look_at(aws: Any) -> None:
    aws.denies = True
    with pytest.raises(AccessDenied) as raised:
        CloudFront(cloudfront_client(ROLE, "wrong")).distributions_serving("my-site")
    message = str(raised.value)
    assert message.startswith("AssumeRole for ListDistributions on *: AccessDenied (User: x is not authorized")
    assert "DistributionRoleArn" in message
    assert "DistributionRoleExternalId" in message
    assert "Grant cloudfront:" not in message, "CloudFront was never asked"
    assert raised.value.__cause__ is None
    assert aws.listed_by == []


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("AccessDenied", 403, AccessDenied),
        ("RegionDisabledException", 403, AccessDenied),
        ("ValidationError", 400, AccessDenied),
        ("NoSuchEntity", 404, AccessDenied),
        ("Throttling", 400, CloudFrontThrottled),
        ("ExpiredToken", 400, CloudFrontUnavailable),
        ("InternalFailure", 500, CloudFrontUnavailable),
    ],
)
def test_what_sts_refuses_waits_for_a_person_unless_it_may_go_better_later(
    code: str, status: int, error: type[InvalidationError]
) -> None:
    refused = role_refusal("CreateInvalidation", "distribution/E1", code, status, "no, said STS")
    assert type(refused) is error
    assert str(refused).startswith(f"AssumeRole for CreateInvalidation on distribution/E1: {code} (no, said STS). ")
    assert ("DistributionRoleArn" in str(refused)) == (error is AccessDenied)
