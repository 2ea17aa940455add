"""Each command for operating the application, run against the local AWS as a person runs it."""

import contextlib
import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from invalidations_cli.local import readings
from invalidations_cli.local.environment import LocalEnvironment
from invalidations_cli.local.server import ROOT
from invalidations_cli.main import main
from tests.local import tools

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]

HOSTILE = "evil/\x1b[31m[bold red]=1+1.html"
SHOWN_HOSTILE = r"evil/\x1b[31m[bold red]=1+1.html"


def invalidations(there: LocalEnvironment, *arguments: str) -> Result:
    result = CliRunner().invoke(main, [*arguments, "--endpoint-url", there.endpoint])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def put(there: LocalEnvironment, *names: str) -> None:
    """Put objects, and wait until each has started an execution."""
    before = len(tools.executions(there.aws, there.state_machine_arn))
    upload(there, *names)
    wanted = before + len(names)
    assert tools.eventually(lambda: len(tools.executions(there.aws, there.state_machine_arn)) >= wanted, 60)


def upload(there: LocalEnvironment, *names: str) -> None:
    for name in names:
        there.aws.client("s3").put_object(Bucket=there.bucket, Key=name, Body=b"x", ContentType="text/html")


def settled(there: LocalEnvironment) -> None:
    """Nothing runs any more."""

    def none_runs() -> bool:
        return all(each["status"] != "RUNNING" for each in tools.executions(there.aws, there.state_machine_arn))

    assert tools.eventually(none_runs, 120)


def executions_about(there: LocalEnvironment, key: str) -> list[dict[str, Any]]:
    states = there.aws.client("stepfunctions")
    found = [
        states.describe_execution(executionArn=each["executionArn"])
        for each in tools.executions(there.aws, there.state_machine_arn)
    ]
    return [each for each in found if f'"key": "{key}"' in each["input"]]


def audited(there: LocalEnvironment, *options: str) -> list[dict[str, Any]]:
    result = invalidations(there, "audit", "--json", *options)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def batch_with(there: LocalEnvironment, key: str) -> dict[str, Any]:
    """The latest batch that has a change of this object."""
    found: dict[str, Any] = audited(there, "--bucket", there.bucket, "--key", key, "--since", "1h", "--limit", "1")[0]
    return found


@contextlib.contextmanager
def forbidden(there: LocalEnvironment, function: str, action: str) -> Iterator[None]:
    """One of the stack's functions may not do this within the context; afterwards the cause is fixed."""
    iam = there.aws.client("iam")
    resource = there.aws.client("cloudformation").describe_stack_resource(
        StackName="cloudfront-auto-invalidation", LogicalResourceId=f"{function}Role"
    )
    role = resource["StackResourceDetail"]["PhysicalResourceId"]
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="Forbidden", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="Forbidden")


def covered(there: LocalEnvironment, key: str) -> bool:
    return any(one.covers(key) and one.status == "Completed" for one in readings.invalidations(there))


def test_watch_follows_a_change_state_by_state_to_its_end(local: LocalEnvironment) -> None:
    put(local, "watched.html")
    result = invalidations(local, "watch", "--until-idle", "2", "--timeout", "120")
    assert result.exit_code == 0, result.output
    states = re.findall(r"watched\.html put +(.+)", result.output)
    assert [state.split("  ")[0] for state in states][:3] == [
        "Join Batch",
        "Leads The Batch?",
        "Resolve Distributions",
    ]
    assert any(state.startswith("Create Invalidation  " + local.distribution_id) for state in states)
    assert states[-1] == "● SUCCEEDED"
    assert re.search(r"^\d\d:\d\d:\d\d\.\d  [0-9a-f]{8}  watched\.html put", result.output, re.MULTILINE)
    assert "nothing runs" in invalidations(local, "watch", "--once").output


def test_watch_tells_a_machine_each_change_of_state_as_a_line_of_json(local: LocalEnvironment) -> None:
    change = threading.Timer(1.0, put, (local, "watched-by-a-machine.html"))
    change.start()
    result = invalidations(local, "watch", "--json", "--until-idle", "5", "--timeout", "120")
    change.join()
    assert result.exit_code == 0, result.output
    told = [json.loads(line) for line in result.stdout.splitlines()]
    ours = [each for each in told if each["about"] == "watched-by-a-machine.html put"]
    assert [each["state"] for each in ours][:2] == ["Join Batch", "Leads The Batch?"]
    assert {"Create Invalidation"} <= {each["state"] for each in ours if each["distributionId"]}
    assert (ours[-1]["status"], ours[-1]["why"]) == ("SUCCEEDED", None)


def test_watch_in_a_terminal_is_a_screen(local: LocalEnvironment) -> None:
    main_end, its_end = pty.openpty()
    arguments = ["watch", "--timeout", "60", "--endpoint-url", local.endpoint]
    with subprocess.Popen(
        [sys.executable, "-m", "invalidations_cli.main", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "functions", "TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
        stdout=its_end,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        preexec_fn=tools.heeds_ctrl_c,  # noqa: PLW1509 - no thread of ours holds a lock that it takes
    ) as process:
        os.close(its_end)
        shown = read_until(main_end, "nothing runs")
        upload(local, HOSTILE)
        shown += read_until(main_end, "● SUCCEEDED")
        process.send_signal(signal.SIGINT)
        shown += read_until(main_end, "ended meanwhile")
    os.close(main_end)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert process.returncode == 0, text
    assert b"\x1b[31m[bold" not in shown
    for expected in ("1 execution running", f"{SHOWN_HOSTILE} put", "● SUCCEEDED", "Join Batch", "1 execution ended"):
        assert expected in text


def read_until(terminal: int, text: str) -> bytes:
    """What was written up to and including a text; all of it where the program ends before."""
    read = b""
    with contextlib.suppress(OSError):  # how a terminal ends
        while text.encode() not in read and (some := os.read(terminal, 65_536)):
            read += some
    return read


def test_the_audit_tells_who_changed_what_and_what_came_of_it(local: LocalEnvironment) -> None:
    put(local, "audited/a.html", "audited/b.html", HOSTILE)
    settled(local)
    entry = batch_with(local, "audited/a.html")
    assert (entry["bucket"], entry["outcome"]) == (local.bucket, "Completed")
    assert {(each["requester"], each["sourceIp"]) for each in entry["requesters"]} == {("123456789012", "127.0.0.1")}
    (target,) = entry["targets"]
    assert target["distributionId"] == local.distribution_id
    known = {one.invalidation_id: one for one in readings.invalidations(local)}
    charged = [known[each["invalidationId"]].paths for each in target["invalidations"]]
    assert sum(each["paths"] for each in target["invalidations"]) == sum(len(paths) for paths in charged) > 0
    assert entry["price"] == pytest.approx(sum(each["paths"] for each in entry["targets"]) * 0.005)

    people = invalidations(local, "audit", "--bucket", local.bucket, "--since", "10m")
    for text in (entry["batchId"], "123456789012", "127.0.0.1", local.distribution_id, "Completed", "at most $"):
        assert text in people.output
    assert "\x1b" not in people.output

    sheet = invalidations(local, "audit", "--csv", "--distribution", local.distribution_id, "--outcome", "completed")
    rows = list(csv.DictReader(sheet.stdout.splitlines()))
    assert entry["batchId"] in {row["batch"] for row in rows}
    assert any(SHOWN_HOSTILE in row["sample"] for row in rows)
    newest_first = [row["opened_utc"] for row in rows]
    assert newest_first == sorted(newest_first, reverse=True)


def test_a_batch_an_invalidation_and_an_execution_tell_one_story_which_can_be_kept_and_drawn(
    local: LocalEnvironment, tmp_path: Path
) -> None:
    put(local, "story.html")
    settled(local)
    entry = batch_with(local, "story.html")
    invalidation = entry["targets"][0]["invalidations"][0]["invalidationId"]
    for what in (entry["batchId"], invalidation, entry["execution"], entry["execution"].rpartition(":")[2]):
        result = invalidations(local, "show", what)
        assert result.exit_code == 0, result.output
        for text in (entry["batchId"], "story.html", invalidation, "/story.html", "Create Invalidation", "PutObject"):
            assert text in result.output
    kept, page = tmp_path / "run.json", tmp_path / "run.html"
    story = json.loads(invalidations(local, "show", entry["batchId"], "--json", "--save", str(kept)).stdout)
    assert story["batch"]["targets"][0]["invalidations"][0]["items"] == ["/story.html"]
    assert [state["name"] for state in story["execution"]["states"]][-1] == "Batch Completed"
    drawn = CliRunner().invoke(main, ["graph", str(kept), "--html", str(page)])
    assert drawn.exit_code == 0, drawn.output
    assert "Create Invalidation" in page.read_text()


def test_a_parked_batch_is_shown_and_once_the_cause_is_mended_a_retry_makes_the_edge_fresh(
    local: LocalEnvironment,
) -> None:
    with forbidden(local, "CreateInvalidationFunction", "cloudfront:CreateInvalidation"):
        put(local, "parked.html")
        settled(local)
        identity = batch_with(local, "parked.html")["batchId"]
        standing = invalidations(local, "status")
        assert standing.exit_code == 1
        assert f"Needs you: batch {identity} is parked: AccessDenied" in standing.output
        story = invalidations(local, "show", identity).output
        assert "AccessDenied: " in story
        assert f"invalidations retry {identity}" in story
        in_vain = invalidations(local, "retry", identity, "--wait")
        assert in_vain.exit_code == 1
        assert "AccessDenied" in in_vain.output
    result = invalidations(local, "retry", identity, "--wait")
    assert result.exit_code == 0, result.output
    assert "Fresh: 1 key of " + local.bucket in result.output
    assert covered(local, "parked.html")
    assert "Nothing is left to do for batch" in invalidations(local, "retry", identity).output
    assert f"batch {identity}" not in invalidations(local, "status").output


def test_a_parked_batch_that_nobody_needs_any_more_is_given_up_and_the_audit_says_by_whom(
    local: LocalEnvironment,
) -> None:
    with forbidden(local, "CreateInvalidationFunction", "cloudfront:CreateInvalidation"):
        put(local, "given-up.html")
        settled(local)
    identity = batch_with(local, "given-up.html")["batchId"]
    assert f"batch {identity} is parked" in invalidations(local, "status").output
    result = invalidations(local, "abandon", identity, "--reason", "nobody needs it", "--yes", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == batch_with(local, "given-up.html")
    entry = batch_with(local, "given-up.html")
    assert (entry["outcome"], entry["state"], entry["error"]) == ("Abandoned", "ENDED", "AccessDenied")
    assert entry["message"].startswith("abandoned by arn:aws:iam::123456789012:root: nobody needs it (it had failed: ")
    assert f"batch {identity}" not in invalidations(local, "status").output
    assert "given up permanently" in invalidations(local, "retry", identity).output
    again = local.aws.client("stepfunctions").start_execution(
        stateMachineArn=local.state_machine_arn, input=json.dumps({"retryBatch": identity})
    )
    assert tools.ended(local.aws, again["executionArn"], 60)["status"] == "SUCCEEDED"
    assert tools.states_entered(local.aws, again["executionArn"])[-1] == "Nothing Owed"
    assert not covered(local, "given-up.html")


def test_an_execution_that_could_not_accept_its_change_is_replayed(local: LocalEnvironment) -> None:
    with forbidden(local, "JoinBatchFunction", "dynamodb:*"):
        put(local, "replayed.html")
        settled(local)
    (lost,) = executions_about(local, "replayed.html")
    assert lost["status"] == "FAILED"
    assert "the sweep replays it" in invalidations(local, "status").output
    result = invalidations(local, "retry", lost["executionArn"], "--wait")
    assert result.exit_code == 0, result.output
    assert "Started replay-1-" in result.output
    assert tools.eventually(lambda: covered(local, "replayed.html"))
    assert "the sweep replays it" not in invalidations(local, "status").output


def test_events_that_never_started_an_execution_are_listed_and_replayed(local: LocalEnvironment) -> None:
    events = local.aws.client("events")
    resource = local.aws.client("cloudformation").describe_stack_resource(
        StackName="cloudfront-auto-invalidation", LogicalResourceId="ChangeRule"
    )
    rule = resource["StackResourceDetail"]["PhysicalResourceId"].rpartition("/")[2]
    targets = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.put_targets(Rule=rule, Targets=[{**target, "Arn": target["Arn"] + "-gone"} for target in targets])
    try:
        lost = [f"lost/{number}.html" for number in range(12)]
        upload(local, *lost, HOSTILE)
        assert tools.eventually(
            lambda: json.loads(invalidations(local, "status", "--json").stdout)["deadLetters"] == 13
        )
    finally:
        events.put_targets(Rule=rule, Targets=targets)
    for _ in range(2):  # listing takes nothing out
        listed = invalidations(local, "dead-letters")
        assert listed.exit_code == 1
        for text in ("lost/0.html put", "lost/11.html put", SHOWN_HOSTILE, "RESOURCE_NOT_FOUND", f"from {rule}"):
            assert text in listed.output
    told = [json.loads(line) for line in invalidations(local, "dead-letters", "--json").stdout.splitlines()]
    assert {each["event"]["detail"]["object"]["key"] for each in told} == {*lost, HOSTILE}
    replayed = invalidations(local, "dead-letters", "--replay", "--yes")
    assert replayed.exit_code == 0, replayed.output
    assert "13 events replayed in 1 execution, 0 left." in replayed.output
    settled(local)
    assert all(covered(local, key) for key in lost)
    assert invalidations(local, "dead-letters").output == "There are no dead letters.\n"


def test_a_paused_bucket_lets_its_changes_wait_and_goes_on_where_it_was(local: LocalEnvironment) -> None:
    assert invalidations(local, "pause", local.bucket).exit_code == 0
    try:
        put(local, "paused/a.html", "paused/b.html")
        settled(local)
        standing = json.loads(invalidations(local, "status", "--json").stdout)
        (bucket,) = [each for each in standing["buckets"] if each["bucket"] == local.bucket]
        assert (bucket["paused"], bucket["waiting"]) == (True, 2)
        assert "paused" in invalidations(local, "status").output
        assert not covered(local, "paused/a.html")
    finally:
        resumed = invalidations(local, "resume", local.bucket)
    assert resumed.exit_code == 0
    assert "Started lead-my-web-site-" in resumed.output
    settled(local)
    assert covered(local, "paused/a.html")
    assert covered(local, "paused/b.html")


@pytest.mark.parametrize("command", ["audit", "status", "watch", "dead-letters"])
def test_a_stack_that_is_not_there_is_said_in_one_line(local: LocalEnvironment, command: str) -> None:
    result = invalidations(local, command, "--stack", "nothing")
    assert result.exit_code == 4
    assert "there is no stack nothing in this account and region" in result.output
    assert "Traceback" not in result.output
