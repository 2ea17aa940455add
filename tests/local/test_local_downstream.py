"""Workflows and rules downstream of a batch, on the local AWS; and the shape of what they are told."""

import json
from typing import Any

import pytest

from invalidations_cli.local import deploy, readings
from invalidations_cli.local.environment import LocalEnvironment
from tests.definition import ROOT
from tests.local import tools
from tests.local.shell import put
from tests.outcome_schemas import faults

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="session")
def parent(local: LocalEnvironment) -> str:
    """The ARN of the example's state machine, deployed beside the stack."""
    template = deploy.load(EXAMPLES / "parent.yaml")
    return deploy.deploy(local.aws, template, {}, stack="parent", folder=EXAMPLES)["ParentArn"]


def test_the_example_of_a_parent_goes_on_only_when_the_edge_is_fresh(local: LocalEnvironment, parent: str) -> None:
    arn = tools.start(local.aws, parent, {"bucket": local.bucket, "keys": ["adopt/release.html"]})
    ended = tools.ended(local.aws, arn, 60)
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["invalidation"]["outcome"] == "Completed"
    went_on = next(
        event["timestamp"]
        for event in tools.history(local.aws, arn)
        if event.get("stateEnteredEventDetails", {}).get("name") == "Smoke Test"
    )
    child = json.loads(ended["output"])["invalidation"]["execution"]
    assert went_on >= tools.ended(local.aws, child)["stopDate"]
    newest = readings.invalidations(local)[0]
    assert (newest.status, newest.paths) == ("Completed", ("/adopt/release.html",))


@pytest.mark.parametrize(
    ("document", "error", "cause"),
    [
        ({"bucket": "nobody-serves-it", "keys": ["a.html"]}, "EdgeIsNotFresh", "watch"),
        ({"bucket": "my-web-site", "keys": []}, "EdgeIsNotFresh", "keys is empty"),
        ({"bucket": "my-web-site", "keys": [7]}, "EdgeIsNotFresh", "not an object key"),
    ],
)
def test_the_example_of_a_parent_does_not_go_on_otherwise(
    local: LocalEnvironment, parent: str, document: dict[str, Any], error: str, cause: str
) -> None:
    ended = tools.ended(local.aws, tools.start(local.aws, parent, document), 60)
    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert cause in ended["cause"]


def test_the_example_of_a_rule_gets_the_failures_of_its_bucket_and_their_shape_is_documented(
    denied: LocalEnvironment,
) -> None:
    template = deploy.load(EXAMPLES / "outcome-rule.yaml")
    url = deploy.deploy(denied.aws, template, {"BucketName": denied.bucket}, stack="rule", folder=EXAMPLES)["QueueUrl"]
    put(denied, "adopt/rule.html")
    (message,) = tools.eventually(lambda: tools.messages(denied.aws, url))
    event = json.loads(message["Body"])
    assert event["detail"]["sample"] == ["adopt/rule.html"]
    assert event["detail-type"] == "CloudFront Invalidation Failed"
    assert faults("event", event) == []


def test_real_outcomes_have_the_shape_that_the_schema_documents(
    local: LocalEnvironment, denied: LocalEnvironment
) -> None:
    requests: dict[str, tuple[LocalEnvironment, Any]] = {
        "Completed": (local, {"bucket": local.bucket, "keys": ["adopt/a b.html"]}),
        "DryRun": (local, {"bucket": local.bucket, "keys": ["adopt/a.html"], "dryRun": True}),
        "NoDistribution": (local, {"bucket": "nobody-serves-it", "keys": ["a.html"], "unwatched": True}),
        "Failed": (denied, {"distributionId": local.distribution_id, "paths": ["/a.html", "/b/*"]}),
        "Rejected": (local, {"nonsense": 1}),
    }
    for expected, (who, document) in requests.items():
        ended = tools.ended(who.aws, tools.start(who.aws, who.state_machine_arn, document), 60)
        if ended["status"] == "SUCCEEDED":
            output = json.loads(ended["output"])
            assert output["outcome"]["outcome"] == expected
            assert faults("output", output) == []
        else:
            assert expected in {"Failed", "Rejected"}
    told = [json.loads(each.message) for who in (local, denied) for each in heard(who)]
    of_the_chain = [each for each in told if each.get("kind") == "ChainHealth"]
    outcomes = [each for each in told if each not in of_the_chain]
    assert set(requests) <= {each["outcome"] for each in outcomes}
    assert [fault for each in outcomes for fault in faults("outcome", each)] == []
    assert [fault for each in of_the_chain for fault in faults("chain-health", each)] == []


def heard(there: LocalEnvironment) -> list[readings.ReceivedNotification]:
    return readings.notifications(there, wait_seconds=3)
