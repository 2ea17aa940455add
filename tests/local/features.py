"""Every feature once, so that each permission that the functions have is used: by two stacks' worth of parameters."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import boto3
import botocore.session

from invalidation.batches.close import MOST_AT_ONCE
from invalidation.batches.dynamodb import DynamoBatchTable
from invalidation.batches.queries import parked_batches
from invalidations_cli.local import site
from invalidations_cli.local.aws import SECRET, LocalAws, defaults_only
from invalidations_cli.local.server import ROOT
from invalidations_cli.local.settings import ACCOUNT, REGION
from tests.local import distributions, privileges, stacks, tools
from tests.local.instruments import faults
from tests.local.instruments.faults import Fault

STACK = "everything"
SITE, OTHER_SITE = "web-site", "other-web-site"
PARAMETERS = {
    "BucketNames": f"{SITE},{OTHER_SITE}",
    "BatchWindowSeconds": "1",
    "NotifyOn": "All",
    "EnableBucketEvents": "UntilDeleted",
    "InvalidateBy": "Both",
    "SkipUnchanged": "true",
    "VerifyAtEdge": "true",
}
ELSEWHERE = "210987654321"
"""Another account, which has distributions."""
EXTERNAL_ID = "between-us"


@dataclass(slots=True)
class Everything:
    """A stack with all that is optional."""

    aws: LocalAws
    outputs: Mapping[str, str] = field(default_factory=dict)

    def set_up(self) -> None:
        for bucket in (SITE, OTHER_SITE):
            site.create_bucket(self.aws, bucket)
        self.outputs = stacks.create(self.aws, STACK, PARAMETERS)

    def granted(self) -> set[privileges.Grant]:
        """What the roles of the functions may do now."""
        found = privileges.resources(self.aws, STACK)
        roles = [name for logical_id, name in found.items() if logical_id.endswith("FunctionRole")]
        return {grant for role in roles for grant in privileges.grants(self.aws, role)}

    def use(self) -> None:
        """Changes and requests; one that fails and is tried again; one that is stopped and replayed."""
        self.serve()
        self.put(SITE, "index.html")
        self.put(OTHER_SITE, "index.html")
        self.ended(2)
        many = [event(SITE, f"many/{at}.html") for at in range(MOST_AT_ONCE + 1)]  # for Close Batch
        self.start([*many, event(OTHER_SITE, "a.html")])
        self.start({"bucket": SITE, "keys": ["b.html"]})
        for bucket in (SITE, OTHER_SITE):  # so many changes that the bucket is listed
            self.start({"bucket": bucket, "keys": [f"storm/{at}.html" for at in range(200)]})
        self.ended(7)  # one more for the bucket that the list's own execution does not lead
        self.fail_and_retry()
        self.be_stopped_and_swept()

    def serve(self) -> None:
        """Distributions that ask for everything: tags, a cache policy of their own, tenants."""
        policy = self.aws.client("cloudfront").create_cache_policy(CachePolicyConfig=CACHE_POLICY)["CachePolicy"]["Id"]
        for bucket in (SITE, OTHER_SITE):
            document = distributions.configuration([distributions.s3_origin(bucket)], cache_policy=policy)
            tags = {"CacheTagConfig": {"HeaderName": "x-amz-meta-cache-tag"}}
            distributions.create(self.aws, document | tags)
            distributions.create(self.aws, distributions.of_its_website(bucket))
        alias = {"DomainName": f"reader-abcdef-s3alias.s3.{REGION}.amazonaws.com"}
        distributions.create(self.aws, distributions.configuration([distributions.s3_origin("another") | alias]))
        many = distributions.configuration([distributions.s3_origin(SITE)], ConnectionMode="tenant-only")
        self.aws.client("cloudfront").create_distribution_tenant(
            DistributionId=distributions.create(self.aws, many), Name="tenant", Domains=[{"Domain": "t.example.com"}]
        )

    def put(self, bucket: str, key: str) -> None:
        body, tags = uuid4().bytes, {"cache-tag": "pages"}
        self.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body, Metadata=tags)

    def start(self, document: Any) -> str:
        return tools.start(self.aws, self.outputs["StateMachineArn"], document)

    def ended(self, executions: int) -> None:
        """Wait until so many executions have ended, and none runs."""

        def all_ended() -> bool:
            found = tools.executions(self.aws, self.outputs["StateMachineArn"])
            return len(found) >= executions and all(each["status"] != "RUNNING" for each in found)

        assert tools.eventually(all_ended, 60), "the executions did not end"

    def fail_and_retry(self) -> None:
        """CloudFront calls a request wrong, for once; somebody tries the parked batch again."""
        refused = Fault("refused", "request", "cloudfront:CreateInvalidation", "InvalidArgument", 400, times=1)
        faults.order(self.aws.endpoint, [refused])
        failed = tools.ended(self.aws, self.start({"bucket": SITE, "keys": ["c.html"]}))
        assert failed["status"] == "FAILED"
        table = DynamoBatchTable(self.aws.client("dynamodb"), self.outputs["BatchTableName"])
        (parked,) = parked_batches(table)
        retried = tools.ended(self.aws, self.start({"retryBatch": parked.batch_id}))
        assert retried["status"] == "SUCCEEDED"

    def be_stopped_and_swept(self) -> None:
        """An execution is stopped before it has accepted its change; the sweep, on the hour, replays it."""
        stopped = self.start(event(SITE, "d.html"))
        self.aws.client("stepfunctions").stop_execution(executionArn=stopped)
        s3 = self.aws.client("s3")
        s3.put_bucket_notification_configuration(Bucket=OTHER_SITE, NotificationConfiguration={})  # which is told
        assert len(self.sweep()["started"]) == 1
        site.send_events_to_eventbridge(self.aws, OTHER_SITE)
        self.ended(0)

    def sweep(self) -> Any:
        sweep = privileges.resources(self.aws, STACK)["SweepFunction"]
        tick = {"time": datetime.now(UTC).replace(minute=2).isoformat()}
        answer = self.aws.client("lambda").invoke(FunctionName=sweep, Payload=json.dumps(tick).encode())
        return json.load(answer["Payload"])

    def use_another_account(self) -> None:
        """The distributions move to another account, and one bucket leaves the list."""
        elsewhere = in_account(self.aws, ELSEWHERE)
        iam = elsewhere.client("iam")
        role = iam.create_role(RoleName="invalidation", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.put_role_policy(RoleName="invalidation", PolicyName="all", PolicyDocument=json.dumps(CLOUDFRONT))
        distribution = distributions.create(elsewhere, distributions.configuration([distributions.s3_origin(SITE)]))
        theirs = {"DistributionRoleArn": role, "DistributionRoleExternalId": EXTERNAL_ID}
        stacks.update(self.aws, STACK, {**theirs, "BucketNames": SITE})
        self.put(SITE, "index.html")
        self.ended(0)
        made = elsewhere.client("cloudfront").list_invalidations(DistributionId=distribution)["InvalidationList"]
        assert made["Quantity"] == 1, "the other account's distribution was to be invalidated"
        self.sweep()


TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
        }
    ],
}
CLOUDFRONT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "cloudfront:*", "Resource": "*"}],
}
CACHE_POLICY = {
    "Name": "own",
    "MinTTL": 1,
    "ParametersInCacheKeyAndForwardedToOrigin": {
        "EnableAcceptEncodingGzip": True,
        "HeadersConfig": {"HeaderBehavior": "none"},
        "CookiesConfig": {"CookieBehavior": "none"},
        "QueryStringsConfig": {"QueryStringBehavior": "none"},
    },
}


def event(bucket: str, key: str) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads((ROOT / "events/object-created-put.json").read_text(encoding="utf-8"))
    detail = sample["detail"] | {"bucket": {"name": bucket}, "object": sample["detail"]["object"] | {"key": key}}
    return sample | {"id": uuid4().hex, "detail": detail}


def in_account(aws: LocalAws, account: str) -> LocalAws:
    """The same emulator as another account's root user sees it."""
    other = LocalAws(aws.endpoint)
    other.session = boto3.Session(
        aws_access_key_id=account,
        aws_secret_access_key=SECRET,
        region_name=REGION,
        botocore_session=botocore.session.Session(session_vars=defaults_only()),
    )
    return other
