"""What the SDK takes of a processor for each call that the handlers make: their own clients, with the network cut off.

A request is built, signed and answered, and the answer is read; TLS, which no stand-in can show, is left out.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from xml.sax.saxutils import escape

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from benchmarks.cloud.cloudfront import PAGE, summary
from benchmarks.cloud.functions import Work, slower
from benchmarks.cloud.services import CREDENTIALS
from invalidation.batches.dynamodb import BATCH_WRITE, DYNAMODB_CONFIG
from invalidation.cloudfront.client import adapted

NAMESPACE = "http://cloudfront.amazonaws.com/doc/2020-05-31/"
LISTING = "cloudfront:ListDistributions"
LISTING_OF_RIVAL = f"{LISTING}, with boto3's defaults"
MANY = 100
"""Items in a page of a query, when the cost of one more is measured."""
ITEM = {
    "pk": {"S": "PENDING#my-site#0"},
    "sk": {"S": f"{'0' * 64}#17793124-05d4-b198-2fde-7ededc63b101"},
    "bucket": {"S": "my-site"},
    "key": {"S": "docs/latest/guide/page-000001/index.html"},
    "eventId": {"S": "17793124-05d4-b198-2fde-7ededc63b101"},
    "time": {"S": "2026-11-23T09:00:00Z"},
    "requester": {"S": "123456789012"},
    "sourceIp": {"S": "203.0.113.7"},
    "etag": {"S": "b1946ac92492d2347c6235b4d2611184"},
    "sequencer": {"S": "00617F08299329D18A"},
    "reason": {"S": "PutObject"},
    "v": {"N": "1"},
}
KEY = {name: ITEM[name] for name in ("pk", "sk")}
INVALIDATION = {
    "Id": "I2QWRUHAPOMQZL",
    "Status": "InProgress",
    "CreateTime": "2026-11-23T09:00:00Z",
    "InvalidationBatch": {"Paths": {"Quantity": 1, "Items": ["/index.html"]}, "CallerReference": "reference"},
}


@dataclass(frozen=True, slots=True)
class Calibration:
    """Processor seconds: for a call, for an item that it carries beyond its first, and for a function's INIT."""

    calls: dict[str, float]
    items: dict[str, float]
    init: dict[str, float]

    def processor(self, calls: Counter[str], items: Counter[str]) -> float:
        of_calls = sum(count * self.calls.get(call, self._usual) for call, count in calls.items())
        return of_calls + sum(count * self.items.get(call, 0.0) for call, count in items.items())

    @property
    def of_rival(self) -> Calibration:
        """For a function with a client that is configured like any other."""
        return replace(self, calls={**self.calls, LISTING: self.calls.get(LISTING_OF_RIVAL, self._usual)})

    @property
    def _usual(self) -> float:
        return self.calls["dynamodb:GetItem"]

    def gb_seconds(self, function: str, work: Work) -> float:
        """What Lambda bills for the work, rounded up to milliseconds, INIT included."""
        processor = work.cpu + self.processor(work.calls, work.items)
        seconds = slower(work.memory) * processor + work.aws_seconds + 0.0005 * work.invocations
        seconds += self.init.get(function, max(self.init.values(), default=0.0)) * work.cold_starts
        return seconds * work.memory / 1024


def calibrate(init: dict[str, float], *, rounds: int = 60) -> Calibration:
    """Measure each call, interleaved with the others, so that a busy moment of the machine spoils no single one."""
    measured: dict[str, list[float]] = {name: [] for name, _ in _calls()}
    calls = list(_calls())
    for number in range(rounds + 5):
        for name, call in calls:
            before = time.process_time()
            call()
            if number >= 5:
                measured[name].append(time.process_time() - before)
    medians = {name: statistics.median(times) for name, times in measured.items()}
    items = {
        call: max(0.0, (medians.pop(f"{call}, many") - medians[call]) / (count - 1))
        for call, count in (("dynamodb:Query", MANY), ("dynamodb:BatchWriteItem", BATCH_WRITE))
    }
    return Calibration(medians, items, init)


def _calls() -> Iterator[tuple[str, Callable[[], Any]]]:
    get = _client("dynamodb", json.dumps({"Item": ITEM}))
    yield "dynamodb:GetItem", lambda: get.get_item(TableName="batches", Key=KEY, ConsistentRead=True)
    two = _client("dynamodb", json.dumps({"Responses": {"batches": [ITEM] * 2}, "UnprocessedKeys": {}}))
    keys = {"batches": {"Keys": [KEY] * 2, "ConsistentRead": True}}
    yield "dynamodb:BatchGetItem", lambda: two.batch_get_item(RequestItems=keys)
    put = _client("dynamodb", "{}")
    yield "dynamodb:PutItem", lambda: put.put_item(TableName="batches", Item=ITEM)
    update = _client("dynamodb", json.dumps({"Attributes": ITEM}))
    names = {f"#{number}": f"attribute{number}" for number in range(8)}
    values = {f":{number}": {"S": "2026-11-23T09:00:00Z"} for number in range(8)}
    yield (
        "dynamodb:UpdateItem",
        lambda: update.update_item(
            TableName="batches",
            Key=KEY,
            UpdateExpression="SET " + ", ".join(f"#{number} = :{number}" for number in range(8)),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW",
        ),
    )
    for name, count in (("dynamodb:Query", 1), ("dynamodb:Query, many", MANY)):
        yield name, _query(_client("dynamodb", json.dumps({"Items": [ITEM] * count, "Count": count})))
    write = _client("dynamodb", json.dumps({"UnprocessedItems": {}}))
    for name, count in (("dynamodb:BatchWriteItem", 1), ("dynamodb:BatchWriteItem, many", BATCH_WRITE)):
        yield name, _write(write, count)
    yield from _cloudfront_calls()


def _query(client: Any) -> Callable[[], Any]:
    return lambda: client.query(
        TableName="batches",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "PENDING#my-site#0"}},
        ConsistentRead=True,
    )


def _write(client: Any, count: int) -> Callable[[], Any]:
    return lambda: client.batch_write_item(RequestItems={"batches": [{"PutRequest": {"Item": ITEM}}] * count})


def _cloudfront_calls() -> Iterator[tuple[str, Callable[[], Any]]]:
    whole = {
        "Marker": "",
        "MaxItems": PAGE,
        "IsTruncated": False,
        "Quantity": PAGE,
        "Items": [full_summary(number) for number in range(PAGE)],
    }
    own, usual = _client("cloudfront", page := xml("DistributionList", whole)), _client("cloudfront", page, usual=True)
    yield LISTING, lambda: list(own.get_paginator("list_distributions").paginate())
    yield LISTING_OF_RIVAL, lambda: list(usual.get_paginator("list_distributions").paginate())
    config = _client("cloudfront", xml("DistributionConfig", full_summary(1)))
    yield "cloudfront:GetDistributionConfig", lambda: config.get_distribution_config(Id="E1")
    invalidation = _client("cloudfront", xml("Invalidation", INVALIDATION))
    batch = INVALIDATION["InvalidationBatch"]
    yield (
        "cloudfront:CreateInvalidation",
        lambda: invalidation.create_invalidation(DistributionId="E1", InvalidationBatch=batch),
    )
    yield "cloudfront:GetInvalidation", lambda: invalidation.get_invalidation(DistributionId="E1", Id="I1")


def full_summary(number: int) -> dict[str, Any]:
    """A summary of the size that CloudFront's have: with what nobody here reads."""
    methods = {"Quantity": 2, "Items": ["HEAD", "GET"], "CachedMethods": {"Quantity": 2, "Items": ["HEAD", "GET"]}}
    short = summary(number, f"bucket-{number}")
    return {
        **short,
        "ARN": f"arn:aws:cloudfront::123456789012:distribution/{short['Id']}",
        "Status": "Deployed",
        "LastModifiedTime": "2026-11-23T09:00:00Z",
        "Origins": {"Quantity": 1, "Items": [{**short["Origins"]["Items"][0], **ORIGIN}]},
        "OriginGroups": {"Quantity": 0},
        "DefaultCacheBehavior": {**short["DefaultCacheBehavior"], **BEHAVIOR, "AllowedMethods": methods},
        "CustomErrorResponses": {"Quantity": 0},
        "Comment": "In front of a bucket",
        "PriceClass": "PriceClass_All",
        "ViewerCertificate": {
            "CloudFrontDefaultCertificate": False,
            "ACMCertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef",
            "SSLSupportMethod": "sni-only",
            "MinimumProtocolVersion": "TLSv1.2_2021",
        },
        "Restrictions": {"GeoRestriction": {"RestrictionType": "none", "Quantity": 0}},
        "WebACLId": "",
        "HttpVersion": "http2and3",
        "IsIPV6Enabled": True,
    }


ORIGIN = {
    "CustomHeaders": {"Quantity": 0},
    "S3OriginConfig": {"OriginAccessIdentity": ""},
    "ConnectionAttempts": 3,
    "ConnectionTimeout": 10,
    "OriginShield": {"Enabled": False},
    "OriginAccessControlId": "E2QWRUHAPOMQZL",
}
BEHAVIOR = {
    "TrustedSigners": {"Enabled": False, "Quantity": 0},
    "TrustedKeyGroups": {"Enabled": False, "Quantity": 0},
    "SmoothStreaming": False,
    "Compress": True,
    "LambdaFunctionAssociations": {"Quantity": 0},
    "FunctionAssociations": {"Quantity": 0},
    "FieldLevelEncryptionId": "",
}
_MEMBERS = {
    "Origins": "Origin",
    "Aliases": "CNAME",
    "AllowedMethods": "Method",
    "CachedMethods": "Method",
    "Paths": "Path",
    "DistributionList": "DistributionSummary",
}


def xml(root: str, document: dict[str, Any]) -> str:
    """CloudFront's answer, in its own notation."""
    body = _element(root, document)
    return '<?xml version="1.0"?>\n' + body.replace(f"<{root}>", f'<{root} xmlns="{NAMESPACE}">', 1)


def _element(name: str, value: Any, parent: str = "") -> str:
    if isinstance(value, dict):
        content = "".join(_element(child, each, name) for child, each in value.items())
    elif isinstance(value, list):
        content = "".join(_element(_MEMBERS[parent], each) for each in value)
    else:
        content = str(value).lower() if isinstance(value, bool) else escape(str(value))
    return f"<{name}>{content}</{name}>"


def _client(service: str, body: str, *, usual: bool = False) -> Any:
    """The functions' own client of the service, which always answers this; or a ``usual`` one."""
    config = Config(**DYNAMODB_CONFIG) if service == "dynamodb" else None
    client: Any = boto3.client(service, config=config, **CREDENTIALS)  # type: ignore[call-overload] # any service
    client = adapted(client) if service == "cloudfront" and not usual else client
    content = body.encode()
    kind = "application/x-amz-json-1.0" if service == "dynamodb" else "text/xml"
    headers: Any = {"Content-Type": kind, "x-amzn-RequestId": "1", "Content-Length": str(len(content))}

    def answer(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, 200, headers, _Body(content))

    client.meta.events.register("before-send", answer)
    return client


class _Body:
    """As much of a response of urllib3 as is read."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._content
