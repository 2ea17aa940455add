"""What the deployed stack's parameters say about a key: for a command that also works where there is no stack."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import click
from botocore.exceptions import ClientError

from invalidation.patterns import key_filter
from invalidation.settings import Settings
from ops.refusals import in_plain_words, refusal
from ops.shown import shown
from ops.stack import DEFAULT_STACK, Clients, Stack, find_stack


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack's parameters; without a stack, the template's defaults. ``missing`` says why there is none."""

    settings: Settings
    stack: str = ""
    missing: str = ""
    bucket_names: tuple[str, ...] = ()
    exclude_keys: tuple[str, ...] = ()

    def hindrances(self, bucket: str, key: str) -> Iterator[str]:
        """Why a change of the key would start nothing in this stack."""
        if not self.stack:
            return
        if bucket not in self.bucket_names:
            yield "the stack does not watch the bucket (BucketNames)"
        if any(matches(pattern, key) for pattern in self.exclude_keys):
            yield "ExcludeKeys leaves the key out"
        if not key_filter(self.settings.include_keys)(key):
            yield "IncludeKeys leaves the key out"

    def notes(self) -> Iterator[str]:
        """What holds for every distribution."""
        if not self.stack:
            yield f"With the template's defaults, unless you name a --stack: {self.missing}."
            return
        yield f"With the parameters of the stack {shown(self.stack)}."
        if self.settings.distribution_role_arn:
            role = shown(self.settings.distribution_role_arn)
            yield f"The stack sees distributions as {role}; this command sees those of your own account."
        if self.settings.dry_run:
            yield "DryRun is on: the stack sends nothing."


def deployed(clients: Clients, name: str | None) -> Deployed:
    """The stack of this name, or the usual one, if there is one.

    Raises:
        click.ClickException: there is none of the name that was given, or it is another application's.
    """
    given = click.get_current_context().find_object(Stack)
    if name and not given:
        with in_plain_words(name):
            given = find_stack(name, clients)
    try:
        return of_stack(given or find_stack(DEFAULT_STACK, clients))
    except ClientError as error:
        unknown = error.response.get("Error", {}).get("Code") == "ValidationError"
        why = f"there is no stack {DEFAULT_STACK} here" if unknown else refusal(error, DEFAULT_STACK)
        return Deployed(Settings(), missing=shown(why, 1_000))
    except click.ClickException as error:
        return Deployed(Settings(), missing=error.message)


def of_stack(stack: Stack) -> Deployed:
    return Deployed(
        settings_of(stack.parameters),
        stack.name,
        bucket_names=stack.bucket_names,
        exclude_keys=tuple(each.strip() for each in stack.parameters.get("ExcludeKeys", "").split(",") if each.strip()),
    )


def settings_of(parameters: Mapping[str, str]) -> Settings:
    """The template's parameters, as a function finds them in its environment: ``MaxTenants`` as ``MAX_TENANTS``."""
    return Settings.from_environment(
        {re.sub("(?<!^)(?=[A-Z])", "_", name).upper(): value for name, value in parameters.items()}
    )


def matches(pattern: str, key: str) -> bool:
    """Whether a pattern of an event rule, in which only ``*`` is special, matches all of the key (EBU, "wildcard")."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), key, re.DOTALL) is not None
