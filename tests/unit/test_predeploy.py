"""`invalidations doctor --pre`: what can be known of a deploy before it, with nothing changed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from invalidation.health import CheckVerdict
from invalidations_cli.commands.doctor import doctor
from invalidations_cli.predeploy import ASKED, PreDeployChecks
from tests.fakes.chain import FakeChain, error
from tests.fakes.stack import World


class Account(FakeChain):
    """An account in eu-west-1 whose services answer, but for calls that are denied."""

    meta = SimpleNamespace(region_name="eu-west-1")

    def __getattr__(self, name: str) -> Any:
        if name not in {call for _, call, _ in ASKED} | {"list_pipes"}:
            raise AttributeError(name)

        def call(**_asked: Any) -> dict[str, Any]:
            if name in self.denied:
                raise error("AccessDenied", name)
            return {}

        return call


def found(account: Account) -> dict[str, tuple[str, str]]:
    checks = PreDeployChecks(account).checks("site")
    return {each.name: (each.verdict, each.evidence) for each in checks if each.verdict is not CheckVerdict.OK}


def test_an_account_that_is_ready_is_ready() -> None:
    assert found(Account()) == {}
    assert found(Account(sends_events=False)) == {}, "the deploy switches them on"


@pytest.mark.parametrize(
    ("account", "name", "verdict", "evidence"),
    [
        (Account(missing_bucket=True), "Bucket exists", "cut", "there is no bucket site"),
        (Account(region="us-east-1"), "Bucket exists", "cut", "site is in us-east-1"),
        (Account(distribution_enabled=False), "A distribution serves the bucket", "cut", "no enabled distribution"),
        (Account(denied=frozenset({"list_roles"})), "iam answers", "unknown", "needs iam:ListRoles"),
        (Account(denied=frozenset({"list_pipes"})), "Pipes for Buffered", "unknown", "needs pipes:ListPipes"),
    ],
)
def test_what_would_not_work_is_found(account: Account, name: str, verdict: str, evidence: str) -> None:
    told = found(account)
    assert told.keys() == {name}
    assert told[name][0] == verdict
    assert evidence in told[name][1]


@pytest.mark.parametrize("words", [["--pre"], ["--pre", "--bucket", "site", "--key", "a"]])
def test_it_is_about_a_bucket(words: list[str]) -> None:
    assert World().run(doctor, *words).exit_code == 2
