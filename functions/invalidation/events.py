"""What may start an execution: S3 events, requests, and the sweep's own two orders.

``parse`` turns any JSON document into one of five values, or raises ``InvalidRequest`` with a message that names the
field that is wrong and says what is accepted. It never repeats more than a short excerpt of the input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from invalidation.cloudfront.paths import valid_path
from invalidation.errors import InvalidRequest

MAX_KEY_BYTES = 1_024
"""UTF-8 bytes in an object key (S3 User Guide, "Naming Amazon S3 objects")."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
"""Bucket names, those from before 2018 included (S3 User Guide, "General purpose bucket naming rules")."""
_DISTRIBUTION = re.compile(r"E[A-Z0-9]{5,31}")
_BATCH = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{10}")

ACCEPTED = (
    "accepted are an S3 event from EventBridge (source aws.s3, Object Created or Object Deleted), a list of them, "
    '{"bucket": …, "keys": […]}, {"distributionId": …, "paths": […]}, {"lead": bucket} and {"retryBatch": batch id}'
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object, as an event told it. Strings that the event left out are empty.

    ``key`` is the object's key as S3 stores it: EventBridge events carry it raw, unlike S3's own notifications
    (S3 User Guide, "EventBridge event message structure").
    """

    bucket: str
    key: str
    event_id: str
    deleted: bool = False
    time: str = ""
    requester: str = ""
    source_ip: str = ""
    etag: str = ""
    version_id: str = ""
    sequencer: str = ""
    reason: str = ""
    deletion_type: str = ""

    @property
    def leaves_the_current_version(self) -> bool:
        """Whether the event itself says that what the bucket serves stayed as it was.

        Lifecycle rules delete permanently only noncurrent versions and expired delete markers in a versioned bucket;
        a current version gets a delete marker instead (S3 User Guide, "Expiring objects"). A permanent deletion by a
        person may have hit the current version, and the event does not say: it counts as a change.
        """
        lifecycle = self.reason.startswith("Lifecycle Expiration")
        return self.deleted and lifecycle and self.deletion_type == "Permanently Deleted" and bool(self.version_id)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event of a list that is none. Where it stands, counted from 0, and what is wrong with it."""

    position: int
    message: str


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of one or more S3 events, without those that viewers could not see."""

    changes: tuple[Change, ...]
    rejected: tuple[Rejected, ...] = ()

    def accepted(self, events: Sequence[Any]) -> list[Any]:
        """The list without its wrong events: one wrong event must not cost the others."""
        wrong = {each.position for each in self.rejected}
        return [each for position, each in enumerate(events) if position not in wrong]

    def rejection(self, others_in: str) -> InvalidRequest:
        """What to tell of the wrong events. The others go on in the execution of this name."""
        first = self.rejected[0].message
        return InvalidRequest(f"{first} (the other events of the list go on in execution {others_in})")


@dataclass(frozen=True, slots=True)
class KeysRequest:
    """Somebody asks for an invalidation of objects, whichever distributions serve them."""

    bucket: str
    keys: tuple[str, ...]
    dry_run: bool = False
    unwatched: bool = False
    """Whether the bucket may be one that the stack does not watch."""


@dataclass(frozen=True, slots=True)
class PathsRequest:
    """Somebody asks for an invalidation of viewer paths (or ``#tags``) of one distribution."""

    distribution_id: str
    paths: tuple[str, ...]
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Lead:
    """The sweep asks for a leader for a bucket in which changes wait."""

    bucket: str


@dataclass(frozen=True, slots=True)
class RetryBatch:
    """The sweep, or a person, asks for what a batch still owes."""

    batch_id: str


Input = Changes | KeysRequest | PathsRequest | Lead | RetryBatch


def parse(document: object, watched: Collection[str] = ()) -> Input:
    """The value that an execution's input stands for.

    ``watched`` are the buckets that events may be of, and requests that do not say otherwise; none: any.

    Raises:
        InvalidRequest: it is none of those that are accepted, or all of a list's events are wrong.
    """
    if isinstance(document, list):
        return _parse_events(document, watched)
    if not isinstance(document, dict):
        raise InvalidRequest(f"the input is {_kind(document)}; {ACCEPTED}")
    if _EVENT_FIELDS & set(document):
        return _parse_events([document], watched)
    for field, parser in _REQUESTS.items():
        if field in document:
            wanted = parser(document)
            if isinstance(wanted, KeysRequest) and not wanted.unwatched:
                _of_watched_bucket(wanted.bucket, "bucket", watched, 'or add "unwatched": true to the request')
            return wanted
    raise InvalidRequest(
        f"the input has none of the fields that say what it is (found: {_names(document)}); {ACCEPTED}"
    )


def _parse_events(documents: Sequence[object], watched: Collection[str]) -> Changes:
    if not documents:
        raise InvalidRequest(f"the list of events is empty; {ACCEPTED}")
    changes: list[Change] = []
    rejected: list[Rejected] = []
    for position, document in enumerate(documents):
        where = f"event {position + 1} of {len(documents)}: " if len(documents) > 1 else ""
        try:
            change = _parse_event(document)
            if change is not None:
                _of_watched_bucket(change.bucket, "detail.bucket.name", watched, "or see who sends it")
        except InvalidRequest as error:
            rejected.append(Rejected(position, where + str(error)))
            continue
        if change is not None and not change.leaves_the_current_version:
            changes.append(change)
    if len(rejected) == len(documents):
        raise InvalidRequest(rejected[0].message)
    return Changes(tuple(changes), tuple(rejected))


def _parse_event(document: object) -> Change | None:
    """The change that an EventBridge event tells of. None where S3 tells of something that changes no content."""
    event = _mapping(document, "the event")
    if "body" in event:  # buffered intake: the pipe leaves of a message only what the rule sent
        event = _mapping(_unwrapped(event["body"]), "body")
    if event.get("source") != "aws.s3":
        raise InvalidRequest(f"source is {_excerpt(event.get('source'))}, not 'aws.s3'; {ACCEPTED}")
    kind = _text(event, "detail-type", "detail-type")
    detail = _mapping(event.get("detail"), "detail")
    bucket = _mapping(detail.get("bucket"), "detail.bucket")
    obj = _mapping(detail.get("object"), "detail.object")
    change = Change(
        bucket=_bucket(bucket.get("name"), "detail.bucket.name"),
        key=_key(obj.get("key"), "detail.object.key"),
        event_id=_text(event, "id", "id"),
        deleted=kind == "Object Deleted",
        time=_optional(event, "time", "time"),
        requester=_optional(detail, "requester", "detail.requester"),
        source_ip=_optional(detail, "source-ip-address", "detail.source-ip-address"),
        etag=_optional(obj, "etag", "detail.object.etag"),
        version_id=_optional(obj, "version-id", "detail.object.version-id"),
        sequencer=_optional(obj, "sequencer", "detail.object.sequencer"),
        reason=_optional(detail, "reason", "detail.reason"),
        deletion_type=_optional(detail, "deletion-type", "detail.deletion-type"),
    )
    return change if kind in ("Object Created", "Object Deleted") else None


def _parse_keys_request(document: Mapping[str, Any]) -> KeysRequest:
    _only(document, {"bucket", "keys", "dryRun", "unwatched"})
    keys = tuple(_key(key, f"keys[{i}]") for i, key in enumerate(_list(document.get("keys"), "keys")))
    bucket = _bucket(document.get("bucket"), "bucket")
    return KeysRequest(bucket, tuple(dict.fromkeys(keys)), _flag(document), _flag(document, "unwatched"))


def _parse_paths_request(document: Mapping[str, Any]) -> PathsRequest:
    _only(document, {"distributionId", "paths", "dryRun"})
    distribution_id = document.get("distributionId")
    if not isinstance(distribution_id, str) or not _DISTRIBUTION.fullmatch(distribution_id):
        raise InvalidRequest(
            f"distributionId is {_excerpt(distribution_id)}, not a distribution id such as 'E2QWRUHAPOMQZL'"
        )
    paths = tuple(_path(path, f"paths[{i}]") for i, path in enumerate(_list(document.get("paths"), "paths")))
    return PathsRequest(distribution_id, tuple(dict.fromkeys(paths)), _flag(document))


def _parse_lead(document: Mapping[str, Any]) -> Lead:
    _only(document, {"lead"})
    return Lead(_bucket(document.get("lead"), "lead"))


def _parse_retry(document: Mapping[str, Any]) -> RetryBatch:
    _only(document, {"retryBatch"})
    batch_id = document.get("retryBatch")
    if not isinstance(batch_id, str) or not _BATCH.fullmatch(batch_id):
        raise InvalidRequest(
            f"retryBatch is {_excerpt(batch_id)}, not a batch id such as '20261123T062719Z-0123456789'"
        )
    return RetryBatch(batch_id)


PARENT = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"
"""What a parent state machine adds, so that the console links the two (SFD, "Associate workflow executions")."""
_EVENT_FIELDS = {"source", "detail-type", "detail", "body"}
_REQUESTS: dict[str, Callable[[Mapping[str, Any]], Input]] = {
    "lead": _parse_lead,
    "retryBatch": _parse_retry,
    "distributionId": _parse_paths_request,
    "bucket": _parse_keys_request,
    "keys": _parse_keys_request,
    "paths": _parse_paths_request,
}


def _unwrapped(body: object) -> object:
    """A message's body as a pipe hands it over. Parsed, or as text (EBU, "Pipes: implicit body data parsing")."""
    if not isinstance(body, str):
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"body is text and no JSON: {_excerpt(body)}; {ACCEPTED}") from None


def _mapping(value: object, field: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{field} is {_kind(value)}, not an object; {ACCEPTED}")
    return value


def _list(value: object, field: str) -> list[object]:
    if not isinstance(value, list) or not value:
        raise InvalidRequest(f"{field} is {_kind(value)}, not a list with at least one string in it")
    return value


def _text(document: Mapping[str, Any], name: str, field: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"{field} is {_kind(value)}, not a string with something in it; {ACCEPTED}")
    return _bounded(value, field)


def _optional(document: Mapping[str, Any], name: str, field: str) -> str:
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRequest(f"{field} is {_kind(value)}, not a string")
    return _bounded(value, field)


def _key(value: object, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"{field} is {_kind(value)}, not an object key")
    return _bounded(value, field)


def _bounded(value: str, field: str) -> str:
    """The text, if it is no longer than a key may be. An event's id is part of a key in the batch table."""
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(f"{field} has half of a surrogate pair, which is no text: {_excerpt(value)}") from None
    if length > MAX_KEY_BYTES:
        raise InvalidRequest(f"{field} is longer than the {MAX_KEY_BYTES} bytes of an object key: {_excerpt(value)}")
    return value


def _path(value: object, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"{field} is {_kind(value)}, not a path such as '/index.html' or '/images/*'")
    try:
        return valid_path(value)
    except InvalidRequest as error:
        raise InvalidRequest(f"{field}: {error}") from None


def _bucket(value: object, field: str) -> str:
    if not isinstance(value, str) or not _BUCKET.fullmatch(value):
        raise InvalidRequest(f"{field} is {_excerpt(value)}, not a bucket name")
    return value


def _of_watched_bucket(bucket: str, field: str, watched: Collection[str], otherwise: str) -> None:
    if watched and bucket not in watched:
        raise InvalidRequest(
            f"{field} is {_excerpt(bucket)}, which this stack does not watch: add it to BucketNames, {otherwise}"
        )


def _flag(document: Mapping[str, Any], name: str = "dryRun") -> bool:
    value = document.get(name, False)
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name} is {_excerpt(value)}, neither true nor false")
    return value


def _only(document: Mapping[str, Any], accepted: set[str]) -> None:
    unknown = set(document) - accepted - {PARENT}
    if unknown:
        raise InvalidRequest(f"unknown field {_names(unknown)}; accepted here are {', '.join(sorted(accepted))}")


def _names(names: Sequence[str] | set[str] | Mapping[str, Any]) -> str:
    return ", ".join(_excerpt(name) for name in sorted(names, key=str)[:5]) or "none"


def _excerpt(value: object) -> str:
    return repr(value[:60] + "…" if len(value) > 60 else value) if isinstance(value, str) else _kind(value)


_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "missing or null"}


def _kind(value: object) -> str:
    if value in ("", [], {}):
        return "empty"
    return _KINDS.get(type(value), "a number")
