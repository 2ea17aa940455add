from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invalidations_cli.commands.graph import graph
from tests.recordings.record import REGION, moto_running_workers, run_definition

if TYPE_CHECKING:
    from click.testing import Result

RECORDINGS = Path(__file__).parent.parent / "recordings"
ARN = f"arn:aws:states:{REGION}:123456789012:execution:invalidate:a-run"
SHORT = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it would remember what another test signed in with
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(graph, arguments)


def test_a_saved_execution_is_drawn_into_the_current_folder(folder: Path) -> None:
    result = run(str(RECORDINGS / "moto.json"))
    assert result.output == "graph-a-run-of-everything.html: a-run-of-everything, succeeded, 20 states entered\n"
    assert "<title>a-run-of-everything" in (folder / "graph-a-run-of-everything.html").read_text(encoding="utf-8")


def test_an_execution_is_read_from_step_functions_by_its_arn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with moto_running_workers():
        recording = run_definition(SHORT)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        result = run(recording.execution["executionArn"], "--html", "page.html")
    assert (result.exit_code, result.output) == (0, "page.html: a-run-of-everything, succeeded, 1 state entered\n")
    assert (folder / "page.html").exists()


def test_an_execution_that_is_gone_is_told_with_the_way_to_keep_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with moto_running_workers():
        result = run(ARN)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: there is no execution {ARN} ")
    assert "90 days" in result.output
    assert "show --save" in result.output


def test_without_credentials_the_way_to_have_some_is_told() -> None:
    result = run(ARN)
    assert (result.exit_code, result.output.startswith("Error: no AWS credentials: sign in (aws sso login)")) == (
        4,
        True,
    )


def test_a_local_endpoint_that_does_not_answer_is_told() -> None:
    result = run(ARN, "--endpoint-url", "http://127.0.0.1:9")
    assert (result.exit_code, result.output) == (
        4,
        "Error: http://127.0.0.1:9 does not answer; is --endpoint-url right, and is it running?\n",
    )


def test_an_express_execution_has_no_history_to_draw() -> None:
    result = run(f"arn:aws:states:{REGION}:123456789012:express:invalidate:a-run:0c1")
    assert (result.exit_code, "log group" in result.output) == (1, True)


@pytest.mark.parametrize("execution", ["nothing.json", "arn:aws:lambda:eu-west-1:123456789012:function:f", "."])
def test_what_is_neither_an_arn_nor_a_file_is_refused(execution: str) -> None:
    result = run(execution)
    assert (result.exit_code, result.output) == (
        1,
        f"Error: {execution} is neither an execution, batch or invalidation nor a saved file\n",
    )


def test_a_file_that_is_no_saved_execution_is_refused(folder: Path) -> None:
    (folder / "event.json").write_text('{"source": "aws.s3"}')
    result = run("event.json")
    assert (result.exit_code, result.output) == (
        1,
        "Error: event.json is no saved execution: it lacks definition, execution, events\n",
    )


def test_a_saved_execution_that_makes_no_sense_is_refused_without_a_traceback(folder: Path) -> None:
    (folder / "saved.json").write_text('{"definition": {"States": 1}, "execution": {}, "events": [1]}')
    result = run("saved.json")
    assert (result.exit_code, result.output.startswith("Error: saved.json cannot be drawn: ")) == (1, True)


def test_a_place_that_cannot_be_written_to_is_told() -> None:
    result = run(str(RECORDINGS / "moto.json"), "--html", "no/such/folder/page.html")
    assert (result.exit_code, result.output) == (
        1,
        "Error: no/such/folder/page.html cannot be written: No such file or directory\n",
    )


def test_a_name_that_is_no_file_name_becomes_one(folder: Path) -> None:
    recording = json.loads((RECORDINGS / "moto.json").read_text())
    recording["execution"]["name"] = "../a run: of/everything"
    (folder / "saved.json").write_text(json.dumps(recording))
    assert run("saved.json").exit_code == 0
    assert (folder / "graph-a-run-of-everything.html").exists()


def test_a_page_that_is_there_already_is_kept_unless_force_is_said(folder: Path) -> None:
    page = folder / "page.html"
    page.write_text("mine")
    recording = str(RECORDINGS / "moto.json")
    refused = run(recording, "--html", "page.html")
    assert (refused.exit_code, "page.html is there already" in refused.output) == (2, True)
    assert page.read_text() == "mine"
    assert run(recording, "--html", "page.html", "--force").exit_code == 0
    assert "<title>" in page.read_text(encoding="utf-8")


STEERING = "\x1b]0;owned\x07\x1b[2J\x1b[31m\u202e"
"""A terminal's title, an empty screen, a colour, and text from right to left."""


def saved(folder: Path, **parts: Any) -> str:
    recording = json.loads((RECORDINGS / "moto.json").read_text()) | parts
    (folder / "saved.json").write_text(json.dumps(recording))
    return "saved.json"


@pytest.mark.parametrize(
    "parts",
    [
        {"execution": {"name": STEERING, "status": STEERING}},
        {"execution": {"startDate": STEERING}},
        {"events": [{"type": STEERING, "timestamp": STEERING}]},
        {"events": [{"type": "x", "timestamp": [STEERING]}]},
        {"definition": {"StartAt": STEERING, "States": {STEERING: {"Type": STEERING, "Next": {STEERING: 1}}}}},
        {"definition": {"StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": [{STEERING: 1}]}}}},
    ],
)
def test_nothing_in_a_file_steers_the_terminal(folder: Path, parts: dict[str, Any]) -> None:
    result = run(saved(folder, **parts))
    assert result.exit_code in (0, 1)
    assert all(each.isprintable() for each in result.output.splitlines()), result.output


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_file_that_is_nested_too_deeply_is_refused(folder: Path, opening: str) -> None:
    (folder / "deep.json").write_text(opening * 100_000)
    result = run("deep.json")
    assert (result.exit_code, "is no saved execution" in result.output) == (1, True), result.output


def test_a_definition_that_is_nested_too_deeply_is_refused(folder: Path) -> None:
    inner: dict[str, Any] = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    for _ in range(300):
        inner = {"StartAt": "A", "States": {"A": {"Type": "Map", "ItemProcessor": inner, "End": True}}}
    result = run(saved(folder, definition=inner))
    assert (result.exit_code, "cannot be drawn" in result.output) == (1, True), result.output


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_in_a_file_is_drawn_or_refused_in_one_line(folder: Path, data: st.DataObject) -> None:
    """One value of a real recording is replaced by anything."""
    recording = json.loads((RECORDINGS / "moto.json").read_text())
    place: Any = recording
    while isinstance(place, dict | list) and place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place)))))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            place[key] = data.draw(JUNK)
            break
        place = inner
    (folder / "junk.json").write_text(json.dumps(recording))
    result = run("junk.json", "--html", "junk.html", "--force")
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert all(each.isprintable() for each in result.output.splitlines())
