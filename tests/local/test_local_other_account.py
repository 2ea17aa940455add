"""The bucket in one account, its distribution in another: a role there, with an external id, is the way in."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from invalidations_cli.local import deploy
from invalidations_cli.local.aws import SECRET, LocalAws
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.settings import ACCOUNT, REGION
from tests.definition import ROOT
from tests.local import distributions, fresh, stacks, tools

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]

OTHER_ACCOUNT = "210987654321"
EXTERNAL_ID = "known-to-both-accounts"


@dataclass(frozen=True, slots=True)
class TwoAccounts:
    """A stack in ours, a role and a distribution in theirs."""

    ours: LocalAws
    theirs: LocalAws
    stack: str
    bucket: str
    state_machine_arn: str
    distribution_id: str
    role_arn: str

    def request(self, document: dict[str, Any]) -> Any:
        return tools.ended(self.ours, tools.start(self.ours, self.state_machine_arn, document), 60)

    def invalidated(self) -> list[tuple[str, ...]]:
        return [each.paths for each in fresh.invalidations(self.theirs, self.distribution_id)]


@pytest.fixture(scope="module")
def accounts(local: LocalEnvironment) -> Iterator[TwoAccounts]:
    ours, theirs, stack = local.aws, other_account(local.endpoint), tools.new_name()
    bucket = tools.new_name()
    ours.client("s3").create_bucket(Bucket=bucket)
    distribution_id = distributions.create(theirs, distributions.configuration([distributions.s3_origin(bucket)]))
    role_arn = create_role(theirs, f"{stack}-*")
    parameters = {"DistributionRoleArn": role_arn, "DistributionRoleExternalId": EXTERNAL_ID}
    outputs = stacks.create(ours, stack, {"BucketNames": bucket, "BatchWindowSeconds": "1", **parameters})
    yield TwoAccounts(ours, theirs, stack, bucket, outputs["StateMachineArn"], distribution_id, role_arn)
    stacks.delete(ours, stack)


def other_account(endpoint: str) -> LocalAws:
    """The root user of the other account."""
    theirs = LocalAws(endpoint)
    theirs.session = boto3.Session(OTHER_ACCOUNT, SECRET, region_name=REGION)
    return theirs


def create_role(theirs: LocalAws, roles: str) -> str:
    """The example's role, as that account deploys it; its ARN.

    To AWS the principal of a function is its role (IAM User Guide, "aws:PrincipalArn"), to ministack its session.
    """
    template = deploy.load(ROOT / "examples" / "distribution-account-role.yaml")
    (statement,) = template["Resources"]["InvalidationRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    principal = statement["Condition"]["ArnLike"]["aws:PrincipalArn"]["Fn::Sub"]
    assert principal == "arn:${AWS::Partition}:iam::${InvalidationAccountId}:role/${InvalidationRoles}"
    session = principal.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/*"
    statement["Condition"]["ArnLike"]["aws:PrincipalArn"]["Fn::Sub"] = session
    name, cloudformation = tools.new_name(), theirs.client("cloudformation")
    parameters = {"InvalidationAccountId": ACCOUNT, "ExternalId": EXTERNAL_ID, "InvalidationRoles": roles}
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    assert tools.eventually(lambda: stacks.settled(theirs, name)) == "CREATE_COMPLETE"
    (description,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return str({each["OutputKey"]: each["OutputValue"] for each in description["Outputs"]}["DistributionRoleArn"])


def test_a_change_in_one_account_is_invalidated_in_the_distribution_of_another(accounts: TwoAccounts) -> None:
    accounts.ours.client("s3").put_object(Bucket=accounts.bucket, Key="page.html", Body=b"x")
    (execution,) = tools.eventually(lambda: tools.executions(accounts.ours, accounts.state_machine_arn))
    ended = tools.ended(accounts.ours, execution["executionArn"], 60)
    assert ended["status"] == "SUCCEEDED", ended
    assert "Get Invalidation" in tools.states_entered(accounts.ours, execution["executionArn"])
    assert accounts.invalidated() == [("/page.html",)]
    (target,) = json.loads(ended["output"])["outcome"]["targets"]
    assert (target["distributionId"], target["state"]) == (accounts.distribution_id, "COMPLETED")
    ours = accounts.ours.client("cloudfront")
    with pytest.raises(ours.exceptions.NoSuchDistribution):
        ours.get_distribution(Id=accounts.distribution_id)


def test_nobody_else_of_the_account_may_assume_the_role_who_knows_the_external_id(accounts: TwoAccounts) -> None:
    sts = accounts.ours.client("sts")
    with pytest.raises(sts.exceptions.ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=accounts.role_arn, RoleSessionName="root", ExternalId=EXTERNAL_ID)


def test_without_the_external_id_it_fails_by_name_with_what_to_do_and_is_made_good_once_that_is_mended(
    accounts: TwoAccounts,
) -> None:
    before = accounts.invalidated()
    stacks.update(accounts.ours, accounts.stack, {"DistributionRoleExternalId": ""})
    ended = accounts.request({"bucket": accounts.bucket, "keys": ["owed.html"]})
    assert (ended["status"], ended["error"]) == ("FAILED", "AccessDenied")
    assert ended["cause"].startswith("AssumeRole for ListDistributions on *: AccessDenied")
    assert accounts.role_arn in ended["cause"]
    assert "external id is the one in DistributionRoleExternalId" in ended["cause"]
    assert accounts.invalidated() == before

    outcome = told(accounts, ended)
    assert (outcome["outcome"], outcome["parked"]) == ("Failed", True)
    stacks.update(accounts.ours, accounts.stack, {"DistributionRoleExternalId": EXTERNAL_ID})
    assert accounts.request({"retryBatch": outcome["batchId"]})["status"] == "SUCCEEDED"
    assert accounts.invalidated() == [*before, ("/owed.html",)]


def told(accounts: TwoAccounts, execution: Any) -> Any:
    """The outcome document of an execution that failed."""
    exited = [
        json.loads(event["stateExitedEventDetails"]["output"])
        for event in tools.history(accounts.ours, execution["executionArn"])
        if event.get("stateExitedEventDetails", {}).get("name") == "Finish Batch"
    ]
    return exited[0]["outcome"]
