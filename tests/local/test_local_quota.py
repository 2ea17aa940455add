"""The local AWS enforces either of CloudFront's published quotas on invalidations, or none."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from invalidations_cli.local import server, site
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.settings import LocalSettings, Quota
from tests.local import tools
from tests.local.behaviours_of_resources import invalidate

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("emulators")]

WILDCARDS = [f"/{number}/*" for number in range(16)]
PATHS = [f"/{number}" for number in range(151)]


@contextmanager
def started(settings: LocalSettings) -> Iterator[tuple[LocalAws, str, str]]:
    """An emulator, and two distributions in it."""
    with server.running(settings, server.free_port()) as emulator:
        aws = LocalAws(emulator.endpoint)
        first, second = (new_distribution(aws) for _ in range(2))
        yield aws, first, second


def new_distribution(aws: LocalAws) -> str:
    bucket = tools.new_name()
    site.create_bucket(aws, bucket)
    return site.create_distribution(aws, bucket).distribution_id


def test_under_the_rate_one_wildcard_a_second_is_taken_for_the_account_and_never_two_at_once() -> None:
    # A second lasts 20, so that what is asked for at once is asked for within one.
    with started(LocalSettings(cloudfront_quota="rate", wait_scale=20)) as (aws, one, other):
        assert invalidate(aws, one, "/a/*", "/b/*") == "Throttling"
        assert invalidate(aws, one, "/a/*") == "InProgress"
        assert invalidate(aws, one, "/b/*") == "Throttling"
        assert invalidate(aws, other, "/a/*") == "Throttling"
        assert invalidate(aws, other, "/a", "/b") == "InProgress"
    with started(LocalSettings(cloudfront_quota="rate", wait_scale=0.1)) as (aws, one, other):
        assert invalidate(aws, one, "/a/*") == "InProgress"
        assert tools.eventually(lambda: invalidate(aws, other, "/a/*") == "InProgress")


def test_under_the_rate_150_paths_a_second_are_taken_and_never_more_at_once() -> None:
    with started(LocalSettings(cloudfront_quota="rate", wait_scale=20)) as (aws, one, other):
        assert invalidate(aws, one, *PATHS) == "Throttling"
        assert invalidate(aws, one, *PATHS[:149]) == "InProgress"
        assert invalidate(aws, other, "/a", "/b") == "Throttling"
        assert invalidate(aws, other, "#tag") == "InProgress"


def test_the_rate_may_count_requests_and_answer_with_the_other_error() -> None:
    settings = LocalSettings(
        cloudfront_quota="rate", wait_scale=20, rate_counts="requests", rate_error="TooManyInvalidationsInProgress"
    )
    with started(settings) as (aws, one, other):
        assert invalidate(aws, one, *WILDCARDS) == "InProgress"
        assert invalidate(aws, other, "/a/*") == "TooManyInvalidationsInProgress"


@pytest.mark.parametrize(
    ("quota", "answer"), [("in-progress", "TooManyInvalidationsInProgress"), ("none", "InProgress")]
)
def test_in_progress_15_wildcards_are_taken_for_a_distribution_and_without_a_quota_any_number(
    quota: Quota, answer: str
) -> None:
    with started(LocalSettings(cloudfront_quota=quota, invalidation_seconds=60)) as (aws, one, other):
        assert invalidate(aws, one, *WILDCARDS) == answer
        assert invalidate(aws, one, *WILDCARDS[:15]) == "InProgress"
        assert invalidate(aws, one, "/b/*") == answer
        assert invalidate(aws, one, *PATHS) == "InProgress"
        assert invalidate(aws, other, *WILDCARDS[:15]) == "InProgress"
