"""Stacks of this project's template beside the session's own: deployed, updated, deleted."""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache

from invalidations_cli.local import deploy
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.deploy import DeployProblem, Template, failures
from tests.local import tools

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]

parsed = cache(deploy.load)
"""The template, read once; `deploy` copies it."""


def template(**variables: str) -> Template:
    """A copy of the template, to be changed; with more variables in its functions' environment."""
    copy = deepcopy(parsed())
    copy["Globals"]["Function"]["Environment"]["Variables"] |= variables
    return copy


def create(aws: LocalAws, name: str, parameters: Mapping[str, str], changed: Template | None = None) -> dict[str, str]:
    """The new stack's outputs; raises DeployProblem."""
    return deploy.deploy(aws, changed or parsed(), parameters, stack=name)


def update(aws: LocalAws, name: str, parameters: Mapping[str, str]) -> None:
    """Change parameters of a stack, as `sam deploy --parameter-overrides` does; raises DeployProblem."""
    cloudformation = aws.client("cloudformation")
    (before,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    kept = {each["ParameterKey"] for each in before["Parameters"]} - set(parameters)
    cloudformation.update_stack(
        StackName=name,
        UsePreviousTemplate=True,
        Capabilities=CAPABILITIES,
        Parameters=[
            *({"ParameterKey": key, "UsePreviousValue": True} for key in kept),
            *({"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()),
        ],
    )
    status = tools.eventually(lambda: settled(aws, name), 60)
    if status != "UPDATE_COMPLETE":
        raise DeployProblem(f"{name} ended as {status}.\n{failures(cloudformation, name)}")


def delete(aws: LocalAws, name: str) -> None:
    """Delete a stack; raises DeployProblem."""
    cloudformation = aws.client("cloudformation")
    cloudformation.delete_stack(StackName=name)
    status = tools.eventually(lambda: settled(aws, name), 60)
    if status != "GONE":
        raise DeployProblem(f"{name} ended as {status}.\n{failures(cloudformation, name)}")


def settled(aws: LocalAws, name: str) -> str:
    """The stack's status once nothing happens to it any more, GONE when there is none, and "" until then."""
    cloudformation = aws.client("cloudformation")
    try:
        (found,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except cloudformation.exceptions.ClientError:
        return "GONE"
    status = str(found["StackStatus"])
    return "" if status.endswith("IN_PROGRESS") else status
