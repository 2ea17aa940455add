"""`invalidations graph`: an execution as one HTML page, from Step Functions or from a file that `show --save` wrote."""

from __future__ import annotations

import re
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import click
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.loopback import is_loopback
from invalidations_cli.recording import Recording, collect, load
from invalidations_cli.report.page import render

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


ARN = re.compile(r"arn:aws[\w-]*:states:(?P<region>[\w-]+):\d{12}:(?P<kind>execution|express):")

GONE = "Step Functions keeps histories for 90 days; a file that `invalidations show --save` wrote works for ever"


@click.command()
@click.argument("execution")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the page.  [default: graph-NAME.html in this folder]",
)
@click.option("--endpoint-url", metavar="URL", help="Where Step Functions is, if not at AWS: what `local up` prints.")
@click.option("--open", "open_it", is_flag=True, help="Show the page in the browser.")
def graph(execution: str, html: Path | None, endpoint_url: str | None, open_it: bool) -> None:
    """Draw an execution: the state machine coloured by what happened, its data, timeline and events.

    EXECUTION is the ARN of an execution of a Standard state machine (any, not only this project's), or a file that
    `invalidations show --save` wrote. The page is one file that loads nothing: keep it, attach it, send it.
    """
    recording = _recording(execution, endpoint_url)
    try:
        history = recording.history()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise click.ClickException(f"{execution} cannot be drawn: {error}") from None
    path = html or Path(f"graph-{_file_name(history.name)}.html")
    try:
        path.write_text(render(history), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    entered = f"{len(history.visits)} state{'' if len(history.visits) == 1 else 's'} entered"
    click.echo(f"{path}: {history.name}, {history.status.lower()}, {entered}")
    if open_it:
        webbrowser.open(path.resolve().as_uri())


def _recording(execution: str, endpoint_url: str | None) -> Recording:
    arn = ARN.match(execution)
    if arn and arn["kind"] == "express":
        raise click.ClickException("an Express execution has no history in Step Functions: look in its log group")
    if arn:
        return _collected(execution, arn["region"], endpoint_url)
    if not Path(execution).is_file():
        raise click.ClickException(f"{execution} is neither the ARN of an execution nor a saved file")
    try:
        return load(Path(execution))
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _collected(arn: str, region: str, endpoint_url: str | None) -> Recording:
    try:
        return collect(_client(region, endpoint_url), arn)
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        hint = f" ({GONE})" if code == "ExecutionDoesNotExist" else ""
        raise click.ClickException(f"{code}: {message}{hint}") from None
    except NoCredentialsError:
        raise click.ClickException("no AWS credentials: sign in, or set AWS_PROFILE") from None
    except (BotoCoreError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _client(region: str, endpoint_url: str | None) -> SFNClient:
    """A local endpoint is asked as the local tools ask it; nobody's real credentials go there."""
    if endpoint_url and is_loopback(urlsplit(endpoint_url).hostname):
        local: SFNClient = LocalAws(endpoint_url).client("stepfunctions")
        return local
    return boto3.client("stepfunctions", region_name=region, endpoint_url=endpoint_url)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80] or "execution"
