"""What roles may do, and what they did."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from invalidations_cli.local.aws import LocalAws
from tests.local.instruments import control


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One action on one resource, each perhaps with wildcards, that a role is allowed."""

    role: str
    action: str
    resource: str

    def allows(self, call: "Call") -> bool:
        matches = fnmatchcase(call.action, self.action) and fnmatchcase(call.resource, self.resource)
        return call.role == self.role and matches


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """What a role asked for, and whether it was allowed."""

    role: str
    action: str
    resource: str
    allowed: bool


def calls(aws: LocalAws) -> list[Call]:
    """All calls of roles so far, each once; the principal is `arn:aws:sts::<account>:assumed-role/<role>/<session>`."""
    return sorted(
        Call(principal.split("/")[1], action, resource, allowed)
        for principal, action, resource, allowed in control.ask(aws.endpoint, "calls")
    )


def grants(aws: LocalAws, role: str) -> set[Grant]:
    """Every pair of an action and a resource that a role's policies allow, its own and those attached to it."""
    iam = aws.client("iam")
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = attached["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        documents.append(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])
    return {
        Grant(role, action, resource)
        for document in documents
        for statement in listed(document["Statement"])
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def unused(granted: Iterable[Grant], made: Iterable[Call]) -> list[Grant]:
    """The grants on which no call relied."""
    allowed = [call for call in made if call.allowed]
    return sorted(grant for grant in granted if not any(grant.allows(call) for call in allowed))


def resources(aws: LocalAws, stack: str) -> Mapping[str, str]:
    """Logical id → physical id of everything in a stack."""
    pages = aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    found = [each for page in pages for each in page["StackResourceSummaries"]]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}
