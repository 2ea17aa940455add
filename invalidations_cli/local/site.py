"""A small web site as people have it. A bucket, a distribution in front of it, and a reader of the notifications."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from invalidation.bucket_events import BucketEvents
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.settings import REGION
from invalidations_cli.proofs import policy_for_topic

CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
"""AWS's managed cache policy of that name (CloudFront Developer Guide, "Use managed cache policies")."""


@dataclass(frozen=True, slots=True)
class SampleDistribution:
    distribution_id: str
    domain_name: str


def create_bucket(aws: LocalAws, name: str) -> None:
    aws.client("s3").create_bucket(Bucket=name)


def send_events_to_eventbridge(aws: LocalAws, bucket: str) -> None:
    """Turn EventBridge on for the bucket. Its other notifications stay as they are."""
    BucketEvents(aws.client("s3"), REGION).enable(bucket)


def create_distribution(aws: LocalAws, bucket: str) -> SampleDistribution:
    """A distribution in front of the bucket, with an origin access control."""
    cloudfront = aws.client("cloudfront")
    control = cloudfront.create_origin_access_control(
        OriginAccessControlConfig={
            "Name": bucket,
            "OriginAccessControlOriginType": "s3",
            "SigningBehavior": "always",
            "SigningProtocol": "sigv4",
        }
    )["OriginAccessControl"]
    created = cloudfront.create_distribution(DistributionConfig=configuration(bucket, control["Id"]))["Distribution"]
    let_read(aws, bucket, created["ARN"])
    return SampleDistribution(created["Id"], created["DomainName"])


def configuration(bucket: str, access_control_id: str) -> dict[str, Any]:
    origin = {
        "Id": bucket,
        "DomainName": f"{bucket}.s3.{REGION}.amazonaws.com",
        "OriginAccessControlId": access_control_id,
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }
    return {
        "CallerReference": bucket,
        "Comment": f"In front of {bucket}",
        "Enabled": True,
        "DefaultRootObject": "index.html",
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": {
            "TargetOriginId": bucket,
            "ViewerProtocolPolicy": "allow-all",
            "CachePolicyId": CACHING_OPTIMIZED,
            "Compress": True,
        },
    }


def let_read(aws: LocalAws, bucket: str, distribution_arn: str) -> None:
    statement = {
        "Sid": "TheDistributionReads",
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringEquals": {"AWS:SourceArn": distribution_arn}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    aws.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def subscribe_queue(aws: LocalAws, topic_arn: str, name: str) -> str:
    """A queue to which the topic's messages go; returns its URL."""
    sqs = aws.client("sqs")
    url = str(sqs.create_queue(QueueName=name)["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy_for_topic(arn, topic_arn)})
    aws.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)
    return url
