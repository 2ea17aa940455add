"""Is the chain whole? What a change of a bucket passes through, looked at one by one.

The worst failure is the silent one: events switched off on the bucket by another tool's deploy, a disabled rule, a
pattern without the bucket. Nothing arrives then, and "nothing owed" looks like "all is fresh". Only what stops a *new*
change is cut. What is known to wait, by a fault or on purpose, is owed; what could not be asked is unknown.

Sources: S3 User Guide "Enabling Amazon EventBridge"; EBU "Amazon EventBridge event patterns"; Lambda Developer Guide
"Configuring reserved concurrency"; SQS Developer Guide "Available CloudWatch metrics".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from invalidation.batches.head import Head
from invalidation.batches.join import paths_of_day
from invalidation.batches.queries import parked_batches
from invalidation.batches.sweep import VISIT
from invalidation.batches.table import BUCKETS, Key
from invalidation.bucket_events import sends_events
from invalidation.cloudfront.client import CloudFront
from invalidation.cloudfront.patterns import key_filter
from invalidation.errors import InvalidationError, code_of
from invalidation.event_pattern import S3_KINDS, excluded_keys, lets_through, s3_event, without_keys

if TYPE_CHECKING:
    from invalidation.batches.table import BatchTable

SWEEP_OVERDUE: Final = timedelta(minutes=15)
EVENTS_TAKE: Final = timedelta(minutes=5)
"""How long S3 may take to act on a notification configuration (S3 User Guide, "Enabling Amazon EventBridge")."""
OLDEST_MESSAGE: Final = timedelta(minutes=10)
_DENIED: Final = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "403"}
_FUNCTION: Final = re.compile(r"arn:[a-z-]+:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+")


class CheckVerdict(StrEnum):
    """What a check has found."""

    OK = "ok"
    CUT = "cut"
    """A new change does not get through."""
    OWED = "owed"
    """Something waits, by a fault or on purpose; new changes get through or are kept."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. Its group, what was found, the evidence, and how to fix it (a command)."""

    name: str
    group: str
    verdict: CheckVerdict
    evidence: str
    remedy: str = ""

    @property
    def runbook(self) -> str:
        """The anchor of its entry in docs/runbook.md."""
        return re.sub("[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def to_document(self) -> dict[str, str]:
        """JSON-able; without a remedy where none is needed."""
        return {
            "check": self.name,
            "group": self.group,
            "verdict": self.verdict.value,
            "evidence": self.evidence,
            **({"remedy": self.remedy} if self.remedy else {}),
            "runbook": f"docs/runbook.md#{self.runbook}",
        }


@dataclass(frozen=True, slots=True)
class Chain:
    """The names of what a change passes through in one stack."""

    region: str
    state_machine_arn: str
    rules: tuple[str, ...]
    bucket_names: tuple[str, ...] = ()
    distribution_ids: tuple[str, ...] = ()
    intake_queue_url: str = ""
    dead_letter_queue_url: str = ""
    pipe: str = ""
    """Name of the pipe; "" where changes start executions directly."""
    schedule: str = ""
    """Name of the sweep's rule; "": not looked at, as by the sweep, which runs."""
    dry_run: bool = False
    enables_events: bool = True
    include_keys: tuple[str, ...] = ("*",)
    max_paths_a_day: int = 0
    """0: no maximum."""


Found = tuple[CheckVerdict, str, str]
"""Verdict, evidence, remedy."""


@dataclass(frozen=True, slots=True)
class CheckQuestion:
    """A check to be made. With which permission, how, and whether its answer may be that the chain is cut."""

    name: str
    group: str
    permission: str
    look: Callable[[], Iterator[Found]]
    may_cut: bool = True

    def answers(self) -> list[Check]:
        """What was found; where it could not be asked, that and the permission."""
        return [Check(self.name, self.group, *found) for found in self._found()]

    def _found(self) -> list[Found]:
        try:
            return list(self.look())
        except ClientError as error:
            code = code_of(error)
            why = f"needs {self.permission}" if code in _DENIED else f"{error.operation_name} failed with {code}"
        except (BotoCoreError, InvalidationError) as error:
            denied = type(error).__name__ == "AccessDenied"
            why = f"needs {self.permission}" if denied else f"{type(error).__name__}: {error}"
        return [(CheckVerdict.UNKNOWN, why, "")]


@dataclass(frozen=True, slots=True)
class ChainHealth:
    """Looks at the chain of one stack.

    ``clients`` gives a boto3 client for the name of a service. Nothing is changed, and no check keeps another from
    being made: what is denied or does not answer is unknown, and names the permission.
    """

    chain: Chain
    clients: Callable[[str], Any]
    table: BatchTable
    cloudfront: CloudFront
    now: Callable[[], datetime]
    _memory: dict[str, Any] = field(default_factory=dict)

    def checks(self, bucket: str, key: str = "", *, cuts_only: bool = False) -> list[Check]:
        """All checks for a bucket, and a key of it, in a change's order.

        ``cuts_only``: those alone that may find the chain cut; nothing is asked for the others.
        """
        asked = (each for each in self._questions(bucket, key) if each.may_cut or not cuts_only)
        return [found for each in asked for found in each.answers()]

    def _questions(self, bucket: str, key: str) -> list[CheckQuestion]:
        table = "dynamodb:GetItem"
        return [
            CheckQuestion("Bucket exists", "bucket", "s3:ListBucket", lambda: self._bucket(bucket)),
            CheckQuestion("Bucket sends events", "bucket", "s3:GetBucketNotification", lambda: self._events(bucket)),
            CheckQuestion("Rule is enabled", "rule", "events:DescribeRule", self._rule_enabled),
            CheckQuestion("Rule matches", "rule", "events:DescribeRule", lambda: self._rule_matches(bucket, key)),
            CheckQuestion("Rule has its target", "rule", "events:ListTargetsByRule", self._targets),
            CheckQuestion("Pipe runs", "intake", "pipes:DescribePipe", self._pipe),
            CheckQuestion("Intake queue is read", "intake", "cloudwatch:GetMetricData", self._oldest_message, False),
            CheckQuestion("State machine is active", "execution", "states:DescribeStateMachine", self._state_machine),
            CheckQuestion("Functions may run", "execution", "lambda:GetFunctionConcurrency", self._functions),
            CheckQuestion("Key is included", "execution", "", lambda: self._included(key)),
            CheckQuestion("Bucket is not paused", "execution", table, lambda: self._paused(bucket), False),
            CheckQuestion("No dry run", "execution", "", self._dry_run, False),
            CheckQuestion("Day has paths left", "execution", table, self._paths_of_day, False),
            CheckQuestion(
                "A distribution serves the bucket",
                "cloudfront",
                "cloudfront:ListDistributions",
                lambda: self._served(bucket),
            ),
            CheckQuestion("Schedule is enabled", "recovery", "events:DescribeRule", self._schedule),
            CheckQuestion("Sweep runs", "recovery", table, self._sweep),
            CheckQuestion(
                "Dead-letter queue is empty", "recovery", "sqs:GetQueueAttributes", self._dead_letters, may_cut=False
            ),
            CheckQuestion("No batch is parked", "recovery", "dynamodb:Query", lambda: self._parked(bucket), False),
        ]

    def _bucket(self, bucket: str) -> Iterator[Found]:
        if self.chain.bucket_names and bucket not in self.chain.bucket_names:
            yield CheckVerdict.CUT, f"the stack does not watch {bucket}", "add it to the parameter BucketNames"
            return
        try:
            region = self.clients("s3").head_bucket(Bucket=bucket).get("BucketRegion") or self.chain.region
        except ClientError as error:
            if code_of(error) in {"404", "NoSuchBucket"}:
                yield CheckVerdict.CUT, f"there is no bucket {bucket}", "correct BucketNames, or create the bucket"
                return
            headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            region = headers.get("x-amz-bucket-region", "")
            if not region:
                raise
        if region == self.chain.region:
            yield CheckVerdict.OK, f"{bucket} is in {region}", ""
        elif not self.chain.enables_events and Head.read(self.table, bucket).batch_id:
            yield CheckVerdict.OK, f"{bucket} is in {region}, and its events have arrived here", ""
        else:
            what = f"{bucket} is in {region}, the stack in {self.chain.region}: its events never arrive here"
            yield CheckVerdict.CUT, what, f"deploy a stack in {region}, or forward its events (docs/deploy.md)"

    def _events(self, bucket: str) -> Iterator[Found]:
        try:
            found = self.clients("s3").get_bucket_notification_configuration(Bucket=bucket)
        except ClientError as error:
            if code_of(error) == "NoSuchBucket":
                return
            raise
        if not sends_events(found):
            what = f"the notification configuration of {bucket} does not send to EventBridge"
            yield CheckVerdict.CUT, what, f"invalidations bucket enable {bucket}"
            return
        switched = (self.table.get(Key(BUCKETS, bucket)) or {}).get("eventsSwitchedOnAt", "")
        if switched and self.now() - datetime.fromisoformat(switched) < EVENTS_TAKE:
            yield CheckVerdict.UNKNOWN, "events were switched on less than five minutes ago; S3 takes as long", ""
        else:
            yield CheckVerdict.OK, f"{bucket} sends its events to EventBridge", ""

    def _rules(self) -> list[dict[str, Any]]:
        """What EventBridge says of the rules; {} for one that is gone."""
        if "rules" not in self._memory:
            client, found = self.clients("events"), []
            for name in self.chain.rules:
                try:
                    found.append(client.describe_rule(Name=name))
                except ClientError as error:
                    if code_of(error) != "ResourceNotFoundException":
                        raise
                    found.append({})
            self._memory["rules"] = found
        return list(self._memory["rules"])

    def patterns(self) -> list[dict[str, Any]]:
        """The event patterns of the rules, without those of rules that are gone.

        Raises:
            botocore.exceptions.ClientError: EventBridge may not be asked.
        """
        return [json.loads(rule.get("EventPattern") or "{}") for rule in self._rules() if rule]

    def _rule_enabled(self) -> Iterator[Found]:
        for name, rule in zip(self.chain.rules, self._rules(), strict=True):
            if not rule:
                yield CheckVerdict.CUT, f"the rule {name} is gone", "deploy the stack again"
            elif not rule.get("State", "").startswith("ENABLED"):
                yield CheckVerdict.CUT, f"the rule {name} is {rule.get('State')}", self._aws("events enable-rule", name)
            else:
                yield CheckVerdict.OK, f"the rule {name} is enabled", ""

    def _rule_matches(self, bucket: str, key: str) -> Iterator[Found]:
        of_bucket = [each for each in self.patterns() if self._lets_through(without_keys(each), bucket) is not False]
        narrowed = [each for each in of_bucket if excluded_keys(each) is None]
        passes = [self._lets_through(each, bucket, key) for each in of_bucket] if key else []
        again = "deploy the stack again"
        if not of_bucket:
            yield (
                CheckVerdict.CUT,
                f"no rule's pattern lets {bucket} through",
                f"{again}, with the bucket in BucketNames",
            )
        elif key and not any(each is not False for each in passes):
            what = "the rule's pattern leaves" if narrowed else "ExcludeKeys leaves"
            yield CheckVerdict.CUT, f"{what} {key} out", again if narrowed else "change the parameter ExcludeKeys"
        elif True in passes or not narrowed:
            yield CheckVerdict.OK, f"the pattern lets {key or bucket} through", ""
        else:
            what = "the rule's condition on keys is not the stack's: somebody changed it, and some may not get through"
            yield CheckVerdict.UNKNOWN, what, again

    def _lets_through(self, pattern: dict[str, Any], bucket: str, key: str = "") -> bool | None:
        """Whether a pattern lets both kinds of changes of a key through."""
        account = self.chain.state_machine_arn.split(":")[4]
        both = [lets_through(pattern, s3_event(account, bucket, key, kind)) for kind in S3_KINDS]
        return min(both, key=(False, None, True).index)

    def _targets(self) -> Iterator[Found]:
        wanted = _queue_arn(self.chain) if self.chain.pipe else self.chain.state_machine_arn
        for name in self.chain.rules:
            targets = [each["Arn"] for each in self.clients("events").list_targets_by_rule(Rule=name)["Targets"]]
            if wanted in targets:
                yield CheckVerdict.OK, f"the rule {name} has the target {wanted.rpartition(':')[2]}", ""
            else:
                yield CheckVerdict.CUT, f"the rule {name} does not have the target {wanted}", "deploy the stack again"

    def _pipe(self) -> Iterator[Found]:
        if self.chain.pipe:
            found = self.clients("pipes").describe_pipe(Name=self.chain.pipe)
            state = found.get("CurrentState", "")
            if state == "RUNNING":
                yield CheckVerdict.OK, f"the pipe {self.chain.pipe} runs", ""
            else:
                why = f": {found['StateReason']}" if found.get("StateReason") else ""
                what = f"the pipe {self.chain.pipe} is {state}{why}"
                yield CheckVerdict.CUT, what, self._aws("pipes start-pipe", self.chain.pipe)

    def _oldest_message(self) -> Iterator[Found]:
        if not self.chain.pipe:
            return
        seconds = self._age_of_oldest_message()
        if seconds is None:
            yield CheckVerdict.UNKNOWN, "CloudWatch has no age of the oldest message", ""
        elif seconds > OLDEST_MESSAGE.total_seconds():
            what = f"the oldest message waits for {seconds:.0f} s"
            yield CheckVerdict.OWED, what, "see that the pipe runs and may start executions"
        else:
            yield CheckVerdict.OK, f"the oldest message waits for {seconds:.0f} s", ""

    def _age_of_oldest_message(self) -> float | None:
        metric = {
            "Namespace": "AWS/SQS",
            "MetricName": "ApproximateAgeOfOldestMessage",
            "Dimensions": [{"Name": "QueueName", "Value": self.chain.intake_queue_url.rpartition("/")[2]}],
        }
        asked = {"Id": "age", "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Maximum"}}
        (found,) = self.clients("cloudwatch").get_metric_data(
            MetricDataQueries=[asked], StartTime=self.now() - timedelta(minutes=15), EndTime=self.now()
        )["MetricDataResults"]
        return max(found["Values"]) if found["Values"] else None

    def _definition(self) -> dict[str, Any]:
        if "machine" not in self._memory:
            client = self.clients("stepfunctions")
            self._memory["machine"] = client.describe_state_machine(stateMachineArn=self.chain.state_machine_arn)
        return dict(self._memory["machine"])

    def _state_machine(self) -> Iterator[Found]:
        name, status = self.chain.state_machine_arn.rpartition(":")[2], self._definition().get("status", "ACTIVE")
        verdict = CheckVerdict.OK if status == "ACTIVE" else CheckVerdict.CUT
        yield verdict, f"the state machine {name} is {status}", "" if status == "ACTIVE" else "deploy the stack again"

    def _functions(self) -> Iterator[Found]:
        functions = sorted(set(_FUNCTION.findall(self._definition().get("definition", ""))))
        stopped = []
        for arn in functions:
            found = self.clients("lambda").get_function_concurrency(FunctionName=arn)
            if found.get("ReservedConcurrentExecutions") == 0:
                stopped.append(arn.rpartition(":")[2])
        if stopped:
            remedy = f"aws lambda delete-function-concurrency --function-name {stopped[0]}"
            yield CheckVerdict.CUT, f"throttled to zero: {', '.join(stopped)}", remedy
        else:
            yield CheckVerdict.OK, f"none of {len(functions)} functions is throttled to zero", ""

    def _paused(self, bucket: str) -> Iterator[Found]:
        if Head.read(self.table, bucket).paused:
            yield CheckVerdict.OWED, f"somebody paused {bucket}: its changes wait", f"invalidations resume {bucket}"
        else:
            yield CheckVerdict.OK, f"{bucket} is not paused", ""

    def _included(self, key: str) -> Iterator[Found]:
        if key and not key_filter(self.chain.include_keys)(key):
            yield CheckVerdict.CUT, f"IncludeKeys leaves {key} out", "change the parameter IncludeKeys"
        elif key:
            yield CheckVerdict.OK, f"IncludeKeys has {key}", ""

    def _dry_run(self) -> Iterator[Found]:
        if self.chain.dry_run:
            yield CheckVerdict.OWED, "the parameter DryRun is true: nothing is sent", "deploy it with DryRun=false"
        else:
            yield CheckVerdict.OK, "invalidations are sent", ""

    def _paths_of_day(self) -> Iterator[Found]:
        had, most = paths_of_day(self.table, self.now()), self.chain.max_paths_a_day
        if 0 < most <= had:
            what = f"the day's {most:,} paths are used up: each bucket has one batch an hour until midnight UTC"
            yield CheckVerdict.OWED, what, "see who changes so much: invalidations audit --since 24h"
        else:
            yield CheckVerdict.OK, f"{had:,} paths today{f' of {most:,}' if most else ''}", ""

    def _served(self, bucket: str) -> Iterator[Found]:
        found = self.cloudfront.distributions_serving(bucket, fresh=True, named=self.chain.distribution_ids)
        enabled = [each.id for each in found if each.enabled]
        if enabled:
            yield CheckVerdict.OK, f"{bucket} is served by {', '.join(enabled)}", ""
        elif found:
            what = f"every distribution that serves {bucket} is disabled: {', '.join(each.id for each in found)}"
            yield CheckVerdict.CUT, what, f"enable {found[0].id} in the CloudFront console"
        else:
            what = f"no distribution has {bucket} as its origin"
            yield CheckVerdict.CUT, what, "name those that serve it in the parameter DistributionIds"

    def _schedule(self) -> Iterator[Found]:
        if name := self.chain.schedule:
            state = self.clients("events").describe_rule(Name=name).get("State", "")
            if state.startswith("ENABLED"):
                yield CheckVerdict.OK, f"the sweep's schedule {name} is enabled", ""
            else:
                yield CheckVerdict.CUT, f"the sweep's schedule {name} is {state}", self._aws("events enable-rule", name)

    def _sweep(self) -> Iterator[Found]:
        visited = (self.table.get(VISIT) or {}).get("at", "")
        created = self._definition().get("creationDate")
        last = datetime.fromisoformat(visited) if visited else created
        if last and self.now() - last > SWEEP_OVERDUE:
            what = f"the sweep ran last at {visited[:16]}" if visited else "the sweep has never run"
            yield CheckVerdict.CUT, what, "see that its schedule is enabled, and its log"
        elif visited:
            yield CheckVerdict.OK, f"the sweep ran at {visited[:16]}", ""
        else:
            yield CheckVerdict.UNKNOWN, "the stack is new, and the sweep comes every five minutes", ""

    def _dead_letters(self) -> Iterator[Found]:
        count = self._messages(self.chain.dead_letter_queue_url)
        if count:
            what = f"events that never started an execution: {count}"
            yield CheckVerdict.OWED, what, "invalidations dead-letters"
        else:
            yield CheckVerdict.OK, "no event failed to start an execution", ""

    def _messages(self, url: str) -> int:
        name = "ApproximateNumberOfMessages"
        asked = self.clients("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])
        return int(asked.get("Attributes", {}).get(name, 0))

    def _parked(self, bucket: str) -> Iterator[Found]:
        if "parked" not in self._memory:
            found: dict[str, list[str]] = {}
            for each in parked_batches(self.table):
                found.setdefault(each.bucket, []).append(each.batch_id)
            self._memory["parked"] = found
        parked = self._memory["parked"].get(bucket, [])
        if parked:
            what = f"batches of {bucket} that wait for somebody: {', '.join(parked[:3])}"
            more = f" and {len(parked) - 3:,} more" if len(parked) > 3 else ""
            yield CheckVerdict.OWED, what + more, f"invalidations retry {parked[0]}"
        else:
            yield CheckVerdict.OK, f"no batch of {bucket} is parked", ""

    def _aws(self, command: str, name: str) -> str:
        return f"aws {command} --name {name} --region {self.chain.region}"


def cut(checks: Sequence[Check]) -> list[Check]:
    """Those that stop a new change."""
    return [each for each in checks if each.verdict is CheckVerdict.CUT]


def unknown(checks: Sequence[Check]) -> list[Check]:
    """Those that could not be made, or say nothing for certain."""
    return [each for each in checks if each.verdict is CheckVerdict.UNKNOWN]


def _queue_arn(chain: Chain) -> str:
    partition, _, region, account = chain.state_machine_arn.split(":")[1:5]
    return f"arn:{partition}:sqs:{region}:{account}:{chain.intake_queue_url.rpartition('/')[2]}"
