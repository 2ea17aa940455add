"""`invalidations request`: what is refused before it is sent, what is sent, and what is told of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from invalidation.batches.model import Outcome
from invalidation.events import KeysRequest, PathsRequest, parse
from invalidations_cli.aws import Stack
from invalidations_cli.commands.doctor import doctor
from invalidations_cli.commands.request import MAX_INPUT, SAID, lines_of, request, split, start
from invalidations_cli.commands.wait import wait
from invalidations_cli.follow import FollowedExecution, Follower
from invalidations_cli.output import count, escape
from tests.fakes.chain import FakeChain
from tests.fakes.stack import START, FakeCloudFront, FakeStates, Refused, StartedExecution, World

ARN = "arn:aws:states:us-east-1:123456789012:execution:stack-invalidation:"


def run(*words: str, given: bytes | None = None) -> tuple[int, str]:
    """Exit code, and what is said to a person. Nothing here comes as far as asking AWS."""
    result = CliRunner().invoke(request, words, input=given)
    return result.exit_code, " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.html"], "either a --bucket and its keys, or a --distribution and its paths"),
        (["--bucket", "my-site", "--distribution", "E2QWRUHAPOMQZL", "a"], "either a --bucket"),
        (["--bucket", "my-site"], "Missing argument 'KEY|PATH...'"),
        (["--bucket", "My Site", "a"], "bucket is 'My Site', not a bucket name"),
        (["--bucket", "my-site", "k" * 1025], "keys[0] is longer than the 1024 bytes"),
        (["--bucket", "my-site", "a", ""], "keys[1] is empty"),
        (["--distribution", "e2", "/a"], "distributionId is 'e2', not a distribution id"),
        (["--distribution", "E2QWRUHAPOMQZL", "/a", "b.html"], "paths[1]: 'b.html' is not an invalidation path"),
        (["--distribution", "E2QWRUHAPOMQZL", "/a b"], "' ' has to be percent-encoded as %20"),
        (["--bucket", "my-site", "\x1b[2J" + "k" * 1025], r"'\x1b[2J"),
        (["--bucket", "my-site", "a", "--timeout", "-1"], "'-1' is not between 0 s and 366 d"),
    ],
)
def test_what_is_wrong_is_refused_at_once_with_exit_code_2_and_in_plain_words(words: list[str], said: str) -> None:
    code, told = run(*words)
    assert code == 2
    assert said in told
    assert "\x1b" not in told


@pytest.mark.parametrize(
    ("given", "said"),
    [(b"", "names nothing"), (b"\n\r\n\n", "names nothing"), (b"a\n\xff\n", "not UTF-8 at byte 2: 0xff")],
)
def test_standard_input_that_names_nothing_or_is_no_text_is_refused(given: bytes, said: str) -> None:
    code, told = run("--bucket", "my-site", "-", given=given)
    assert code == 2
    assert said in told


@pytest.mark.parametrize(
    ("given", "options", "wrong"),
    [
        (b"a\r\nb c\n" + b"k" * 1025, [], "keys[2]"),
        (b"a\nb\x00\r\x00" + b"k" * 1025, ["--null"], "keys[2]"),
        (b"a\na\n" + b"k" * 1025, [], "keys[1]"),
    ],
)
def test_standard_input_names_one_key_a_line_or_between_nul_characters_and_each_once(
    given: bytes, options: list[str], wrong: str
) -> None:
    """Told by which place the wrong one, the last, has in the list."""
    assert wrong in run("--bucket", "my-site", "-", *options, given=given)[1]


@given(st.lists(st.text(min_size=1, max_size=40), min_size=1), st.integers(60, 400), st.booleans())
def test_requests_that_are_split_name_the_same_in_the_same_order_and_none_is_too_long(
    names: list[str], longest: int, dry_run: bool
) -> None:
    head = {"bucket": "my-site", **({"dryRun": True} if dry_run else {})}
    requests = list(split(head, "keys", names, longest))
    assert [name for each in requests for name in each["keys"]] == names
    for each in requests:
        assert {key: value for key, value in each.items() if key != "keys"} == head
        assert len(each["keys"]) == 1 or len(json.dumps(each, separators=(",", ":"))) <= longest


def test_ten_thousand_long_keys_become_requests_that_are_each_accepted_and_fit_into_an_execution() -> None:
    names = [f"{number:05}/{'ü' * 100}" for number in range(10_000)]
    requests = list(split({"bucket": "my-site"}, "keys", names))
    assert len(requests) > 1
    parsed = [parse(each) for each in requests]
    assert sum(len(each.keys) for each in parsed if isinstance(each, KeysRequest)) == len(names)
    assert max(len(json.dumps(each, separators=(",", ":"))) for each in requests) <= MAX_INPUT < 262_144


def test_a_request_of_paths_is_what_the_state_machine_accepts() -> None:
    (each,) = split({"distributionId": "E2QWRUHAPOMQZL", "dryRun": True}, "paths", ["/a", "#tag"])
    assert parse(each) == PathsRequest("E2QWRUHAPOMQZL", ("/a", "#tag"), dry_run=True)


@dataclass(slots=True)
class StartedExecutions:
    started: list[tuple[str, object]] = field(default_factory=list)

    def start(self, name: str, document: object) -> bool:
        self.started.append((name, document))
        return True


class FakeStack:
    def __init__(self) -> None:
        self.made = StartedExecutions()

    def executions(self) -> StartedExecutions:
        return self.made

    def execution_arn(self, name: str) -> str:
        return ARN + name


def test_each_request_starts_an_execution_under_a_name_that_says_what_it_is() -> None:
    stack = FakeStack()
    arns = start(cast("Stack", stack), [{"bucket": "b", "keys": ["1"]}, {"bucket": "b", "keys": ["2"]}])
    names = [name for name, _ in stack.made.started]
    assert [document for _, document in stack.made.started] == [
        {"bucket": "b", "keys": ["1"]},
        {"bucket": "b", "keys": ["2"]},
    ]
    assert arns == [ARN + name for name in names]
    assert len(set(names)) == 2
    assert all(name.startswith("request-") and len(name) <= 80 for name in names)


def test_a_distribution_that_the_stack_does_not_name_is_refused_before_anything_is_started() -> None:
    world = World(parameters={"BucketNames": "site", "DistributionIds": "E1AAAAAAAAAAAA,E1BBBBBBBBBBBB"})
    refused = world.run(request, "--distribution", "E2QWRUHAPOMQZL", "/a")
    assert refused.exit_code == 2
    assert "DistributionIds names E1AAAAAAAAAAAA, E1BBBBBBBBBBBB" in " ".join(refused.stderr.split())
    assert world.states.executions == {}
    assert world.run(request, "--distribution", "E1BBBBBBBBBBBB", "/a").exit_code == 0


class NoDistribution(FakeCloudFront):
    """CloudFront, which does not know the distribution, or does not tell."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code

    def get_distribution_config(self, **_which: str) -> Any:
        raise Refused(self.code, "GetDistributionConfig")


def test_a_distribution_that_does_not_exist_is_refused_before_anything_is_started() -> None:
    world = World(cloudfront=NoDistribution("NoSuchDistribution"))
    refused = world.run(request, "--distribution", "E2QWRUHAPOMQZL", "/a")
    assert (refused.exit_code, world.states.executions) == (2, {})
    assert "there is no distribution E2QWRUHAPOMQZL in this account" in " ".join(refused.stderr.split())


@pytest.mark.parametrize(
    ("code", "parameters"),
    [("AccessDenied", {}), ("NoSuchDistribution", {"DistributionRoleArn": "arn:aws:iam::999999999999:role/theirs"})],
)
def test_a_distribution_that_the_caller_cannot_see_may_exist_all_the_same(
    code: str, parameters: dict[str, str]
) -> None:
    world = World(cloudfront=NoDistribution(code), parameters=parameters)
    assert world.run(request, "--distribution", "E2QWRUHAPOMQZL", "/a").exit_code == 0
    assert len(world.states.executions) == 1


@pytest.mark.parametrize(
    ("chain", "code"),
    [
        (FakeChain(missing_bucket=True), 2),
        (FakeChain(denied=frozenset({"HeadBucket"})), 0),
        (FakeChain(), 0),
    ],
)
def test_only_a_bucket_that_does_not_exist_is_refused(chain: FakeChain, code: int) -> None:
    world = World(clients={"s3": chain})
    asked = world.run(request, "--bucket", "site", "a.html")
    assert asked.exit_code == code
    assert ("there is no bucket site" in asked.stderr) == (len(world.states.executions) == 0) == (code == 2)


def test_a_bucket_that_the_stack_does_not_watch_is_refused_unless_it_is_meant() -> None:
    world = World()
    refused = world.run(request, "--bucket", "another-site", "a.html")
    assert (refused.exit_code, world.states.executions) == (2, {})
    assert "the stack site does not watch another-site. It watches: site" in " ".join(refused.stderr.split())
    assert world.run(request, "--bucket", "another-site", "a.html", "--unwatched").exit_code == 0


def test_a_key_with_a_leading_slash_is_asked_about_unless_there_is_such_an_object() -> None:
    world = World(clients={"s3": FakeChain(objects={"/odd.html": {}})})
    slip = world.run(request, "--bucket", "site", "a.html", "/odd.html", "/index.html")
    assert (slip.exit_code, world.states.executions) == (2, {})
    assert "S3 keys have no leading slash; did you mean index.html?" in " ".join(slip.stderr.split())
    assert world.run(request, "--bucket", "site", "/odd.html").exit_code == 0
    assert world.run(wait, "--bucket", "site", "--key", "/index.html").exit_code == 2
    assert world.run(doctor, "--bucket", "site", "--key", "/index.html").exit_code == 2


def test_a_dry_run_is_followed_to_its_end() -> None:
    world = World()
    late = world.run(request, "--bucket", "site", "a.html", "--dry-run", "--timeout", "0")
    assert late.exit_code == 124
    (document,) = world.states.started().values()
    assert document == {"bucket": "site", "dryRun": True, "keys": ["a.html"]}


# ---------------------------------------------------------------- following


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def enter(ran: StartedExecution, second: int, name: str, kind: str = "Task", **state: Any) -> None:
    ran.event(f"{kind}StateEntered", at(second), name=name, input=json.dumps(state))


def test_states_are_told_once_each_in_the_order_in_which_they_were_entered() -> None:
    states = FakeStates()
    one, two = states.add("one", {}), states.add("two", {})
    follower = Follower(states, list(states.executions))
    assert follower.new_steps() == []
    enter(one, 0, "Join Batch")
    enter(one, 5, "Create Invalidation", batchId="b", distributionId="E1")
    enter(two, 2, "Join Batch")
    enter(two, 4, "Leads The Batch?", "Choice")
    assert [(step.at, step.name, step.kind, step.distribution_id) for step in follower.new_steps()] == [
        (at(0), "Join Batch", "Task", ""),
        (at(2), "Join Batch", "Task", ""),
        (at(4), "Leads The Batch?", "Choice", ""),
        (at(5), "Create Invalidation", "Task", "E1"),
    ]
    one.end("SUCCEEDED", at(9), output="{}")
    assert [step.name for step in follower.new_steps()] == ["SUCCEEDED"]
    assert [each.name for each in follower.running] == ["two"]


def test_the_outcome_of_a_failed_execution_is_found_although_it_has_no_output() -> None:
    outcome = {"outcome": "PartlyFailed", "targets": []}
    states = FakeStates()
    ran = states.add("one", {})
    enter(ran, 0, "Join Batch")
    enter(ran, 8, "All Completed?", outcome=outcome)
    ran.end("FAILED", at(9), error="AccessDenied", cause="denied")
    follower = Follower(states, list(states.executions))
    follower.new_steps()
    (ended,) = follower.ended
    assert (ended.status, ended.error, ended.cause, ended.outcome) == ("FAILED", "AccessDenied", "denied", outcome)
    assert not ended.succeeded


@pytest.mark.parametrize("data", [None, "", "{cut", "[1]"])
def test_a_history_without_its_data_can_be_followed(data: str | None) -> None:
    states = FakeStates()
    ran = states.add("one", {}).event("TaskStateEntered", at(0), name="Join Batch", input=data)
    if data is None:
        del ran.events[-1]["stateEnteredEventDetails"]["input"]
    ran.end("ABORTED", at(1))
    follower = Follower(states, list(states.executions))
    assert [step.name for step in follower.new_steps()] == ["Join Batch", "ABORTED"]


# ---------------------------------------------------------------- telling

TARGET: dict[str, Any] = {
    "distributionId": "E1",
    "state": "COMPLETED",
    "paths": 3,
    "wildcards": 1,
    "pathSample": ["/a/*", "/\x1b"],
    "invalidationIds": ["I1"],
}


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_has_its_words(outcome: Outcome) -> None:
    document = {"outcome": outcome.value, "bucket": "my-site", "changes": 2, "runSeconds": 6.1, "targets": [TARGET]}
    document["price"] = 0.015
    status = "SUCCEEDED" if outcome.succeeded else "FAILED"
    lines = list(lines_of([FollowedExecution("arn", status, "", "", document)]))
    assert lines[0] == f"{SAID[outcome]}: 2 keys of my-site, in 6.1 s"
    assert lines[1] == "  E1  completed  3 paths (1 wildcard)  I1"
    dry = [
        "    /a/*",
        r"    /\x1b",
        "    and 1 more path",
        "It would cost at most $0.015 (as if the 1,000 free paths of the month were used up).",
    ]
    assert (lines[2:] == dry) == (outcome is Outcome.DRY_RUN)


def test_an_execution_that_failed_after_its_work_was_done_is_not_called_fresh_alone() -> None:
    ending = FollowedExecution("arn", "FAILED", "NotificationFailed", "SNS did not take it", {"outcome": "Completed"})
    assert list(lines_of([ending])) == [
        "Fresh, but the execution failed",
        "  NotificationFailed: SNS did not take it",
    ]


def test_an_execution_that_was_stopped_is_told_of_without_an_outcome() -> None:
    assert list(lines_of([FollowedExecution("arn", "TIMED_OUT")])) == [
        "The execution timed out",
        "  TIMED_OUT: no cause was given",
    ]


def test_what_failed_is_told_with_its_error_and_nothing_in_it_is_obeyed() -> None:
    target = TARGET | {"state": "PARKED", "error": "AccessDenied", "message": "Grant \x1b[31mthis\nnow"}
    widened = target | {"widened": [{"path": "/a/*", "asked": 40}]}
    outcome = {"outcome": "Failed", "bucket": "b", "changes": 1, "targets": [widened], "targetsOmitted": 3}
    lines = list(lines_of([FollowedExecution("arn", "FAILED", "AccessDenied", "x", outcome)]))
    assert (
        r"/a/* for 40 paths; unchanged objects with it not counted  AccessDenied: Grant \x1b[31mthis\nnow" in lines[1]
    )
    assert lines[2] == "  and 3 more distributions"


@given(st.text())
def test_what_is_shown_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    assert escape(text).isprintable()
    assert escape(text, 10_000) == text or not text.isprintable()


def test_what_is_shown_of_the_worst_keys() -> None:
    assert escape("a\x1b[31mb\r\n\t\x00\u202e\ud800[bold]ü ") == r"a\x1b[31mb\r\n\t\x00\u202e\ud800[bold]ü "
    assert escape("k" * 500) == "k" * 399 + "…"
    assert (count(1, "key"), count(1000, "key"), count(0, "batch", "batches")) == ("1 key", "1,000 keys", "0 batches")
