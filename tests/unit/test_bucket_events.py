"""A bucket's events are switched on and off, and whatever else is configured there stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.s3.models import s3_backends

from invalidation.bucket_events import TRIES, BucketEvents, Switched, sends_events, switched
from invalidation.errors import BucketNotReady, ConcurrentBucketChange

REGION = "eu-central-1"
ACCOUNT = "123456789012"
RULES = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".jpg"}]}}
OTHERS: dict[str, Any] = {
    "LambdaFunctionConfigurations": [
        {
            "Id": "thumbnails",
            "LambdaFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:thumbnails",
            "Events": ["s3:ObjectCreated:*"],
            "Filter": RULES,
        }
    ],
    "QueueConfigurations": [
        {"Id": "archive", "QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:archive", "Events": ["s3:ObjectRemoved:*"]}
    ],
    "TopicConfigurations": [
        {
            "Id": "tell",
            "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:tell",
            "Events": ["s3:ObjectCreated:Put"],
            "Filter": RULES,
        }
    ],
}


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        boto3.client("sqs", region_name=REGION).create_queue(QueueName="archive")
        boto3.client("sns", region_name=REGION).create_topic(Name="tell")
        client: Any = boto3.client("s3", region_name=REGION)
        client.create_bucket(Bucket="my-site", CreateBucketConfiguration={"LocationConstraint": REGION})
        client.meta.events.register("after-call.s3.GetBucketNotificationConfiguration", _with_what_moto_leaves_out)
        yield client


def _with_what_moto_leaves_out(parsed: dict[str, Any], **_: Any) -> None:
    """moto keeps the switch for EventBridge and does not tell it."""
    kept = s3_backends[ACCOUNT]["aws"].get_bucket("my-site").notification_configuration
    assert "EventBridgeConfiguration" not in parsed, "moto tells it now: this is not needed any more"
    if kept is not None and kept.event_bridge is not None:
        parsed["EventBridgeConfiguration"] = {}


def _found(s3: Any) -> dict[str, Any]:
    answer = s3.get_bucket_notification_configuration(Bucket="my-site")
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_what_is_configured_already_stays_with_its_filters(s3: Any) -> None:
    s3.put_bucket_notification_configuration(Bucket="my-site", NotificationConfiguration=OTHERS)
    before = _found(s3)
    switched = BucketEvents(s3, REGION).enable("my-site")
    assert switched.changed
    assert _found(s3) == {**before, "EventBridgeConfiguration": {}}
    assert switched == Switched("my-site", before, _found(s3))
    assert _found(s3)["LambdaFunctionConfigurations"] == before["LambdaFunctionConfigurations"]
    assert len(before["TopicConfigurations"][0]["Filter"]["Key"]["FilterRules"]) == 2


def test_switching_off_takes_away_the_events_alone(s3: Any) -> None:
    s3.put_bucket_notification_configuration(Bucket="my-site", NotificationConfiguration=OTHERS)
    before = _found(s3)
    events = BucketEvents(s3, REGION)
    events.enable("my-site")
    assert events.disable("my-site").changed
    assert _found(s3) == before


def test_doing_it_again_changes_nothing_and_writes_nothing(s3: Any) -> None:
    events = BucketEvents(s3, REGION)
    assert events.enable("my-site").changed
    s3.meta.events.register("before-call.s3.PutBucketNotificationConfiguration", _forbidden)
    assert not events.enable("my-site").changed


def test_a_dry_run_tells_what_would_change_and_writes_nothing(s3: Any) -> None:
    s3.meta.events.register("before-call.s3.PutBucketNotificationConfiguration", _forbidden)
    switched = BucketEvents(s3, REGION).enable("my-site", dry_run=True)
    assert (switched.changed, sends_events(switched.after)) == (True, True)
    assert not sends_events(_found(s3))


def _forbidden(**_: Any) -> None:
    raise AssertionError("this must not be called")


def test_a_missing_bucket_is_named(s3: Any) -> None:
    with pytest.raises(BucketNotReady, match="bucket nowhere does not exist: correct BucketNames"):
        BucketEvents(s3, REGION).enable("nowhere")


def test_a_bucket_of_another_region_is_refused_with_what_to_do(s3: Any) -> None:
    elsewhere = boto3.client("s3", region_name="us-west-2")
    elsewhere.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    with pytest.raises(BucketNotReady, match="far-away is in us-west-2, this stack in eu-central-1"):
        BucketEvents(s3, REGION).enable("far-away")


class FakeS3:
    """A bucket's configuration; ``after_write`` is what somebody else does to it after each of our writes."""

    def __init__(self, configuration: dict[str, Any], refused: dict[str, ClientError] | None = None) -> None:
        self.configuration = configuration
        self.refused = refused or {}
        self.written: list[dict[str, Any]] = []
        self.after_write: Callable[[FakeS3], None] = lambda _: None

    def head_bucket(self, **_: Any) -> dict[str, Any]:
        self._refuse("HeadBucket")
        return {"BucketRegion": REGION}

    def get_bucket_notification_configuration(self, **_: Any) -> dict[str, Any]:
        self._refuse("GetBucketNotificationConfiguration")
        return {"ResponseMetadata": {}, **copy.deepcopy(self.configuration)}

    def put_bucket_notification_configuration(self, **asked: Any) -> None:
        self._refuse("PutBucketNotificationConfiguration")
        assert asked["SkipDestinationValidation"] is True
        self.configuration = copy.deepcopy(asked["NotificationConfiguration"])
        self.written.append(self.configuration)
        self.after_write(self)

    def _refuse(self, operation: str) -> None:
        if operation in self.refused:
            raise self.refused[operation]


def _events(s3: FakeS3) -> BucketEvents:
    fake: Any = s3
    return BucketEvents(fake, REGION)


def _refusal(operation: str, code: str, region: str = "") -> ClientError:
    headers = {"x-amz-bucket-region": region} if region else {}
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPHeaders": headers}}
    return ClientError(answer, operation)


def test_a_change_that_overtakes_ours_is_merged_and_ours_is_made_again() -> None:
    s3 = FakeS3({"QueueConfigurations": OTHERS["QueueConfigurations"]})

    def overtake_once(bucket: FakeS3) -> None:
        if len(bucket.written) == 1:
            bucket.configuration = {"TopicConfigurations": OTHERS["TopicConfigurations"]}

    s3.after_write = overtake_once
    switched = _events(s3).enable("my-site")
    assert s3.configuration == {"TopicConfigurations": OTHERS["TopicConfigurations"], "EventBridgeConfiguration": {}}
    assert switched.after == s3.configuration
    assert switched.before == {"QueueConfigurations": OTHERS["QueueConfigurations"]}


def test_somebody_who_never_stops_changing_it_is_given_up_on() -> None:
    s3 = FakeS3({})
    s3.after_write = lambda bucket: bucket.configuration.pop("EventBridgeConfiguration")
    with pytest.raises(ConcurrentBucketChange, match=f"changed by somebody else {TRIES} times in a row"):
        _events(s3).enable("my-site")
    assert len(s3.written) == TRIES


class BusyS3(FakeS3):
    """Refuses the first writes, because somebody else's are in progress; ``they_write`` is what those come to."""

    def __init__(self, refusals: int, they_write: dict[str, Any]) -> None:
        super().__init__({})
        self.refusals = refusals
        self.they_write = they_write

    def put_bucket_notification_configuration(self, **asked: Any) -> None:
        if self.refusals:
            self.refusals -= 1
            self.configuration = copy.deepcopy(self.they_write)
            raise _refusal("PutBucketNotificationConfiguration", "OperationAborted")
        super().put_bucket_notification_configuration(**asked)


def test_while_s3_is_busy_with_a_change_of_somebody_else_it_waits_and_merges_with_what_came_of_it() -> None:
    s3: Any = BusyS3(2, {"QueueConfigurations": OTHERS["QueueConfigurations"]})
    pauses: list[float] = []
    switched = BucketEvents(s3, REGION, pause=pauses.append).enable("my-site")
    assert pauses == [1, 2]
    assert switched.changed
    assert switched.after == {"QueueConfigurations": OTHERS["QueueConfigurations"], "EventBridgeConfiguration": {}}


def test_what_somebody_else_has_switched_on_meanwhile_is_not_our_doing() -> None:
    s3: Any = BusyS3(1, {"EventBridgeConfiguration": {}})
    switched = BucketEvents(s3, REGION, pause=lambda _: None).enable("my-site")
    assert sends_events(switched.after)
    assert not switched.changed
    assert s3.written == []


def test_a_bucket_that_stays_busy_is_given_up_on_within_the_functions_time() -> None:
    s3: Any = BusyS3(TRIES, {})
    pauses: list[float] = []
    with pytest.raises(ConcurrentBucketChange, match="try again when the other deployment has ended"):
        BucketEvents(s3, REGION, pause=pauses.append).enable("my-site")
    assert sum(pauses) < 60


def test_that_s3_gives_an_id_to_what_had_none_is_no_change_of_somebody_else() -> None:
    s3 = FakeS3({"QueueConfigurations": [{"QueueArn": "q", "Events": ["s3:ObjectRemoved:*"]}]})
    s3.after_write = lambda bucket: bucket.configuration["QueueConfigurations"][0].update(Id="given by S3")
    _events(s3).enable("my-site")
    assert len(s3.written) == 1


@pytest.mark.parametrize(
    ("operation", "grant"),
    [
        ("HeadBucket", "s3:ListBucket"),
        ("GetBucketNotificationConfiguration", "s3:GetBucketNotification"),
        ("PutBucketNotificationConfiguration", "s3:PutBucketNotification"),
    ],
)
def test_a_denied_bucket_is_named_with_what_to_grant(operation: str, grant: str) -> None:
    code = "403" if operation == "HeadBucket" else "AccessDenied"
    with pytest.raises(BucketNotReady, match=f"my-site denies {grant}: grant {grant} on arn:aws:s3:::my-site"):
        _events(FakeS3({}, {operation: _refusal(operation, code)})).enable("my-site")


def test_a_bucket_whose_region_only_the_refusal_tells_is_refused_by_its_region() -> None:
    moved = FakeS3({}, {"HeadBucket": _refusal("HeadBucket", "301", "us-west-2")})
    with pytest.raises(BucketNotReady, match="is in us-west-2"):
        _events(moved).enable("my-site")


def test_any_other_refusal_is_told_with_its_code() -> None:
    operation = "PutBucketNotificationConfiguration"
    with pytest.raises(BucketNotReady, match=f"my-site: {operation} failed with InvalidArgument"):
        _events(FakeS3({}, {operation: _refusal(operation, "InvalidArgument")})).enable("my-site")


@given(st.dictionaries(st.sampled_from([*OTHERS, "EventBridgeConfiguration"]), st.just([])))
def test_merging_keeps_everything_else_and_can_be_repeated(configuration: dict[str, Any]) -> None:
    on, off = switched(configuration, on=True), switched(configuration, on=False)
    assert (sends_events(on), sends_events(off)) == (True, False)
    assert switched(on, on=False) == off
    assert switched(on, on=True) == on
    assert {name: value for name, value in configuration.items() if name in OTHERS} == off
