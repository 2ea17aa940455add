"""`invalidations doctor`: whether a change of a bucket gets through to CloudFront, check by check."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import click

from invalidation.cloudfront.bucket import BucketReader
from invalidation.cloudfront.client import CloudFront
from invalidation.health import Chain, ChainHealth, Check, CheckVerdict, cut, unknown
from invalidations_cli.arguments import check_keys
from invalidations_cli.aws import AwsOptions, Clients, ExitCode, NotAsked, Stack, stack_option, with_aws
from invalidations_cli.output import escape
from invalidations_cli.predeploy import PreDeployChecks

SIGNS = {
    CheckVerdict.OK: ("✓", "green"),
    CheckVerdict.CUT: ("✗", "red"),
    CheckVerdict.OWED: ("!", "yellow"),
    CheckVerdict.UNKNOWN: ("?", "yellow"),
}
GROUPS = {
    "bucket": "The bucket",
    "rule": "The EventBridge rule",
    "intake": "The intake",
    "execution": "The state machine",
    "cloudfront": "CloudFront",
    "recovery": "Recovery",
    "account": "The account and region",
}
EXAMPLES = """\b
Examples:
  invalidations doctor
  invalidations doctor --bucket my-site --key index.html
  invalidations doctor --json
  invalidations doctor --pre --bucket my-site

\b
Exit codes:
  0  the chain is whole; what could not be asked is said
  1  it is cut: a new change does not get through
  2  wrong usage
  4  AWS could not be asked
"""


@click.command(epilog=EXAMPLES)
@click.option("--bucket", metavar="BUCKET", help="Only this one.  [default: every bucket that the stack watches]")
@click.option("--key", metavar="KEY", help="Whether a change of this key of the --bucket gets through.")
@click.option("--pre", is_flag=True, help="Before a deploy: what can be checked without a stack, for the --bucket.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@stack_option
@with_aws
def doctor(
    aws: AwsOptions, *, stack_name: str | None, bucket: str | None, key: str | None, pre: bool, as_json: bool
) -> None:
    """Find out why nothing is invalidated.

    Looks at everything that a change passes through, from the bucket's events to CloudFront, and says of each whether
    it is whole, with the evidence and the command that fixes it. It changes nothing. What it has no permission to ask
    is shown as unknown, with the permission.
    """
    if key and not bucket:
        raise click.UsageError("--key needs the --bucket that it is in")
    if pre:
        if not bucket or key:
            raise click.UsageError("--pre needs a --bucket, and no --key")
        before_deploy(aws.clients(), bucket, as_json=as_json)
    else:
        of_stack(aws.open_stack(stack_name), bucket, key, as_json=as_json)


def before_deploy(clients: Clients, bucket: str, *, as_json: bool) -> None:
    """What can be known of a deploy for the bucket. Ends the command with 1 where it could not work."""
    checks = PreDeployChecks(clients).checks(bucket)
    ready = not cut(checks)
    if as_json:
        documents = [each.to_document() for each in checks]
        for each in documents:
            if each["group"] == "account":
                del each["runbook"]  # which is about deployed stacks
        click.echo(json.dumps({"bucket": bucket, "ready": ready, "checks": documents}))
    else:
        show_checks(bucket, checks)
        click.secho(f"  {'Ready to deploy.' if ready else 'Not ready.'}", fg="green" if ready else "red")
    sys.exit(ExitCode.OK if ready else ExitCode.FAILED)


def of_stack(stack: Stack, bucket: str | None, key: str | None, *, as_json: bool) -> None:
    """Look at the chain of a deployed stack. Ends the command with 1 where it is cut."""
    if bucket and key:
        check_keys(stack.client, bucket, [key])
    health = health_of(stack)
    buckets = [bucket] if bucket else list(stack.bucket_names)
    if not buckets:
        raise NotAsked(f"the stack {escape(stack.name)} has no parameter BucketNames: name a --bucket")
    found = {each: health.checks(each, key or "") for each in buckets}
    whole = not any(cut(checks) for checks in found.values())
    if as_json:
        click.echo(json.dumps(document(stack, found, whole=whole)))
    else:
        for name, checks in found.items():
            show(name, checks)
    sys.exit(ExitCode.OK if whole else ExitCode.FAILED)


def health_of(stack: Stack) -> ChainHealth:
    """What looks at the chain of a deployed stack."""
    parameters, cloudfront = stack.parameters, stack.client("cloudfront")
    settings = stack.settings
    buckets = BucketReader(lambda service, **_region: stack.client(service))
    physical = _resources(stack)
    rules = [name for logical, name in physical.items() if logical.startswith("ChangeRule")]
    chain = Chain(
        region=stack.state_machine_arn.split(":")[3],
        state_machine_arn=stack.state_machine_arn,
        rules=tuple(each.rpartition("/")[2] for each in rules),
        schedule=physical.get("SweepFunctionEveryFiveMinutes", "").rpartition("/")[2],
        bucket_names=stack.bucket_names,
        distribution_ids=settings.distribution_ids,
        intake_queue_url=stack.intake_queue_url,
        dead_letter_queue_url=stack.dead_letter_queue_url,
        pipe=physical.get("IntakePipe", "") if parameters.get("Intake") == "Buffered" else "",
        dry_run=settings.dry_run,
        enables_events=parameters.get("EnableBucketEvents") != "false",
        include_keys=settings.include_keys,
        max_paths_a_day=settings.max_paths_a_day,
    )
    client = CloudFront(cloudfront, buckets=buckets)
    return ChainHealth(chain, stack.client, stack.table(), client, lambda: datetime.now(UTC))


def _resources(stack: Stack) -> dict[str, str]:
    """The stack's rules and pipe: logical id → name, or ARN."""
    found = stack.client("cloudformation").describe_stack_resources(StackName=stack.name)["StackResources"]
    kinds = {"AWS::Events::Rule", "AWS::Pipes::Pipe"}
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found if each["ResourceType"] in kinds}


def document(stack: Stack, found: dict[str, list[Check]], *, whole: bool) -> dict[str, Any]:
    """For machines, and to be attached to an issue."""
    return {
        "stack": stack.name,
        "whole": whole,
        "buckets": [
            {
                "bucket": bucket,
                "whole": not cut(checks),
                "unknown": [each.name for each in unknown(checks)],
                "checks": [each.to_document() for each in checks],
            }
            for bucket, checks in found.items()
        ],
    }


def show(bucket: str, checks: Sequence[Check]) -> None:
    """One line a check, the remedy below it, and what it comes to."""
    show_checks(bucket, checks)
    unsaid = ", ".join(each.name for each in unknown(checks))
    if cut(checks):
        click.secho(f"  Cut: a new change of {escape(bucket)} is not invalidated.", fg="red")
    elif unsaid:
        click.secho(f"  Whole as far as could be seen; not known: {unsaid}.", fg="yellow")
    else:
        click.secho(f"  Whole: a new change of {escape(bucket)} is invalidated.", fg="green")
    click.echo()


def show_checks(bucket: str, checks: Sequence[Check]) -> None:
    """Checks in groups, one line each."""
    click.secho(escape(bucket), bold=True)
    for group, of_group in groupby(checks, key=lambda each: each.group):
        click.echo(f"  {GROUPS[group]}")
        for line in lines(of_group):
            click.echo(line)


def lines(checks: Iterable[Check]) -> Iterable[str]:
    """Checks in lines for a terminal."""
    for each in checks:
        sign, colour = SIGNS[each.verdict]
        yield f"    {click.style(sign, fg=colour)} {each.name}: {escape(each.evidence, 1_000)}"
        if each.remedy:
            yield f"        {escape(each.remedy, 1_000)}"
        if each.verdict in {CheckVerdict.CUT, CheckVerdict.OWED}:
            yield f"        docs/runbook.md#{each.runbook}"
