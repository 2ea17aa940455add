"""Cache tags: named by an object's metadata, each purges every cached object that carries it.

Sources: CFD "Invalidate by cache tags", "What you need to know when invalidating tags". The distribution says in
``CacheTagConfig`` which header holds them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from invalidation.cloudfront.limits import MAX_TAG_LENGTH, MAX_TAGS_OF_OBJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        """The header's value; "" where it is missing, denied, or the object gone.

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


def tag_items(header_value: str) -> tuple[str, ...]:
    """The ``#tag`` items for an object's tag header: ``"Blog, en"`` gives ``("#blog", "#en")``.

    Tags are case-insensitive, hence lower case here. Left out are those after the 50th, which CloudFront does not
    store, and those that it would refuse (CFD, "What you need to know when invalidating tags").
    """
    tags = [tag.strip().lower() for tag in header_value.split(",")]
    stored = [tag for tag in tags if tag][:MAX_TAGS_OF_OBJECT]
    return tuple(dict.fromkeys("#" + tag for tag in stored if not any(tag_problems(tag))))


def tag_problems(tag: str) -> Iterator[str]:
    """Why CloudFront would refuse the tag, given without its ``#``; nothing where it would not."""
    if not tag:
        yield "the tag is empty"
    if len(tag) > MAX_TAG_LENGTH:
        yield f"the tag is {len(tag)} characters long, more than {MAX_TAG_LENGTH}"
    if "*" in tag:
        yield "tags have no wildcard"
    if re.search("[^!-~]|,", tag):
        yield "a tag is made of visible ASCII characters without commas"
