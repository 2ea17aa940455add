"""What parameters decide, on a running stack: which keys count, dry runs, cache tags, and a chat channel's topic."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from invalidation.batches.dynamodb import DynamoBatchTable
from invalidation.batches.model import Batch
from invalidations_cli.commands.explain import explain
from invalidations_cli.local import site
from invalidations_cli.local.aws import LocalAws
from invalidations_cli.local.environment import LocalEnvironment
from tests.local import distributions, fresh, stacks, tools
from tests.local.behaviours_of_resources import let_anybody_read
from tests.outcome_schemas import faults

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]

PARAMETERS = {
    "BatchWindowSeconds": "1",
    "ExcludeKeys": "logs/*,*.tmp",
    "IncludeKeys": "public/*,index.html",
    "SkipUnchanged": "true",
    "InvalidateBy": "Tags",
    "DryRun": "true",
    "NotifyOn": "All",
}


@dataclass(slots=True)
class Stack:
    """A stack with all these parameters, a tagged distribution, and queues on both of its topics."""

    aws: LocalAws
    name: str
    bucket: str
    distribution_id: str
    outputs: dict[str, str]
    notifications_url: str
    chat_url: str
    seen: set[str] = field(default_factory=set)

    def put(self, key: str, body: str = "x", tags: str = "") -> None:
        metadata = {"cache-tag": tags} if tags else {}
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body.encode(), Metadata=metadata)

    def ended(self, number: int = 1) -> list[Any]:
        """The next executions, ended; fails where there are others."""

        def new() -> list[str]:
            found = [each["executionArn"] for each in tools.executions(self.aws, self.outputs["StateMachineArn"])]
            return [each for each in found if each not in self.seen]

        tools.eventually(lambda: len(new()) >= number)
        executions = [tools.ended(self.aws, each, 60) for each in new()]
        self.seen |= {each["executionArn"] for each in executions}
        assert [each["status"] for each in executions] == ["SUCCEEDED"] * number
        return [json.loads(each["output"]) for each in executions]

    def invalidated(self) -> list[tuple[str, ...]]:
        return [each.paths for each in fresh.invalidations(self.aws, self.distribution_id)]

    def batch(self, batch_id: str) -> Batch:
        return Batch.read(DynamoBatchTable(self.aws.client("dynamodb"), self.outputs["BatchTableName"]), batch_id)

    def messages(self, url: str) -> list[dict[str, Any]]:
        """All that came since the last call; one at least, if it comes in time."""
        received: list[dict[str, Any]] = []
        while found := tools.messages(self.aws, url, wait_seconds=0 if received else 5):
            for each in found:
                received.append(json.loads(json.loads(each["Body"])["Message"]))
                self.aws.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return received


@pytest.fixture(scope="module")
def stack(local: LocalEnvironment) -> Iterator[Stack]:
    aws, name, bucket = local.aws, tools.new_name(), tools.new_name()
    aws.client("s3").create_bucket(Bucket=bucket)
    outputs = stacks.create(aws, name, {"BucketNames": bucket, **PARAMETERS})
    document = distributions.configuration(
        [distributions.s3_origin(bucket)], CacheTagConfig={"HeaderName": "x-amz-meta-cache-tag"}
    )
    yield Stack(
        aws=aws,
        name=name,
        bucket=bucket,
        distribution_id=distributions.create(aws, document),
        outputs=outputs,
        notifications_url=site.subscribe_queue(aws, outputs["NotificationTopicArn"], f"{bucket}-notifications"),
        chat_url=site.subscribe_queue(aws, outputs["ChatTopicArn"], f"{bucket}-chat"),
    )
    stacks.delete(aws, name)


def test_excluded_keys_start_nothing_and_keys_that_are_not_included_end_at_once(stack: Stack) -> None:
    for key in ("logs/2026/11/23.gz", "public/upload.tmp", "logs/", "private/a.html"):
        stack.put(key)
    (output,) = stack.ended()
    assert output == {"role": "ignored", "reason": "IncludeKeys leaves the key out"}
    assert stack.invalidated() == []


def test_a_dry_run_tells_in_notification_audit_and_chat_what_it_would_have_invalidated_at_what_price(
    stack: Stack,
) -> None:
    stack.put("public/a b.html", tags="blog, Front")
    (output,) = stack.ended()
    outcome = output["outcome"]
    (target,) = outcome["targets"]
    assert (outcome["outcome"], outcome["dryRun"], outcome["price"]) == ("DryRun", True, 0.01)
    assert (target["state"], target["paths"], target["pathSample"]) == ("SKIPPED", 2, ["#blog", "#front"])
    assert faults("outcome", outcome) == []
    assert stack.invalidated() == []

    assert [each["targets"] for each in stack.messages(stack.notifications_url)] == [outcome["targets"]]
    kept = stack.batch(outcome["batchId"])
    assert (kept.outcome, kept.dry_run) == ("DryRun", True)

    (message,) = stack.messages(stack.chat_url)
    assert (message["version"], message["source"]) == ("1.0", "custom")
    assert message["metadata"]["threadId"] == f"cloudfront-auto-invalidation/{stack.bucket}"
    assert message["content"]["title"] == f"Dry run, nothing was sent: {stack.bucket}, 1 change"
    assert message["content"]["nextSteps"] == [f"See the execution: {outcome['console']}"]


def test_the_same_content_again_starts_no_batch_and_other_content_does(stack: Stack) -> None:
    for body, expected in (("one", "led"), ("one", "ignored"), ("two", "led")):
        stack.put("public/same.html", body)
        (output,) = stack.ended()
        assert ("ignored" if output.get("role") == "ignored" else "led") == expected
    assert output["outcome"]["targets"][0]["pathSample"] == ["/public/same.html"], "it has no tags"


def test_explain_tells_which_tags_a_change_invalidates_and_what_starts_nothing(stack: Stack) -> None:
    def explained(key: str) -> tuple[int, Any]:
        words = ["--stack", stack.name, "--bucket", stack.bucket, "--key", key, "--json"]
        result = CliRunner().invoke(explain, [*words, "--endpoint-url", stack.aws.endpoint], catch_exceptions=False)
        return result.exit_code, json.loads(result.stdout)

    code, told = explained("public/a b.html")
    (served,) = [each for each in told["distributions"] if each["distributionId"] == stack.distribution_id]
    reason = "a cache tag of the object (InvalidateBy is Tags)"
    assert (code, served["reasons"]) == (0, {"#blog": [reason], "#front": [reason]})
    assert "DryRun is on: the stack sends nothing." in told["notes"]
    code, told = explained("logs/a.gz")
    assert (code, told["startsNothing"]) == (1, ["ExcludeKeys leaves the key out", "IncludeKeys leaves the key out"])


def test_a_stale_page_whose_key_is_excluded_is_explained_so(stack: Stack) -> None:
    let_anybody_read(stack.aws, stack.bucket)
    found = stack.aws.client("cloudfront").get_distribution(Id=stack.distribution_id)["Distribution"]
    host = urlsplit(stack.aws.endpoint).netloc
    for body in ("one", "two"):
        stack.put("logs/a.html", body)
        with closing(http.client.HTTPConnection(host, timeout=60)) as viewer:
            viewer.request("GET", "/logs/a.html", headers={"Host": found["DomainName"]})
            assert viewer.getresponse().read() == b"one"
    words = [f"https://{found['DomainName']}/logs/a.html", "--stack", stack.name, "--json"]
    result = CliRunner().invoke(explain, [*words, "--endpoint-url", stack.aws.endpoint], catch_exceptions=False)
    told = json.loads(result.stdout)
    assert (result.exit_code, told["verdict"]) == (1, "stale-excluded")
    assert "ExcludeKeys leaves the key out" in told["why"]
    assert told["command"].startswith(
        f"invalidations request --bucket {stack.bucket} logs/a.html --wait --stack {stack.name}"
    )


def test_tags_are_invalidated_instead_of_the_paths_of_the_objects_that_carry_them(stack: Stack) -> None:
    stacks.update(stack.aws, stack.name, {"DryRun": "false", "BatchWindowSeconds": "0"})
    stack.put("public/tagged.html", tags="product:42")
    stack.ended()
    assert stack.invalidated() == [("#product:42",)]
    stack.aws.client("s3").delete_object(Bucket=stack.bucket, Key="public/tagged.html")
    (output,) = stack.ended()
    assert stack.invalidated() == [("#product:42",), ("/public/tagged.html",)], "what is gone has no tags any more"
    (target,) = output["outcome"]["targets"]
    assert (target["state"], target["pathSample"], target["price"]) == ("COMPLETED", ["/public/tagged.html"], 0.005)
