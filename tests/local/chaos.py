"""Chaos on the local AWS: `python -m tests.local.chaos --changes 1000`.

Objects change while everything fails that can, and while the sweep comes every five minutes. Those pass in seconds: the
clock of the handlers and of Step Functions is set ahead (`tests/local/instruments/clock.py`), and no grace and no
interval of the application is shortened. Then the faults end, the sweep goes on coming, and what is left is counted:
keys that no invalidation reaches which was created after their last change, failures that nobody was told of, and
executions that still run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from invalidations_cli.local import environment, readings, server, site
from invalidations_cli.local.deploy import Template
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.settings import LocalSettings, Quota
from tests.local import fresh, stacks, tools
from tests.local.disturbed import Changes, Repeated, Schedule, Stops, running_executions
from tests.local.instruments import faults
from tests.local.instruments.control import INSTRUMENTS
from tests.local.instruments.faults import Fault

SETTINGS = LocalSettings(
    cloudfront_quota="rate",
    wait_scale=0.05,
    invalidation_seconds=0.5,
    handlers_at_once=3,
    extra_patches=INSTRUMENTS,
)
"""A fault stands for the other quota's refusals; the long form runs under either."""
SITES = (environment.BUCKET, "second-site", "third-site")
PARAMETERS = {
    "BucketNames": ",".join(SITES),
    "EnableBucketEvents": "false",
    "BatchWindowSeconds": "2",
}


def template() -> Template:
    """The window grows to eight seconds only: nobody waits for a minute to see what became of the changes."""
    return stacks.template(MAX_BATCH_WINDOW_SECONDS="8")


HANG = 16.0
"""Seconds: longer than a function waits for an answer of CloudFront's (`CLOUDFRONT_CONFIG`)."""
LATEST = 3.0
"""Seconds by which an event is late at most."""
LONG = 500
"""Changes from which on there is time enough for faults that are rare, and for long spells of them."""
STOPPED = "execution stopped"


def disorder(changes: int) -> list[Fault]:
    """Faults for so many changes; of those that fit, the first that strikes does. Long spells are for many changes."""
    cloudfront, dynamodb, sns = "cloudfront:*", "dynamodb:*", "sns:Publish"
    create, write = "cloudfront:CreateInvalidation", "dynamodb:*Item"
    throughput, down, internal = "ProvisionedThroughputExceededException", "ServiceUnavailable", "InternalError"
    some, often = (1, 0.25) if changes < LONG else (10, 0.1)
    spells = [
        Fault("DynamoDB throttles all for a while", "request", dynamodb, throughput, 400, times=12 * some),
        Fault("SNS fails for a while", "request", sns, internal, times=12 * some),
    ]
    return [
        *(spells if changes >= LONG else []),
        Fault("CloudFront hangs", "request", cloudfront, carried_out=True, seconds=HANG, share=0.3, times=some),
        Fault("CloudFront throttles", "request", cloudfront, "Throttling", 400, share=often),
        Fault("CloudFront answers 503", "request", cloudfront, down, 503, share=often),
        Fault("CloudFront has no room", "request", create, "TooManyInvalidationsInProgress", 400, share=0.3),
        Fault("CloudFront's answer is lost", "request", create, down, 503, carried_out=True, share=0.4),
        Fault("DynamoDB throttles", "request", dynamodb, throughput, 400, share=0.05),
        Fault("DynamoDB's answer is lost", "request", write, "InternalServerError", carried_out=True, share=0.05),
        Fault("SNS fails", "request", sns, internal, share=0.5),
        Fault("Lambda worker killed", "worker", seconds=0.1, share=0.08, times=5 * some),
        Fault("event comes twice", "event", carried_out=True, seconds=LATEST, share=0.1),
        Fault("event comes late", "event", seconds=LATEST, share=0.1),
    ]


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What is left once the faults have ended and the sweep has found nothing more to do."""

    changes: int
    seconds: float
    struck: Counter[str]
    statuses: Counter[str]
    errors: Counter[str]
    """Of the executions that failed."""
    sweeps: int
    invalidations: int
    lost: Sequence[str]
    running: Sequence[str]
    untold: Sequence[str]
    told_by_event_only: int
    owed: int
    """Batches that are unfinished or parked."""

    @property
    def good(self) -> bool:
        return not (self.lost or self.running or self.untold or self.owed)


def run(there: LocalEnvironment, changes: int, seed: int) -> Aftermath:
    """Changes until all faults have struck; then order, sweeps, and what came of it."""
    started = time.monotonic()
    outcomes, sites = queue_of_outcomes(there), web_sites(there)
    schedule = Schedule(there)
    made = Changes(there, SITES, Random(seed), keys=max(1, changes // len(SITES) // 2))  # noqa: S311 - no secret
    struck = suffer(there, made, changes, seed, schedule)
    owed = schedule.come_until_nothing_is_left()
    executions = tools.executions(there.aws, there.state_machine_arn)
    failures = [one["executionArn"] for one in executions if one["status"] not in {"SUCCEEDED", "RUNNING"}]
    told = [json.loads(each.message) for each in readings.notifications(there, wait_seconds=1)]
    notified = {each["execution"] for each in told if "execution" in each}
    announced = executions_in(there, outcomes)
    done = {bucket: fresh.invalidations(there.aws, distribution) for bucket, distribution in sites.items()}
    return Aftermath(
        changes=made.made,
        seconds=time.monotonic() - started,
        struck=struck,
        statuses=Counter(one["status"] for one in executions),
        errors=errors_of(there, executions),
        sweeps=schedule.sweeps,
        invalidations=sum(map(len, done.values())),
        lost=[f"{bucket}/{key}" for bucket in sites for key in fresh.stale(made.last(bucket), done[bucket])],
        running=running_executions(there),
        untold=[arn for arn in failures if arn not in notified | announced],
        told_by_event_only=sum(arn in announced - notified for arn in failures),
        owed=owed,
    )


def web_sites(there: LocalEnvironment) -> dict[str, str]:
    """Bucket → its distribution; the first is there already."""
    sites = {there.bucket: there.distribution_id}
    for bucket in SITES[1:]:
        site.create_bucket(there.aws, bucket)
        site.send_events_to_eventbridge(there.aws, bucket)
        sites[bucket] = site.create_distribution(there.aws, bucket).distribution_id
    return sites


def suffer(there: LocalEnvironment, made: Changes, changes: int, seed: int, schedule: Schedule) -> Counter[str]:
    """Changes and faults; how often each kind of fault has struck."""
    ordered = disorder(changes)
    stops = Stops(there, Random(seed))  # noqa: S311 - no secret

    def all_struck() -> bool:
        return {fault.kind for fault in ordered} <= set(faults.struck(there.endpoint))

    made.make(1, every=0.0)
    tools.eventually(lambda: not running_executions(there), 60)  # until a worker of each function is warm
    faults.order(there.endpoint, ordered, seed)
    with Repeated(stops.stop_one, 3.0), Repeated(schedule.come, 4.0):
        made.make(changes, every=0.15, enough=all_struck, timeout=150.0)
    struck = faults.struck(there.endpoint) + Counter({STOPPED: stops.stopped})
    faults.order(there.endpoint, [])
    time.sleep(LATEST)
    return struck


def errors_of(there: LocalEnvironment, executions: Sequence[Mapping[str, Any]]) -> Counter[str]:
    states = there.aws.client("stepfunctions")
    failed = [one["executionArn"] for one in executions if one["status"] == "FAILED"]
    return Counter(str(states.describe_execution(executionArn=arn).get("error")) for arn in failed)


def queue_of_outcomes(there: LocalEnvironment) -> str:
    """The URL of a queue to which the events go that the state machine announces."""
    url, arn = tools.queue(there.aws)
    events = there.aws.client("events")
    events.put_rule(Name="outcomes", EventPattern=json.dumps({"source": ["cloudfront-auto-invalidation"]}))
    events.put_targets(Rule="outcomes", Targets=[{"Id": "1", "Arn": arn}])
    return url


def executions_in(there: LocalEnvironment, queue_url: str) -> set[str]:
    """The executions that the announced events tell of."""
    found: set[str] = set()
    while messages := tools.messages(there.aws, queue_url):
        for message in messages:
            found.add(json.loads(message["Body"])["detail"]["execution"])
            there.aws.client("sqs").delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return found


def table(found: Aftermath) -> Table:
    """Faults by kind, and what became of the changes."""
    rows: Mapping[str, object] = {
        **dict(sorted(found.struck.items())),
        "[bold]faults in all": found.struck.total(),
        "changes": found.changes,
        **{f"executions {status}": count for status, count in sorted(found.statuses.items())},
        **{f"  {error}": count for error, count in sorted(found.errors.items())},
        "sweeps": found.sweeps,
        "invalidations": found.invalidations,
        "failures told by the event only, as SNS took nothing": found.told_by_event_only,
        "[bold]keys lost": len(found.lost),
        "[bold]failures that nobody was told of": len(found.untold),
        "[bold]executions left running": len(found.running),
        "[bold]batches that still owe something": found.owed,
    }
    printed = Table(title=f"Chaos on the local AWS, {found.seconds:.0f} s")
    printed.add_column("what")
    printed.add_column("count", justify="right")
    for name, count in rows.items():
        printed.add_row(name, str(count))
    return printed


def main() -> None:
    parser = argparse.ArgumentParser(description="Chaos on the local AWS; exits with 1 if anything was lost.")
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cloudfront-quota", choices=get_args(Quota), default=SETTINGS.cloudfront_quota)
    chosen = parser.parse_args()
    settings = replace(SETTINGS, cloudfront_quota=chosen.cloudfront_quota)
    with environment.running(settings, server.free_port(), PARAMETERS, print, template()) as there:
        found = run(there, chosen.changes, chosen.seed)
    out = Console(soft_wrap=True, highlight=False)
    out.print(table(found), *found.lost, *found.untold, *found.running, sep="\n")
    sys.exit(0 if found.good else 1)


if __name__ == "__main__":
    main()
