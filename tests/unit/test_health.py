"""Is the chain whole? Each way to cut it is found, and nothing that merely waits is called a cut."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from invalidation.batches.finish import Failure
from invalidation.batches.head import pause
from invalidation.batches.sweep import note_visit
from invalidation.batches.table import BUCKETS, Key
from invalidation.batches.targets import count_paths
from invalidation.cloudfront.client import CloudFront
from invalidation.health import Chain, ChainHealth, Check, CheckVerdict, cut
from tests.fakes.chain import MACHINE, QUEUE, FakeChain
from tests.fakes.memory_table import MemoryTable
from tests.fakes.stack import World
from tests.unit.cloudfront_documents import THEN

NOW = THEN + timedelta(days=1)
SERVED = "A distribution serves the bucket"
BUFFERED: dict[str, Any] = {"pipe": "site-pipe"}


def looked_at(
    chain: FakeChain, key: str = "", table: MemoryTable | None = None, bucket: str = "site", **names: Any
) -> dict[str, Check]:
    if table is None:
        table = MemoryTable()
        note_visit(table, NOW)
    stack = Chain(
        "eu-west-1", MACHINE, ("site-rule",), ("site",), (), "https://queue/intake", "https://queue/dead", **names
    )
    health = ChainHealth(stack, chain, table, CloudFront(chain), lambda: NOW)  # type: ignore[arg-type] # a fake client
    found = health.checks(bucket, key)
    assert len({each.name for each in found}) == len(found)
    return {each.name: each for each in found}


def verdicts(found: dict[str, Check]) -> dict[str, CheckVerdict]:
    return {name: each.verdict for name, each in found.items() if each.verdict is not CheckVerdict.OK}


@pytest.mark.parametrize("names", [{}, BUFFERED], ids=["direct", "buffered"])
def test_a_whole_chain_is_whole(names: dict[str, Any]) -> None:
    targets = (QUEUE,) if names else (MACHINE,)
    found = looked_at(FakeChain(targets=targets), "a.html", **names)
    assert verdicts(found) == {}
    assert len(found) == (17 if names else 15)


EXCLUDED = {"detail": {"bucket": {"name": ["site"]}, "object": {"key": [{"anything-but": {"wildcard": ["logs/*"]}}]}}}


@pytest.mark.parametrize(
    ("chain", "name", "evidence", "remedy"),
    [
        (FakeChain(missing_bucket=True), "Bucket exists", "there is no bucket site", "BucketNames"),
        (FakeChain(region="us-east-1"), "Bucket exists", "is in us-east-1, the stack in eu-west-1", "docs/deploy.md"),
        (FakeChain(sends_events=False), "Bucket sends events", "does not send", "invalidations bucket enable site"),
        (FakeChain(rule_state="DISABLED"), "Rule is enabled", "is DISABLED", "aws events enable-rule --name site-rule"),
        (FakeChain(pattern={"detail": {"bucket": {"name": ["x"]}}}), "Rule matches", "no rule's pattern", "deploy"),
        (FakeChain(pattern=EXCLUDED), "Rule matches", "ExcludeKeys leaves logs/a out", "ExcludeKeys"),
        (FakeChain(targets=()), "Rule has its target", "does not have the target", "deploy"),
        (FakeChain(machine_status="DELETING"), "State machine is active", "is DELETING", "deploy"),
        (FakeChain(reserved=0), "Functions may run", "throttled to zero: JoinBatch", "delete-function-concurrency"),
        (FakeChain(distribution_enabled=False), "A distribution serves the bucket", "is disabled: E1", "enable E1"),
        (
            FakeChain(distribution_origin="x.s3.amazonaws.com"),
            "A distribution serves the bucket",
            "no distribution",
            "Ids",
        ),
    ],
)
def test_each_way_to_cut_the_chain_is_found_with_its_remedy(
    chain: FakeChain, name: str, evidence: str, remedy: str
) -> None:
    found = looked_at(chain, "logs/a")
    assert verdicts(found) == {name: CheckVerdict.CUT}
    assert evidence in found[name].evidence
    assert remedy in found[name].remedy


def test_a_rule_that_is_gone_cuts_everything_that_rests_on_it() -> None:
    found = looked_at(FakeChain(rule_gone=True))
    assert found["Rule is enabled"].verdict is CheckVerdict.CUT
    assert found["Rule matches"].verdict is CheckVerdict.CUT


def narrowed(condition: object) -> FakeChain:
    return FakeChain(pattern={"detail": {"bucket": {"name": ["site"]}, "object": {"key": [condition]}}})


@pytest.mark.parametrize("condition", [{"prefix": "public/"}, "index.html", {"anything-but": ["a"]}, {"cidr": "x"}])
def test_a_condition_on_keys_that_somebody_put_into_the_rule_leaves_it_unknown_whether_any_key_gets_through(
    condition: object,
) -> None:
    found = looked_at(narrowed(condition))
    assert verdicts(found) == {"Rule matches": CheckVerdict.UNKNOWN}
    assert "somebody changed it" in found["Rule matches"].evidence


@pytest.mark.parametrize(
    ("condition", "verdict"),
    [
        ({"prefix": "public/"}, CheckVerdict.CUT),
        ({"prefix": "logs/"}, CheckVerdict.OK),
        ({"anything-but": ["a"]}, CheckVerdict.OK),
        ({"cidr": "10.0.0.0/8"}, CheckVerdict.UNKNOWN),
    ],
)
def test_whether_such_a_rule_lets_one_key_through_is_said(condition: object, verdict: CheckVerdict) -> None:
    assert looked_at(narrowed(condition), "logs/a")["Rule matches"].verdict is verdict


def test_a_rule_that_takes_only_new_objects_cuts_the_chain() -> None:
    pattern = {"detail-type": ["Object Created"], "detail": {"bucket": {"name": ["site"]}}}
    assert verdicts(looked_at(FakeChain(pattern=pattern))) == {"Rule matches": CheckVerdict.CUT}


def test_a_pipe_that_does_not_run_cuts_a_buffered_intake() -> None:
    found = looked_at(FakeChain(targets=(QUEUE,), pipe_state="STOPPED"), **BUFFERED)
    assert verdicts(found) == {"Pipe runs": CheckVerdict.CUT}
    assert found["Pipe runs"].remedy == "aws pipes start-pipe --name site-pipe --region eu-west-1"


def test_what_waits_is_owed_and_no_cut() -> None:
    table = MemoryTable()
    note_visit(table, NOW)
    pause(table, "site")
    found = looked_at(
        FakeChain(dead_letters=2, targets=(QUEUE,), oldest_message=601.0), "", table, **BUFFERED, dry_run=True
    )
    assert verdicts(found) == dict.fromkeys(
        ["Intake queue is read", "Bucket is not paused", "No dry run", "Dead-letter queue is empty"], CheckVerdict.OWED
    )
    assert cut(list(found.values())) == []


@pytest.mark.parametrize(
    ("operation", "name", "permission"),
    [
        ("HeadBucket", "Bucket exists", "s3:ListBucket"),
        ("GetBucketNotificationConfiguration", "Bucket sends events", "s3:GetBucketNotification"),
        ("ListTargetsByRule", "Rule has its target", "events:ListTargetsByRule"),
        ("GetFunctionConcurrency", "Functions may run", "lambda:GetFunctionConcurrency"),
        ("ListDistributions", "A distribution serves the bucket", "cloudfront:ListDistributions"),
        ("GetQueueAttributes", "Dead-letter queue is empty", "sqs:GetQueueAttributes"),
    ],
)
def test_what_may_not_be_asked_is_unknown_and_names_the_permission(operation: str, name: str, permission: str) -> None:
    found = looked_at(FakeChain(denied=frozenset({operation})))
    assert verdicts(found) == {name: CheckVerdict.UNKNOWN}
    assert found[name].evidence == f"needs {permission}"


def test_events_that_were_just_switched_on_are_unknown_for_five_minutes() -> None:
    table = MemoryTable()
    note_visit(table, NOW)
    table.update(Key(BUCKETS, "site"), {"eventsSwitchedOnAt": (NOW - timedelta(minutes=4)).isoformat()}, {})
    assert verdicts(looked_at(FakeChain(), "", table)) == {"Bucket sends events": CheckVerdict.UNKNOWN}
    table.update(Key(BUCKETS, "site"), {"eventsSwitchedOnAt": (NOW - timedelta(minutes=6)).isoformat()}, {})
    assert verdicts(looked_at(FakeChain(), "", table)) == {}


@pytest.mark.parametrize(
    ("minutes", "verdict"), [(14, CheckVerdict.OK), (16, CheckVerdict.CUT), (None, CheckVerdict.CUT)]
)
def test_a_sweep_that_has_not_run_for_a_quarter_of_an_hour_is_told(minutes: int | None, verdict: CheckVerdict) -> None:
    table = MemoryTable()
    if minutes is not None:
        note_visit(table, NOW - timedelta(minutes=minutes))
    assert looked_at(FakeChain(), "", table)["Sweep runs"].verdict is verdict


def test_a_schedule_that_somebody_disabled_is_named_before_the_sweep_is_overdue() -> None:
    chain = FakeChain(schedule_state="DISABLED")
    found = looked_at(chain, schedule="site-schedule")
    assert verdicts(found) == {"Schedule is enabled": CheckVerdict.CUT}
    assert found["Schedule is enabled"].remedy == "aws events enable-rule --name site-schedule --region eu-west-1"
    assert verdicts(looked_at(FakeChain(), schedule="site-schedule")) == {}
    assert verdicts(looked_at(chain)) == {}, "the sweep does not look at its own schedule"


def test_a_bucket_of_another_region_is_fine_where_its_events_are_forwarded_and_have_arrived() -> None:
    table = MemoryTable()
    note_visit(table, NOW)
    assert looked_at(FakeChain(region="us-east-1"), "", table, enables_events=False)["Bucket exists"].verdict == "cut"
    table.update(Key("BUCKET#site", "HEAD"), {"batchId": "b", "state": "CLOSED", "v": 1}, {})
    assert looked_at(FakeChain(region="us-east-1"), "", table, enables_events=False)["Bucket exists"].verdict == "ok"


def test_a_bucket_that_the_stack_does_not_watch_is_cut() -> None:
    assert looked_at(FakeChain(), bucket="other")["Bucket exists"].evidence == "the stack does not watch other"


def test_the_day_whose_paths_are_used_up_is_owed_and_no_cut() -> None:
    table = MemoryTable()
    note_visit(table, NOW)
    count_paths(table, 0, NOW, of_day=99)
    assert (
        looked_at(FakeChain(), "", table, max_paths_a_day=100)["Day has paths left"].evidence == "99 paths today of 100"
    )
    count_paths(table, 0, NOW, of_day=1)
    found = looked_at(FakeChain(), "", table, max_paths_a_day=100)
    assert verdicts(found) == {"Day has paths left": CheckVerdict.OWED}
    assert "one batch an hour until midnight UTC" in found["Day has paths left"].evidence
    assert verdicts(looked_at(FakeChain(), "", table, max_paths_a_day=0)) == {}


def test_a_key_that_include_keys_leaves_out_is_cut() -> None:
    included: dict[str, Any] = {"include_keys": ("public/*", "*.html")}
    assert verdicts(looked_at(FakeChain(), "public/a", **included)) == {}
    assert verdicts(looked_at(FakeChain(), "", **included)) == {}
    found = looked_at(FakeChain(), "private/a", **included)
    assert verdicts(found) == {"Key is included": CheckVerdict.CUT}


def test_a_bucket_s_own_parked_batch_is_found_among_very_many_of_others() -> None:
    world, failure = World(), Failure("AccessDenied", "no")
    for number in range(120):
        world.batch(bucket=f"other-{number % 7}", failure=failure)
    own = world.batch(failure=failure)
    note_visit(world.table, NOW)
    found = looked_at(FakeChain(), "", world.table)
    assert verdicts(found) == {"No batch is parked": CheckVerdict.OWED}
    assert own in found["No batch is parked"].evidence
    assert found["No batch is parked"].remedy == f"invalidations retry {own}"


def test_who_asks_only_what_is_cut_asks_for_nothing_else() -> None:
    aws = FakeChain(denied=frozenset({"GetQueueAttributes", "GetMetricData"}), targets=(QUEUE,))
    table = MemoryTable()
    note_visit(table, NOW)
    pause(table, "site")
    stack = Chain(
        "eu-west-1", MACHINE, ("site-rule",), ("site",), (), "https://queue/intake", "https://queue/dead", "p"
    )
    health = ChainHealth(stack, aws, table, CloudFront(aws), lambda: NOW)  # type: ignore[arg-type] # a fake client
    assert {each.verdict for each in health.checks("site", cuts_only=True)} == {CheckVerdict.OK}
    assert {each.verdict for each in health.checks("site")} > {CheckVerdict.OWED, CheckVerdict.UNKNOWN}
