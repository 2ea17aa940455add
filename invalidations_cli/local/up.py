"""`invalidations local up`: the local AWS for whatever program wants to use it."""

from __future__ import annotations

import contextlib
import sys
from typing import get_args

import click
from rich.console import Console

from invalidations_cli.local import environment
from invalidations_cli.local.aws import SECRET
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.settings import ACCOUNT, REGION, LocalSettings, Quota
from invalidations_cli.main import interruptible

EXAMPLES = """\b
Example:
  invalidations local up
  aws --endpoint-url http://127.0.0.1:4566 s3 ls     # in another terminal

\b
Exit codes:
  0    it ran until it was interrupted
  1    it could not be started, or its stack could not be deployed
  2    wrong usage
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="NUMBER", help="Where it listens; 4566 or, if taken, any free one."
)
@click.option(
    "--cloudfront-quota",
    "quota",
    type=click.Choice(get_args(Quota)),
    metavar="QUOTA",
    default="in-progress",
    show_default=True,
    help="CloudFront's quota that it enforces. rate: 150 paths and 1 wildcard a second; in-progress: 3,000 paths and "
    "15 wildcards in progress; none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what is there as one line of JSON.")
def up(port: int | None, quota: Quota, *, as_json: bool) -> None:
    """Start a local AWS with a sample site, and keep it until interrupted.

    Any AWS SDK or CLI that is pointed at the endpoint works. What is in it is gone when it ends.
    """
    progress = Console(stderr=True, highlight=False)
    try:
        with (
            interruptible(),
            contextlib.suppress(KeyboardInterrupt),
            environment.running(LocalSettings(cloudfront_quota=quota), port, say=progress.print) as there,
        ):
            click.echo(there.to_json() if as_json else how_to_use(there))
            sys.stdout.flush()
            there.server.wait()
    except environment.Problem as problem:
        raise click.ClickException(str(problem)) from None


def variables(endpoint: str) -> str:
    """What points any AWS SDK or CLI at the endpoint, as commands for a shell."""
    return f"""export AWS_ENDPOINT_URL={endpoint} AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}
export AWS_ACCESS_KEY_ID={ACCOUNT} AWS_SECRET_ACCESS_KEY={SECRET}"""


def how_to_use(there: LocalEnvironment) -> str:
    exports = variables(there.endpoint).replace("\n", "\n  ")
    return f"""
  endpoint        {there.endpoint}
  bucket          {there.bucket}
  distribution    {there.distribution_id}  ({there.distribution_domain})
  state machine   {there.state_machine_arn}
  topic           {there.topic_arn}
  its queue       {there.queue_url}

In another terminal:

  {exports}

  echo hello | aws s3 cp - s3://{there.bucket}/index.html
  .venv/bin/invalidations wait --bucket {there.bucket}
  .venv/bin/invalidations show latest
  .venv/bin/invalidations graph latest --open
  aws stepfunctions list-executions --state-machine-arn {there.state_machine_arn}
  aws cloudfront list-invalidations --distribution-id {there.distribution_id}
  aws sqs receive-message --endpoint-url {there.endpoint} --wait-time-seconds 20 --queue-url {there.queue_url}
  curl -i -H 'Host: {there.distribution_domain}' {there.endpoint}/index.html

Ctrl-C ends it."""
