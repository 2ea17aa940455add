"""Requests, waiting and existing buckets, on the local AWS: the commands as people run them."""

import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result

from invalidation.batches.head import Window, pause, resume
from invalidation.batches.model import BatchState
from invalidation.batches.queries import batches_of_bucket
from invalidation.batches.snapshot import frozen_changes
from invalidations_cli.local import deploy, readings
from invalidations_cli.local.environment import LocalEnvironment
from tests.local import tools
from tests.local.shell import Shell, last_line, put


@pytest.fixture
def shell(local: LocalEnvironment) -> Shell:
    return Shell(local, deploy.STACK)


@pytest.fixture
def denied_shell(denied: LocalEnvironment) -> Shell:
    return Shell(denied, "denied")


# ---------------------------------------------------------------- wait


def test_wait_during_a_storm_of_300_changes_returns_only_after_the_last_is_covered(shell: Shell) -> None:
    there, keys = shell.there, [f"adopt/storm/{number}.html" for number in range(300)]
    last_put = []

    def storm() -> None:
        for number, key in enumerate(keys):
            put(there, key)
            if number % 100 == 99:
                time.sleep(2)  # as a real upload, it stops and goes on
        last_put.append(time.monotonic())

    put(there, "adopt/first.html")
    uploading = threading.Thread(target=storm)
    uploading.start()
    result = shell("wait", "--bucket", there.bucket, "--quiet", "6", "--json")
    returned = time.monotonic()
    uploading.join()

    assert result.exit_code == 0, result.output
    assert last_put[0] < returned
    table = shell.found().table()
    ended = [batch for batch in batches_of_bucket(table, there.bucket).batches if batch.state is BatchState.ENDED]
    covered = {change.key for batch in ended for change in frozen_changes(table, batch)}
    assert set(keys) <= covered, "it returned early"
    told = last_line(result)
    assert told["result"] == "fresh"
    assert told["changes"] >= len(keys)
    assert len(told["batches"]) < 20
    assert not any(told["owed"].values())
    assert "changes waiting" in result.stderr


def test_wait_says_that_nothing_arrived_where_nothing_did(shell: Shell) -> None:
    shell("wait", "--bucket", shell.there.bucket, "--quiet", "3")
    started = time.monotonic()
    result = shell("wait", "--bucket", shell.there.bucket, "--quiet", "3")
    assert (result.exit_code, time.monotonic() - started >= 3) == (0, True)
    assert " arrived within" in result.stdout


def test_wait_fails_with_what_failed(denied_shell: Shell) -> None:
    put(denied_shell.there, "adopt/denied.html")
    result = denied_shell("wait", "--bucket", denied_shell.there.bucket)
    assert result.exit_code == 1
    assert "AccessDenied" in result.stdout
    assert "Grant cloudfront:CreateInvalidation" in result.stdout
    later = last_line(denied_shell("wait", "--bucket", denied_shell.there.bucket, "--json"))
    assert later["result"] == "failed", "a parked batch still owes its changes"
    assert [failed["error"] for failed in later["failed"]] == ["AccessDenied"] * len(later["failed"])
    result = denied_shell("wait", "--bucket", denied_shell.there.bucket, "--since", "0", "--quiet", "2")
    assert result.exit_code == 0, "unless it is older than what one asks about"
    assert "parked" in result.stderr


def test_wait_gives_up_in_time_and_says_what_is_left(shell: Shell) -> None:
    put(shell.there, "adopt/late.html")
    result = shell("wait", "--bucket", shell.there.bucket, "--timeout", "0.5")
    assert result.exit_code == 124
    assert result.stdout.startswith("Not within ")
    assert shell("wait", "--bucket", shell.there.bucket, "--quiet", "2").exit_code == 0


def test_wait_for_a_paused_bucket_ends_at_once(shell: Shell) -> None:
    table = shell.found().table()
    pause(table, shell.there.bucket)
    try:
        result = shell("wait", "--bucket", shell.there.bucket)
    finally:
        resume(table, shell.there.bucket, Window(2), lambda: datetime.now(UTC))
    assert result.exit_code == 1
    assert "somebody paused my-web-site" in result.stdout


def test_wait_for_a_bucket_that_the_stack_does_not_watch_is_refused(shell: Shell) -> None:
    result = shell("wait", "--bucket", "not-watched")
    assert result.exit_code == 2
    assert "does not watch not-watched. It watches: my-web-site" in result.stderr


# ---------------------------------------------------------------- request


def test_a_request_that_waits_ends_when_visitors_see_what_the_bucket_holds(shell: Shell) -> None:
    there = shell.there
    put(there, "adopt/request.html")
    shell("wait", "--bucket", there.bucket, "--quiet", "2")
    result = shell("request", "--bucket", there.bucket, "adopt/request.html", "--wait")
    assert result.exit_code == 0, result.output
    assert "Join Batch" in result.stderr
    assert f"Get Invalidation  {there.distribution_id}" in result.stderr
    assert result.stderr.splitlines()[-1].endswith("SUCCEEDED")
    assert "Fresh: 1 key of my-web-site" in result.stdout
    newest = readings.invalidations(there)[0]
    assert (newest.status, newest.paths) == ("Completed", ("/adopt/request.html",))
    assert newest.invalidation_id in result.stdout


def test_a_dry_run_says_what_it_would_invalidate_at_what_price_and_invalidates_nothing(shell: Shell) -> None:
    before = readings.invalidations(shell.there)
    words = ("request", "--distribution", shell.there.distribution_id, "-", "--dry-run")
    result = shell(*words, given="/a.html\n/b/*\n\n/a.html\n")
    assert result.exit_code == 0, result.output
    assert "Dry run, nothing was sent: 2 paths" in result.stdout
    assert "It would cost at most $0.010" in result.stdout
    assert readings.invalidations(shell.there) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--distribution", "E00000000X", "/a.html"], "there is no distribution E00000000X"),
        (["--bucket", "no-such-web-site", "a.html", "--unwatched"], "there is no bucket no-such-web-site"),
        (["--bucket", "my-web-site", "/adopt.html"], "did you mean adopt.html?"),
    ],
)
def test_a_request_for_what_is_not_there_is_refused_and_leaves_no_batch(
    shell: Shell, words: list[str], said: str
) -> None:
    before = tools.executions(shell.there.aws, shell.there.state_machine_arn)
    result = shell("request", *words)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert len(tools.executions(shell.there.aws, shell.there.state_machine_arn)) == len(before)


def test_a_request_that_takes_too_long_is_left_alone_and_goes_on(shell: Shell) -> None:
    result = shell("request", "--bucket", shell.there.bucket, "adopt/slow.html", "--wait", "--timeout", "0.2", "--json")
    assert result.exit_code == 124, result.output
    (execution,) = last_line(result)["executions"]
    assert execution["status"] == "RUNNING"
    assert tools.ended(shell.there.aws, execution["execution"])["status"] == "SUCCEEDED"


def test_hostile_keys_are_shown_spelled_out(shell: Shell) -> None:
    key = "adopt/\x1b[31m[red]\u202e\r\n.html"
    result = shell("request", "--bucket", shell.there.bucket, key, "--wait", "--json")
    assert result.exit_code == 0, result.output
    assert last_line(result)["executions"][0]["outcome"]["sample"] == [key]
    explained = shell("explain", "--bucket", shell.there.bucket, "--key", key)
    assert explained.exit_code == 0
    for text in (result.output, explained.output):
        assert not set(text) & {"\x1b", "\u202e", "\r"}
    assert r"adopt/\x1b[31m[red]\u202e\r\n.html" in explained.stdout


# ---------------------------------------------------------------- existing buckets


def test_a_bucket_with_a_function_a_queue_and_a_topic_keeps_all_three_while_its_events_go_on_and_off(
    local: LocalEnvironment,
) -> None:
    aws, name = local.aws, tools.new_name()
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=name)
    _url, queue = tools.queue(aws)
    prefix = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "logs/"}]}}
    function = tools.function(aws, "def handler(event, context): pass\n")
    topic = aws.client("sns").create_topic(Name=name)["TopicArn"]
    others = {
        "LambdaFunctionConfigurations": [{"LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:*"]}],
        "QueueConfigurations": [{"QueueArn": queue, "Events": ["s3:ObjectRemoved:*"], "Filter": prefix}],
        "TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:Put"]}],
    }
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=others)

    def run(*words: str) -> Result:
        return Shell(local, deploy.STACK)("bucket", *words, name)

    def configured() -> dict[str, Any]:
        found = s3.get_bucket_notification_configuration(Bucket=name)
        return {key: value for key, value in found.items() if key != "ResponseMetadata"}

    before = configured()
    assert set(before) == set(others)
    assert (run("status").exit_code, run("enable").exit_code, run("status").exit_code) == (1, 0, 0)
    assert configured() == before | {"EventBridgeConfiguration": {}}
    assert (run("disable").exit_code, run("disable", "--yes").exit_code) == (2, 0)
    assert configured() == before
