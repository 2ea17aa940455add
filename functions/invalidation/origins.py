"""S3's domain names: whether an origin of a distribution is a given bucket.

A name is always read from the known bucket's end. Bucket names may hold dots, so nothing in ``a.b.s3.amazonaws.com``
alone says where the bucket's name stops; and a prefix test would take ``site-staging`` for ``site``.

Sources: AWS General Reference "Amazon S3 endpoints and quotas" (regional, dual-stack, FIPS); Amazon S3 User Guide
"Virtual hosting of buckets" (global, legacy dash), "Website endpoints" (both forms).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

_PARAMETER: Final = r"\{\{[^{}]*\}\}"
_REGION: Final = rf"(?:[a-z]{{2,}}(?:-[a-z]+)+-\d+|{_PARAMETER})"
_SUFFIX: Final = r"\.amazonaws\.com(?:\.cn)?"

_REST: Final = re.compile(
    rf"(?:s3|s3\.{_REGION}|s3-(?!website-){_REGION}|s3\.dualstack\.{_REGION}|s3-fips\.{_REGION}|s3-fips\.dualstack\.{_REGION}"
    rf"|s3-fips-{_REGION}|s3-external-\d){_SUFFIX}"
)
_WEBSITE: Final = re.compile(rf"s3-website[.-]{_REGION}{_SUFFIX}")

_ALIAS: Final = re.compile(r"-s3alias|--ol-s3|--op-s3|--x-s3|--xa-s3|--table-s3")
"""Endings that S3 keeps for access points, Object Lambda, Outposts, directory and table buckets: no general purpose
bucket's name ends so (Amazon S3 User Guide, "General purpose bucket naming rules")."""


class Match(StrEnum):
    """What an origin's domain name says about a bucket."""

    THIS_BUCKET = "ThisBucket"
    OTHER_BUCKET = "OtherBucket"
    UNRECOGNISED = "Unrecognised"
    """Not the name of any bucket: a custom origin, or an access point, which may stand for this bucket or another."""


def match(domain_name: str, bucket: str) -> Match:
    """What ``domain_name`` (any letter case, a final dot allowed) says about ``bucket``.

    In a multi-tenant distribution the name may hold parameters, ``{{customer}}-site.s3.eu-west-1.amazonaws.com``: it
    is this bucket if some value of theirs makes it so.
    """
    domain_name = _canonical(domain_name)
    names = [name for name, service in _splits(domain_name) if _is_s3(service)]
    if any(_may_be(name, bucket) for name in names):
        return Match.THIS_BUCKET
    if not names or any(_ALIAS.search(name[-12:]) for name in names):
        return Match.UNRECOGNISED
    return Match.OTHER_BUCKET


def is_origin_of(domain_name: str, bucket: str) -> bool:
    """Whether the origin with this domain name is the bucket."""
    return match(domain_name, bucket) is Match.THIS_BUCKET


def is_website(domain_name: str) -> bool:
    """Whether this is a bucket's website endpoint, which serves index documents and redirects to folders."""
    return any(_WEBSITE.fullmatch(service) for _, service in _splits(_canonical(domain_name)))


def is_endpoint(domain_name: str) -> bool:
    """Whether this is an S3 endpoint without a bucket, whose requests name the bucket in their path."""
    return bool(_REST.fullmatch(_canonical(domain_name)))


def _canonical(domain_name: str) -> str:
    return domain_name.lower().removesuffix(".")


def _splits(domain_name: str) -> list[tuple[str, str]]:
    return [(domain_name[: dot.start()], domain_name[dot.end() :]) for dot in re.finditer(r"\.", domain_name)]


def _is_s3(service: str) -> bool:
    return bool(_REST.fullmatch(service) or _WEBSITE.fullmatch(service))


def _may_be(name: str, bucket: str) -> bool:
    parts = re.split(_PARAMETER, name)
    return re.fullmatch("[a-z0-9.-]+".join(map(re.escape, parts)), bucket) is not None
