"""Distributions in front of a bucket, of the kinds that people have."""

from typing import Any
from uuid import uuid4

from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.settings import REGION
from invalidations_cli.local.site import CACHING_OPTIMIZED

ELSEWHERE = "app.example.com"
CUSTOM = {
    "HTTPPort": 80,
    "HTTPSPort": 443,
    "OriginProtocolPolicy": "http-only",
    "OriginSslProtocols": {"Quantity": 1, "Items": ["TLSv1.2"]},
}


def behind_an_origin_path(bucket: str, path: str) -> dict[str, Any]:
    """What lies under the path in the bucket is the whole site."""
    return configuration([s3_origin(bucket, path)], default_root_object="index.html")


def on_a_pattern_only(bucket: str, pattern: str) -> dict[str, Any]:
    """An application, and the bucket for what the pattern says."""
    application = {"Id": "application", "DomainName": ELSEWHERE, "OriginPath": "", "CustomOriginConfig": CUSTOM}
    return configuration([application, s3_origin(bucket)], patterns={pattern: bucket})


def of_its_website(bucket: str) -> dict[str, Any]:
    """The bucket's website endpoint, which S3 serves as an ordinary web server."""
    domain = f"{bucket}.s3-website-{REGION}.amazonaws.com"
    return configuration([{"Id": bucket, "DomainName": domain, "OriginPath": "", "CustomOriginConfig": CUSTOM}])


def s3_origin(bucket: str, path: str = "") -> dict[str, Any]:
    domain = f"{bucket}.s3.{REGION}.amazonaws.com"
    return {"Id": bucket, "DomainName": domain, "OriginPath": path, "S3OriginConfig": {"OriginAccessIdentity": ""}}


def configuration(
    origins: list[dict[str, Any]],
    *,
    patterns: dict[str, str] | None = None,
    default_root_object: str = "",
    cache_policy: str = CACHING_OPTIMIZED,
    **more: Any,
) -> dict[str, Any]:
    """A distribution whose default behaviour goes to the first origin; `patterns` are path pattern → origin id."""
    how = {"ViewerProtocolPolicy": "allow-all", "CachePolicyId": cache_policy}
    behaviors = [{"PathPattern": each, "TargetOriginId": to, **how} for each, to in (patterns or {}).items()]
    return {
        "CallerReference": uuid4().hex,
        "Comment": "",
        "Enabled": True,
        "DefaultRootObject": default_root_object,
        "Origins": {"Quantity": len(origins), "Items": origins},
        "DefaultCacheBehavior": {"TargetOriginId": origins[0]["Id"], **how},
        "CacheBehaviors": {"Quantity": len(behaviors), "Items": behaviors} if behaviors else {"Quantity": 0},
        **more,
    }


def create(aws: LocalAws, document: dict[str, Any]) -> str:
    """The id of the new distribution."""
    return str(aws.client("cloudfront").create_distribution(DistributionConfig=document)["Distribution"]["Id"])
