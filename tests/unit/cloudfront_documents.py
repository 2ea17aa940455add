"""CloudFront's own documents with every member that its API requires, for botocore's Stubber."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

THEN = datetime(2026, 11, 23, tzinfo=UTC)


def quantity(*items: Any) -> dict[str, Any]:
    return {"Quantity": len(items), "Items": list(items)} if items else {"Quantity": 0}


def summary(distribution_id: str, domain_name: str) -> dict[str, Any]:
    """A DistributionSummary with every member that CloudFront requires."""
    return {
        "Id": distribution_id,
        "ARN": f"arn:aws:cloudfront::123456789012:distribution/{distribution_id}",
        "Status": "Deployed",
        "LastModifiedTime": THEN,
        "DomainName": f"{distribution_id.lower()}.cloudfront.net",
        "Aliases": quantity(),
        "Origins": quantity({"Id": "o", "DomainName": domain_name}),
        "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all"},
        "CacheBehaviors": quantity(),
        "CustomErrorResponses": quantity(),
        "Comment": "",
        "PriceClass": "PriceClass_All",
        "Enabled": True,
        "ViewerCertificate": {},
        "Restrictions": {"GeoRestriction": {"RestrictionType": "none", "Quantity": 0}},
        "WebACLId": "",
        "HttpVersion": "http2",
        "IsIPV6Enabled": True,
        "Staging": False,
    }


def page(*summaries: dict[str, Any], next_marker: str = "") -> dict[str, Any]:
    listed: dict[str, Any] = {
        "Marker": "",
        "MaxItems": 100,
        "IsTruncated": bool(next_marker),
        "Quantity": len(summaries),
    }
    if summaries:
        listed["Items"] = list(summaries)
    return {"DistributionList": listed | ({"NextMarker": next_marker} if next_marker else {})}


def config(cache_policy: str = "") -> dict[str, Any]:
    behavior = {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all"}
    return {
        "DistributionConfig": {
            "CallerReference": "r",
            "Comment": "",
            "Enabled": True,
            "Origins": quantity({"Id": "o", "DomainName": "site.s3.amazonaws.com"}),
            "DefaultCacheBehavior": behavior | ({"CachePolicyId": cache_policy} if cache_policy else {}),
        }
    }


def tenant(tenant_id: str, **settings: Any) -> dict[str, Any]:
    return {
        "Id": tenant_id,
        "DistributionId": "E1",
        "Name": tenant_id,
        "Arn": f"arn:aws:cloudfront::123456789012:distribution-tenant/{tenant_id}",
        "Domains": [],
        "CreatedTime": THEN,
        "LastModifiedTime": THEN,
        "ETag": "E",
    } | settings


def invalidation(status: str = "InProgress") -> dict[str, Any]:
    batch = {"Paths": quantity("/a"), "CallerReference": "r"}
    return {"Invalidation": {"Id": "I1", "Status": status, "CreateTime": THEN, "InvalidationBatch": batch}}


def custom_policy(behavior: str) -> dict[str, Any]:
    parameters = {
        "EnableAcceptEncodingGzip": True,
        "HeadersConfig": {"HeaderBehavior": "none"},
        "CookiesConfig": {"CookieBehavior": "none"},
        "QueryStringsConfig": {"QueryStringBehavior": behavior},
    }
    settings = {"Name": "mine", "MinTTL": 0, "ParametersInCacheKeyAndForwardedToOrigin": parameters}
    return {"CachePolicy": {"Id": "p", "LastModifiedTime": THEN, "CachePolicyConfig": settings}}
