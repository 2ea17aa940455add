"""Under either of CloudFront's published quotas all that changed is covered, and nobody starves.

The whole application runs, with its state machine, on a simulated clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.cloud.account import BUCKET, Account
from benchmarks.cloud.cloudfront import PAGE
from benchmarks.cloud.functions import LOADED
from invalidation.cloudfront.paths import covers
from invalidation.config import SendingLimits
from tests.fakes.cloudfront_quota import Answers, InProgressQuota, RateQuota

pytestmark = pytest.mark.slow

QUOTAS: dict[str, Callable[[], RateQuota | InProgressQuota]] = {
    "one wildcard path a second": RateQuota,
    "one wildcard request a second": lambda: RateQuota(counts_requests=True),
    "15 wildcards in progress": InProgressQuota,
}
STORM = [f"docs/section-{number % 60:02}/page-{number:04}.html" for number in range(1_000)]
UNCHANGED = [f"docs/section-{number % 60:02}/page-{number:04}-old.html" for number in range(0, 1_000, 7)]
"""Beside those that change, so that no wide wildcard is for nothing."""

SPREAD = [f"d{number % 12:02}/{number:04}.html" for number in range(300)]
BETWEEN = [f"d{number:02}-old/{page}.html" for number in range(12) for page in range(9)]
"""Twelve directories that can be covered by a wildcard each, and not by fewer without harm."""


@pytest.fixture(params=QUOTAS)
def quota(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RateQuota | InProgressQuota:
    """In a month with free paths, which benchmarks have not: a thrifty storm would be too easy to send."""
    module = LOADED().module("CreateInvalidationFunction")
    monkeypatch.setattr(module, "LIMITS", SendingLimits(monthly_paths=100_000))
    return QUOTAS[request.param]()


def _account(quota: Any, serving: int, buckets: int = 1) -> Account:
    """``serving`` distributions for each of the buckets ``my-site``, ``my-site-1`` …"""
    account = Account(serving=serving * buckets, objects=[*STORM, *UNCHANGED, *SPREAD, *BETWEEN])
    account.cloudfront.quota = quota

    def bucket_of(number: int) -> str:
        place = number - (PAGE - serving * buckets)
        return f"another-{number}" if place < 0 else _bucket(place // serving)

    setattr(account.cloudfront, "bucket_of", bucket_of)  # noqa: B010 # one account has one bucket else
    return account


def _bucket(number: int) -> str:
    return f"{BUCKET}-{number}" if number else BUCKET


def _outcomes(account: Account) -> list[str]:
    outputs = [each.output for each in account.machine.executions]
    return [each["outcome"]["outcome"] for each in outputs if each and "outcome" in each]


def _covered(answers: Answers, distribution_id: str, keys: list[str]) -> bool:
    sent = set(answers.paths[distribution_id])
    wildcards = [path for path in sent if path.endswith("*")]
    return all(f"/{key}" in sent or any(covers(each, f"/{key}") for each in wildcards) for key in keys)


def test_a_storm_on_three_distributions_is_covered_and_little_is_refused(
    quota: RateQuota | InProgressQuota, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    account = _account(quota, serving=3)
    account.clock.begin(account.machine.execution({"bucket": BUCKET, "keys": STORM}))
    account.clock.run()
    answers = quota.answers
    with capsys.disabled():
        print(  # noqa: T201 # figures to be read
            f"\n{request.node.callspec.id}: {answers.accepted.total()} requests accepted, "
            f"{answers.refused.total()} refused, {account.clock.seconds:.0f} s, "
            f"paths {[len(each) for each in answers.paths.values()]}"
        )
    assert _outcomes(account) == ["Completed"]
    assert len(answers.paths) == 3
    assert all(_covered(answers, each, STORM) for each in answers.paths)
    assert answers.ratio <= 3


def test_ten_distributions_of_three_buckets_share_the_rate_and_none_starves(
    quota: RateQuota | InProgressQuota, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    account = _account(quota, serving=10, buckets=3)
    for number in range(3):
        document = {"unwatched": True, "bucket": _bucket(number), "keys": SPREAD}
        account.clock.begin(account.machine.execution(document))
    account.clock.run()
    answers = quota.answers
    with capsys.disabled():
        print(  # noqa: T201 # figures to be read
            f"\n{request.node.callspec.id}, 3 buckets of 10: {answers.accepted.total()} accepted, "
            f"{answers.refused.total()} refused, {account.clock.seconds / 60:.1f} min"
        )
    assert _outcomes(account) == ["Completed"] * 3
    assert len(answers.paths) == 30
    assert all(_covered(answers, each, SPREAD) for each in answers.paths)
    assert all(len(each) == 12 for each in answers.paths.values())
    assert answers.ratio <= 3
