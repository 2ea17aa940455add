"""Cache tags: an object's metadata names them, and one tag purges every cached object that carries it.

Source: CFD, "Invalidate by cache tags". The distribution says in ``CacheTagConfig`` which header holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from invalidation.cloudfront.plan import Budget, Plan, plan
from invalidation.cloudfront.routing import Distribution, InvalidateBy, PathRules, paths_for

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class TagReader:
    """Reads the tag header of objects of one bucket.

    Args:
        client: a boto3 client for S3.
        bucket: where the objects are.
        metadata_key: which part of their metadata holds the tags, such as ``cache-tag``.
    """

    def __init__(self, client: S3Client, bucket: str, metadata_key: str) -> None:
        self._client = client
        self._bucket = bucket
        self._metadata_key = metadata_key
        self._answers = True

    def __call__(self, key: str) -> str:
        """The header's value; "" where there is none, where the object is gone, or where reading it is denied.

        Without tags the object is invalidated by path, so that what cannot be read is never missed. Once S3 has not
        answered it is not asked again: the function would run out of time before the invalidation is sent.
        """
        if not self._answers:
            return ""
        try:
            return self._client.head_object(Bucket=self._bucket, Key=key)["Metadata"].get(self._metadata_key, "")
        except ClientError:
            return ""
        except BotoCoreError:
            self._answers = False
            return ""


def too_many_tags(items: Collection[str], budget: Budget) -> bool:
    """Whether the ``#tag`` items among these are more than go as they are: no wildcard can cover tags."""
    return sum(item.startswith("#") for item in items) > budget.max_exact_paths


def planned(
    distribution: Distribution,
    keys: Callable[[], Iterable[str]],
    rules: PathRules,
    budget: Budget,
    tags_of: Callable[[str], str] | None,
) -> Plan:
    """The cheapest invalidation for changed keys: by their tags too, where the rules want it and they are not too many.

    ``keys`` gives the keys, each time anew; ``tags_of`` the value of an object's tag header, None: only paths count.
    """
    if tags_of:
        items = set(paths_for(distribution, keys(), rules, tags_of))
        if not too_many_tags(items, budget):
            return with_tags(items, budget)
    by_paths = replace(rules, invalidate_by=InvalidateBy.PATHS)
    return with_tags(paths_for(distribution, keys(), by_paths), budget)


def with_tags(items: Iterable[str], budget: Budget) -> Plan:
    """The cheapest invalidation for paths and ``#tag`` items: tags go as they are, each at the price of one path.

    Raises:
        InvalidRequest: a path is none that CloudFront can invalidate.
    """
    distinct = set(items)
    tags = sorted(item for item in distinct if item.startswith("#"))
    planned = plan((item for item in distinct if not item.startswith("#")), budget)
    return replace(planned, paths=(*tags, *planned.paths))
