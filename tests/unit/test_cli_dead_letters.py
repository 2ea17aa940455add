"""`invalidations dead-letters`: nothing leaves the queue before an execution was started with it."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from invalidation.event_pattern import s3_event
from invalidations_cli.commands.dead_letters import MAX_INPUT, dead_letters, execution_name, groups
from invalidations_cli.dead_letter_queue import DeadLetter
from tests.fakes.chain import FakeChain
from tests.fakes.stack import HOSTILE, SHOWN_HOSTILE, START, Refused, World

RULE = "arn:aws:events:eu-west-1:123456789012:rule/site-ChangeRule"
INTAKE = "arn:aws:sqs:eu-west-1:123456789012:site-IntakeQueue"
WHY = {
    "RULE_ARN": RULE,
    "ERROR_CODE": "NO_PERMISSIONS",
    "ERROR_MESSAGE": "not authorized to perform states:StartExecution",
    "RETRY_ATTEMPTS": "0",
}


ACCOUNT = "123456789012"
PATTERN = {
    "source": ["aws.s3"],
    "detail-type": ["Object Created", "Object Deleted"],
    "account": [ACCOUNT],
    "detail": {
        "bucket": {"name": ["site"]},
        "object": {"key": [{"anything-but": {"wildcard": ["logs/*"]}}]},
    },
}


def event(key: str) -> dict[str, Any]:
    return {"id": key[:40], **s3_event(ACCOUNT, "site", key, "Object Created")}


class FakeQueue:
    """SQS with one queue. What was received is hidden until its visibility is set to nothing; time does not pass."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.hidden: set[str] = set()
        self.undeletable: set[str] = set()

    def put(self, body: Any, attributes: dict[str, str] | None = None, **system: str) -> str:
        identity = f"m{len(self.messages)}"
        self.messages[identity] = {
            "MessageId": identity,
            "ReceiptHandle": f"receipt of {identity}",
            "Body": body if isinstance(body, str) else json.dumps(body),
            "Attributes": {"SentTimestamp": str(int(START.timestamp() * 1000)), **system},
            "MessageAttributes": {name: {"StringValue": value} for name, value in (attributes or {}).items()},
        }
        return identity

    def get_queue_attributes(self, **_request: Any) -> Any:
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(self.messages) - len(self.hidden))}}

    def receive_message(self, **request: Any) -> Any:
        assert request["VisibilityTimeout"] > 0
        visible = [each for name, each in self.messages.items() if name not in self.hidden]
        some = visible[: request["MaxNumberOfMessages"]]
        self.hidden |= {each["MessageId"] for each in some}
        return {"Messages": some} if some else {}

    def change_message_visibility_batch(self, **request: Any) -> Any:
        assert all(entry["VisibilityTimeout"] == 0 for entry in request["Entries"])
        self.hidden -= {entry["ReceiptHandle"].removeprefix("receipt of ") for entry in request["Entries"]}

    def delete_message_batch(self, **request: Any) -> Any:
        assert len(request["Entries"]) <= 10
        answer: dict[str, list[Any]] = {"Successful": [], "Failed": []}
        for entry in request["Entries"]:
            identity = entry["ReceiptHandle"].removeprefix("receipt of ")
            if identity in self.undeletable:
                answer["Failed"].append({"Id": entry["Id"]})
                continue
            del self.messages[identity]
            self.hidden.discard(identity)
            answer["Successful"].append({"Id": entry["Id"]})
        return answer


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def world(queue: FakeQueue) -> World:
    return World(clients={"sqs": queue, "events": FakeChain(pattern=PATTERN)})


def letter(number: int, document: Any) -> DeadLetter:
    return DeadLetter.from_message({"MessageId": f"m{number}", "ReceiptHandle": "r", "Body": json.dumps(document)})


def test_an_empty_queue_is_said_and_is_well(world: World) -> None:
    for options in ([], ["--replay"], ["--replay", "--yes"]):
        result = world.run(dead_letters, *options)
        assert (result.exit_code, result.output) == (0, "There are no dead letters.\n")
        assert world.run(dead_letters, *options, "--json").output == ""


def test_listing_says_what_and_why_and_leaves_everything_where_it_is(world: World, queue: FakeQueue) -> None:
    queue.put(event("a.html"), WHY)
    queue.put(event("b.html"), DeadLetterQueueSourceArn=INTAKE)
    queue.put("not JSON")
    result = world.run(dead_letters)
    assert result.exit_code == 1
    for text in (
        *("a.html put", "site", "2026-11-23 06:00:00", "from site-ChangeRule", "from site-IntakeQueue"),
        "NO_PERMISSIONS: not authorized to perform states:StartExecution (after 0 retries)",
        *(
            "no execution could be started with it",
            "not JSON (it is not JSON)",
            "Nothing says why",
            "--replay",
        ),
    ):
        assert text in result.output
    assert len(queue.messages) == 3
    assert not queue.hidden
    assert world.states.started() == {}


def test_json_has_the_event_and_all_attributes(world: World, queue: FakeQueue) -> None:
    queue.put(event("a.html"), WHY)
    (line,) = world.run(dead_letters, "--json").output.splitlines()
    told = json.loads(line)
    assert (told["event"], told["attributes"], told["errorCode"]) == (event("a.html"), WHY, "NO_PERMISSIONS")


def test_of_many_some_are_listed_and_all_are_released(world: World, queue: FakeQueue) -> None:
    for number in range(25):
        queue.put(event(f"{number}.html"))
    result = world.run(dead_letters, "--limit", "12")
    assert "Of about 25" in result.output
    assert "11.html put" in result.output
    assert "12.html put" not in result.output
    assert (len(queue.messages), queue.hidden) == (25, set())


def test_replay_starts_lists_of_at_most_a_hundred_and_deletes_what_was_started(world: World, queue: FakeQueue) -> None:
    for number in range(230):
        queue.put(event(f"{number}.html"), WHY)
    result = world.run(dead_letters, "--replay", "--yes")
    assert result.exit_code == 0, result.output
    inputs = list(world.states.started().values())
    assert [len(document) for document in inputs] == [100, 100, 30]
    assert [each["detail"]["object"]["key"] for document in inputs for each in document] == [
        f"{n}.html" for n in range(230)
    ]
    assert queue.messages == {}
    assert "230 events replayed in 3 executions, 0 left." in result.output


def test_a_single_event_is_replayed_as_it_is(world: World, queue: FakeQueue) -> None:
    queue.put(event("a.html"))
    world.run(dead_letters, "--replay", "--yes")
    ((name, document),) = world.states.started().items()
    assert document == event("a.html")
    assert name.startswith("dead-letters-")
    assert len(name) <= 80


FORGED: dict[str, tuple[Any, str]] = {
    "no JSON": ("not JSON", "it is not JSON"),
    "half an event": ({"detail": {}}, "source is missing or null"),
    "an empty list": ([], "the list of events is empty"),
    "paths": ({"distributionId": "E2QWRUHAPOMQZL", "paths": ["/*"]}, "no event of S3"),
    "keys": ({"bucket": "site", "keys": ["a.html"]}, "no event of S3"),
    "the sweep's order": ({"lead": "site"}, "no event of S3"),
    "a retry": ({"retryBatch": "20261123T062719Z-0123456789"}, "no event of S3"),
    "a list": ([event("a.html"), event("b.html")], "no event of S3"),
    "a wrapped event": (event("a.html") | {"body": event("b.html")}, "no event of S3"),
    "the schedule": (event("a.html") | {"source": "aws.scheduler"}, "source is 'aws.scheduler'"),
    "another bucket": (s3_event(ACCOUNT, "other", "a.html", "Object Created") | {"id": "1"}, "does not watch other"),
    "another account": (event("a.html") | {"account": "999999999999"}, "does not let it through"),
    "another type": (event("a.html") | {"detail-type": "Object Restore Completed"}, "does not let it through"),
    "an excluded key": (event("logs/a"), "leaves this key out (ExcludeKeys)"),
    "deep": ("[" * 100_000, "it is not JSON"),
}


@pytest.mark.parametrize(("body", "why"), FORGED.values(), ids=FORGED)
def test_what_the_rule_would_not_let_through_is_never_started_and_it_is_said_why(
    world: World, queue: FakeQueue, body: Any, why: str
) -> None:
    kept = queue.put(body)
    queue.put(event("a.html"))
    result = world.run(dead_letters, "--replay", "--yes")
    assert result.exit_code == 1
    assert list(world.states.started().values()) == [event("a.html")]
    assert set(queue.messages) == {kept}
    assert not queue.hidden
    for text in ("Not replayed: ", why, "1 event replayed in 1 execution, 1 left.", "in the SQS console"):
        assert text in result.output
    (told,) = world.run(dead_letters, "--json").output.splitlines()
    assert why in json.loads(told)["left"]


def test_a_rule_that_is_gone_or_that_somebody_changed_lets_nothing_through(world: World, queue: FakeQueue) -> None:
    queue.put(event("a.html"))
    for chain, why in (
        (FakeChain(rule_gone=True), "the stack's rule is gone"),
        (FakeChain(pattern={"detail": {"object": {"key": [{"cidr": "10.0.0.0/8"}]}}}), "somebody changed the rule"),
    ):
        world.clients["events"] = chain
        result = world.run(dead_letters, "--replay", "--yes")
        assert result.exit_code == 1
        assert f"Not replayed: 1 message: {why}" in result.output
        assert "deploy the stack again" in result.output
    assert world.states.started() == {}


def test_what_it_will_start_is_shown_before_it_is_asked_for(world: World, queue: FakeQueue) -> None:
    for number in range(120):
        queue.put(event(f"{number}.html"))
    queue.put({"distributionId": "E2QWRUHAPOMQZL", "paths": ["/*"]})
    result = world.run(dead_letters, "--replay")
    assert result.exit_code == 2
    shown = (
        *("Starts 2 executions with 120 events:", "99.html put", "and 20 more", "Start them?"),
        "Nothing was started; add --yes",
    )
    for text in shown:
        assert text in result.output
    assert world.states.started() == {}
    assert (len(queue.messages), queue.hidden) == (121, set())


@pytest.mark.parametrize(("answer", "exit_code"), [("y", 0), ("n", 2)])
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["people", "machines"])
def test_a_yes_starts_it_and_a_no_does_not(
    world: World, queue: FakeQueue, answer: str, exit_code: int, form: tuple[str, ...]
) -> None:
    queue.put(event("a.html"))
    result = CliRunner().invoke(dead_letters, ["--replay", *form], input=f"{answer}\n", obj=world.stack())
    assert result.exit_code == exit_code
    assert "Starts 1 execution with 1 event:" in result.output
    assert (len(world.states.started()), len(queue.messages)) == ((1, 0) if answer == "y" else (0, 1))
    for line in result.stdout.splitlines() if form else ():
        assert json.loads(line)["event"] == event("a.html")


def test_a_replay_that_left_something_says_so_to_machines(world: World, queue: FakeQueue) -> None:
    queue.put({"distributionId": "E2QWRUHAPOMQZL", "paths": ["/*"]})
    queue.put(event("a.html"))
    result = world.run(dead_letters, "--replay", "--yes", "--json")
    started, left = map(json.loads, result.output.splitlines())
    assert (started["deleted"], started["left"]) == (True, None)
    assert (left["execution"], left["deleted"], left["left"][:21]) == (None, False, "it is no event of S3,")
    assert "delete it" in left["remedy"]


def test_yes_without_a_replay_is_refused(world: World) -> None:
    assert world.run(dead_letters, "--yes").exit_code == 2


def test_a_replay_of_some_leaves_the_others(world: World, queue: FakeQueue) -> None:
    for number in range(25):
        queue.put(event(f"{number}.html"))
    assert world.run(dead_letters, "--replay", "--yes", "--limit", "12").exit_code == 0
    assert (len(queue.messages), queue.hidden) == (13, set())


def test_when_executions_cannot_be_started_nothing_is_deleted(world: World, queue: FakeQueue) -> None:
    queue.put(event("a.html"))

    def refuse(**_request: Any) -> Any:
        raise Refused("AccessDeniedException", "StartExecution")

    world.states.start_execution = refuse  # type: ignore[method-assign] # this account may not
    result = world.run(dead_letters, "--replay", "--yes")
    assert result.exit_code == 4
    assert "you may not do this (StartExecution)" in result.output
    assert (len(queue.messages), queue.hidden) == (1, set())


def test_what_was_started_but_could_not_be_deleted_is_not_started_again(world: World, queue: FakeQueue) -> None:
    queue.undeletable.add(queue.put(event("a.html")))
    first = world.run(dead_letters, "--replay", "--yes")
    assert first.exit_code == 1
    assert "could not be deleted" in first.output
    queue.undeletable.clear()
    assert world.run(dead_letters, "--replay", "--yes").exit_code == 0
    assert len(world.states.started()) == 1
    assert queue.messages == {}


def test_replays_in_json_name_the_execution(world: World, queue: FakeQueue) -> None:
    queue.put(event("a.html"))
    told = json.loads(world.run(dead_letters, "--replay", "--yes", "--json").output)
    assert told["execution"].endswith(next(iter(world.states.started())))
    assert told["deleted"] is True


def test_hostile_letters_are_shown_and_not_obeyed(world: World, queue: FakeQueue) -> None:
    queue.put(event(HOSTILE), {"ERROR_CODE": "\x1b]0;x\x07", "ERROR_MESSAGE": "[red]"})
    queue.put("\x1b[2J[blink]")
    output = world.run(dead_letters).output
    assert SHOWN_HOSTILE in output
    assert r"\x1b]0;x\x07: [red]" in output
    assert r"\x1b[2J[blink]" in output
    assert "\x1b" not in output


def test_one_execution_takes_no_more_than_fits_into_its_input() -> None:
    large = [letter(number, event("k" * 1_000) | {"padding": "\u00fc" * 5_000}) for number in range(30)]
    found = list(groups(large))
    assert sum(len(group) for group in found) == 30
    assert len(found) > 1
    assert all(len(json.dumps([each.document for each in group])) <= MAX_INPUT + 200 for group in found)


def test_the_same_letters_always_start_the_same_execution() -> None:
    one, other = letter(1, event("a")), letter(2, event("b"))
    assert execution_name([one, other]) == execution_name([other, one]) != execution_name([one])
