"""What AWS answers when it does not do what was asked, in plain words: what is wrong, and what to do."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import click
from botocore import exceptions as boto

from invalidation.errors import MAX_MESSAGE as LONGEST
from invalidation.errors import InvalidationError
from ops.shown import shown

SIGN_IN = "no AWS credentials: sign in (aws sso login), name a --profile, or set AWS_PROFILE"
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
UNKNOWN_KEYS = {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "KMSAccessDeniedException"}
THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"}
NO_STACK = re.compile(r"stack.*does not exist", re.IGNORECASE)


@contextlib.contextmanager
def in_plain_words(stack: str) -> Iterator[None]:
    """Turn what boto3 and the domain raise into a `click.ClickException`, which ends the command with exit code 1."""
    try:
        yield
    except boto.ClientError as error:
        raise click.ClickException(shown(refusal(error, stack), LONGEST)) from None
    except (boto.NoCredentialsError, boto.PartialCredentialsError):
        raise click.ClickException(SIGN_IN) from None
    except boto.NoRegionError:
        raise click.ClickException("no AWS region: name one with --region, or set AWS_REGION") from None
    except boto.EndpointConnectionError as error:
        endpoint = error.kwargs.get("endpoint_url", "the endpoint")
        raise click.ClickException(f"{endpoint} does not answer; is --endpoint-url right, and is it running?") from None
    except (boto.BotoCoreError, InvalidationError) as error:
        raise click.ClickException(shown(error, LONGEST)) from None


def refusal(error: boto.ClientError, stack: str) -> str:
    """A ClientError in one line."""
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "")
    if code == "ValidationError" and NO_STACK.search(message):
        return (
            f"there is no stack {stack} in this account and region; name it with --stack, and see --region, --profile"
        )
    if code in EXPIRED:
        return "your AWS session has expired: sign in again (aws sso login)"
    if code in UNKNOWN_KEYS:
        return f"AWS does not know these credentials ({code}): sign in, or name another --profile"
    if code in DENIED:
        return f"you may not do this ({error.operation_name}): {message}"
    if code in THROTTLED:
        return f"AWS was asked too often ({error.operation_name}); try again in a minute"
    return f"{error.operation_name} failed with {code}: {message}"
