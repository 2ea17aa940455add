"""Adapter that turns a bucket's EventBridge events on and off. What else is configured there stays.

``PutBucketNotificationConfiguration`` replaces the whole configuration (S3 API Reference), so this reads, merges,
writes, and reads back. S3 offers no conditional write here: a concurrent change shows when what is read back differs
from what was written, or when S3 refuses the write because of it, and then the merge is done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from invalidation.errors import BucketNotReady, ConcurrentBucketChange, InvalidationError, code_of

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
from invalidation.batches.table import BUCKETS, BatchTable, Key

Configuration = dict[str, Any]

EVENT_BRIDGE = "EventBridgeConfiguration"
TRIES = 5
BUSY = "OperationAborted"
"""A conflicting operation is in progress on the bucket (S3 API Reference, "Error responses"); botocore does not retry
it."""

_GRANTS = {
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "PutBucketNotificationConfiguration": "s3:PutBucketNotification",
    "HeadBucket": "s3:ListBucket",
}


@dataclass(frozen=True, slots=True)
class Switched:
    """A bucket's notification configuration before and after; equal where there was nothing to do."""

    bucket: str
    before: Configuration
    after: Configuration

    @property
    def changed(self) -> bool:
        return self.before != self.after


def sends_events(configuration: Mapping[str, Any]) -> bool:
    """Whether a notification configuration sends to EventBridge: the presence of an empty object says so."""
    return EVENT_BRIDGE in configuration


def switched(configuration: Mapping[str, Any], *, on: bool) -> Configuration:
    """The same configuration, sending to EventBridge or not."""
    others = {name: value for name, value in configuration.items() if name != EVENT_BRIDGE}
    return {**others, EVENT_BRIDGE: {}} if on else others


class BucketEvents:
    """Switches the events of buckets in one region.

    Args:
        client: a boto3 client for S3.
        region: where the rule lives; the events of a bucket elsewhere never reach it.
        pause: waits for so many seconds while S3 is busy with somebody else's change of the same bucket.
    """

    def __init__(self, client: S3Client, region: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._region = region
        self._pause = pause

    def read(self, bucket: str) -> Configuration:
        """The bucket's notification configuration.

        Raises:
            BucketNotReady: missing, denied, or in another region.
        """
        try:
            answer = self._client.get_bucket_notification_configuration(Bucket=bucket)
        except ClientError as error:
            raise _not_ready(bucket, error) from error
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    def enable(self, bucket: str, *, dry_run: bool = False) -> Switched:
        """Let the bucket send its events to EventBridge.

        Raises:
            BucketNotReady: missing, denied, or in another region.
            ConcurrentBucketChange: somebody else changes the configuration at the same time, again and again.
        """
        self._check_region(bucket)
        return self._switch(bucket, on=True, dry_run=dry_run)

    def disable(self, bucket: str, *, dry_run: bool = False) -> Switched:
        """Stop the bucket's events. EventBridge on a bucket has no owner: ask who else relies on it first.

        Raises:
            BucketNotReady, ConcurrentBucketChange: as for ``enable``.
        """
        return self._switch(bucket, on=False, dry_run=dry_run)

    def _switch(self, bucket: str, *, on: bool, dry_run: bool) -> Switched:
        before = found = self.read(bucket)
        ours = False
        for attempt in range(TRIES):
            wanted = switched(found, on=on)
            if wanted == found or dry_run:
                return Switched(bucket, before if ours or dry_run else found, wanted)
            written = self._write(bucket, wanted)
            if not written:
                self._pause(2.0**attempt)
            ours = ours or written
            found = self.read(bucket)
            if written and _same(found, wanted):
                return Switched(bucket, before, found)
        raise ConcurrentBucketChange(
            f"the notification configuration of {bucket} was changed by somebody else {TRIES} times in a row; try "
            "again when the other deployment has ended"
        )

    def _write(self, bucket: str, configuration: Configuration) -> bool:
        """False: S3 is busy with a change of somebody else."""
        try:
            # A destination that is broken already is somebody else's and stays as it is; validating it would fail here.
            self._client.put_bucket_notification_configuration(
                Bucket=bucket,
                NotificationConfiguration=configuration,  # type: ignore[arg-type] # what get returned, merged
                SkipDestinationValidation=True,
            )
        except ClientError as error:
            if code_of(error) == BUSY:
                return False
            raise _not_ready(bucket, error) from error
        return True

    def _check_region(self, bucket: str) -> None:
        try:
            answer = self._client.head_bucket(Bucket=bucket)
            region = answer.get("BucketRegion") or self._region
        except ClientError as error:
            headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            region = headers.get("x-amz-bucket-region", "")
            if not region or region == self._region:
                raise _not_ready(bucket, error) from error
        if region != self._region:
            raise BucketNotReady(
                f"bucket {bucket} is in {region}, this stack in {self._region}: its events would never arrive. "
                f"Deploy a stack in {region} for it"
            )


def _same(found: Configuration, wanted: Configuration) -> bool:
    """Whether what was read back is what was written. S3 may give an id to what had none, and another order."""
    return sends_events(found) == sends_events(wanted) and all(
        len(found.get(name, [])) == len(wanted.get(name, [])) for name in (set(found) | set(wanted)) - {EVENT_BRIDGE}
    )


def _not_ready(bucket: str, error: ClientError) -> BucketNotReady:
    code = code_of(error)
    if code in ("NoSuchBucket", "404"):
        return BucketNotReady(f"bucket {bucket} does not exist: correct BucketNames, or create it first")
    if code in ("AccessDenied", "403"):
        grant = _GRANTS.get(error.operation_name, error.operation_name)
        return BucketNotReady(
            f"bucket {bucket} denies {grant}: grant {grant} on arn:aws:s3:::{bucket} (its bucket policy may deny it), "
            "or set EnableBucketEvents to false and turn EventBridge on yourself"
        )
    return BucketNotReady(f"bucket {bucket}: {error.operation_name} failed with {code}: {error}")


DENIED = {"AccessDenied", "AccessDeniedException", "403"}
_MARK = "eventsSwitchedOn"
"""An attribute of the bucket's entry in the registry: this stack, and nobody before it, switched its events on."""


class WatchedBuckets:
    """The buckets of a stack. What it switched on itself is remembered, and may be undone.

    EventBridge on a bucket has no owner: whoever found it on must leave it on.

    Args:
        events: switches one bucket.
        table: the batch table, which keeps what was switched on here.
        timeout: seconds for which a denied call is tried again. A role's new permission takes seconds to act, and
            CloudFormation calls as soon as it has written it (aws/aws-cdk#37675).
        pause: waits for so many seconds.
    """

    def __init__(
        self, events: BucketEvents, table: BatchTable, *, timeout: float, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._events = events
        self._table = table
        self._timeout = timeout
        self._pause = pause

    def watch(self, buckets: Sequence[str]) -> list[str]:
        """Let all of them send events, or none; return those that did not before.

        Raises:
            BucketNotReady, ConcurrentBucketChange, botocore.exceptions.ClientError: one could not be switched. What
                was switched before it is undone; a note on the exception names what could not be.
        """
        switched: list[str] = []
        try:
            for bucket in buckets:
                self._until_allowed(partial(self._switch_on, bucket, switched))
        except Exception as error:
            for bucket in switched:
                try:
                    self._switch_off(bucket)
                except (InvalidationError, ClientError) as another:
                    error.add_note(f"The events of {bucket} may stay on: {another}")
            raise
        return switched

    def leave(self, buckets: Iterable[str]) -> dict[str, str]:
        """Undo what this stack switched on; return why some were left as they are.

        A bucket that is gone or denied is left: a stack must still be deletable.
        """
        left = {}
        for bucket in sorted(buckets):
            if (self._table.get(Key(BUCKETS, bucket)) or {}).get(_MARK):
                try:
                    self._switch_off(bucket)
                except BucketNotReady as error:
                    left[bucket] = str(error)
        return left

    def _switch_on(self, bucket: str, switched: list[str]) -> None:
        if bucket in switched or self._events.enable(bucket).changed:
            if bucket not in switched:
                switched.append(bucket)
            self._table.update(Key(BUCKETS, bucket), {_MARK: True}, {})

    def _switch_off(self, bucket: str) -> None:
        self._events.disable(bucket)
        self._table.update(Key(BUCKETS, bucket), {_MARK: None}, {})

    def _until_allowed(self, action: Callable[[], None]) -> None:
        waited, pause = 0.0, 2.0
        while True:
            try:
                action()
            except (BucketNotReady, ClientError) as error:
                if not _is_denied(error) or waited >= self._timeout:
                    raise
            else:
                return
            self._pause(pause)
            waited, pause = waited + pause, min(2 * pause, 16)


def _is_denied(error: BaseException | None) -> bool:
    if isinstance(error, BucketNotReady):
        return _is_denied(error.__cause__)
    return isinstance(error, ClientError) and code_of(error) in DENIED
