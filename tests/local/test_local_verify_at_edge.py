"""VerifyAtEdge, on a running stack: the function asks the distribution's own host, over TLS, for what viewers get."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from invalidation.batches.dynamodb import DynamoBatchTable
from invalidation.batches.targets import Target
from invalidations_cli.local import site
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.environment import LocalEnvironment
from tests.local import behaviours_of_resources, fresh, privileges, stacks, tools
from tests.local.instruments import control, faults
from tests.local.instruments.faults import Fault
from tests.outcome_schemas import faults as faults_of_document

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]

SOON = timedelta(minutes=5, seconds=30)
"""Later than the sweep's first try, which comes after five minutes."""


@dataclass(slots=True)
class Site:
    """A stack that looks at the edge, and a site that it watches."""

    aws: LocalAws
    name: str
    bucket: str
    distribution: site.SampleDistribution
    outputs: dict[str, str]
    queue_url: str
    key: str = ""
    seen: set[str] = field(default_factory=set)

    @property
    def path(self) -> str:
        """Where viewers find the page."""
        return "/" + quote(self.key)

    def put(self, body: str) -> str:
        """The ETag of what is there now."""
        return str(self.aws.client("s3").put_object(Bucket=self.bucket, Key=self.key, Body=body.encode())["ETag"])

    def viewed(self) -> tuple[str, Any]:
        return behaviours_of_resources.view(self.aws, self.distribution.domain_name, self.path)

    def ended(self) -> tuple[dict[str, Any], list[str]]:
        """The next execution, once it has ended, and the states that it entered."""

        def new() -> list[str]:
            found = [each["executionArn"] for each in tools.executions(self.aws, self.outputs["StateMachineArn"])]
            return [each for each in found if each not in self.seen]

        (arn,) = tools.eventually(new)
        self.seen.add(arn)
        return tools.ended(self.aws, arn), tools.states_entered(self.aws, arn)

    def notified(self) -> tuple[str, dict[str, Any]]:
        """Subject and body of the next notification."""
        (found,) = tools.eventually(lambda: tools.messages(self.aws, self.queue_url))
        self.aws.client("sqs").delete_message(QueueUrl=self.queue_url, ReceiptHandle=found["ReceiptHandle"])
        envelope = json.loads(found["Body"])
        return envelope["Subject"], json.loads(envelope["Message"])

    def looked(self, batch_id: str) -> list[dict[str, str]]:
        """What was seen at the edge, as the audit keeps it."""
        table = DynamoBatchTable(self.aws.client("dynamodb"), self.outputs["BatchTableName"])
        return [dict(each) for each in Target.read(table, batch_id, self.distribution.distribution_id).edge]

    def sweep(self, ahead: timedelta) -> dict[str, Any]:
        function = privileges.resources(self.aws, self.name)["SweepFunction"]
        tick = json.dumps({"time": (datetime.now(UTC) + ahead).isoformat()}).encode()
        answer = self.aws.client("lambda").invoke(FunctionName=function, Payload=tick)
        return dict(json.load(answer["Payload"]))


@pytest.fixture(scope="module")
def looking(local: LocalEnvironment) -> Iterator[Site]:
    """A stack that looks at the edge."""
    aws, name, bucket = local.aws, tools.new_name(), tools.new_name()
    site.create_bucket(aws, bucket)
    parameters = {"BucketNames": bucket, "BatchWindowSeconds": "1", "VerifyAtEdge": "true"}
    outputs = stacks.create(aws, name, parameters, stacks.template(MAX_TRIES="3"))
    queue_url = site.subscribe_queue(aws, outputs["NotificationTopicArn"], f"{bucket}-notifications")
    yield Site(aws, name, bucket, site.create_distribution(aws, bucket), outputs, queue_url)
    stacks.delete(aws, name)


@pytest.fixture
def verified(looking: Site) -> Site:
    """A site whose edge holds the first version of a page."""
    looking.key = f"offers/page {tools.new_name()}.html"
    looking.put("one")
    assert looking.ended()[0]["status"] == "SUCCEEDED"
    looking.notified()
    assert looking.viewed() == ("one", "Miss")
    return looking


@pytest.fixture
def clock(local: LocalEnvironment) -> Iterator[Any]:
    """Sets the emulator's clock ahead; true again afterwards."""
    yield lambda ahead: control.tell(local.endpoint, "clock", {"ahead": ahead.total_seconds()})
    control.tell(local.endpoint, "clock", {"ahead": 0})


@pytest.fixture
def edge_that_stays_stale(verified: Site) -> Iterator[None]:
    """The distribution's edge goes on giving what it holds, for as long as nobody orders otherwise."""
    faults.order(verified.aws.endpoint, [Fault("kept", "edge", verified.distribution.distribution_id)])
    yield
    faults.order(verified.aws.endpoint, [])


def test_a_change_succeeds_once_the_edge_has_been_seen_to_give_it(verified: Site) -> None:
    etag = verified.put("two")
    execution, entered = verified.ended()
    assert execution["status"] == "SUCCEEDED"
    assert entered.count("Verify At Edge") == 1
    outcome = json.loads(execution["output"])["outcome"]
    assert outcome["outcome"] == "Completed"
    assert verified.looked(outcome["batchId"]) == [
        {"path": verified.path, "verdict": "Fresh", "stored": etag, "served": etag}
    ]
    assert verified.viewed()[0] == "two"
    assert verified.notified()[1]["outcome"] == "Completed"


@pytest.mark.usefixtures("edge_that_stays_stale")
def test_an_edge_that_stays_stale_fails_the_batch_is_told_of_and_is_looked_at_again(verified: Site, clock: Any) -> None:
    old = verified.aws.client("s3").head_object(Bucket=verified.bucket, Key=verified.key)["ETag"]
    new = verified.put("two")
    execution, entered = verified.ended()
    assert (execution["status"], execution["error"]) == ("FAILED", "EdgeStillStale")
    assert "Verify At Edge" in entered
    assert verified.viewed() == ("one", "Hit")

    subject, told = verified.notified()
    assert subject == f"Still STALE AT THE EDGE: {verified.bucket}, 1 change"
    assert faults_of_document("outcome", told) == []
    assert (told["outcome"], told["parked"], told["error"]) == ("StaleAtEdge", False, "EdgeStillStale")
    seen = [{"path": verified.path, "verdict": "Stale", "stored": new, "served": old}]
    assert verified.looked(told["batchId"]) == told["targets"][0]["edge"] == seen

    faults.order(verified.aws.endpoint, [])
    clock(SOON)
    (started,) = verified.sweep(SOON)["started"]
    assert started["why"] == "try 2 is due"
    execution, entered = verified.ended()
    assert (execution["status"], entered.count("Verify At Edge")) == ("SUCCEEDED", 1)
    assert verified.notified()[1]["outcome"] == "Completed"
    assert [each["verdict"] for each in verified.looked(told["batchId"])] == ["Fresh"]
    done = fresh.invalidations(verified.aws, verified.distribution.distribution_id)
    assert sum(each.reaches(verified.key) for each in done) == 3, "it is invalidated anew"
