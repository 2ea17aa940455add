"""What CloudFront's error codes mean here: the named error, and what to do about it.

Codes: BC, and CFD/API reference "Common errors". Unknown ones go by their HTTP status.
"""

from __future__ import annotations

from typing import Final

from invalidation.errors import (
    AccessDenied,
    CloudFrontThrottled,
    CloudFrontUnavailable,
    InvalidationError,
    InvalidationRefused,
    NoSuchDistribution,
    NoSuchInvalidation,
    TooManyInvalidationsInProgress,
)

_BY_CODE: Final[dict[str, type[InvalidationError]]] = {
    "AccessDenied": AccessDenied,
    "AccessDeniedException": AccessDenied,
    "InvalidClientTokenId": AccessDenied,
    "NotAuthorized": AccessDenied,
    "OptInRequired": AccessDenied,
    "UnrecognizedClientException": AccessDenied,
    "NoSuchDistribution": NoSuchDistribution,
    "EntityNotFound": NoSuchDistribution,
    "NoSuchInvalidation": NoSuchInvalidation,
    "TooManyInvalidationsInProgress": TooManyInvalidationsInProgress,
    "RequestLimitExceeded": CloudFrontThrottled,
    "RequestThrottled": CloudFrontThrottled,
    "RequestThrottledException": CloudFrontThrottled,
    "SlowDown": CloudFrontThrottled,
    "Throttling": CloudFrontThrottled,
    "ThrottlingException": CloudFrontThrottled,
    "ThrottledException": CloudFrontThrottled,
    "TooManyRequests": CloudFrontThrottled,
    "TooManyRequestsException": CloudFrontThrottled,
    # Credentials that expired, or a clock that is off: the role's next ones are likely to work.
    "ExpiredToken": CloudFrontUnavailable,
    "ExpiredTokenException": CloudFrontUnavailable,
    "RequestExpired": CloudFrontUnavailable,
    "RequestTimeout": CloudFrontUnavailable,
    "RequestTimeoutException": CloudFrontUnavailable,
    "RequestTimeTooSkewed": CloudFrontUnavailable,
}

_ADVICE: Final[dict[type[InvalidationError], str]] = {
    NoSuchDistribution: "It was deleted, or its id is mistyped: correct the DistributionIds parameter or the request.",
    NoSuchInvalidation: "It belongs to another distribution, or its id is mistyped.",
    InvalidationRefused: "The same request would be refused again: its paths or its caller reference are wrong.",
    TooManyInvalidationsInProgress: "At most 3,000 paths and 15 wildcards may be in progress: try again as they end.",
    CloudFrontThrottled: "The account's request rate is used up: try again later.",
    CloudFrontUnavailable: "Try again later.",
}


_ROLE_ADVICE: Final = (
    "See that the role in DistributionRoleArn exists, that it trusts this function's role, and that its external id is "
    "the one in DistributionRoleExternalId: examples/distribution-account-role.yaml makes such a role."
)


def refusal(call: str, resource: str, code: str, status: int, message: str) -> InvalidationError:
    """The named error for a failed call, ``CreateInvalidation`` on ``distribution/E123``."""
    kind = _BY_CODE.get(code) or _by_status(status)
    if kind is AccessDenied:
        advice = f"Grant cloudfront:{call} on {_arn(resource)} to the role that makes the call."
    else:
        advice = _ADVICE[kind]
    return kind(f"{call} on {resource}: {code} ({message}). {advice}")


def role_refusal(call: str, resource: str, code: str, status: int, message: str) -> InvalidationError:
    """The named error for a call that was not made, because STS did not let the other account's role be assumed."""
    kind = _BY_CODE.get(code) or _by_status(status)
    kind = kind if kind.transient else AccessDenied
    advice = _ADVICE[kind] if kind.transient else _ROLE_ADVICE
    return kind(f"AssumeRole for {call} on {resource}: {code} ({message}). {advice}")


def _by_status(status: int) -> type[InvalidationError]:
    if status == 403:
        return AccessDenied
    if status == 404:
        return NoSuchDistribution
    if status == 429:
        return CloudFrontThrottled
    return InvalidationRefused if 400 <= status < 500 else CloudFrontUnavailable


def _arn(resource: str) -> str:
    return "*" if resource == "*" else f"arn:aws:cloudfront::<account>:{resource}"
