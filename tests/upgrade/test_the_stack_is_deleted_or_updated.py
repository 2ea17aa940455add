"""The template's own part in upgrades: records outlive the stack unless a parameter says otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from invalidation.batches.dynamodb import DynamoBatchTable
from invalidation.batches.queries import batches_of_bucket
from invalidations_cli.local import server, site
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.package import lambda_interpreter
from invalidations_cli.local.settings import LocalSettings
from tests.definition import template
from tests.local import fresh, stacks
from tests.local.tools import eventually, executions
from tests.upgrade.stages import load

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("emulators")]
BUCKET = "my-records"
TABLE = "AWS::DynamoDB::Table"


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    settings = LocalSettings(
        lambda_python=str(lambda_interpreter()), handlers_at_once=2, wait_scale=0.2, invalidation_seconds=0.5
    )
    with server.running(settings, server.free_port()) as there:
        aws = LocalAws(there.endpoint)
        site.create_bucket(aws, BUCKET)
        yield aws


def deployed(aws: LocalAws, stack: str, **parameters: str) -> str:
    """A stack; the name of its table."""
    wanted = {"BucketNames": BUCKET, "EnableBucketEvents": "false", **parameters}
    return stacks.create(aws, stack, wanted)["BatchTableName"]


def with_records(aws: LocalAws, name: str) -> DynamoBatchTable:
    """What a batch has left in the table that ended."""
    table = DynamoBatchTable(aws.client("dynamodb"), name)
    table.put_all(load(1, "ended").items)
    return table


def exists(aws: LocalAws, table: str) -> bool:
    return table in aws.client("dynamodb").list_tables()["TableNames"]


def test_the_audit_outlives_the_stack(aws: LocalAws) -> None:
    name = deployed(aws, "kept")
    table = with_records(aws, name)
    stacks.delete(aws, "kept")
    assert [batch.changes for batch in batches_of_bucket(table, "site-ended").batches] == [2]


def test_where_the_parameter_says_so_the_records_go_with_the_stack(aws: LocalAws) -> None:
    name = deployed(aws, "gone", KeepRecords="false")
    with_records(aws, name)
    assert exists(aws, name)
    stacks.delete(aws, "gone")
    assert eventually(lambda: not exists(aws, name))


def test_the_parameter_can_be_changed_by_itself_and_the_records_stay(aws: LocalAws) -> None:
    name = deployed(aws, "changed", KeepRecords="false")
    table = with_records(aws, name)
    stacks.update(aws, "changed", {"KeepRecords": "true"})
    stacks.delete(aws, "changed")
    assert [batch.changes for batch in batches_of_bucket(table, "site-ended").batches] == [2]


def test_a_stack_that_is_updated_in_place_with_batches_in_flight_loses_nothing(aws: LocalAws) -> None:
    """Every function is updated, as by a new release, while changes are on their way, gathered and being invalidated.

    The emulator kills workers that are at work, which AWS does not: what was in them is the sweep's to find.
    """
    bucket, stack = "in-flight", "in-flight"
    site.create_bucket(aws, bucket)
    outputs = stacks.create(aws, stack, {"BucketNames": bucket, "BatchWindowSeconds": "4"})
    distribution = site.create_distribution(aws, bucket).distribution_id
    put(aws, bucket, "before")
    stacks.update(aws, stack, {"Observability": "Full", "BatchWindowSeconds": "1", "MonthlyPathBudget": "500"})
    put(aws, bucket, "after")
    machine = outputs["StateMachineArn"]
    assert eventually(lambda: nothing_runs(aws, machine), 60)
    sweep(aws, stack)
    assert eventually(lambda: not stale(aws, bucket, distribution) and nothing_runs(aws, machine), 60)
    assert len(fresh.last_written(aws, bucket)) == 12


def nothing_runs(aws: LocalAws, machine: str) -> bool:
    found = executions(aws, machine)
    return len(found) >= 12 and all(each["status"] != "RUNNING" for each in found)


def sweep(aws: LocalAws, stack: str) -> None:
    """What the stack's schedule does every five minutes."""
    client = aws.client("lambda")
    pages = client.get_paginator("list_functions").paginate()
    names = [each["FunctionName"] for page in pages for each in page["Functions"]]
    (name,) = [each for each in names if each.startswith(f"{stack}-SweepFunction")]
    answer = client.invoke(FunctionName=name, Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()


def put(aws: LocalAws, bucket: str, when: str) -> None:
    for number in range(6):
        aws.client("s3").put_object(Bucket=bucket, Key=f"{when}/{number}.html", Body=when.encode())


def stale(aws: LocalAws, bucket: str, distribution: str) -> list[str]:
    return fresh.stale(fresh.last_written(aws, bucket), fresh.invalidations(aws, distribution))


def test_an_update_never_replaces_the_table_without_keeping_the_old_one() -> None:
    (table,) = [each for each in template()["Resources"].values() if each["Type"] == TABLE]
    assert table["UpdateReplacePolicy"] == "Retain"
    assert table["DeletionPolicy"] == {"Fn::If": ["KeepsRecords", "RetainExceptOnCreate", "Delete"]}


def test_another_policy_is_a_change_that_cloudformation_sees() -> None:
    """It deploys nothing where only a DeletionPolicy differs (CloudFormation, "DeletionPolicy attribute")."""
    (table,) = [each for each in template()["Resources"].values() if each["Type"] == TABLE]
    assert {"Ref": "KeepRecords"} in [tag["Value"] for tag in table["Properties"]["Tags"]]


def test_the_table_has_no_name_of_its_own_that_a_kept_one_could_stand_in_the_way_of() -> None:
    (table,) = [each for each in template()["Resources"].values() if each["Type"] == TABLE]
    assert "TableName" not in table["Properties"]
