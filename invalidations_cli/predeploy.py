"""What can be checked before a stack is deployed for a bucket. Nothing is changed, and no stack is needed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from botocore.exceptions import ClientError, EndpointConnectionError

from invalidation.bucket_events import sends_events
from invalidation.cloudfront.bucket import BucketReader
from invalidation.cloudfront.client import CloudFront
from invalidation.errors import code_of
from invalidation.health import Check, CheckQuestion, CheckVerdict, Found
from invalidations_cli.aws import Clients

SERVES = "A distribution serves the bucket"
ASKED: tuple[tuple[str, str, str], ...] = (
    ("cloudformation", "list_stacks", "cloudformation:ListStacks"),
    ("iam", "list_roles", "iam:ListRoles"),
    ("lambda", "list_functions", "lambda:ListFunctions"),
    ("stepfunctions", "list_state_machines", "states:ListStateMachines"),
    ("events", "list_rules", "events:ListRules"),
    ("dynamodb", "list_tables", "dynamodb:ListTables"),
    ("sqs", "list_queues", "sqs:ListQueues"),
    ("sns", "list_topics", "sns:ListTopics"),
)
"""Service, a call that only reads, and its permission. That it is granted does not prove that creating is."""


class PreDeployChecks:
    """Looks at an account, with the caller's own permissions, before anything is deployed into it."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def checks(self, bucket: str) -> list[Check]:
        """All checks for a bucket. What may not be asked is unknown, and names the permission."""
        questions = [
            CheckQuestion("Bucket exists", "bucket", "s3:ListBucket", lambda: self._bucket(bucket)),
            CheckQuestion("Bucket sends events", "bucket", "s3:GetBucketNotification", lambda: self._events(bucket)),
            CheckQuestion(SERVES, "cloudfront", "cloudfront:ListDistributions", lambda: self._served(bucket)),
            *(
                CheckQuestion(f"{service} answers", "account", permission, partial(self._answers, service, call))
                for service, call, permission in ASKED
            ),
            CheckQuestion("Pipes for Buffered", "account", "pipes:ListPipes", self._pipes),
        ]
        return [found for each in questions for found in each.answers()]

    def _bucket(self, bucket: str) -> Iterator[Found]:
        s3 = self._clients("s3")
        here = s3.meta.region_name
        try:
            region = s3.head_bucket(Bucket=bucket).get("BucketRegion") or here
        except ClientError as error:
            if code_of(error) in {"404", "NoSuchBucket"}:
                yield CheckVerdict.CUT, f"there is no bucket {bucket}", "correct the name, or create the bucket"
                return
            region = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region", "")
            if not region:
                raise
        if region == here:
            yield CheckVerdict.OK, f"{bucket} is in {region}", ""
        else:
            what = f"{bucket} is in {region}, and you would deploy into {here}: its events never arrive there"
            yield CheckVerdict.CUT, what, f"deploy with --region {region}"

    def _events(self, bucket: str) -> Iterator[Found]:
        try:
            on = sends_events(self._clients("s3").get_bucket_notification_configuration(Bucket=bucket))
        except ClientError as error:
            if code_of(error) == "NoSuchBucket":
                return
            raise
        does = "sends its events to EventBridge already" if on else "sends no events yet: the deploy switches them on"
        yield CheckVerdict.OK, f"{bucket} {does}", ""

    def _served(self, bucket: str) -> Iterator[Found]:
        buckets = BucketReader(lambda service, **_region: self._clients(service))
        found = CloudFront(self._clients("cloudfront"), buckets=buckets).distributions_serving(bucket, fresh=True)
        if ids := [each.id for each in found if each.enabled]:
            yield CheckVerdict.OK, f"{bucket} is served by {', '.join(ids)}", ""
        else:
            remedy = "create one, or name those that serve it in the parameter DistributionIds"
            yield CheckVerdict.CUT, f"no enabled distribution has {bucket} as its origin", remedy

    def _answers(self, service: str, call: str) -> Iterator[Found]:
        getattr(self._clients(service), call)()
        yield CheckVerdict.OK, f"you may ask {service}; whether you may create there, only the deploy shows", ""

    def _pipes(self) -> Iterator[Found]:
        try:
            self._clients("pipes").list_pipes(Limit=1)
        except EndpointConnectionError:
            yield CheckVerdict.UNKNOWN, "EventBridge Pipes do not answer in this region", "deploy with Intake=Direct"
            return
        yield CheckVerdict.OK, "Intake=Buffered is possible here", ""
