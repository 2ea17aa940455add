"""The custom resource: it always answers CloudFormation, and undoes only what this stack did."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from invalidation.bucket_events import WatchedBuckets
from invalidation.errors import BucketNotReady
from tests.definition import REGION
from tests.statemachine.stack import Stack
from tests.unit.handlers.invoking import Invoke

FUNCTION = "EnableBucketEventsFunction"
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not yet"}}, "PutBucketNotificationConfiguration")
Ask = Callable[..., dict[str, Any]]


class FakeBuckets:
    """Which buckets send events; those in ``missing`` are gone; the next ``denied`` calls come before the role acts."""

    def __init__(self) -> None:
        self.on: set[str] = set()
        self.missing: set[str] = set()
        self.denied = 0
        self.waited: list[float] = []

    def enable(self, bucket: str) -> Any:
        return self._switch(bucket, self.on.add)

    def disable(self, bucket: str) -> Any:
        return self._switch(bucket, self.on.discard)

    def _switch(self, bucket: str, change: Callable[[str], None]) -> Any:
        if bucket in self.missing:
            raise BucketNotReady(f"bucket {bucket} does not exist")
        if self.denied:
            self.denied -= 1
            raise BucketNotReady(f"bucket {bucket} denies it") from DENIED
        before = set(self.on)
        change(bucket)
        return SimpleNamespace(changed=self.on != before)


@pytest.fixture
def buckets(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> FakeBuckets:
    fake: Any = FakeBuckets()
    module = stack.functions.module(FUNCTION)
    watched = WatchedBuckets(fake, module.BUCKETS._table, timeout=60, pause=fake.waited.append)
    monkeypatch.setattr(module, "BUCKETS", watched)
    made: FakeBuckets = fake
    return made


@pytest.fixture
def ask(stack: Stack, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Send a CloudFormation event to the handler, and return what it answered to the pre-signed address."""
    answered: list[Any] = []

    def urlopen(request: Any, timeout: float) -> io.BytesIO:
        assert (request.full_url, request.method, timeout) == ("https://cloudformation.example/answer", "PUT", 10)
        assert request.get_header("Content-type") == ""
        answered.append(json.loads(request.data))
        assert len(request.data) <= 4_096  # CFN User Guide, "Custom resource response objects"
        return io.BytesIO()

    monkeypatch.setattr(stack.functions.module(FUNCTION).urllib.request, "urlopen", urlopen)

    def asked(kind: str, wanted: list[str], before: list[str] | None = None, *, undo: bool = False) -> dict[str, Any]:
        event: dict[str, Any] = {
            "RequestType": kind,
            "ResponseURL": "https://cloudformation.example/answer",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1",
            "RequestId": "r-1",
            "LogicalResourceId": "BucketEvents",
            "ResourceProperties": {"BucketNames": wanted, "DisableEventsOnDelete": str(undo).lower()},
        }
        if kind != "Create":
            event["PhysicalResourceId"] = "BucketEvents-bucket-events"
        if before is not None:
            event["OldResourceProperties"] = {"BucketNames": before}
        answered.clear()
        invoke.handler(FUNCTION, event)
        (answer,) = answered
        return dict(answer)

    return asked


def test_creating_switches_every_bucket_on_and_says_which_it_had_to(buckets: FakeBuckets, ask: Ask) -> None:
    buckets.on = {"b-already"}
    answer = ask("Create", ["a-site", "b-already"])
    assert (answer["Status"], answer["Data"]) == ("SUCCESS", {"SwitchedOn": "a-site"})
    assert answer["PhysicalResourceId"] == "BucketEvents-bucket-events"
    assert (answer["RequestId"], answer["LogicalResourceId"]) == ("r-1", "BucketEvents")
    assert buckets.on == {"a-site", "b-already"}


def test_a_bucket_that_is_not_ready_fails_the_deployment_with_what_to_do(buckets: FakeBuckets, ask: Ask) -> None:
    buckets.missing = {"nowhere"}
    answer = ask("Create", ["nowhere"])
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == "BucketNotReady: bucket nowhere does not exist"


def test_cloudformation_is_answered_even_when_something_unforeseen_happens(
    stack: Stack, buckets: FakeBuckets, ask: Ask
) -> None:
    stack.functions.refuse("dynamodb:UpdateItem", "InternalServerError", 500, times=10)
    answer = ask("Create", ["unforeseen"])
    stack.functions.forgive()
    assert answer["Status"] == "FAILED"
    assert "InternalServerError" in answer["Reason"]
    assert "The events of unforeseen may stay on" in answer["Reason"]
    assert buckets.on == set()


def test_a_creation_that_fails_undoes_what_it_has_switched_on_and_only_that(buckets: FakeBuckets, ask: Ask) -> None:
    buckets.on, buckets.missing = {"found-on"}, {"nowhere"}
    assert ask("Create", ["found-on", "switched", "nowhere"])["Status"] == "FAILED"
    assert buckets.on == {"found-on"}
    assert ask("Delete", ["found-on", "switched", "nowhere"], undo=True)["Status"] == "SUCCESS"
    assert buckets.on == {"found-on"}


def test_an_update_that_fails_undoes_its_own_buckets_alone(buckets: FakeBuckets, ask: Ask) -> None:
    ask("Create", ["was-there"])
    buckets.missing = {"nowhere"}
    assert ask("Update", ["was-there", "new-one", "nowhere"], ["was-there"])["Status"] == "FAILED"
    assert buckets.on == {"was-there"}


def test_a_role_that_does_not_act_yet_is_waited_for(buckets: FakeBuckets, ask: Ask) -> None:
    buckets.denied = 3
    assert ask("Create", ["early-bird"])["Status"] == "SUCCESS"
    assert (buckets.waited, buckets.on) == ([2, 4, 8], {"early-bird"})


def test_a_bucket_that_stays_denied_fails_the_deployment_after_a_minute(buckets: FakeBuckets, ask: Ask) -> None:
    buckets.denied = 1_000
    answer = ask("Create", ["denied-for-good"])
    assert answer["Reason"] == "BucketNotReady: bucket denied-for-good denies it"
    assert 60 <= sum(buckets.waited) <= 80


def test_what_is_not_denied_but_wrong_is_not_waited_for(buckets: FakeBuckets, ask: Ask) -> None:
    buckets.missing = {"nowhere"}
    assert (ask("Create", ["nowhere"])["Status"], buckets.waited) == ("FAILED", [])


def test_the_physical_id_stays_through_updates_and_deletion(buckets: FakeBuckets, ask: Ask) -> None:
    del buckets
    created = ask("Create", ["stays"])
    assert ask("Update", ["stays"], ["stays"])["PhysicalResourceId"] == created["PhysicalResourceId"]
    assert ask("Delete", ["stays"])["PhysicalResourceId"] == created["PhysicalResourceId"]


@pytest.mark.parametrize("undo", [False, True])
def test_a_bucket_that_leaves_the_list_is_switched_off_only_if_that_is_wanted(
    buckets: FakeBuckets, ask: Ask, undo: bool
) -> None:
    ask("Create", ["first", "second"])
    ask("Update", ["second"], ["first", "second"], undo=undo)
    assert buckets.on == ({"second"} if undo else {"first", "second"})


@pytest.mark.parametrize("undo", [False, True])
def test_deleting_switches_off_what_this_stack_switched_on_and_only_if_that_is_wanted(
    buckets: FakeBuckets, ask: Ask, undo: bool
) -> None:
    name = f"ours-{undo}".lower()
    buckets.on = {"theirs"}
    ask("Create", [name, "theirs"])
    answer = ask("Delete", [name, "theirs"], undo=undo)
    assert answer["Status"] == "SUCCESS"
    assert buckets.on == ({"theirs"} if undo else {name, "theirs"})


def test_a_stack_can_be_deleted_though_a_bucket_is_gone(buckets: FakeBuckets, ask: Ask) -> None:
    ask("Create", ["deleted-meanwhile"])
    buckets.missing = {"deleted-meanwhile"}
    assert ask("Delete", ["deleted-meanwhile"], undo=True)["Status"] == "SUCCESS"


def test_the_answer_fits_cloudformations_limit_however_many_buckets_there_are(buckets: FakeBuckets, ask: Ask) -> None:
    del buckets
    answer = ask("Create", [f"bucket-{number:03}-{'x' * 40}" for number in range(120)])
    assert answer["Status"] == "SUCCESS"
    assert answer["Data"]["SwitchedOn"].startswith("bucket-000")


def test_the_real_bucket_is_switched_on_too(stack: Stack, ask: Ask) -> None:
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket="not-there-yet")
    module = stack.functions.module(FUNCTION)
    assert module.EVENTS.enable("not-there-yet", dry_run=True).changed
    answer = ask("Create", ["really-not-there"])
    assert answer["Reason"].startswith("BucketNotReady: bucket really-not-there does not exist")
