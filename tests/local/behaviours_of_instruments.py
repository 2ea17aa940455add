"""What the test instruments add to ministack: faults, a clock, and a record of what roles do."""

import json
import time
import urllib.error
from datetime import UTC, datetime, timedelta
from typing import Any

from invalidations_cli.local import site
from invalidations_cli.local.aws import LocalAws
from tests.local import behaviours_of_resources, tools
from tests.local.instruments import control, faults
from tests.local.instruments.faults import Fault

ASKS_SNS = """
import boto3, botocore
SNS = boto3.client("sns", config=botocore.config.Config(retries={"total_max_attempts": 1}))
def handler(event, context):
    try:
        return SNS.list_topics() and "allowed"
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
"""


def iam_calls(aws: LocalAws) -> bool:
    """What a function was refused can be looked up."""
    refused = tools.call(aws, tools.function(aws, ASKS_SNS))
    try:
        calls = control.ask(aws.endpoint, "calls")
    except urllib.error.HTTPError:
        return False
    return refused == "AuthorizationError" and any(
        "assumed-role" in who and what == "sns:ListTopics" and not allowed for who, what, _resource, allowed in calls
    )


def invalidation_counts(aws: LocalAws) -> bool:
    """How many requests for invalidations were accepted, and how many refused, can be looked up."""
    bucket = tools.new_name()
    site.create_bucket(aws, bucket)
    distribution = site.create_distribution(aws, bucket).distribution_id
    try:
        before = control.ask(aws.endpoint, "invalidations")
        made = [behaviours_of_resources.invalidate(aws, distribution, path) for path in ("/a", "not a path")]
        after = control.ask(aws.endpoint, "invalidations")
    except urllib.error.HTTPError:
        return False
    grown = [after[each] - before.get(each, 0) for each in ("accepted", "refused")]
    return made == ["InProgress", "InvalidArgument"] and grown == [1, 1]


def clock(aws: LocalAws) -> bool:
    """Handlers and waits see the time that somebody has set, and the true one afterwards."""
    source = (
        "from datetime import UTC, datetime\ndef handler(event, context):\n    return datetime.now(UTC).timestamp()\n"
    )
    told = tools.function(aws, source)
    soon = (datetime.now(UTC) + timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    waiting = tools.start(aws, tools.machine(aws, {"Wait": {"Type": "Wait", "Timestamp": soon, "End": True}}))
    try:
        control.tell(aws.endpoint, "clock", {"ahead": 3600})
        ahead = tools.call(aws, told) - time.time()
        passed = tools.ended(aws, waiting, tools.timeout(aws, 3))["status"]
        control.tell(aws.endpoint, "clock", {"ahead": 0})
    except urllib.error.HTTPError:
        return False
    behind = abs(tools.call(aws, told) - time.time())
    return bool(3500 < ahead < 3700 and passed == "SUCCEEDED" and behind < 100)


def fault_injection(aws: LocalAws) -> bool:
    """A fault strikes as often as was asked for, and is counted: a request, a worker, an event, the edge."""
    asks = tools.function(aws, ASKS_SNS)
    sleeps = tools.function(aws, "import time\ndef handler(event, context):\n    time.sleep(1.5)\n    return 'alive'\n")
    bucket, queue_url = watched(aws)
    tools.call(aws, sleeps)
    try:
        faults.order(
            aws.endpoint,
            [
                Fault("throttled", "request", "sns:List*", code="Throttling", status=400, times=1),
                Fault("killed", "worker", sleeps.rpartition(":")[2], seconds=0.1, times=1),
                Fault("twice", "event", carried_out=True, seconds=0.1, times=1),
                Fault("kept", "edge", times=1),
            ],
        )
    except urllib.error.HTTPError:
        return False
    asked = [tools.call(aws, asks) for _ in range(2)]
    killed = [tools.call(aws, sleeps) for _ in range(2)]
    for key in ("one", "two"):
        aws.client("s3").put_object(Bucket=bucket, Key=key)
    delivered = keys_in(aws, queue_url, 3)
    given = given_once_it_is_invalidated(aws)
    counted = faults.struck(aws.endpoint)
    faults.order(aws.endpoint, [])
    return (
        asked == ["Throttling", "AuthorizationError"]
        and [killed[0].get("errorType"), killed[1]] == ["Runtime.ExitError", "alive"]
        and sorted(delivered) == ["one", "one", "two"]
        and given == ["old", "new"]
        and counted == {"throttled": 1, "killed": 1, "twice": 1, "kept": 1}
    )


def given_once_it_is_invalidated(aws: LocalAws) -> list[str]:
    """What the edge gives for the first time, and for the second, after an invalidation has completed."""
    bucket, s3 = tools.new_name(), aws.client("s3")
    site.create_bucket(aws, bucket)
    distribution = site.create_distribution(aws, bucket)

    def give() -> str:
        return behaviours_of_resources.view(aws, distribution.domain_name, "/a.html")[0]

    def listed() -> Any:
        found = aws.client("cloudfront").list_invalidations(DistributionId=distribution.distribution_id)
        return found["InvalidationList"]["Items"]

    s3.put_object(Bucket=bucket, Key="a.html", Body=b"old")
    give()
    s3.put_object(Bucket=bucket, Key="a.html", Body=b"new")
    behaviours_of_resources.invalidate(aws, distribution.distribution_id, "/a.html")
    tools.eventually(lambda: listed()[0]["Status"] == "Completed")
    return [give(), give()]


def encoded_keys(aws: LocalAws) -> bool:
    """The keys in S3's events are encoded while somebody asks for that, and raw afterwards."""
    bucket, url = watched(aws)
    try:
        control.tell(aws.endpoint, "encoded-keys", {"on": True})
        aws.client("s3").put_object(Bucket=bucket, Key="a b.html", Body=b"")
        found = keys_in(aws, url, 1)
        control.tell(aws.endpoint, "encoded-keys", {"on": False})
    except urllib.error.HTTPError:
        return False
    return found == ["a+b.html"]


def watched(aws: LocalAws) -> tuple[str, str]:
    """A bucket, and the URL of a queue to which its events go."""
    bucket, (url, arn), events = tools.new_name(), tools.queue(aws), aws.client("events")
    site.create_bucket(aws, bucket)
    site.send_events_to_eventbridge(aws, bucket)
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    events.put_rule(Name=bucket, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=bucket, Targets=[{"Id": "1", "Arn": arn}])
    return bucket, url


def keys_in(aws: LocalAws, queue_url: str, expected: int) -> list[str]:
    """The keys that the events in the queue tell of, once there are as many as expected."""
    found: list[str] = []

    def enough() -> bool:
        bodies = [json.loads(message["Body"]) for message in tools.messages(aws, queue_url)]
        found.extend(body["detail"]["object"]["key"] for body in bodies)
        return len(found) >= expected

    tools.eventually(enough, tools.timeout(aws, 3))
    return found
