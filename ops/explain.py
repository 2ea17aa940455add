"""`invalidations explain`: what to ask when content looks stale. Needs no stack, only the right to read CloudFront."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from invalidation.changes import parse
from invalidation.cloudfront import CloudFront
from invalidation.errors import InvalidRequest
from invalidation.explain import Explanation
from invalidation.explain import explain as explanation_of
from invalidation.limits import price
from invalidation.routing import PathRules, Verdict
from ops.account import with_account
from ops.shown import count, shown
from ops.stack import Clients

NOBODY_SERVES_IT = 1
EXAMPLES = """\b
Examples:
  invalidations explain --bucket my-site --key "about us/team.html"
  invalidations explain --bucket my-site --key blog/index.html --directory-index index.html

\b
Exit codes:
  0    a change of the key invalidates something
  1    it invalidates nothing, or AWS could not be asked
  2    wrong usage

If the right paths are named here and content is stale all the same, see whether the bucket sends its events
(invalidations bucket status), and how its last batches ended.
"""
ONLY_IF_NAMED = (
    "By its domain names no origin is the bucket. What follows is so only if the parameter DistributionIds names this "
    "distribution."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An explanation; `only_if_named`: it holds where DistributionIds names the distribution, and only there."""

    explanation: Explanation
    only_if_named: bool = False

    @property
    def sentences(self) -> tuple[str, ...]:
        return ((ONLY_IF_NAMED,) if self.only_if_named else ()) + self.explanation.sentences

    @property
    def paths(self) -> tuple[str, ...]:
        """What a change of the key invalidates, as far as the bucket is known to be an origin."""
        return () if self.only_if_named else self.explanation.served.paths

    @property
    def interesting(self) -> bool:
        """Whether there is more to say than that it has nothing to do with the bucket."""
        distribution = self.explanation.distribution
        return self.explanation.served.verdict is not Verdict.NO_ORIGIN or bool(distribution.unrecognised)

    def to_document(self) -> dict[str, Any]:
        paths = len(self.paths)
        return {
            **self.explanation.to_document(),
            "because": list(self.sentences),
            "onlyIfNamed": self.only_if_named,
            "dollarsAtMost": float(price(paths)),
        }


@click.command(epilog=EXAMPLES)
@click.option("--bucket", required=True, metavar="BUCKET", help="The bucket.")
@click.option("--key", required=True, metavar="KEY", help="The object's key, as S3 shows it; it need not exist.")
@click.option("--distribution", "distribution_ids", multiple=True, metavar="ID", help="Only this one; may be repeated.")
@click.option(
    "--directory-index",
    metavar="NAME",
    default="",
    help="The stack's parameter DirectoryIndex: the file that a rewrite serves for a directory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@with_account
def explain(
    clients: Clients,
    *,
    bucket: str,
    key: str,
    distribution_ids: Sequence[str],
    directory_index: str,
    as_json: bool,
) -> None:
    """Who serves a key, and what a change of it invalidates, and why.

    For each distribution of the account: whether it serves the key, by which origin and behaviour, which paths a change
    of the key would invalidate, at what price, or why none. It asks CloudFront, changes nothing, and needs
    cloudfront:ListDistributions, GetDistributionConfig and GetCachePolicy.
    """
    try:
        parse({"bucket": bucket, "keys": [key]})
    except InvalidRequest as error:
        raise click.UsageError(shown(error)) from None
    rules = PathRules(directory_index=directory_index)
    answers = list(answers_for(CloudFront(clients("cloudfront")), bucket, key, distribution_ids, rules))
    if as_json:
        click.echo(
            json.dumps({"bucket": bucket, "key": key, "distributions": [each.to_document() for each in answers]})
        )
    else:
        show(bucket, key, answers)
    if not any(each.paths for each in answers):
        sys.exit(NOBODY_SERVES_IT)


def answers_for(
    cloudfront: CloudFront, bucket: str, key: str, distribution_ids: Sequence[str], rules: PathRules
) -> Iterator[Answer]:
    """One for each distribution, those that serve the key first.

    Raises:
        InvalidationError: CloudFront refused, or does not know a distribution.
    """
    if not distribution_ids:
        found = [Answer(explanation_of(each, key, rules)) for each in cloudfront.distributions(bucket)]
        yield from sorted(found, key=lambda each: (not each.paths, not each.interesting))
    for distribution_id in distribution_ids:
        distribution = cloudfront.distribution(distribution_id, bucket)
        if distribution.origins:
            yield Answer(explanation_of(distribution, key, rules))
        else:
            (named,) = cloudfront.distributions_serving(bucket, named=[distribution_id])
            yield Answer(explanation_of(named, key, rules), only_if_named=bool(named.origins))


def show(bucket: str, key: str, answers: Sequence[Answer]) -> None:
    for answer in answers:
        if answer.interesting:
            show_one(answer)
    others = [shown(each.explanation.distribution.id) for each in answers if not each.interesting]
    if others:
        click.echo(f"Nothing to do with the bucket: {', '.join(others)}\n")
    paths = sum(len(each.paths) for each in answers)
    serving = sum(bool(each.paths) for each in answers)
    where = f"on {serving} of {count(len(answers), 'distribution')}"
    cost = f"{count(paths, 'path')} {where}, at most ${price(paths)} (as if the month's 1,000 free ones were used up)"
    click.echo(f"A change of {shown(key)} in {shown(bucket)} invalidates {cost if paths else f'nothing {where}'}.")


def show_one(answer: Answer) -> None:
    distribution = answer.explanation.distribution
    names = [distribution.id, distribution.domain_name, *distribution.aliases]
    click.secho("  ".join(shown(each) for each in names if each), bold=True)
    if answer.paths:
        click.secho(f"  {count(len(answer.paths), 'path')}, at most ${price(len(answer.paths))}:", fg="green")
        for path in answer.paths:
            click.echo(f"    {shown(path, 4_000)}")
    else:
        click.secho("  nothing", fg="yellow")
    for sentence in answer.sentences:
        if not sentence.startswith(("Invalidated: ", "Nothing is invalidated")) or answer.only_if_named:
            click.echo(f"  - {shown(sentence, 4_000)}")
    click.echo()
