"""Whatever an object is called, what is told of it stays what it was: one log line, one message, one row, one page."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from types import ModuleType
from typing import Any

import click
import pytest

from invalidation.batches.finish import Failure
from invalidation.batches.head import Execution
from invalidation.batches.model import Batch
from invalidation.cloudfront.distribution import Behavior, Distribution, Origin
from invalidation.cloudfront.explain import explain
from invalidation.cloudfront.rules import PathRules, Widening
from invalidation.errors import InvalidRequest
from invalidation.messages import chat_message
from invalidation.outcome import BatchReport, report_on
from invalidations_cli.commands.audit import audit
from invalidations_cli.commands.dead_letters import dead_letters
from invalidations_cli.commands.explain import DistributionAnswer, show_one
from invalidations_cli.commands.request import lines_of, request
from invalidations_cli.commands.show import show
from invalidations_cli.commands.status import status
from invalidations_cli.follow import FollowedExecution
from invalidations_cli.history import read_history
from invalidations_cli.output import escape
from invalidations_cli.report.page import render
from tests.fakes.stack import EXECUTION, START, World
from tests.security.hostile import KEYS
from tests.unit.test_cli_dead_letters import FakeQueue, event

each_key = pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
MARK = "made-up-by-a-stranger"
"""Stands in each key of a batch, so that it can be told whether any part of one is shown."""


def outcome(*keys: str, failure: Failure | None = None) -> dict[str, Any]:
    """The outcome document of a batch of these keys."""
    world = World()
    batch = world.batch(keys, failure=failure, widened=(Widening(f"/{MARK}*", 7),))
    told = BatchReport.read(world.table, Batch.read(world.table, batch)).to_report()
    document: dict[str, Any] = report_on(told, Execution(EXECUTION + "run-1", START), START)["outcome"]
    return document


def harmless(text: str) -> bool:
    """Whether a terminal would obey nothing of it."""
    return all(character.isprintable() for character in text.replace("\n", ""))


@each_key
@pytest.mark.parametrize("failure", [None, Failure("AccessDenied", f"{MARK}\r\nSubject: forged")], ids=["well", "not"])
def test_no_key_is_in_a_subject_an_attribute_or_a_chat_message(
    notify: ModuleType, key: str, failure: Failure | None
) -> None:
    document = outcome(key, MARK, failure=failure)
    state = {"completed": not failure, "error": "", "cause": "", "detailType": "", "outcome": document}
    notify.handler({"execution": EXECUTION + "run-1", "startedAt": START.isoformat(), "state": state}, None)
    machines, mail, chat = notify.client.sent
    failed = "CloudFront invalidation FAILED: site, 2 changes (AccessDenied)"
    assert mail["Subject"] == (failed if failure else "CloudFront is fresh: site, 2 changes")
    assert {name: each["StringValue"] for name, each in machines["MessageAttributes"].items()} == {
        "outcome": "Failed" if failure else "Completed",
        "bucket": "site",
    }
    assert machines["Message"].isascii()
    assert json.loads(machines["Message"]) == document
    assert harmless(mail["Message"])
    assert [line for line in mail["Message"].splitlines() if MARK in line and not line.startswith("  ")] == []
    assert document["sample"] == [key, MARK]
    assert (MARK in chat["Message"]) == bool(failure), "only the error's message quotes it"
    assert chat["Message"] == _chat_without_keys(failure)


def _chat_without_keys(failure: Failure | None) -> str:
    """The chat message of a batch that is alike, but for its keys."""
    return json.dumps(chat_message(outcome("a", "b", failure=failure), "docs/runbook.md"))


@each_key
def test_each_log_line_is_one_json_object_in_which_the_key_is_data(join_batch: ModuleType, key: str) -> None:
    good, bad = event("index.html"), event("index.html") | {"source": key}
    join_batch.log.seek(0)
    join_batch.log.truncate()
    asked = {"execution": EXECUTION + "run-1", "startedAt": START.isoformat(), "stateMachine": "m", "bucket": key}
    join_batch.handler({**asked, "input": [good, bad]}, None)
    with pytest.raises(InvalidRequest):
        join_batch.observed(_fails)({**asked, "key": key}, None)
    written = join_batch.log.getvalue()
    warned, failed = map(json.loads, written.splitlines())
    assert written.isascii()
    assert harmless(written)
    assert (warned["level"], warned["message"], warned["bucket"]) == ("WARNING", "Events were left out of a list", key)
    assert (failed["level"], failed["message"], failed["bucket"]) == ("ERROR", "The function failed", key)
    assert key[:500] in failed["exception"]
    assert "forged" not in {warned["message"], failed["message"]}


def _fails(asked: dict[str, Any], _context: Any) -> None:
    raise InvalidRequest(f"path {asked['key']} is none")


class Outline(HTMLParser):
    """The elements of a page and the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))


def page_of(key: str) -> str:
    """The report of an execution whose names, data and failure are a key."""
    definition = {"StartAt": key, "States": {key: {"Type": "Pass", "Comment": key, "End": True}}}
    entered = {"name": key, "input": json.dumps({"bucket": "site", "keys": [key]})}
    events = [
        {"id": 1, "type": "PassStateEntered", "timestamp": 1_790_000_000, "stateEnteredEventDetails": entered},
        {"id": 2, "type": "ExecutionFailed", "timestamp": 1_790_000_001, "executionFailedEventDetails": {"cause": key}},
    ]
    return render(read_history(definition, {"name": key, "status": "FAILED", "error": key, "cause": key}, events))


@each_key
def test_a_report_has_the_same_elements_whatever_the_key(key: str) -> None:
    page = page_of(key)
    assert Outline(page).found == Outline(page_of("index.html")).found
    (data,) = re.findall(r'<script type="application/json" id="run">(.*?)</script>', page, flags=re.DOTALL)
    assert not set(data) & set("<>&\u2028\u2029")
    assert json.loads(data)["cause"] == key


@pytest.fixture(scope="module")
def world() -> World:
    """A stack with a batch, and a dead letter, for each hostile key."""
    queue = FakeQueue()
    world = World(clients={"sqs": queue})
    for key in KEYS.values():
        world.batch([key], failure=Failure("AccessDenied", f"denied: {key}"), bucket="site")
        queue.put(event(key), {"ERROR_CODE": key, "ERROR_MESSAGE": key})
    return world


def test_audit_tables_are_harmless_and_have_a_row_for_each_batch(world: World) -> None:
    output = world.run(audit, "--limit", "0").output
    assert harmless(output)
    assert len(re.findall(r"\d{8}T\d{6}Z-[0-9a-f]{10}", output)) == len(KEYS)


def test_audit_rows_for_spreadsheets_are_no_formulas(world: World) -> None:
    rows = list(csv.DictReader(world.run(audit, "--limit", "0", "--csv").output.splitlines()))
    assert {row["outcome"] for row in rows} == {"Failed"}
    assert len(rows) == len(KEYS)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\uff1d")) for row in rows for cell in row.values())
    assert all(harmless(cell) for row in rows for cell in row.values())


def test_audit_lines_for_machines_hold_the_very_keys(world: World) -> None:
    lines = world.run(audit, "--limit", "0", "--json").output.splitlines()
    assert sorted(json.loads(line)["sample"][0] for line in lines) == sorted(KEYS.values())
    assert all(harmless(line) for line in lines)


@pytest.mark.parametrize("command", [status, dead_letters], ids=["status", "dead-letters"])
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["people", "machines"])
def test_other_commands_print_nothing_that_a_terminal_obeys(
    world: World, command: click.Command, options: tuple[str, ...]
) -> None:
    output = world.run(command, *options).output
    assert harmless(output)
    assert len(output) > 1_000


@each_key
def test_the_story_of_a_batch_shows_the_key_and_obeys_nothing_of_it(key: str) -> None:
    alone = World()
    batch = alone.batch([key, "index.html"])
    output = alone.run(show, batch).output
    assert harmless(output)
    assert escape(key, 40).rstrip("…").strip() in _unwrapped(output)


def _unwrapped(output: str) -> str:
    """A cell that was wrapped, in one line again."""
    return "".join(line.strip() for line in output.splitlines())


@each_key
def test_a_key_is_explained_and_nothing_of_it_obeyed(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    origin = Origin("bucket", "my-site.s3.amazonaws.com")
    served_by = Distribution("E1", "my-site", origins=(origin,), behaviors=(Behavior("*", ("bucket",)),))
    show_one(DistributionAnswer(explain(served_by, key, PathRules())))
    output = capsys.readouterr().out
    assert output.startswith("E1\n")
    assert harmless(output)


@each_key
def test_a_refused_request_repeats_nothing_that_a_terminal_obeys(key: str) -> None:
    result = World().run(request, "--bucket", key, "--", key)
    assert result.exit_code == 2
    assert harmless(result.output)


@each_key
def test_what_came_of_a_request_is_told_in_lines_of_its_own(key: str) -> None:
    denied = outcome(key, failure=Failure("AccessDenied", key))
    lines = list(lines_of([FollowedExecution(EXECUTION + "run-1", "FAILED", key, key, denied)]))
    assert all(harmless(line) and "\n" not in line for line in lines)
