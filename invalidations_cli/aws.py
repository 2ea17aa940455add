"""What commands have in common. The deployed stack, the options that name it, exit codes, and AWS's errors in words.

@click.command()
@with_stack
def status(stack: Stack) -> None: ...
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any
from urllib.parse import urlsplit

import boto3
import click
from botocore import exceptions as boto
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from invalidation.batches.dynamodb import DYNAMODB_CONFIG, DynamoBatchTable
from invalidation.batches.head import Window
from invalidation.batches.table import BatchTable
from invalidation.config import Settings
from invalidation.errors import MAX_MESSAGE as LONGEST
from invalidation.errors import (
    AccessDenied,
    BatchTableUnavailable,
    CloudFrontThrottled,
    CloudFrontUnavailable,
    InvalidationError,
    code_of,
)
from invalidation.executions import Executions
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.loopback import is_loopback
from invalidations_cli.local.settings import REGION as LOCAL_REGION
from invalidations_cli.output import escape

DEFAULT_STACK = "cloudfront-auto-invalidation"
NOT_NEEDED = "nobody needs it any more"
"""The reason in the commands that are printed to give up a batch."""
OUTPUTS = ("StateMachineArn", "BatchTableName", "NotificationTopicArn", "DeadLetterQueueUrl", "IntakeQueueUrl")
CONFIG = Config(connect_timeout=5, retries={"mode": "standard", "total_max_attempts": 5})

SESSION_EXPIRED = "your AWS session has expired: sign in again (aws sso login)"
SIGN_IN = "no AWS credentials: sign in (aws sso login), name a --profile, or set AWS_PROFILE"
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
UNKNOWN_KEYS = {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "KMSAccessDeniedException"}
THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"}
EXPIRED_SIGN_IN = (
    boto.UnauthorizedSSOTokenError,
    boto.SSOTokenLoadError,
    boto.TokenRetrievalError,
    boto.LoginRefreshRequired,
    boto.LoginTokenLoadError,
)
UNASKED = (AccessDenied, BatchTableUnavailable, CloudFrontThrottled, CloudFrontUnavailable)
STILL_EXPIRED = "refreshed credentials are still expired"
"""In the RuntimeError that botocore raises where a credential process gives what has expired."""
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9a-f:.]+")
NO_STACK = re.compile(r"stack.*does not exist", re.IGNORECASE)

Clients = Callable[[str], Any]
"""The name of a service → its boto3 client, the same one each time."""


class ExitCode(IntEnum):
    """What every command's exit code means."""

    OK = 0
    FAILED = 1
    """Something failed, or needs a person."""
    USAGE = 2
    CUT = 3
    """The chain from the bucket to CloudFront is cut, so that nothing can be awaited."""
    NOT_ASKED = 4
    """AWS could not be asked: no credentials, no permission, no such stack, no answer."""
    TIMED_OUT = 124
    INTERRUPTED = 130


class NotAsked(click.ClickException):
    """AWS could not be asked: nothing is known, and nothing was changed."""

    exit_code = ExitCode.NOT_ASKED


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack of this application.

    Attributes:
        name: The stack's name.
        client: `client("stepfunctions")` is a boto3 client in the stack's account and region.
        outputs: CloudFormation's outputs of the stack, by key.
        parameters: The values of the template's parameters, defaults included.
        options: What was given on the command line to name it, for the commands that are printed as advice.
    """

    name: str
    client: Clients
    outputs: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    @property
    def state_machine_arn(self) -> str:
        return self.outputs["StateMachineArn"]

    @property
    def batch_table_name(self) -> str:
        return self.outputs["BatchTableName"]

    @property
    def topic_arn(self) -> str:
        return self.outputs["NotificationTopicArn"]

    @property
    def dead_letter_queue_url(self) -> str:
        return self.outputs["DeadLetterQueueUrl"]

    @property
    def intake_queue_url(self) -> str:
        return self.outputs["IntakeQueueUrl"]

    @property
    def bucket_names(self) -> tuple[str, ...]:
        """The buckets that the stack watches."""
        return self.settings.bucket_names

    @property
    def settings(self) -> Settings:
        """The template's parameters, as a function finds them in its environment: ``DryRun`` as ``DRY_RUN``."""
        spelled = {re.sub("(?<!^)(?=[A-Z])", "_", name).upper(): value for name, value in self.parameters.items()}
        return Settings.from_environment(spelled)

    def table(self) -> BatchTable:
        """The batch table, for the functions of `invalidation.batches`."""
        return DynamoBatchTable(self.client("dynamodb"), self.batch_table_name)

    def executions(self) -> Executions:
        """Starts executions of the state machine, and asks what became of them."""
        return Executions(self.client("stepfunctions"), self.state_machine_arn)

    def command(self, *words: str) -> str:
        """A command of this program about this stack, to paste into a shell."""
        return escape(shlex.join(("invalidations", *words, *self.options)), LONGEST)

    def execution_arn(self, name: str) -> str:
        """The ARN of the execution of this name: `…:execution:<state machine>:<name>`."""
        prefix, _, machine = self.state_machine_arn.rpartition(":stateMachine:")
        return f"{prefix}:execution:{machine}:{name}"


def find_stack(name: str | None, clients: Clients) -> Stack:
    """Read a stack's outputs and parameters.

    Without a name it is the one of the usual name, or else the only one of this application in the region. All stacks
    are listed only where there is none of the usual name: who may describe just that one needs no other permission.

    Raises:
        NotAsked: it is another application's, or no name was given and there are several.
        botocore.exceptions.ClientError, BotoCoreError: there is no such stack, or AWS cannot be asked.
    """
    client = clients("cloudformation")
    try:
        (described,) = client.describe_stacks(StackName=DEFAULT_STACK if name is None else name)["Stacks"]
    except boto.ClientError as error:
        if name is not None or not is_missing(error):
            raise
        ours = stacks_of_this_application(client)
        if not ours:
            raise
        if len(ours) > 1:
            names = ", ".join(each["StackName"] for each in ours)
            raise NotAsked(
                f"there are several stacks of this application here: {names}. Name one with --stack, or set "
                "INVALIDATIONS_STACK"
            ) from None
        (described,) = ours
    return opened(described, clients)


def stacks_of_this_application(client: Any) -> list[dict[str, Any]]:
    """What DescribeStacks says of each stack in the region with this application's outputs. None if it may not list."""
    pages = client.get_paginator("describe_stacks").paginate()
    try:
        return [each for page in pages for each in page["Stacks"] if set(OUTPUTS) <= outputs_of(each).keys()]
    except boto.ClientError as error:
        if code_of(error) in DENIED:
            return []
        raise


def is_missing(error: boto.ClientError) -> bool:
    """Whether DescribeStacks says that there is no stack of the name."""
    told = error.response.get("Error", {})
    return told.get("Code") == "ValidationError" and bool(NO_STACK.search(told.get("Message", "")))


def outputs_of(described: Mapping[str, Any]) -> dict[str, str]:
    """A stack's outputs, by key."""
    return {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}


def opened(described: Mapping[str, Any], clients: Clients) -> Stack:
    """The stack that DescribeStacks describes so. Raises NotAsked: it is another application's."""
    name, outputs = described["StackName"], outputs_of(described)
    missing = [output for output in OUTPUTS if output not in outputs]
    if missing:
        state = described["StackStatus"]
        raise NotAsked(
            f"the stack {name} ({state}) is none of this application, or is not deployed completely: "
            f"it lacks the output {missing[0]}. Name another with --stack"
        )
    parameters = {each["ParameterKey"]: each.get("ParameterValue", "") for each in described.get("Parameters", [])}
    return Stack(name, clients, outputs, parameters)


def clients_for(endpoint_url: str | None, region: str | None, profile: str | None) -> Clients:
    """Clients for AWS, or for a local emulator, which gets nobody's real credentials.

    Raises:
        click.UsageError: what was asked of a local endpoint makes no sense there.
    """
    if endpoint_url and is_local(endpoint_url):
        if profile or region not in {None, LOCAL_REGION}:
            raise click.UsageError(f"a local endpoint has no profiles, and {LOCAL_REGION} as its only region")
        local: Clients = LocalAws(endpoint_url).client
        return local
    session = boto3.Session(profile_name=profile, region_name=region)

    @functools.cache
    def client(service: str) -> Any:
        config = CONFIG.merge(Config(**DYNAMODB_CONFIG)) if service == "dynamodb" else CONFIG
        try:
            return session.client(service, endpoint_url=endpoint_url, config=config)  # type: ignore[call-overload] # any service
        except ValueError as error:  # an address in the caller's AWS set-up that is none
            raise click.UsageError(escape(error)) from None

    return client


def configured_endpoint() -> str | None:
    """The emulator on this machine that AWS_ENDPOINT_URL names; any other endpoint is boto3's own business."""
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    endpoint_url = os.environ.get("AWS_ENDPOINT_URL", "")
    if endpoint_url and not is_url(endpoint_url):
        raise click.UsageError(f"AWS_ENDPOINT_URL is {endpoint_url!r}, no address such as http://127.0.0.1:4566")
    return endpoint_url if is_local(endpoint_url) else None


def is_local(endpoint_url: str) -> bool:
    """Whether an endpoint is on this machine."""
    host = urlsplit(endpoint_url).hostname
    return host is not None and is_loopback(host)


def check_listens(endpoint_url: str) -> None:
    """Raise EndpointConnectionError at once where nothing listens, which boto3 would try again and again."""
    where = urlsplit(endpoint_url)
    try:
        socket.create_connection((where.hostname, where.port or 80), timeout=5).close()
    except OSError as error:
        raise EndpointConnectionError(endpoint_url=endpoint_url, error=error) from None


class EndpointUrl(click.ParamType[str]):
    """An address of AWS or of an emulator. It has http or https, a host, perhaps a port and a path."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_url(str(value)):
            self.fail(f"{str(value)!r} is no address such as http://127.0.0.1:4566", param, ctx)
        return str(value)


def is_url(text: str) -> bool:
    """Whether a client can be made for it."""
    try:
        where = urlsplit(text)
        port = where.port
    except ValueError:
        return False
    written = text.isascii() and text.isprintable() and " " not in text
    return written and where.scheme in {"http", "https"} and bool(HOST.fullmatch(where.hostname or "")) and port != 0


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """Where AWS is, as the options of a command say."""

    endpoint_url: str | None
    region: str | None
    profile: str | None

    def clients(self, region: str | None = None) -> Clients:
        """Clients for what the options name; `region` is taken where they name none. Raises what `clients_for` does."""
        endpoint_url = self.endpoint_url or configured_endpoint()
        local = endpoint_url is not None and is_local(endpoint_url)
        clients = clients_for(endpoint_url, self.region or (None if local else region), self.profile)
        if endpoint_url and local:
            check_listens(endpoint_url)
        return clients

    def open_stack(self, name: str | None) -> Stack:
        """What `find_stack` finds, or the click context's object, if it is a stack. A test can bring its own.

        Raises:
            click.ClickException, botocore.exceptions.ClientError, BotoCoreError: as `find_stack` and `clients_for` do.
        """
        given = click.get_current_context().find_object(Stack)
        if given:
            return given
        stack = find_stack(name, self.clients())
        return replace(stack, options=self.written(stack.name))

    def written(self, stack: str) -> tuple[str, ...]:
        """The options that name the stack again; what the environment says need not be repeated."""
        usual = os.environ.get("INVALIDATIONS_STACK") or DEFAULT_STACK
        given = {
            "--stack": stack if stack != usual else None,
            "--endpoint-url": self.endpoint_url,
            "--region": self.region,
            "--profile": self.profile,
        }
        return tuple(word for option, value in given.items() if value for word in (option, value))


def with_aws(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say where AWS is. It is called with `aws`, an `AwsOptions`, and its others."""

    @click.option(
        "--endpoint-url", type=EndpointUrl(), metavar="URL", help="Where AWS is, if not at AWS: what `local up` prints."
    )
    @click.option("--region", metavar="REGION", help="Which region.  [default: that of your AWS set-up]")
    @click.option("--profile", metavar="NAME", help="A profile of your AWS set-up.")
    @functools.wraps(command)
    def with_options(
        *arguments: Any, endpoint_url: str | None, region: str | None, profile: str | None, **options: Any
    ) -> Any:
        with friendly_error(str(options.get("stack_name") or DEFAULT_STACK)):
            return command(*arguments, aws=AwsOptions(endpoint_url, region, profile), **options)

    return with_options


stack_option = click.option(
    "--stack",
    "stack_name",
    metavar="NAME",
    envvar="INVALIDATIONS_STACK",
    show_envvar=True,
    help=f"The deployed stack.  [default: {DEFAULT_STACK}, or else the only one in the region]",
)


def with_stack(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which stack. It is called with `stack`, a `Stack`, and its other options."""

    @functools.wraps(command)
    def with_options(*arguments: Any, aws: AwsOptions, stack_name: str | None, **options: Any) -> Any:
        return command(*arguments, stack=aws.open_stack(stack_name), **options)

    return stack_option(with_aws(with_options))


def with_account(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that needs no stack the options that say where AWS is. It is called with `clients`."""

    @functools.wraps(command)
    def with_options(*arguments: Any, aws: AwsOptions, **options: Any) -> Any:
        return command(*arguments, clients=aws.clients(), **options)

    return with_aws(with_options)


def window_of(stack: Stack) -> Window:
    """As the template's parameters have it, and as its functions read them."""
    settings = stack.settings
    return Window(settings.batch_window_seconds, settings.max_batch_window_seconds)


@contextlib.contextmanager
def friendly_error(stack: str) -> Iterator[None]:
    """Turn what boto3 and the domain raise into a `click.ClickException`, which ends the command."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise click.UsageError(f"{escape(error.object)} is not UTF-8") from None
    except (boto.ClientError, boto.BotoCoreError, InvalidationError, RuntimeError) as error:
        friendly = click_exception(error, stack)
        if friendly is None:
            raise
        raise friendly from None


def click_exception(error: Exception, stack: str) -> click.ClickException | None:
    """What is said of an error to a person. None for one that is a mistake of this program."""
    message = sign_in_problem(error)
    if not message and isinstance(error, InvalidationError) and not isinstance(error, UNASKED):
        return click.ClickException(escape(error, LONGEST))
    match error:
        case _ if message:
            pass
        case boto.ClientError():
            message = refusal(error, stack)
        case boto.NoRegionError():
            message = "no AWS region: name one with --region, or set AWS_REGION"
        case boto.EndpointConnectionError():
            endpoint = error.kwargs.get("endpoint_url", "the endpoint")
            message = f"{endpoint} does not answer; is --endpoint-url right, and is it running?"
        case boto.BotoCoreError() | InvalidationError():
            message = str(error)
        case _:
            return None
    return NotAsked(escape(message, LONGEST))


def sign_in_problem(error: BaseException | None) -> str:
    """What is wrong with the caller's credentials; nothing if that is not the cause."""
    while error is not None:
        code = code_of(error) if isinstance(error, boto.ClientError) else ""
        if code in EXPIRED or isinstance(error, EXPIRED_SIGN_IN) or STILL_EXPIRED in str(error):
            return SESSION_EXPIRED
        if code in UNKNOWN_KEYS:
            return f"AWS does not know these credentials ({code}): sign in, or name another --profile"
        if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
            return SIGN_IN
        error = error.__context__
    return ""


def refusal(error: boto.ClientError, stack: str) -> str:
    """A ClientError in one line."""
    code = code_of(error)
    message = error.response.get("Error", {}).get("Message", "")
    if is_missing(error):
        return (
            f"there is no stack {stack} in this account and region; name it with --stack, and see --region, --profile"
        )
    if problem := sign_in_problem(error):
        return problem
    if code in DENIED:
        return f"you may not do this ({error.operation_name}): {message}"
    if code in THROTTLED:
        return f"AWS was asked too often ({error.operation_name}); try again in a minute"
    return f"{error.operation_name} failed with {code}: {message}"
