"""`invalidations bucket`: events go on and off, and nothing else on the bucket changes."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError
from click.testing import CliRunner, Result

from invalidations_cli.commands.bucket import bucket, difference

EVENTS: dict[str, Any] = {"EventBridgeConfiguration": {}}
OTHERS: dict[str, Any] = {
    "LambdaFunctionConfigurations": [{"Id": "1", "LambdaFunctionArn": "function", "Events": ["s3:ObjectCreated:*"]}],
    "QueueConfigurations": [
        {
            "Id": "2",
            "QueueArn": "queue",
            "Events": ["s3:ObjectCreated:Put"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "logs/\x1b[31m"}]}},
        }
    ],
    "TopicConfigurations": [{"Id": "3", "TopicArn": "topic", "Events": ["s3:ObjectRemoved:*"]}],
}
BESIDES = "(besides: 1 function configuration, 1 queue configuration, 1 topic configuration)"


class FakeS3:
    """As S3 does it: put replaces the whole configuration. moto leaves EventBridge out of what get returns."""

    meta = SimpleNamespace(region_name="eu-west-1")

    def __init__(self) -> None:
        self.configurations: dict[str, Any] = {"plain": {}, "busy": copy.deepcopy(OTHERS), "far": {}}

    def head_bucket(self, *, Bucket: str) -> dict[str, str]:  # noqa: N803 # boto3's name
        self._found(Bucket, "HeadBucket", "404")
        return {"BucketRegion": "us-east-1" if Bucket == "far" else "eu-west-1"}

    def get_bucket_notification_configuration(self, *, Bucket: str) -> dict[str, Any]:  # noqa: N803 # boto3's name
        found = self._found(Bucket, "GetBucketNotificationConfiguration", "NoSuchBucket")
        return {"ResponseMetadata": {}, **copy.deepcopy(found)}

    def put_bucket_notification_configuration(
        self,
        *,
        Bucket: str,  # noqa: N803 # boto3's names
        NotificationConfiguration: dict[str, Any],  # noqa: N803
        SkipDestinationValidation: bool,  # noqa: N803
    ) -> None:
        assert SkipDestinationValidation
        self.configurations[Bucket] = NotificationConfiguration

    def _found(self, name: str, operation: str, code: str) -> Any:
        if " " in name:
            raise ParamValidationError(report="Invalid bucket name")
        if name not in self.configurations:
            raise ClientError({"Error": {"Code": code}}, operation)
        return self.configurations[name]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> FakeS3:
    fake = FakeS3()
    monkeypatch.setattr("invalidations_cli.aws.clients_for", lambda *_where: {"s3": fake}.__getitem__)
    return fake


def run(*words: str) -> Result:
    return CliRunner().invoke(bucket, words, catch_exceptions=False)


def test_enable_keeps_everything_else_and_shows_the_difference(s3: FakeS3) -> None:
    before = s3.configurations["busy"]
    result = run("enable", "busy")
    assert result.exit_code == 0, result.output
    assert s3.configurations["busy"] == before | EVENTS
    changed = [line for line in result.stdout.splitlines() if line.startswith(("  + ", "  - "))]
    assert changed == ['  +   "EventBridgeConfiguration": {},']
    assert '"QueueArn": "queue"' in result.stdout, "what stays is shown as well"
    assert "about five minutes" in result.stdout


@pytest.mark.usefixtures("s3")
def test_what_is_on_already_stays_as_it_is() -> None:
    run("enable", "busy")
    result = run("enable", "busy")
    assert result.exit_code == 0
    assert result.stdout == f"busy: sends events already; nothing to change {BESIDES}\n"


@pytest.mark.parametrize("words", [("enable", "plain"), ("disable", "busy")])
def test_a_dry_run_shows_the_same_and_changes_nothing(s3: FakeS3, words: tuple[str, str]) -> None:
    run("enable", "busy")
    before = s3.configurations[words[1]]
    result = run(*words, "--dry-run")
    assert result.exit_code == 0
    assert f"{words[1]}: would be changed" in result.stdout
    assert "EventBridgeConfiguration" in result.stdout
    assert s3.configurations[words[1]] == before


def test_disable_warns_and_does_nothing_until_somebody_says_yes(s3: FakeS3) -> None:
    before = s3.configurations["busy"]
    run("enable", "busy")
    result = run("disable", "busy")
    assert result.exit_code == 2
    assert "other rules, stacks and accounts may rely on these events" in result.stderr
    assert s3.configurations["busy"] == before | EVENTS

    result = run("disable", "busy", "--yes")
    assert result.exit_code == 0
    assert "busy: was changed" in result.stdout
    assert s3.configurations["busy"] == before


def test_status_says_who_sends_and_what_else_there_is(s3: FakeS3) -> None:
    run("enable", "busy")
    assert run("status", "busy").exit_code == 0
    result = run("status", "busy", "plain")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"busy: sends events {BESIDES}",
        "plain: sends NO events",
    ]
    documents = json.loads(run("status", "busy", "plain", "--json").stdout)
    assert [(each["bucket"], each["sendsEvents"]) for each in documents] == [("busy", True), ("plain", False)]
    assert documents[0]["configuration"] == s3.configurations["busy"]


def test_one_bucket_that_cannot_be_changed_does_not_stop_the_others(s3: FakeS3) -> None:
    result = run("enable", "no-such-bucket", "No Name!\x1b[2J", "plain")
    assert result.exit_code == 1
    assert "bucket no-such-bucket does not exist" in result.stderr
    assert r"'No Name!\x1b[2J' is no bucket name" in result.stderr
    assert "plain: was changed" in result.stdout
    assert s3.configurations["plain"] == EVENTS
    failed, _name, changed = json.loads(run("enable", "no-such-bucket", "No Name!", "plain", "--json").stdout)
    assert (failed["error"], changed["changed"]) == ("BucketNotReady", False)


def test_a_bucket_of_another_region_is_refused_because_its_events_would_never_come(s3: FakeS3) -> None:
    result = run("enable", "far")
    assert result.exit_code == 1
    assert "bucket far is in us-east-1" in result.stderr
    assert s3.configurations["far"] == {}


def test_without_credentials_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    result = run("status", "plain", "--region", "eu-west-1")
    assert result.exit_code == 4
    assert "no AWS credentials" in result.stderr


def test_the_difference_shows_the_whole_and_marks_what_changes_and_obeys_none_of_it() -> None:
    before: dict[str, Any] = {"QueueConfigurations": [{"Id": "\x1b[31m"}]}
    lines = list(difference(before, before | EVENTS))
    assert lines == [
        "  {",
        '+   "EventBridgeConfiguration": {},',
        '    "QueueConfigurations": [',
        "      {",
        r'        "Id": "\u001b[31m"',
        "      }",
        "    ]",
        "  }",
    ]
    assert list(difference(EVENTS, {})) == ["  {", '-   "EventBridgeConfiguration": {}', "  }"]
