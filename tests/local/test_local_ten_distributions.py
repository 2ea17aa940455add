"""Ten distributions and three buckets at once share CloudFront's quota, whichever it is: all fresh, nothing parked."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from invalidation.batches.dynamodb import DynamoBatchTable
from invalidation.batches.queries import batches_of_bucket
from invalidations_cli.local import environment, server, site
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.settings import LocalSettings
from tests.local import fresh, tools
from tests.local.distributions import configuration, create, s3_origin
from tests.local.instruments import control
from tests.local.instruments.control import INSTRUMENTS

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("ten")]

SITES = {"first-site": 4, "second-site": 3, "third-site": 3}
"""Bucket → how many distributions serve it."""
KEYS = [f"docs/section {section:02}/page {number}.html" for section in range(0, 25, 5) for number in range(12)]
UNCHANGED = [f"docs/section {section:02}/old.html" for section in range(25)]
"""What lies beside and between them, so that the best cover has a wildcard for each section, in either spelling."""
LONGEST = 150.0
"""Seconds; twenty times as long to the state machine, whose waits are twenty times as short."""


@dataclass(frozen=True, slots=True)
class TenDistributions:
    there: LocalEnvironment
    distributions: dict[str, list[str]]


@pytest.fixture(params=["rate", "in-progress"])
def ten(request: pytest.FixtureRequest) -> Iterator[TenDistributions]:
    settings = LocalSettings(
        cloudfront_quota=request.param, wait_scale=0.05, invalidation_seconds=0.5, extra_patches=INSTRUMENTS
    )
    parameters = {
        "BucketNames": ",".join(SITES),
        "EnableBucketEvents": "false",
        "BatchWindowSeconds": "1",
        "MonthlyPathBudget": "0",  # five wildcards for each distribution are enough to wait for
    }
    with environment.running(settings, server.free_port(), parameters) as there:
        found = {}
        for bucket, count in SITES.items():
            site.create_bucket(there.aws, bucket)
            for key in UNCHANGED + KEYS:
                there.aws.client("s3").put_object(Bucket=bucket, Key=key)
            found[bucket] = [create(there.aws, configuration([s3_origin(bucket)])) for _ in range(count)]
        yield TenDistributions(there, found)


def test_three_storms_for_ten_distributions_all_end_well_whatever_the_quota(ten: TenDistributions) -> None:
    there = ten.there
    for bucket in SITES:
        tools.start(there.aws, there.state_machine_arn, {"bucket": bucket, "keys": KEYS})

    def all_ended() -> bool:
        found = tools.executions(there.aws, there.state_machine_arn)
        return len(found) >= len(SITES) and all(each["status"] != "RUNNING" for each in found)

    assert tools.eventually(all_ended, LONGEST)
    outputs = [
        there.aws.client("stepfunctions").describe_execution(executionArn=each["executionArn"])
        for each in tools.executions(there.aws, there.state_machine_arn)
    ]
    assert {each["status"] for each in outputs} == {"SUCCEEDED"}, json.dumps(outputs, default=str)[:2000]
    table = DynamoBatchTable(there.aws.client("dynamodb"), there.outputs["BatchTableName"])
    for bucket, ids in ten.distributions.items():
        (batch,) = batches_of_bucket(table, bucket, limit=10).batches
        assert batch.changes == len(KEYS)
        for distribution_id in ids:
            done = fresh.invalidations(there.aws, distribution_id)
            assert [key for key in KEYS if not any(each.reaches(key) for each in done)] == []
    sent = [each for ids in ten.distributions.values() for id_ in ids for each in fresh.invalidations(there.aws, id_)]
    assert sum(path.endswith("*") for each in sent for path in each.paths) == 5 * sum(SITES.values())
    answered = control.ask(there.endpoint, "invalidations")
    print(f"{sum(SITES.values())} distributions, {len(SITES)} storms of {len(KEYS)} keys: {answered}")  # noqa: T201
    assert answered.get("refused", 0) <= 3 * answered["accepted"]
