"""The policies of docs/policies: with exactly one of them each of its commands works, and nothing in it is unused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner

from invalidations_cli.local import environment, server
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.settings import ACCOUNT, REGION, LocalSettings
from invalidations_cli.main import main
from tests.definition import ROOT
from tests.local import distributions, privileges, stacks, tools
from tests.local.features import CACHE_POLICY
from tests.local.instruments.control import INSTRUMENTS
from tests.local.privileges import Call, Grant
from tests.local.test_local_operate import forbidden

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("policies")]

FOLDER = ROOT / "docs" / "policies"
WRITTEN = {"111122223333": ACCOUNT, "eu-west-1": REGION, "my-site": environment.BUCKET}
"""What stands in the policies, for a reader to replace → what is so on the local AWS. The stack has its usual name."""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}],
}


class Person:
    """Somebody with one policy and no other, who runs commands; a mistake in what they do ends the test."""

    def __init__(self, there: LocalEnvironment, policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there, self.role = there, tools.new_name()
        iam, sts = there.aws.client("iam"), there.aws.client("sts")
        arn = iam.create_role(RoleName=self.role, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.put_role_policy(RoleName=self.role, PolicyName="only", PolicyDocument=policy)
        keys = sts.assume_role(RoleArn=arn, RoleSessionName="person")["Credentials"]
        session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=REGION)
        monkeypatch.setattr(
            "invalidations_cli.aws.clients_for",
            lambda *_where: lambda service: session.client(service, endpoint_url=there.endpoint),
        )

    def run(self, *words: str, ends: Sequence[int] = (0,)) -> str:
        result = CliRunner().invoke(main, list(words))
        assert result.exit_code in ends, (words, result.output, self.denied())
        return result.stdout

    def calls(self) -> list[Call]:
        return [each for each in privileges.calls(self.there.aws) if each.role == self.role]

    def denied(self) -> list[Call]:
        return [each for each in self.calls() if not each.allowed]

    def granted(self) -> set[Grant]:
        return privileges.grants(self.there.aws, self.role)


@pytest.fixture(scope="module")
def there() -> Iterator[LocalEnvironment]:
    settings = LocalSettings(wait_scale=0.1, invalidation_seconds=0.5, extra_patches=INSTRUMENTS)
    template = stacks.template()
    pipe = template["Resources"]["IntakePipe"]["Properties"]["SourceParameters"]["SqsQueueParameters"]
    pipe["MaximumBatchingWindowInSeconds"] = 1
    parameters = {"Intake": "Buffered", "BatchWindowSeconds": "1"}
    with environment.running(settings, server.free_port(), parameters, template=template) as running:
        cache_policy = running.aws.client("cloudfront").create_cache_policy(CachePolicyConfig=CACHE_POLICY)
        own = cache_policy["CachePolicy"]["Id"]
        origin = distributions.s3_origin(running.bucket)
        distributions.create(running.aws, distributions.configuration([origin], cache_policy=own))
        yield running


def wait(person: Person) -> None:
    there = person.there
    there.aws.client("s3").put_object(Bucket=there.bucket, Key="waited.html", Body=b"x")
    waited = person.run("wait", "--bucket", there.bucket, "--quiet", "1", "--timeout", "100", "--json")
    assert json.loads(waited)["cut"] == []
    with forbidden(there, "JoinBatchFunction", "dynamodb:*"):
        lost = tools.start(there.aws, there.state_machine_arn, {"bucket": there.bucket, "keys": ["lost.html"]})
        there.aws.client("stepfunctions").stop_execution(executionArn=lost)
    person.run("wait", "--bucket", there.bucket, "--quiet", "1", "--timeout", "3", ends=(0, 124))


def doctor(person: Person) -> None:
    found = json.loads(person.run("doctor", "--json"))
    unknown = [each for each in found["buckets"][0]["checks"] if each["verdict"] == "unknown"]
    assert [each for each in unknown if "permission" in str(each)] == []


def audit(person: Person) -> None:
    there = person.there
    person.run("audit", "--json")
    person.run("audit", "--distribution", there.distribution_id)
    person.run("show", "latest", "--json")
    person.run("graph", "latest", "--force", "--html", "/dev/null")
    person.run("status", ends=(0, 1))
    person.run("watch", "--once")
    person.run("explain", "--bucket", there.bucket, "--key", "index.html")


def operate(person: Person) -> None:
    there, bucket = person.there, person.there.bucket
    with forbidden(there, "CreateInvalidationFunction", "cloudfront:CreateInvalidation"):
        for key in ("retried.html", "abandoned.html"):
            person.run("request", "--bucket", bucket, key, "--wait", ends=(1,))
    retried, abandoned = parked(person)
    person.run("retry", retried, "--wait")
    person.run("abandon", abandoned, "--reason", "nobody needs it", "--yes")
    person.run("request", "--distribution", there.distribution_id, "/a.html", "--wait", "--json")
    person.run("pause", bucket)
    person.run("resume", bucket)
    event = json.loads((ROOT / "events" / "object-created-put.json").read_text("utf-8"))
    event["detail"]["bucket"]["name"] = bucket
    queue = there.outputs["DeadLetterQueueUrl"]
    there.aws.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(event))
    person.run("dead-letters", "--replay", "--yes")
    person.run("bucket", "disable", bucket, "--yes")
    person.run("bucket", "enable", bucket)
    person.run("bucket", "status", bucket)
    person.run("audit", "--bucket", bucket)
    person.run("status", "--json", ends=(0, 1))


def selftest(person: Person) -> None:
    person.run("selftest", "--bucket", person.there.bucket, "--yes", "--json", "--timeout", "60")


def parked(person: Person) -> list[str]:
    """Ids of the batches that need a person."""
    told = json.loads(person.run("status", "--json", ends=(1,)))
    return [each["batchId"] for each in told["parked"]]


COMMANDS: dict[str, Callable[[Person], None]] = {
    "wait": wait,
    "operate": operate,
    "audit": audit,
    "doctor": doctor,
    "selftest": selftest,
}


def policy(path: Path) -> str:
    """The policy as it is for the local AWS: a statement for each pair of an action and a resource."""
    text = path.read_text("utf-8")
    for written, here in WRITTEN.items():
        text = text.replace(written, here)
    pairs = [
        as_the_emulator_has_it(action, resource)
        for statement in json.loads(text)["Statement"]
        for action in privileges.listed(statement["Action"])
        for resource in privileges.listed(statement["Resource"])
    ]
    statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in pairs]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def as_the_emulator_has_it(action: str, resource: str) -> tuple[str, str]:
    """On AWS a batch of deletes needs DeleteMessage, and a rule of the default bus is `rule/<name>`."""
    if action in {"events:ListTargetsByRule", "sns:Unsubscribe"}:
        return action, "*"
    taken_for = {"lambda:GetFunctionConcurrency": "lambda:PutFunctionConcurrency"}
    if "DeadLetterQueue" in resource:  # whose messages are deleted in batches
        taken_for |= {"sqs:DeleteMessage": "sqs:DeleteMessageBatch"}
    return taken_for.get(action, action), resource.replace(":rule/", ":rule/default/")


def test_each_group_of_commands_has_its_policy() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(COMMANDS)


@pytest.mark.parametrize("group", COMMANDS)
def test_with_exactly_its_policy_each_command_works_and_nothing_in_it_is_unused(
    group: str, there: LocalEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(there, policy(FOLDER / f"{group}.json"), monkeypatch)
    COMMANDS[group](person)
    print(f"{group}: {len(person.granted())} grants, {len(person.calls())} different calls")  # noqa: T201 - the figure
    assert person.denied() == []
    assert privileges.unused(person.granted(), person.calls()) == []
