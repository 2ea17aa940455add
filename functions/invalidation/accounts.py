"""Adapter: a CloudFront client for this account's distributions, or for those of another account.

Buckets and distributions often live apart. Where ``DistributionRoleArn`` names a role of the distributions' account,
the functions that talk to CloudFront, and only those, assume it; the temporary credentials renew themselves.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.session import get_session

from invalidation.cloudfront import CLOUDFRONT_CONFIG

if TYPE_CHECKING:
    from mypy_boto3_cloudfront import CloudFrontClient

SESSION_NAME = "cloudfront-auto-invalidation"
"""What the other account's CloudTrail shows as the caller."""


def cloudfront_client(role_arn: str = "", external_id: str = "") -> CloudFrontClient:
    """A client with the function's own credentials, or with those of the role, which the first call assumes."""
    config = Config(**CLOUDFRONT_CONFIG)
    if not role_arn:
        return boto3.client("cloudfront", config=config)
    extra = {"RoleSessionName": SESSION_NAME} | ({"ExternalId": external_id} if external_id else {})
    own = get_session()
    create_client = partial(own.create_client, config=config)
    fetcher = AssumeRoleCredentialFetcher(create_client, own.get_credentials(), role_arn, extra_args=extra)
    assumed = get_session()
    renewed = DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)
    assumed._credentials = renewed  # type: ignore[attr-defined] # noqa: SLF001 # botocore has no public way in
    return boto3.Session(botocore_session=assumed).client("cloudfront", config=config)
