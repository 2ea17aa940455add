"""Every error that this application raises by name.

The name of a class is the error's name in the state machine's Retry and Catch, in the execution history, in the audit
and in the runbook. ``transient`` says whether trying the same thing again later can help: the sweep tries transient
failures again and parks the others until somebody has fixed the cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

MAX_MESSAGE = 1_000
"""Characters kept of any message: error messages travel in state, whose limit is 262,144 bytes (SFD, quotas)."""


class InvalidationError(Exception):
    """Base of all named errors. Its message says what went wrong and what to do about it."""

    transient = False

    def __init__(self, message: str) -> None:
        super().__init__(message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…")


class TransientError(InvalidationError):
    """Base of those that may not happen again."""

    transient = True


class InvalidRequest(InvalidationError):
    """The input is none of those that the state machine accepts."""


class ChangesNotAccepted(TransientError):
    """The batch table could not take a change. The execution's input still holds it, and is to be replayed."""


class BatchNotFound(InvalidationError):
    """No batch record with this id."""


class RecordsOfLaterRelease(InvalidationError):
    """The batch table holds something whose form this release does not know. It is left as it is."""


class BatchTableUnavailable(TransientError):
    """DynamoDB throttled the request, answered with an internal error, or did not answer."""


class BatchContended(TransientError):
    """The conditional writes on a bucket's head were lost too often in a row."""


class SweepIncomplete(TransientError):
    """Some calls of the sweep failed. It has seen to all else, and makes them again the next time."""


class AccessDenied(InvalidationError):
    """CloudFront refused the call for lack of a permission."""


class NoSuchDistribution(InvalidationError):
    """The distribution does not exist (any more)."""


class NoSuchInvalidation(InvalidationError):
    """The distribution does not know the invalidation."""


class InvalidationRefused(InvalidationError):
    """CloudFront calls the request itself wrong (InvalidArgument, BatchTooLarge, InvalidationBatchAlreadyExists …)."""


class TooManyTenants(InvalidationError):
    """A multi-tenant distribution has more tenants than the cap allows to invalidate."""


class CloudFrontThrottled(InvalidationError):
    """CloudFront's request rate for the account is used up ("Rate exceeded")."""

    transient = True


class CloudFrontUnavailable(TransientError):
    """CloudFront answered with a server error, or did not answer."""


class TooManyInvalidationsInProgress(TransientError):
    """CloudFront takes no more invalidations just now: by which of its published quotas, ``limits`` says."""


class NoRoomInTime(TransientError):
    """CloudFront had no room for the invalidation until the deadline that the batch carries."""


class InvalidationTimedOut(TransientError):
    """CloudFront did not report the invalidation as completed within the time that the parameter allows."""


class EdgeStillStale(TransientError):
    """After a completed invalidation an edge location still gives what the bucket holds no more."""


class NotificationFailed(TransientError):
    """The batch ended, but SNS did not take the notification."""


class BucketNotReady(InvalidationError):
    """A watched bucket is missing, denied, or in another region."""


class ConcurrentBucketChange(TransientError):
    """Somebody else keeps changing a bucket's notification configuration."""


_BASES = (InvalidationError, TransientError)
ERRORS = {each.__name__: each for base in _BASES for each in base.__subclasses__() if each not in _BASES}
"""Error name -> class."""


def is_transient(name: str) -> bool:
    """Whether trying again later can help. Names that are not ours (``Lambda.Unknown``, ``States.Timeout``) are."""
    return ERRORS[name].transient if name in ERRORS else True


def code_of(error: ClientError) -> str:
    """AWS's own name for what a call failed with; "" where it gave none."""
    return str(error.response.get("Error", {}).get("Code", ""))
