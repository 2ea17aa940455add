"""Finding the deployed stack, and what a person is told when that does not work."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import click
import pytest
from botocore import exceptions as boto
from click.testing import CliRunner, Result

from invalidation.errors import BatchTableUnavailable
from invalidations_cli.aws import (
    DEFAULT_STACK,
    OUTPUTS,
    NotAsked,
    Stack,
    clients_for,
    configured_endpoint,
    find_stack,
    friendly_error,
    with_stack,
)
from tests.fakes.stack import EXECUTION, MACHINE, World
from tests.fakes.stack import OUTPUTS as VALUES

LOCAL = "http://127.0.0.1:1"
SECRETS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}


@pytest.fixture(autouse=True)
def _no_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "INVALIDATIONS_"))]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


class CloudFormation:
    """DescribeStacks, of one stack a page; `may_list` says whether it may be asked for all of them."""

    def __init__(self, *described: dict[str, Any], may_list: bool = True) -> None:
        self.stacks = {each["StackName"]: each for each in described}
        self.may_list = may_list

    def describe_stacks(self, StackName: str) -> Any:  # noqa: N803 - as boto3 has it
        if StackName not in self.stacks:
            raise refused("ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": [self.stacks[StackName]]}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "describe_stacks"
        return self

    def paginate(self) -> Iterator[Any]:
        if not self.may_list:
            raise refused("AccessDenied")
        yield from ({"Stacks": [each]} for each in self.stacks.values())


def described(name: str, outputs: dict[str, str], parameters: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "StackName": name,
        "StackStatus": "CREATE_COMPLETE",
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()],
    }


def found(outputs: dict[str, str], parameters: dict[str, str]) -> Stack:
    return find_stack("site", lambda _service: CloudFormation(described("site", outputs, parameters)))


OTHERS = described("another-application", {"Url": "https://www.example.com"})


def found_without_a_name(*stacks: dict[str, Any], may_list: bool = True) -> Stack:
    return find_stack(None, lambda _service: CloudFormation(OTHERS, *stacks, may_list=may_list))


def asking(raised: Callable[[], Exception]) -> Result:
    """What a person sees when a command meets this."""

    @click.command()
    def command() -> None:
        with friendly_error("site"):
            raise raised()

    result = CliRunner().invoke(command)
    assert isinstance(result.exception, SystemExit), result.exception
    return result


def refused(code: str, message: str = "because", operation: str = "DescribeStacks") -> boto.ClientError:
    return boto.ClientError({"Error": {"Code": code, "Message": message}}, operation)


@click.command()
@with_stack
def names(stack: Stack) -> None:
    click.echo(f"{stack.name} {stack.state_machine_arn}")


def test_names_come_from_the_outputs_and_buckets_from_the_parameters() -> None:
    stack = found(VALUES, {"BucketNames": "site, www.example.com"})
    assert stack.state_machine_arn == MACHINE
    assert stack.batch_table_name == "batches"
    assert stack.dead_letter_queue_url == "https://queue/dead-letters"
    assert stack.intake_queue_url == "https://queue/intake"
    assert stack.topic_arn == VALUES["NotificationTopicArn"]
    assert stack.bucket_names == ("site", "www.example.com")
    assert stack.execution_arn("run") == f"{EXECUTION}run"


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_stack_of_another_application_is_told_from_ours(output: str) -> None:
    others = {key: value for key, value in VALUES.items() if key != output}
    with pytest.raises(click.ClickException, match=f"lacks the output {output}"):
        found(others, {})


def test_without_a_name_the_usual_one_is_taken_and_no_list_is_asked_for() -> None:
    usual, other = described(DEFAULT_STACK, VALUES), described("mine", VALUES)
    assert found_without_a_name(other, usual, may_list=False).name == DEFAULT_STACK


def test_without_a_name_the_only_stack_of_this_application_is_found_by_its_outputs() -> None:
    stack = found_without_a_name(described("mine", VALUES, {"BucketNames": "site"}))
    assert (stack.name, stack.bucket_names, stack.state_machine_arn) == ("mine", ("site",), MACHINE)


def test_several_stacks_of_this_application_are_listed_and_none_is_guessed() -> None:
    with pytest.raises(NotAsked, match=r"several stacks of this application here: mine, yours\. Name one with --stack"):
        found_without_a_name(described("mine", VALUES), described("yours", VALUES))


@pytest.mark.parametrize("may_list", [True, False])
def test_where_none_is_found_the_usual_name_is_what_is_missed(may_list: bool) -> None:
    stacks = [] if may_list else [described("mine", VALUES)]
    with pytest.raises(boto.ClientError, match=f"Stack with id {DEFAULT_STACK} does not exist"):
        found_without_a_name(*stacks, may_list=may_list)


def test_a_name_that_is_given_is_never_replaced_by_another() -> None:
    with pytest.raises(boto.ClientError, match="Stack with id gone does not exist"):
        find_stack("gone", lambda _service: CloudFormation(described("mine", VALUES)))


def test_a_stack_that_was_found_is_named_in_what_is_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    client = CloudFormation(described("mine", VALUES))
    monkeypatch.setattr("invalidations_cli.aws.clients_for", lambda *_where: lambda _service: client)

    @click.command()
    @with_stack
    def advise(stack: Stack) -> None:
        click.echo(stack.command("status"))

    assert CliRunner().invoke(advise).output == "invalidations status --stack mine\n"


def test_a_stack_that_the_test_brings_is_taken_as_it_is() -> None:
    assert World().run(names).output == f"site {MACHINE}\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (refused("ValidationError", "Stack with id site does not exist"), "there is no stack site in this account"),
        (refused("ValidationError", "1 validation error detected"), "DescribeStacks failed with ValidationError"),
        (refused("AccessDenied", "not authorized to perform"), "you may not do this (DescribeStacks): not authorized"),
        (refused("AccessDeniedException", "no"), "you may not do this (DescribeStacks): no"),
        (refused("ExpiredToken"), "your AWS session has expired: sign in again"),
        (refused("InvalidClientTokenId"), "AWS does not know these credentials"),
        (refused("ThrottlingException"), "AWS was asked too often"),
        (boto.NoCredentialsError(), "no AWS credentials: sign in"),
        (boto.PartialCredentialsError(provider="env", cred_var="x"), "no AWS credentials: sign in"),
        (boto.NoRegionError(), "no AWS region: name one with --region"),
        (boto.ProfileNotFound(profile="nobody"), "nobody"),
        (boto.EndpointConnectionError(endpoint_url=LOCAL), f"{LOCAL} does not answer"),
        (BatchTableUnavailable("the table is busy"), "the table is busy"),
    ],
)
def test_what_aws_refuses_is_told_in_one_line_that_says_what_to_do(error: Exception, told: str) -> None:
    result = asking(lambda: error)
    assert result.exit_code == 4
    assert result.output.startswith("Error: ")
    assert told in result.output
    assert "Traceback" not in result.output


def test_what_aws_says_cannot_steer_the_terminal() -> None:
    result = asking(lambda: refused("AccessDenied", "no \x1b[31m[red]\u202e"))
    assert r"no \x1b[31m[red]\u202e" in result.output


def test_without_credentials_or_region_a_person_is_told_so() -> None:
    assert "no AWS region" in CliRunner().invoke(names).output
    assert "no AWS credentials" in CliRunner().invoke(names, ["--region", "eu-west-1"]).output
    assert "nobody" in CliRunner().invoke(names, ["--profile", "nobody"]).output


def test_a_local_endpoint_that_does_not_answer_is_named() -> None:
    result = CliRunner().invoke(names, ["--endpoint-url", LOCAL])
    assert (result.exit_code, f"{LOCAL} does not answer" in result.output) == (4, True)


def test_real_credentials_never_go_to_a_local_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_PROFILE", "production")
    client = clients_for(LOCAL, None, None)("stepfunctions")
    used = client._request_signer._credentials
    assert not {used.access_key, used.secret_key, used.token} & set(SECRETS.values())
    assert client.meta.endpoint_url == LOCAL


def test_profiles_and_regions_of_a_local_endpoint_are_wrong_usage() -> None:
    for options in (["--profile", "mine"], ["--region", "eu-west-1"]):
        result = CliRunner().invoke(names, ["--endpoint-url", LOCAL, *options])
        assert result.exit_code == 2
        assert "a local endpoint has no profiles" in result.output


@pytest.mark.parametrize(
    ("environment", "endpoint"),
    [
        ({}, None),
        ({"AWS_ENDPOINT_URL": "http://localhost:4566"}, "http://localhost:4566"),
        ({"AWS_ENDPOINT_URL": "https://vpce.example.com"}, None),
        ({"AWS_ENDPOINT_URL": LOCAL, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, None),
    ],
)
def test_a_local_endpoint_of_the_environment_is_taken_unless_such_are_to_be_ignored(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], endpoint: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert configured_endpoint() == endpoint


def test_another_endpoint_is_asked_with_the_callers_own_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    client = clients_for("https://vpce.example.com", "eu-west-1", None)("dynamodb")
    assert client._request_signer._credentials.access_key == SECRETS["AWS_ACCESS_KEY_ID"]
    assert (client.meta.endpoint_url, client.meta.region_name) == ("https://vpce.example.com", "eu-west-1")
    assert client.meta.config.read_timeout == 10


def test_the_stack_can_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Recorded(CloudFormation):
        def describe_stacks(self, StackName: str) -> Any:  # noqa: N803 - as boto3 has it
            asked.append(StackName)
            return super().describe_stacks(StackName)

    client = Recorded(*(described(name, VALUES) for name in ("other", "third", DEFAULT_STACK)))
    monkeypatch.setattr(boto3.Session, "client", lambda *_a, **_k: client)
    assert CliRunner().invoke(names, env={"INVALIDATIONS_STACK": "other"}).output == f"other {MACHINE}\n"
    assert CliRunner().invoke(names, ["--stack", "third"], env={"INVALIDATIONS_STACK": "other"}).exit_code == 0
    assert CliRunner().invoke(names).exit_code == 0
    assert asked == ["other", "third", "cloudfront-auto-invalidation"]
