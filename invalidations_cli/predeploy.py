"""What can be checked before a stack is deployed for a bucket. Nothing is changed, and no stack is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from invalidation.bucket_events import sends_events
from invalidation.cloudfront.bucket import BucketReader
from invalidation.cloudfront.client import CloudFront
from invalidation.errors import InvalidationError, code_of
from invalidation.health import Check, CheckVerdict
from invalidations_cli.aws import Clients

Found = tuple[CheckVerdict, str, str]
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
        """All checks for a bucket; what may not be asked is unknown, and names the permission."""
        asked: list[tuple[str, str, str, Callable[[], Iterator[Found]]]] = [
            ("Bucket exists", "bucket", "s3:ListBucket", lambda: self._bucket(bucket)),
            ("Bucket sends events", "bucket", "s3:GetBucketNotification", lambda: self._events(bucket)),
            (
                "A distribution serves the bucket",
                "cloudfront",
                "cloudfront:ListDistributions",
                lambda: self._served(bucket),
            ),
            *(
                (f"{service} answers", "account", permission, lambda of=(service, call): self._answers(*of))
                for service, call, permission in ASKED
            ),
            ("Pipes for Buffered", "account", "pipes:ListPipes", self._pipes),
        ]
        return [Check(name, group, *each) for name, group, needs, ask in asked for each in answered(ask, needs)]

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


def answered(ask: Callable[[], Iterator[Found]], permission: str) -> list[Found]:
    """What was found; unknown where it could not be asked."""
    try:
        return list(ask())
    except ClientError as error:
        code = code_of(error)
        return [(CheckVerdict.UNKNOWN, f"needs {permission} ({code})", "")]
    except (BotoCoreError, InvalidationError) as error:
        return [(CheckVerdict.UNKNOWN, f"needs {permission} ({type(error).__name__})", "")]
