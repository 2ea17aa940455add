"""A CloudFront distribution as seen from one bucket: the values that routing is decided on.

They hold only what planning for that bucket needs, because they are frozen with the batch, and turn into small
JSON-able documents and back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_TAG_METADATA = "x-amz-meta-"
_PARAMETER = re.compile(r"\{\{[^{}]*\}\}")


@dataclass(frozen=True, slots=True)
class Origin:
    """An origin that is the bucket.

    ``path`` is the OriginPath: "" or ``/x/y``, without a slash at its end; in a multi-tenant distribution it may hold
    parameters (``/{{customer}}``). ``website`` is a website endpoint. ``path_style`` is an endpoint without a bucket in
    its domain name (``s3.eu-west-1.amazonaws.com``), where the bucket is the first segment of the path.
    """

    id: str
    domain_name: str
    path: str = ""
    website: bool = False
    path_style: bool = False

    def locations(self, bucket: str, key: str) -> Iterator[str]:
        """The viewer paths, decoded, under which this origin serves the key: none when it is outside OriginPath.

        CloudFront prepends OriginPath to what the viewer asked for (CFD "Origin settings", Origin path). There is more
        than one only where OriginPath holds a parameter, because nothing says how many folders its value spans.
        """
        asked = f"/{bucket}/{key}" if self.path_style else "/" + key
        if "{{" not in self.path:
            if asked.startswith(self.path + "/"):
                yield asked[len(self.path) :]
            return
        first, *inner, last = map(re.escape, _PARAMETER.split(self.path))
        values = "".join(f"(?>.+?{each})" for each in inner)  # never tried twice: keys are written by strangers
        origin_path = re.compile(f"{first}{values}.+{last}", re.DOTALL)
        for slash in re.finditer("/", asked):
            if origin_path.fullmatch(asked, 0, slash.start()):
                yield asked[slash.start() :]


@dataclass(frozen=True, slots=True)
class Behavior:
    """A cache behaviour.

    ``pattern`` is its path pattern, ``*`` for the default. ``origin_ids`` are those of its targets, origin groups
    expanded, that are the bucket: none means that it goes elsewhere. ``rewrites``: an edge function runs on the request
    and may change its URI or its origin. ``query_strings``: they are part of the cache key.
    """

    pattern: str
    origin_ids: tuple[str, ...] = ()
    rewrites: bool = False
    query_strings: bool = False


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution, as seen from ``bucket`` ("" when it was asked for by its id alone).

    ``behaviors`` are in the order in which CloudFront tries them, the default last. ``error_pages`` are the locations
    of custom error pages that stay cached, under every path that fails, for longer than CloudFront's default.
    ``tag_header`` is ``CacheTagConfig.HeaderName`` in lower case. ``unrecognised`` are domain names of other origins
    that may be the bucket under a name of their own, such as an access point's.
    """

    id: str
    bucket: str
    domain_name: str = ""
    aliases: tuple[str, ...] = ()
    enabled: bool = True
    staging: bool = False
    tenant_only: bool = False
    origins: tuple[Origin, ...] = ()
    behaviors: tuple[Behavior, ...] = ()
    default_root_object: str = ""
    error_pages: tuple[str, ...] = ()
    tag_header: str = ""
    unrecognised: tuple[str, ...] = ()

    @property
    def tag_metadata_key(self) -> str:
        """The key of the S3 metadata that holds an object's cache tags: ``cache-tag`` for ``x-amz-meta-cache-tag``.

        "" when the distribution has no tag header, or one that an edge function sets and the object does not know.
        """
        return self.tag_header.removeprefix(_TAG_METADATA) if self.tag_header.startswith(_TAG_METADATA) else ""

    def to_document(self) -> dict[str, Any]:
        """JSON-able, in camel case, without what has its default value. ``from_document`` reads it."""
        return _document(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """The distribution that ``to_document`` wrote."""
        values = _values(cls, document)
        values["origins"] = tuple(Origin(**_values(Origin, each)) for each in document.get("origins", ()))
        values["behaviors"] = tuple(Behavior(**_values(Behavior, each)) for each in document.get("behaviors", ()))
        return cls(**values)


def _document(value: Distribution | Origin | Behavior) -> dict[str, Any]:
    return {
        _camel(each.name): _plain(getattr(value, each.name))
        for each in fields(value)
        if getattr(value, each.name) != each.default
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return _document(value) if isinstance(value, Origin | Behavior) else value


def _values(of: type[Distribution | Origin | Behavior], document: dict[str, Any]) -> dict[str, Any]:
    found = {each.name: document[_camel(each.name)] for each in fields(of) if _camel(each.name) in document}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def _camel(name: str) -> str:
    return re.sub("_(.)", lambda found: found[1].upper(), name)
