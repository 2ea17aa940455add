"""Whether what somebody named is there. Asked before anything is sent, so that a slip parks no batch.

Only what is certain is refused. What may not be asked is taken for right: the stack's own roles may do more than the
caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import click
from botocore.exceptions import ClientError

from invalidation.cloudfront.client import CloudFront
from invalidation.config import check_is_named
from invalidation.errors import AccessDenied, InvalidationError, NoSuchDistribution, code_of
from invalidations_cli.aws import Clients, Stack
from invalidations_cli.output import escape

MISSING = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NotFound"})
MOST_KEYS = 10
"""Keys with a leading slash that are looked for in the bucket; a slip makes the first of them miss."""


def check_bucket(clients: Clients, bucket: str) -> None:
    """Raises click.UsageError for a bucket that does not exist."""
    try:
        clients("s3").head_bucket(Bucket=bucket)
    except ClientError as error:
        if code_of(error) in MISSING:
            raise click.UsageError(
                f"there is no bucket {escape(bucket)}: correct its name, or name a --distribution and paths"
            ) from None


def check_is_watched(stack: Stack, bucket: str) -> None:
    """Raises click.UsageError for a bucket whose requests the stack rejects: BucketNames has others only."""
    if stack.bucket_names and bucket not in stack.bucket_names:
        raise click.UsageError(
            f"the stack {stack.name} does not watch {escape(bucket)}. It watches: {', '.join(stack.bucket_names)}. "
            "Correct the name, or add --unwatched"
        )


def check_keys(clients: Clients, bucket: str, keys: Iterable[str]) -> None:
    """Raises click.UsageError for a key with a leading slash, unless there is such an object.

    An object's key is all that follows the bucket's name (S3 User Guide, "Naming Amazon S3 objects"): ``/index.html``
    and ``index.html`` are two objects, and the first of them is hardly ever meant.
    """
    for key in islice((each for each in keys if each.startswith("/")), MOST_KEYS):
        try:
            clients("s3").head_object(Bucket=bucket, Key=key)
        except ClientError:
            meant = key.lstrip("/")
            ask = f"; did you mean {escape(meant)}?" if meant else ""
            raise click.UsageError(
                f"S3 keys have no leading slash{ask} There is no object {escape(key)} that you may read in "
                f"{escape(bucket)}"
            ) from None


def check_distribution(stack: Stack, distribution_id: str) -> None:
    """Raises click.UsageError for a distribution that is missing or that the stack may not invalidate.

    Where another account's role is assumed (``DistributionRoleArn``), the caller's own account does not know it.
    """
    try:
        check_is_named(distribution_id, stack.settings.distribution_ids)
    except AccessDenied as error:
        raise click.UsageError(escape(error, 1_000)) from None
    if stack.settings.distribution_role_arn:
        return
    try:
        CloudFront(stack.client("cloudfront")).distribution(distribution_id)
    except NoSuchDistribution:
        raise click.UsageError(
            f"there is no distribution {escape(distribution_id)} in this account: "
            "`aws cloudfront list-distributions` names those that there are"
        ) from None
    except InvalidationError:
        return
