"""The whole chain on the local AWS, driven through boto3 and nothing else."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from invalidations_cli.local import readings
from invalidations_cli.local.environment import LocalEnvironment
from tests.local import tools

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]

BEFORE_POLLING = [
    "Join Batch",
    "Leads The Batch?",
    "Resolve Distributions",
    "Invalidate Distributions",
    "Create Invalidation",
    "Anything To Invalidate?",
]
POLLING = ["Wait For Invalidation", "Get Invalidation", "Invalidation Completed?"]
AFTER_POLLING = [
    "Distribution Invalidated",
    "Finish Batch",
    "Announce Outcome",
    "Notify",
    "All Completed?",
    "Batch Completed",
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is new since a change was made, once nothing runs any more."""

    executions: list[dict[str, Any]]
    invalidations: list[readings.ListedInvalidation]
    notifications: list[readings.ReceivedNotification]


class Since:
    """Remembers what was there, so that a test sees only what came of its own change."""

    def __init__(self, there: LocalEnvironment) -> None:
        self.there = there
        self.old = {execution["executionArn"] for execution in self.new_executions(set())}
        self.invalidations = {one.invalidation_id for one in readings.invalidations(there)}
        readings.notifications(there)

    def new_executions(self, old: set[str]) -> list[dict[str, Any]]:
        found = tools.executions(self.there.aws, self.there.state_machine_arn)
        return [execution for execution in found if execution["executionArn"] not in old]

    def outcome(self, executions: int) -> Outcome:
        def settled() -> list[dict[str, Any]]:
            new = self.new_executions(self.old)
            done = len(new) >= executions and all(execution["status"] != "RUNNING" for execution in new)
            return new if done else []

        new = tools.eventually(settled) or self.new_executions(self.old)
        made = [one for one in readings.invalidations(self.there) if one.invalidation_id not in self.invalidations]
        return Outcome(new, made, readings.notifications(self.there, wait_seconds=2))


def put(there: LocalEnvironment, key: str) -> None:
    there.aws.client("s3").put_object(Bucket=there.bucket, Key=key, Body=b"x", ContentType="text/html")


def test_an_object_that_is_put_becomes_one_execution_one_completed_invalidation_and_one_message(
    local: LocalEnvironment,
) -> None:
    since = Since(local)
    put(local, "docs/grüße.html")
    outcome = since.outcome(1)

    (execution,) = outcome.executions
    assert execution["status"] == "SUCCEEDED"
    entered = tools.states_entered(local.aws, execution["executionArn"])
    polls = entered.count("Get Invalidation")
    assert polls >= 1
    assert entered == BEFORE_POLLING + POLLING * polls + AFTER_POLLING

    (invalidation,) = outcome.invalidations
    assert invalidation.status == "Completed"
    assert invalidation.paths == ("/docs/gr%C3%BC%C3%9Fe.html",)

    (notification,) = outcome.notifications
    told = json.loads(notification.message)
    assert told["execution"] == execution["executionArn"]
    assert invalidation.invalidation_id in notification.message
    assert local.distribution_id in notification.message


def test_what_visitors_see_is_what_the_bucket_holds_once_the_execution_has_ended(local: LocalEnvironment) -> None:
    since = Since(local)
    put(local, "page.html")
    since.outcome(1)
    assert readings.view(local, "page.html").status == 200
    assert readings.view(local, "page.html").cache == "Hit"

    since = Since(local)
    local.aws.client("s3").delete_object(Bucket=local.bucket, Key="page.html")
    assert readings.view(local, "page.html").status == 200, "the edge keeps its copy until the invalidation"
    outcome = since.outcome(1)
    assert [execution["status"] for execution in outcome.executions] == ["SUCCEEDED"]
    assert [one.paths for one in outcome.invalidations] == [("/page.html",)]
    assert readings.view(local, "page.html").status in {403, 404}


def test_a_dozen_changes_at_once_become_few_invalidations_that_cover_them_all(local: LocalEnvironment) -> None:
    since = Since(local)
    keys = [f"storm/{number}.html" for number in range(12)]
    for key in keys:
        put(local, key)
    outcome = since.outcome(len(keys))
    assert {execution["status"] for execution in outcome.executions} == {"SUCCEEDED"}
    assert 1 <= len(outcome.invalidations) <= 3
    assert sorted(path for one in outcome.invalidations for path in one.paths) == sorted(f"/{key}" for key in keys)
    assert len(outcome.notifications) == len(outcome.invalidations)


def test_a_function_that_lacks_a_permission_makes_the_run_fail_where_people_look(denied: LocalEnvironment) -> None:
    since = Since(denied)
    put(denied, "index.html")
    outcome = since.outcome(1)

    (execution,) = outcome.executions
    assert execution["status"] == "FAILED"
    assert outcome.invalidations == []
    entered = tools.states_entered(denied.aws, execution["executionArn"])
    assert "Distribution Failed" in entered
    assert entered[-1] == "Batch Failed"
    (notification,) = outcome.notifications
    assert "FAILED" in notification.subject
    assert "AccessDenied" in notification.message
