"""The commands as a person runs them, and what they do to a bucket."""

import json
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner, Result

from invalidations_cli.aws import Stack, clients_for, find_stack
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.main import main


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands of `invalidations` against one stack."""

    there: LocalEnvironment
    stack: str

    def __call__(self, *words: str, given: str | None = None) -> Result:
        options = ("--endpoint-url", self.there.endpoint)
        stack = ("--stack", self.stack) if words[0] in {"request", "wait"} else ()
        return CliRunner().invoke(main, [*words, *options, *stack], input=given, catch_exceptions=False)

    def found(self) -> Stack:
        return find_stack(self.stack, clients_for(self.there.endpoint, None, None))


def put(there: LocalEnvironment, *keys: str) -> None:
    for key in keys:
        there.aws.client("s3").put_object(Bucket=there.bucket, Key=key, Body=b"x", ContentType="text/html")


def last_line(result: Result) -> Any:
    """The one line of JSON on standard output."""
    (line,) = result.stdout.splitlines()
    return json.loads(line)
