"""Deploys a SAM template into a running emulator, as `sam build` and `sam deploy` do. Package, upload, create.

Nothing of the template is rewritten but what the SAM CLI rewrites as well: where the code is, and where the definition
of a state machine is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, WaiterError
from samtranslator.yaml_helper import yaml_parse

from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.package import deployment_package
from invalidations_cli.local.server import ROOT

TEMPLATE = ROOT / "template.yaml"
STACK = "cloudfront-auto-invalidation"
ARTIFACTS = "local-artifacts"
FUNCTION = "AWS::Serverless::Function"
STATE_MACHINE = "AWS::Serverless::StateMachine"

Template = dict[str, Any]


class DeployProblem(Exception):
    """A stack could not be created; the message names each resource that failed, and why."""


def load(path: Path = TEMPLATE) -> Template:
    """The template as a document, with `!Ref` and the like in their long form."""
    if not path.exists():
        raise DeployProblem(
            f"There is no {path}. Run this in a checkout of the project, installed with `pip install -e .`."
        )
    return dict(yaml_parse(path.read_text(encoding="utf-8")))


def deploy(
    aws: LocalAws,
    template: Template,
    parameters: Mapping[str, str],
    *,
    stack: str = STACK,
    folder: Path = ROOT,
) -> dict[str, str]:
    """Create the stack and return its outputs; raises DeployProblem.

    `folder` is what CodeUri and DefinitionUri are relative to.
    """
    packaged = upload_local_files(aws, template, folder)
    location = upload(aws, f"{stack}/template.json", json.dumps(packaged).encode())
    cloudformation = aws.client("cloudformation")
    try:
        cloudformation.create_stack(
            StackName=stack,
            TemplateURL=location.replace("s3://", f"{aws.endpoint}/"),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        waiter = cloudformation.get_waiter("stack_create_complete")
        waiter.wait(StackName=stack, WaiterConfig={"Delay": 0.2, "MaxAttempts": 600})
    except ClientError as refusal:
        raise DeployProblem(f"CloudFormation refused {stack}: {refusal.response['Error']['Message']}") from None
    except WaiterError:
        raise DeployProblem(f"{stack} was not created.\n{failures(cloudformation, stack)}") from None
    (description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}


def upload_local_files(aws: LocalAws, template: Template, folder: Path) -> Template:
    """A copy of the template whose CodeUri and DefinitionUri are uploads."""
    code: dict[str, str] = {}
    copy: Template = json.loads(json.dumps(template, default=str))
    shared = copy.get("Globals", {}).get("Function", {})
    functions = [resource.setdefault("Properties", {}) for resource in of_type(copy, FUNCTION)]
    for properties in [shared, *functions]:
        uri = properties.get("CodeUri")
        if isinstance(uri, str) and "://" not in uri:
            if uri not in code:
                package = deployment_package(folder / uri)
                code[uri] = upload(aws, package.name, package.read_bytes())
            properties["CodeUri"] = code[uri]
    for machine in of_type(copy, STATE_MACHINE):
        definition = folder / machine["Properties"]["DefinitionUri"]
        machine["Properties"]["DefinitionUri"] = upload(aws, definition.name, definition.read_bytes())
    return copy


def of_type(template: Template, kind: str) -> list[dict[str, Any]]:
    return [resource for resource in template["Resources"].values() if resource["Type"] == kind]


def upload(aws: LocalAws, key: str, body: bytes) -> str:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=ARTIFACTS)
    s3.put_object(Bucket=ARTIFACTS, Key=key, Body=body)
    return f"s3://{ARTIFACTS}/{key}"


def failures(cloudformation: Any, stack: str) -> str:
    """A line for each resource that failed, oldest first, in CloudFormation's own words."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack)
    events = [event for page in pages for event in page["StackEvents"] if event["ResourceStatus"].endswith("FAILED")]
    lines = [
        f"  {event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', 'no reason')}"
        for event in sorted(events, key=lambda event: event["Timestamp"])
    ]
    return "\n".join(lines) or "  No resource failed; the stack took too long."
