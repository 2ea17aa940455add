"""The template's own part in upgrades: the records outlive the stack unless a parameter says otherwise, on a laptop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from invalidation.batches import DynamoBatchTable
from invalidation.lifecycle import batches_of_bucket
from ops.local import deploy, server, site
from ops.local.aws import LocalAws
from ops.local.package import lambda_interpreter
from ops.local.settings import Settings
from tests.definition import template
from tests.local.tools import eventually
from tests.upgrade.stages import load

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("emulators")]
BUCKET = "my-records"
TABLE = "AWS::DynamoDB::Table"


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    settings = Settings(lambda_python=str(lambda_interpreter()), handlers_at_once=2)
    with server.running(settings, server.free_port()) as there:
        aws = LocalAws(there.endpoint)
        site.create_bucket(aws, BUCKET)
        yield aws


def deployed(aws: LocalAws, stack: str, **parameters: str) -> str:
    """A stack; the name of its table."""
    wanted = {"BucketNames": BUCKET, "EnableBucketEvents": "false", **parameters}
    return deploy.deploy(aws, deploy.load(), wanted, stack=stack)["BatchTableName"]


def with_records(aws: LocalAws, name: str) -> DynamoBatchTable:
    """What a batch has left in the table that ended."""
    table = DynamoBatchTable(aws.client("dynamodb"), name)
    table.put_all(load(1, "ended").items)
    return table


def delete(aws: LocalAws, stack: str) -> None:
    cloudformation = aws.client("cloudformation")
    identity = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=identity, WaiterConfig={"Delay": 0.2, "MaxAttempts": 300}
    )


def exists(aws: LocalAws, table: str) -> bool:
    return table in aws.client("dynamodb").list_tables()["TableNames"]


def test_the_audit_outlives_the_stack(aws: LocalAws) -> None:
    name = deployed(aws, "kept")
    table = with_records(aws, name)
    delete(aws, "kept")
    assert [batch.changes for batch in batches_of_bucket(table, "site-ended").batches] == [2]


def test_where_the_parameter_says_so_the_records_go_with_the_stack(aws: LocalAws) -> None:
    name = deployed(aws, "gone", KeepRecords="false")
    with_records(aws, name)
    assert exists(aws, name)
    delete(aws, "gone")
    assert eventually(lambda: not exists(aws, name))


def test_the_parameter_can_be_changed_by_itself_and_the_records_stay(aws: LocalAws) -> None:
    name = deployed(aws, "changed", KeepRecords="false")
    table = with_records(aws, name)
    update(aws, "changed", KeepRecords="true")
    delete(aws, "changed")
    assert [batch.changes for batch in batches_of_bucket(table, "site-ended").batches] == [2]


def update(aws: LocalAws, stack: str, **parameters: str) -> None:
    """Update a stack in place, with all other parameters as they were."""
    cloudformation = aws.client("cloudformation")
    before = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Parameters"]
    others = [each["ParameterKey"] for each in before if each["ParameterKey"] not in parameters]
    given: list[dict[str, Any]] = [{"ParameterKey": key, "UsePreviousValue": True} for key in others]
    given += [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    cloudformation.update_stack(
        StackName=stack,
        UsePreviousTemplate=True,
        Parameters=given,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    cloudformation.get_waiter("stack_update_complete").wait(
        StackName=stack, WaiterConfig={"Delay": 0.2, "MaxAttempts": 300}
    )


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
