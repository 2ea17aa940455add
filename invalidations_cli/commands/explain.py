"""`invalidations explain`: what to ask when content looks stale. Of a stack it needs no more than the parameters."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import click
from botocore.exceptions import ClientError

from invalidation.cloudfront.bucket import BucketReader, max_age
from invalidation.cloudfront.client import CloudFront
from invalidation.cloudfront.distribution import Distribution
from invalidation.cloudfront.explain import Explanation
from invalidation.cloudfront.explain import explain as explanation_of
from invalidation.cloudfront.limits import MAX_TENANTS, price
from invalidation.cloudfront.patterns import key_filter
from invalidation.cloudfront.routing import RouteVerdict
from invalidation.cloudfront.rules import InvalidateBy
from invalidation.config import Settings, rules_of, sending_limits_of
from invalidation.errors import InvalidationError, InvalidRequest, TooManyTenants, code_of
from invalidation.event_pattern import wildcard_matches
from invalidation.events import parse
from invalidation.health import cut
from invalidations_cli.arguments import check_keys
from invalidations_cli.aws import (
    DEFAULT_STACK,
    AwsOptions,
    Clients,
    ExitCode,
    Stack,
    find_stack,
    friendly_error,
    refusal,
    with_aws,
)
from invalidations_cli.commands.doctor import health_of
from invalidations_cli.output import count, escape
from invalidations_cli.stale_page import PageQuestion, PageVerdict, lines_of_page, parsed_url

GONE = {"404", "NoSuchKey", "NotFound"}
EXAMPLES = """\b
Examples:
  invalidations explain https://www.example.com/blog/
  invalidations explain --bucket my-site --key "about us/team.html"
  invalidations explain --bucket my-site --key a.html --stack my-invalidations

\b
Exit codes:
  0    the page is fresh; a change of the key invalidates something
  1    the page may be stale; a change of the key invalidates nothing
  2    wrong usage
  4    AWS could not be asked

If the right paths are named here and content is stale all the same, see whether the bucket sends its events
(invalidations bucket status), and how its last batches ended.
"""
ONLY_IF_NAMED = (
    "By its domain names no origin is the bucket. What follows is so only if the parameter DistributionIds names this "
    "distribution."
)
NOT_NAMED = "The stack's parameter DistributionIds names others: it does not invalidate this distribution."


@dataclass(frozen=True, slots=True)
class DistributionAnswer:
    """An explanation.

    `unless`: why it holds only under a condition which, as things stand, is not met. `copies`: how many tenants cost
    the paths again, 1 where there are none. `more`: what else there is to say.
    """

    explanation: Explanation
    unless: str = ""
    copies: int = 1
    more: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        return ((self.unless,) if self.unless else ()) + self.explanation.sentences + self.more

    @property
    def paths(self) -> tuple[str, ...]:
        """What a change of the key invalidates, if the bucket is an origin."""
        return () if self.unless else self.explanation.sent.paths

    @property
    def paid(self) -> int:
        """How many paths that costs."""
        return len(self.paths) * self.copies

    @property
    def interesting(self) -> bool:
        """Whether it has anything to do with the bucket."""
        distribution = self.explanation.distribution
        return self.explanation.served.verdict is not RouteVerdict.NO_ORIGIN or bool(distribution.unrecognised)

    def to_document(self) -> dict[str, Any]:
        return {
            **self.explanation.to_document(),
            "because": list(self.sentences),
            "onlyIfNamed": self.unless == ONLY_IF_NAMED,
            "dollarsAtMost": float(price(self.paid)),
        }


@click.command(epilog=EXAMPLES)
@click.argument("url", required=False, metavar="[URL]")
@click.option("--bucket", metavar="BUCKET", help="The bucket.")
@click.option("--key", metavar="KEY", help="The object's key, as S3 shows it; it need not exist.")
@click.option("--distribution", "distribution_ids", multiple=True, metavar="ID", help="Only this one; may be repeated.")
@click.option(
    "--stack",
    "stack_name",
    metavar="NAME",
    envvar="INVALIDATIONS_STACK",
    show_envvar=True,
    help=f"The deployed stack, whose parameters decide.  [default: {DEFAULT_STACK}, or else the "
    "only one in the region, if there is one]",
)
@click.option("--directory-index", metavar="NAME", help="As if the stack's parameter DirectoryIndex were this.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@with_aws
def explain(
    *,
    aws: AwsOptions,
    url: str | None,
    bucket: str | None,
    key: str | None,
    stack_name: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Say why a page is stale, or what a change of a key invalidates.

    With the URL of a page: the distribution, behaviour, origin and object that it leads to, what the edge gives now
    and what the bucket holds, which batch and invalidation covered its last change, and the command that fixes it.
    Nothing but AWS and the address's own host is asked.

    With a --bucket and a --key, for each distribution of the account: whether it serves the key, by which origin and
    behaviour, which paths and cache tags a change of just this key would invalidate, why each of them, at what price,
    or why none; with the parameters of the deployed stack. It changes nothing, and needs cloudfront:ListDistributions,
    GetDistributionConfig and GetCachePolicy; for the parameters cloudformation:DescribeStacks, for tags s3:GetObject,
    for tenants cloudfront:ListDistributionTenants.
    """
    if url and (bucket or key):
        raise click.UsageError("name either the URL of a page, or a --bucket and a --key")
    if url:
        parsed_url(url)
        explain_page(aws.open_stack(stack_name), url, as_json=as_json)
    elif bucket and key is not None:
        explain_key(aws.clients(), bucket, key, stack_name, as_json=as_json, **options)
    else:
        raise click.UsageError("name the URL of a page, or a --bucket and a --key")


def explain_page(stack: Stack, url: str, *, as_json: bool) -> None:
    """Why the page is stale; ends the command with 1 unless it is fresh."""
    health, ours = health_of(stack), of_stack(stack)
    question = PageQuestion(
        stack,
        ours.settings,
        lambda bucket, key: list(ours.blockers(bucket, key)),
        lambda bucket, _key: cut(health.checks(bucket, cuts_only=True)),
    )
    facts = question.answer(url)
    if as_json:
        click.echo(json.dumps(facts.to_document()))
    else:
        for line in lines_of_page(facts):
            click.echo(line)
    sys.exit(ExitCode.OK if facts.verdict is PageVerdict.FRESH else ExitCode.FAILED)


def explain_key(
    clients: Clients,
    bucket: str,
    key: str,
    stack_name: str | None,
    *,
    distribution_ids: Sequence[str],
    directory_index: str | None,
    as_json: bool,
) -> None:
    """Who serves the key, and what a change of it invalidates. Ends the command with 1 where that is nothing."""
    try:
        parse({"bucket": bucket, "keys": [key]})
    except InvalidRequest as error:
        raise click.UsageError(escape(error)) from None
    check_keys(clients, bucket, [key])
    stack = deployed(clients, stack_name)
    if directory_index is not None:
        stack = replace(stack, settings=replace(stack.settings, directory_index=directory_index))
    answers = list(KeyQuestion(clients, bucket, key, stack.settings).answers(distribution_ids))
    blockers = list(stack.blockers(bucket, key))
    if as_json:
        click.echo(json.dumps(document_of(bucket, key, stack, answers)))
    else:
        for note in stack.notes():
            click.echo(f"{note}\n")
        show(bucket, key, answers, blockers)
    if blockers or not any(each.paths for each in answers):
        sys.exit(ExitCode.FAILED)


def document_of(
    bucket: str, key: str, stack: DeployedSettings, answers: Sequence[DistributionAnswer]
) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "key": key,
        "stack": stack.stack,
        "notes": list(stack.notes()),
        "startsNothing": list(stack.blockers(bucket, key)),
        "distributions": [each.to_document() for each in answers],
    }


class KeyQuestion:
    """A question about a key, and whom to ask."""

    def __init__(self, clients: Clients, bucket: str, key: str, settings: Settings) -> None:
        self._clients = clients
        buckets = BucketReader(lambda service, **_region: clients(service))
        self._cloudfront = CloudFront(clients("cloudfront"), buckets=buckets)
        self._bucket, self._key, self._settings = bucket, key, settings

    def answers(self, asked_for: Sequence[str]) -> Iterator[DistributionAnswer]:
        """One for each distribution, or for each that was asked for. Those that serve the key first.

        Raises:
            InvalidationError: CloudFront refused, or does not know a distribution.
        """
        named = self._settings.distribution_ids
        if asked_for:
            yield from (self._one(each, named) for each in asked_for)
            return
        found = self._cloudfront.distributions_serving(self._bucket, named=named) if named else None
        every = found or self._cloudfront.distributions(self._bucket)
        yield from sorted(map(self._of, every), key=lambda each: (not each.paths, not each.interesting))

    def _one(self, distribution_id: str, named: Sequence[str]) -> DistributionAnswer:
        distribution = self._cloudfront.distribution(distribution_id, self._bucket)
        if distribution.origins and not named:
            return self._of(distribution)
        (presumed,) = self._cloudfront.distributions_serving(self._bucket, named=[distribution_id])
        if named:
            return self._of(presumed, unless="" if distribution_id in named else NOT_NAMED)
        return self._of(presumed, unless=ONLY_IF_NAMED if presumed.origins else "")

    def _of(self, distribution: Distribution, unless: str = "") -> DistributionAnswer:
        rules, budget = rules_of(self._settings), sending_limits_of(self._settings).budget
        max_age_of = partial(max_age, self._clients("s3"), self._bucket)
        tags = self._tags(distribution)
        explained = explanation_of(distribution, self._key, rules, budget, tags, max_age_of)
        if not (distribution.tenant_only and explained.served):
            return DistributionAnswer(explained, unless)
        try:
            tenants = len(self._cloudfront.targets(distribution))
        except TooManyTenants as error:
            return DistributionAnswer(explained, f"Nothing is sent: {error}")
        except InvalidationError as error:
            return DistributionAnswer(explained, unless, more=(f"Its tenants are not known: {error}",))
        told = f"It has {count(tenants, 'enabled tenant')}; at most {MAX_TENANTS} are invalidated."
        return DistributionAnswer(explained, unless, tenants, (told,))

    def _tags(self, distribution: Distribution) -> str | None:
        """The value of the object's tag header, where it matters. None where it cannot be read."""
        header = distribution.tag_metadata_key
        if not header or rules_of(self._settings).invalidate_by is InvalidateBy.PATHS:
            return ""
        try:
            stored = self._clients("s3").head_object(Bucket=self._bucket, Key=self._key)
        except ClientError as error:
            return "" if code_of(error) in GONE else None
        return str(stored["Metadata"].get(header, ""))


def show(bucket: str, key: str, answers: Sequence[DistributionAnswer], blockers: Sequence[str]) -> None:
    for answer in answers:
        if answer.interesting:
            show_one(answer)
    others = [escape(each.explanation.distribution.id) for each in answers if not each.interesting]
    if others:
        click.echo(f"Do not serve the bucket: {', '.join(others)}\n")
    paths = sum(each.paid for each in answers)
    serving = sum(bool(each.paths) for each in answers)
    where = f"on {serving} of {count(len(answers), 'distribution')}"
    cost = f"{count(paths, 'path')} {where}, at most ${price(paths)} (as if the month's 1,000 free ones were used up)"
    what = cost if paths else f"nothing {where}"
    if blockers:
        click.secho(
            f"A change of {escape(key)} in {escape(bucket)} starts nothing: {'; '.join(blockers)}.", fg="yellow"
        )
        click.echo(f"A request by hand invalidates {what}.")
    else:
        click.echo(f"A change of {escape(key)} in {escape(bucket)} invalidates {what}.")


def show_one(answer: DistributionAnswer) -> None:
    distribution = answer.explanation.distribution
    names = [distribution.id, distribution.domain_name, *distribution.aliases]
    click.secho("  ".join(escape(each) for each in names if each), bold=True)
    if answer.paths:
        times = f" for each of {count(answer.copies, 'tenant')}" if distribution.tenant_only else ""
        click.secho(f"  {count(len(answer.paths), 'path')}{times}, at most ${price(answer.paid)}:", fg="green")
        for reason in answer.explanation.reasons:
            click.echo(f"    {escape(reason.item, 4_000)}")
            for because in reason.because:
                click.echo(f"        {escape(because, 4_000)}")
    else:
        click.secho("  nothing", fg="yellow")
    for sentence in answer.sentences:
        if not sentence.startswith(("Invalidated: ", "Nothing is invalidated")) or answer.unless:
            click.echo(f"  - {escape(sentence, 4_000)}")
    click.echo()


@dataclass(frozen=True, slots=True)
class DeployedSettings:
    """A stack's parameters; without a stack, the template's defaults. ``missing`` says why there is none."""

    settings: Settings
    stack: str = ""
    missing: str = ""
    bucket_names: tuple[str, ...] = ()
    exclude_keys: tuple[str, ...] = ()

    def blockers(self, bucket: str, key: str) -> Iterator[str]:
        """Why a change of the key would start nothing in this stack."""
        if not self.stack:
            return
        if bucket not in self.bucket_names:
            yield "the stack does not watch the bucket (BucketNames)"
        if any(wildcard_matches(pattern, key) for pattern in self.exclude_keys):
            yield "ExcludeKeys leaves the key out"
        if not key_filter(self.settings.include_keys)(key):
            yield "IncludeKeys leaves the key out"

    def notes(self) -> Iterator[str]:
        """What holds for every distribution."""
        if not self.stack:
            yield f"With the template's defaults, unless you name a --stack: {self.missing}."
            return
        yield f"With the parameters of the stack {escape(self.stack)}."
        if self.settings.distribution_role_arn:
            role = escape(self.settings.distribution_role_arn)
            yield f"The stack sees distributions as {role}; this command sees those of your own account."
        if self.settings.dry_run:
            yield "DryRun is on: the stack sends nothing."


def deployed(clients: Clients, name: str | None) -> DeployedSettings:
    """The stack of this name, or the usual or only one, if there is one.

    Raises:
        click.ClickException: there is none of the name that was given, or it is another application's.
    """
    given = click.get_current_context().find_object(Stack)
    if name and not given:
        with friendly_error(name):
            given = find_stack(name, clients)
    try:
        return of_stack(given or find_stack(None, clients))
    except ClientError as error:
        unknown = code_of(error) == "ValidationError"
        why = f"there is no stack {DEFAULT_STACK} here" if unknown else refusal(error, DEFAULT_STACK)
        return DeployedSettings(Settings(), missing=escape(why, 1_000))
    except click.ClickException as error:
        return DeployedSettings(Settings(), missing=error.message)


def of_stack(stack: Stack) -> DeployedSettings:
    return DeployedSettings(
        stack.settings,
        stack.name,
        bucket_names=stack.bucket_names,
        exclude_keys=tuple(each.strip() for each in stack.parameters.get("ExcludeKeys", "").split(",") if each.strip()),
    )
