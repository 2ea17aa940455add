"""`invalidations status`, `pause` and `resume`: one look at everything, and a person's say over one bucket."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from click.testing import Result

from invalidation.batches.finish import Failure
from invalidation.batches.head import Execution, Head, Window
from invalidation.batches.join import accept, join
from invalidation.batches.replay import MAX_REPLAYS, Ended
from invalidation.batches.targets import count_paths
from invalidation.events import Change
from invalidations_cli.backlog import stack_status
from invalidations_cli.commands.pause import pause, resume
from invalidations_cli.commands.status import status
from invalidations_cli.output import now
from tests.fakes.stack import EXECUTION, HOSTILE, SHOWN_HOSTILE, World, event
from tests.outcome_schemas import faults

HOUR = timedelta(hours=1)
DENIED = Failure("AccessDenied", "CloudFront refused it")
THROTTLED = Failure("CloudFrontThrottled", "Rate exceeded")


class Counts:
    """SQS, as far as the numbers of messages go."""

    def __init__(self) -> None:
        self.messages = {"https://queue/dead-letters": 0, "https://queue/intake": 0}

    def get_queue_attributes(self, **request: Any) -> Any:
        return {"Attributes": {"ApproximateNumberOfMessages": str(self.messages[request["QueueUrl"]])}}


@pytest.fixture
def queues() -> Counts:
    return Counts()


@pytest.fixture
def world(queues: Counts) -> World:
    return World(clients={"sqs": queues})


def told(world: World) -> dict[str, Any]:
    result = world.run(status, "--json")
    document: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if document["ok"] else 1)
    assert [
        fault for batch in (*document["unfinished"], *document["parked"]) for fault in faults("outcome", batch)
    ] == []
    return document


def needs(world: World) -> list[str]:
    return [need["what"] for need in told(world)["needs"]]


def waits(world: World, at: datetime, number: int = 1, bucket: str = "site") -> None:
    """Changes that were accepted, and that nobody leads."""
    changes = [Change(bucket, f"{each}.html", f"event-{each}", time=at.isoformat()) for each in range(number)]
    accept(world.table, bucket, changes, Execution(f"{EXECUTION}dead", at))


def test_a_quiet_stack_needs_nobody(world: World) -> None:
    result = world.run(status)
    assert result.exit_code == 0
    assert "Nothing needs a person." in result.output
    document = told(world)
    assert document["buckets"] == [
        {"bucket": "site", "watched": True, "paused": False, "gathering": False, "waiting": 0, "oldest": None}
    ]
    assert (document["running"], document["deadLetters"], document["unfinished"], document["parked"]) == (0, 0, [], [])


def test_what_waits_is_counted_and_its_age_told(world: World) -> None:
    waits(world, now() - timedelta(minutes=2), 3)
    (bucket,) = told(world)["buckets"]
    assert bucket["waiting"] == 3
    assert now() - datetime.fromisoformat(bucket["oldest"]) > timedelta(minutes=2)
    assert needs(world) == []


def test_of_very_many_changes_it_says_or_more(world: World) -> None:
    waits(world, now(), 1_200)
    assert "1,000 or more" in world.run(status).output


def test_a_batch_that_gathers_is_nobodys_business(world: World) -> None:
    change = Change("site", "a.html", "event", time=(now() - 3 * HOUR).isoformat())
    join(world.table, "site", [change], Execution(f"{EXECUTION}run", now()), Window(), now, "1")
    assert needs(world) == []
    assert "gathering a batch" in world.run(status).output


def test_changes_that_were_left_alone_mean_that_the_sweep_does_not_run(world: World) -> None:
    waits(world, now() - HOUR)
    (need,) = needs(world)
    assert need.startswith("changes of site wait since")
    assert world.run(status).exit_code == 1


def test_a_time_that_an_event_made_up_ends_nothing(world: World) -> None:
    accept(
        world.table, "site", [Change("site", "a", "1", time="noon"), Change("site", "b", "2")], Execution("x:y", now())
    )
    assert told(world)["buckets"][0]["waiting"] == 2


def test_a_parked_batch_needs_a_person_and_says_what_to_do(world: World) -> None:
    identity = world.batch(failure=DENIED)
    result = world.run(status)
    assert result.exit_code == 1
    assert f"Needs you: batch {identity} is parked: AccessDenied" in result.output
    assert f"\n      invalidations show {identity}\n      invalidations retry {identity}\n" in result.output
    assert [each["batchId"] for each in told(world)["parked"]] == [identity]


def test_a_batch_that_is_tried_again_needs_nobody_until_it_is_long_overdue(world: World) -> None:
    identity = world.batch(failure=THROTTLED, at=now())
    assert needs(world) == []
    assert [each["batchId"] for each in told(world)["unfinished"]] == [identity]
    assert "unfinished, 1 try failed" in world.run(status).output
    late = list(stack_status(world.stack(), now() + HOUR).needs())
    assert [need.what.split(" was due")[0] for need in late] == [f"batch {identity}"]
    world.run(pause, "site")
    assert not list(stack_status(world.stack(), now() + HOUR).needs())


def test_dead_letters_need_a_person(world: World, queues: Counts) -> None:
    queues.messages |= {"https://queue/dead-letters": 2, "https://queue/intake": 7}
    assert needs(world) == ["2 events never started an execution"]
    assert "about 7 messages" in world.run(status).output


def test_a_lost_execution_needs_a_person_only_when_the_sweep_has_given_up(world: World) -> None:
    world.states.add("lost", event("a.html"), now()).end("ABORTED", now())
    assert needs(world) == []
    assert "lost: the sweep replays it" in world.run(status).output
    name = "lost"
    for _ in range(MAX_REPLAYS):
        name = Ended(EXECUTION + "lost", name, now()).replay_name
        world.states.add(name, event("a.html"), now()).end("FAILED", now())
    assert needs(world) == [f"the change of execution {name} was not accepted, and the sweep has given up"]


def test_a_replayed_execution_is_not_lost(world: World) -> None:
    world.states.add("lost", event("a.html"), now()).end("ABORTED", now())
    world.states.add(Ended(EXECUTION + "lost", "lost", now()).replay_name, event("a.html"), now())
    assert told(world)["unrecorded"] == []
    assert told(world)["running"] == 1


def test_one_screen_lists_some_and_json_lists_all(world: World) -> None:
    parked = {world.batch(failure=DENIED, at=now() - number * HOUR) for number in range(14)}
    output = world.run(status).output
    assert output.count("Needs you") == 10
    assert "and 4 more: --json lists them" in output
    assert {each["batchId"] for each in told(world)["parked"]} == parked


def test_a_hostile_bucket_name_and_error_are_shown_and_not_obeyed(world: World) -> None:
    waits(world, now() - HOUR, bucket=HOSTILE)
    world.batch(failure=Failure("AccessDenied", HOSTILE))
    output = world.run(status).output
    assert SHOWN_HOSTILE in output
    assert "\x1b" not in output


def test_pausing_lets_changes_wait_and_resuming_starts_an_execution_for_them(world: World) -> None:
    assert "site is paused: its changes wait." in world.run(pause, "site").output
    assert Head.read(world.table, "site").paused
    assert "was paused already" in world.run(pause, "site").output
    waits(world, now() - HOUR, 2)
    assert "paused" in world.run(status).output
    assert needs(world) == []
    result = world.run(resume, "site")
    assert result.exit_code == 0
    assert not Head.read(world.table, "site").paused
    ((name, document),) = world.states.started().items()
    assert document == {"lead": "site"}
    assert name.startswith("lead-site-")
    assert "site goes on." in result.output
    assert f"Started {name}" in result.output


def test_resuming_starts_nothing_where_nothing_waits(world: World) -> None:
    world.run(pause, "site")
    assert "No change waits" in world.run(resume, "site").output
    assert "was not paused" in world.run(resume, "site").output
    assert world.states.started() == {}


def test_a_bucket_that_was_paused_and_forgotten_needs_a_person(world: World) -> None:
    world.run(pause, "site")
    waits(world, now() - 25 * HOUR)
    (need,) = told(world)["needs"]
    assert need["what"].startswith("site is paused, and changes of it wait since")
    assert need["commands"] == ["invalidations resume site"]


@pytest.mark.parametrize("command", [pause, resume])
def test_a_mistyped_bucket_is_wrong_usage(world: World, command: Any) -> None:
    result = world.run(command, "siet")
    assert result.exit_code == 2
    assert "did you mean site?" in result.output
    assert world.table.find(Head.key_of("siet")) is None
    assert "it knows site" in world.run(command, HOSTILE).output


def test_a_bucket_that_is_not_watched_any_more_can_be_resumed(world: World) -> None:
    waits(world, now() - HOUR, bucket="gone")
    assert world.run(pause, "gone").exit_code == 0
    assert "Started lead-gone-" in world.run(resume, "gone").output


def one_line(result: Result) -> Any:
    (line,) = result.output.splitlines()
    return json.loads(line)


def test_pause_and_resume_tell_a_machine_what_they_did(world: World) -> None:
    waits(world, now(), 1)
    paused = {"bucket": "site", "paused": True, "changed": True, "execution": None}
    assert one_line(world.run(pause, "site", "--json")) == paused
    assert one_line(world.run(pause, "site", "--json")) == paused | {"changed": False}
    resumed = one_line(world.run(resume, "site", "--json"))
    assert resumed.pop("execution") in world.states.executions
    assert resumed == {"bucket": "site", "paused": False, "changed": True}


def test_resuming_what_nothing_waits_for_starts_nothing(world: World) -> None:
    assert one_line(world.run(resume, "site", "--json")) == {
        "bucket": "site",
        "paused": False,
        "changed": False,
        "execution": None,
    }
    assert world.states.executions == {}


def test_paths_that_are_used_up_for_the_day_need_somebody_who_looks_why(world: World) -> None:
    count_paths(world.table, 0, now(), of_day=10_432)
    assert "paths today (UTC)" in world.run(status).output
    assert told(world)["pathsToday"] == 10_432
    assert any("the day's 10,000 paths are used up" in need for need in needs(world))
    world.parameters["MaxPathsADay"] = "0"
    assert not any("used up" in need for need in needs(world))
