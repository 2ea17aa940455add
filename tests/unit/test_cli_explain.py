"""`invalidations explain`, on moto, with distributions of each kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from invalidation.cloudfront.distribution import Behavior, Distribution, Origin
from invalidation.config import Settings
from invalidation.errors import TooManyTenants
from invalidations_cli.aws import Stack
from invalidations_cli.commands.explain import KeyQuestion, explain, show_one

pytestmark = pytest.mark.slow

OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
ALIAS = "reader-abcdef-s3alias.s3.eu-west-1.amazonaws.com"
Create = Callable[..., str]
DEFAULTS = (
    "With the template's defaults, unless you name a --stack: there is no stack cloudfront-auto-invalidation here.\n\n"
)


@pytest.fixture
def create(monkeypatch: pytest.MonkeyPatch) -> Iterator[Create]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"ACCESS_KEY_ID": "made", "SECRET_ACCESS_KEY": "up", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        client = boto3.client("cloudfront")

        def distribution(domain_name: str, **settings: Any) -> str:
            origin = {"Id": "o", "DomainName": domain_name, "S3OriginConfig": {"OriginAccessIdentity": ""}}
            config: Any = {
                "CallerReference": domain_name + repr(settings),
                "Comment": "",
                "Enabled": True,
                "Origins": {"Quantity": 1, "Items": [origin]},
                "DefaultCacheBehavior": {
                    "TargetOriginId": "o",
                    "ViewerProtocolPolicy": "allow-all",
                    "CachePolicyId": OPTIMIZED,
                },
            }
            return client.create_distribution(DistributionConfig=config | settings)["Distribution"]["Id"]

        yield distribution


def run(*words: str) -> Result:
    return CliRunner().invoke(explain, ["--bucket", "site", *words], catch_exceptions=False)


def test_each_distribution_is_told_of_by_what_it_has_to_do_with_the_key_those_that_serve_it_first(
    create: Create,
) -> None:
    stranger = create("other.s3.amazonaws.com")
    alias = create(ALIAS)
    disabled = create("site.s3.amazonaws.com", Enabled=False)
    serving = create("site.s3.eu-west-1.amazonaws.com", DefaultRootObject="index.html")
    result = run("--key", "index.html")
    assert result.exit_code == 0, result.output
    out = result.stdout
    assert out.index(serving) < out.index(alias)
    assert out.startswith(f"{DEFAULTS}{serving}")
    assert (
        "  2 paths, at most $0.010:\n"
        "    /\n        the root, whose default object it is\n"
        "    /index.html\n        where viewers find the key\n"
    ) in out
    assert "as the default root object: the default behaviour sends them to origin o" in out
    assert "The distribution is disabled: it is skipped." in out
    assert f"Its origin {ALIAS} may be the bucket under another name" in out
    assert f"Do not serve the bucket: {stranger}" in out
    assert f"\n{disabled}  " in out
    assert out.endswith(
        "A change of index.html in site invalidates 2 paths on 1 of 4 distributions, at most $0.010 "
        "(as if the month's 1,000 free ones were used up).\n"
    )


def test_a_key_that_nobody_serves_is_told_by_the_exit_code_as_well(create: Create) -> None:
    create("other.s3.amazonaws.com")
    result = run("--key", "index.html")
    assert result.exit_code == 1
    assert "invalidates nothing on 0 of 1 distribution." in result.stdout


def test_an_account_without_distributions_has_nothing_to_invalidate(create: Create) -> None:
    del create
    result = run("--key", "index.html")
    assert (result.exit_code, result.stdout) == (
        1,
        f"{DEFAULTS}A change of index.html in site invalidates nothing on 0 of 0 distributions.\n",
    )


def test_one_distribution_that_is_asked_for_is_the_only_one(create: Create) -> None:
    serving, other = create("site.s3.eu-west-1.amazonaws.com"), create("site.s3.amazonaws.com", Comment="other")
    result = run("--key", "a b.html", "--distribution", serving)
    assert result.exit_code == 0
    assert "    /a%20b.html\n" in result.stdout
    assert other not in result.stdout


def test_a_distribution_that_only_its_id_can_tell_of_is_explained_with_that_condition(create: Create) -> None:
    alias = create(ALIAS)
    result = run("--key", "a.html", "--distribution", alias)
    assert result.exit_code == 1, "as things stand nothing is known to be invalidated"
    assert "is so only if the parameter DistributionIds names this distribution" in result.stdout
    assert "  - Invalidated: /a.html" in result.stdout
    (document,) = json.loads(run("--key", "a.html", "--distribution", alias, "--json").stdout)["distributions"]
    assert (document["onlyIfNamed"], document["paths"], document["dollarsAtMost"]) == (True, ["/a.html"], 0)


def test_a_directory_index_is_what_the_stack_s_parameter_says(create: Create) -> None:
    create("site.s3.eu-west-1.amazonaws.com")
    assert "    /blog/\n" not in run("--key", "blog/index.html").stdout
    assert "    /blog/\n" in run("--key", "blog/index.html", "--directory-index", "index.html").stdout


def test_the_document_is_one_line_with_every_distribution(create: Create) -> None:
    first, second = create("site.s3.eu-west-1.amazonaws.com"), create("other.s3.amazonaws.com")
    result = run("--key", "a.html", "--json")
    (line,) = result.stdout.splitlines()
    document = json.loads(line)
    assert (document["bucket"], document["key"]) == ("site", "a.html")
    told = [(each["distributionId"], each["served"], each["dollarsAtMost"]) for each in document["distributions"]]
    assert told == [(first, True, 0.005), (second, False, 0.0)]


def test_a_distribution_that_does_not_exist_is_an_error_that_says_so(create: Create) -> None:
    del create
    result = run("--key", "a.html", "--distribution", "E00000000X")
    assert result.exit_code == 1
    assert "NoSuchDistribution" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--key", ""], "keys[0] is empty"), (["--key", "a", "--bucket", "No Name"], "not a bucket name")],
)
def test_what_is_no_key_or_bucket_is_refused_before_anybody_is_asked(words: list[str], said: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_key_with_a_leading_slash_is_asked_about(create: Create) -> None:
    create("site.s3.eu-west-1.amazonaws.com")
    result = run("--key", "/index.html")
    assert result.exit_code == 2
    assert "did you mean index.html?" in " ".join(result.stderr.split())


def test_a_hostile_key_is_shown_spelled_out(create: Create) -> None:
    create("site.s3.eu-west-1.amazonaws.com")
    result = run("--key", "a\x1b[2J[bold red]\u202e\r\n.html")
    assert not set(result.output) & {"\x1b", "\u202e", "\r"}
    assert r"A change of a\x1b[2J[bold red]\u202e\r\n.html in site invalidates 1 path" in result.stdout


# ---------------------------------------------------------------- the stack's parameters


def deployed(**parameters: str) -> Stack:
    def client(service: str) -> Any:
        return boto3.client(service)  # type: ignore[call-overload] # any service

    return Stack("mine", client, {}, {"BucketNames": "site, other", **parameters})


def asked(stack: Stack, *words: str) -> Result:
    return CliRunner().invoke(explain, ["--bucket", "site", *words], obj=stack, catch_exceptions=False)


@pytest.mark.parametrize(
    ("parameters", "key", "shown", "hidden"),
    [
        ({}, "a b.html", ["/a%20b.html", "/a+b.html"], []),
        ({"DirectoryIndex": "home.html"}, "blog/home.html", ["/blog/", "the folder whose index document it is"], []),
    ],
)
def test_the_deployed_parameters_decide(
    create: Create, parameters: dict[str, str], key: str, shown: list[str], hidden: list[str]
) -> None:
    create("site.s3.eu-west-1.amazonaws.com")
    result = asked(deployed(**parameters), "--key", key)
    assert result.exit_code == 0
    assert result.stdout.startswith("With the parameters of the stack mine.\n")
    paths = result.stdout.partition("  - ")[0]
    assert [each for each in shown if each not in paths] == [each for each in hidden if each in paths] == []


def test_an_option_goes_before_the_stack_s_parameter(create: Create) -> None:
    create("site.s3.eu-west-1.amazonaws.com")
    stack = deployed(DirectoryIndex="home.html")
    assert "/blog/\n" in asked(stack, "--key", "blog/x.html", "--directory-index", "x.html").stdout
    assert "/blog/\n" not in asked(stack, "--key", "blog/home.html", "--directory-index", "").stdout


@pytest.mark.parametrize(
    ("parameters", "key", "why"),
    [
        ({"BucketNames": "other"}, "a.html", "the stack does not watch the bucket (BucketNames)"),
        ({"ExcludeKeys": "logs/*, *.tmp"}, "x/a.tmp", "ExcludeKeys leaves the key out"),
        ({"IncludeKeys": "public/*"}, "a.html", "IncludeKeys leaves the key out"),
    ],
)
def test_a_change_that_starts_nothing_is_told_with_the_parameter_and_by_the_exit_code(
    create: Create, parameters: dict[str, str], key: str, why: str
) -> None:
    create("site.s3.eu-west-1.amazonaws.com")
    result = asked(deployed(**parameters), "--key", key)
    assert result.exit_code == 1
    assert f"A change of {key} in site starts nothing: {why}.\n" in result.stdout
    assert "A request by hand invalidates 1 path on 1 of 1 distribution" in result.stdout
    assert json.loads(asked(deployed(**parameters), "--key", key, "--json").stdout)["startsNothing"] == [why]
    assert asked(deployed(ExcludeKeys="logs/*,*.tmp", IncludeKeys="*.html"), "--key", "a.html").exit_code == 0


def test_distributions_that_the_stack_names_are_the_only_ones_and_serve_the_bucket_whatever_their_origin(
    create: Create,
) -> None:
    alias, other = create(ALIAS), create("site.s3.eu-west-1.amazonaws.com")
    stack = deployed(DistributionIds=alias)
    result = asked(stack, "--key", "a.html")
    assert result.exit_code == 0
    assert result.stdout.count("where viewers find the key") == 1
    assert other not in result.stdout
    refused = asked(stack, "--key", "a.html", "--distribution", other)
    assert refused.exit_code == 1
    assert "DistributionIds names others" in refused.stdout


def test_a_dry_run_and_a_role_elsewhere_are_told_of(create: Create) -> None:
    create("site.s3.eu-west-1.amazonaws.com")
    role = "arn:aws:iam::210987654321:role/invalidation"
    told = asked(deployed(DryRun="true", DistributionRoleArn=role), "--key", "a.html").stdout
    assert "DryRun is on: the stack sends nothing." in told
    assert f"The stack sees distributions as {role}" in told


def test_a_stack_that_is_named_and_is_not_there_is_an_error(create: Create) -> None:
    del create
    result = run("--key", "a.html", "--stack", "gone")
    assert result.exit_code == 4
    assert "there is no stack gone in this account and region" in result.stderr


class Tenants:
    """CloudFront, for a multi-tenant distribution with these tenants, of which a stack takes two."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def distributions(self, bucket: str) -> list[Distribution]:
        origin, behavior = Origin("s3", f"{bucket}.s3.amazonaws.com"), Behavior("*", ("s3",))
        return [Distribution("E1", bucket, tenant_only=True, origins=(origin,), behaviors=(behavior,))]

    def targets(self, distribution: Distribution) -> tuple[str, ...]:
        if len(self._names) > 2:
            raise TooManyTenants("more than 2 enabled tenants")
        return tuple(f"{distribution.id}/{name}" for name in self._names)


@pytest.mark.parametrize(
    ("tenants", "paid", "told"),
    [
        (
            Tenants("a", "b"),
            "  1 path for each of 2 tenants, at most $0.010:",
            "It has 2 enabled tenants; at most 100 are invalidated",
        ),
        (Tenants("a", "b", "c"), "  nothing\n", "Nothing is sent: more than 2 enabled tenants"),
    ],
)
def test_every_tenant_costs_the_paths_again_up_to_a_bound(
    capsys: pytest.CaptureFixture[str], tenants: Tenants, paid: str, told: str
) -> None:
    asked = KeyQuestion(lambda _service: None, "site", "a.html", Settings())
    asked._cloudfront = tenants  # type: ignore[assignment] # all of it that is asked
    (answer,) = asked.answers(())
    show_one(answer)
    shown = capsys.readouterr().out
    assert paid in shown
    assert told in shown
