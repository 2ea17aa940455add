"""Whatever is typed as an option or argument, and whatever AWS refuses: an error in a line, never a traceback."""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import click
import pytest
from botocore.awsrequest import AWSResponse
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import invalidations_cli.main
from invalidations_cli.aws import SESSION_EXPIRED, ExitCode, NotAsked, friendly_error, is_url
from invalidations_cli.main import COMMANDS, EXIT_CODES, main
from tests.fakes.stack import START, World, event

NEEDED = {
    "request": ["--bucket", "site", "a.html"],
    "wait": ["--bucket", "site"],
    "explain": ["--bucket", "site", "--key", "a.html"],
    "selftest": ["--bucket", "site"],
    "bucket enable": ["site"],
    "bucket disable": ["site", "--yes"],
    "bucket status": ["site"],
    "show": ["run-1"],
    "graph": ["run-1"],
    "retry": ["run-1"],
    "abandon": ["run-1", "--reason", "why", "--yes"],
    "pause": ["site"],
    "resume": ["site"],
}
"""What each command is called with besides the option that is tried."""
NASTY = [
    "",
    " ",
    "-",
    "--",
    "nan",
    "inf",
    "-inf",
    "1e309",
    "-1",
    "9" * 30,
    "1e12",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "999999w",
    "foo",
    "http://",
    "http://[::1",
    "http://localhost:99999",
    "http://a b",
    "ftp://x",
    "../../etc/passwd",
    "/dev/full",
    "\x1b[31m",
    "\udcff",
    "ü" * 2_000,
    "=1+1",
    "'; rm -rf /",
    "latest",
]


def every_command() -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": each for inner, each in command.commands.items() if name != "local"}
        else:
            found[name] = command
    return found


EVERY = every_command()
EACH = [
    (name, parameter)
    for name, command in EVERY.items()
    for parameter in command.params
    if not getattr(parameter, "is_flag", False)
]


def clients_that_answer(code: str) -> Callable[[str], Any]:
    """Real clients, which check what they are asked for; what comes through is refused without leaving the process."""
    body = f"""{{"__type": "{code}", "message": "no"}}"""
    xml = f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"

    def refuse(request: Any, **_more: Any) -> Any:
        as_json = "X-Amz-Target" in request.headers
        text = body if as_json else xml
        if ".s3." in request.url or "s3.amazonaws" in request.url:
            text = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
        answer: Any = AWSResponse(request.url, 403, {}, None)  # type: ignore[arg-type] # its content is set below
        answer._content = text.encode()
        return answer

    @functools.cache
    def client(service: str) -> Any:
        session = boto3.Session("test", "test", region_name="eu-west-1")
        made: Any = session.client(service)  # type: ignore[call-overload] # any service
        made.meta.events.register("before-send.*.*", refuse)
        return made

    return client


REFUSING = clients_that_answer("AccessDenied")


def world() -> World:
    made = World(clients={"sqs": REFUSING("sqs")})
    made.batch()
    made.states.joined("run-1", event("index.html"), {"role": "leader"}).end("SUCCEEDED", START, output="{}")
    return made


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "sleep", interrupt)
    monkeypatch.setattr("invalidations_cli.aws.clients_for", lambda *_where: REFUSING)


def run(name: str, *words: str, obj: object = None) -> Result:
    return CliRunner().invoke(main, [*name.split(), *words], obj=obj, prog_name="invalidations")


def is_told(result: Result) -> None:
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in set(ExitCode), result.output
    assert "Traceback" not in result.output
    assert "\x1b" not in result.output


def called_with(name: str, parameter: click.Parameter, value: str) -> list[str]:
    needed = NEEDED.get(name, [])
    if isinstance(parameter, click.Argument):
        return [word for word in needed if word.startswith("--") or "--" in needed[:1]] + ["--", value]
    option = parameter.opts[-1]
    if option in needed:
        place = needed.index(option)
        needed = needed[:place] + needed[place + 2 :]
    return [*needed, f"{option}={value}"]


@pytest.mark.parametrize(("name", "parameter"), EACH, ids=lambda each: getattr(each, "name", each))
def test_what_is_malformed_is_an_error_and_no_traceback(name: str, parameter: click.Parameter) -> None:
    for value in NASTY:
        is_told(run(name, *called_with(name, parameter, value), obj=world().stack()))


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
TYPED = TEXTS | st.integers().map(str) | st.floats().map(str)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(EACH),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
    | st.integers().map(str)
    | st.floats().map(str),
)
def test_whatever_is_typed_is_answered(each: tuple[str, click.Parameter], value: str) -> None:
    name, parameter = each
    is_told(run(name, *called_with(name, parameter, value), obj=world().stack()))


@pytest.mark.parametrize("name", EVERY)
def test_an_expired_session_is_the_same_sentence_everywhere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expired = clients_that_answer("ExpiredToken")
    monkeypatch.setattr("invalidations_cli.aws.clients_for", lambda *_where: expired)
    stack = [] if name.startswith("bucket") else ["--stack", "site"]
    result = run(name, *NEEDED.get(name, []), *stack)
    assert (result.exit_code, SESSION_EXPIRED in result.output) == (ExitCode.NOT_ASKED, True), result.output


@pytest.mark.parametrize("name", EVERY)
def test_every_command_says_what_its_exit_codes_mean(name: str) -> None:
    assert "Exit codes:" in run(name, "--help").output


def test_the_table_of_exit_codes_is_that_of_the_commands() -> None:
    listed = [int(line.split()[0]) for line in EXIT_CODES.splitlines()[2:]]
    assert listed == sorted(ExitCode)
    assert ExitCode.INTERRUPTED == invalidations_cli.main.INTERRUPTED


@pytest.mark.parametrize(
    ("typed", "meant"), [("stauts", "status"), ("bucket statu", "status"), ("dead-leters", "dead-letters")]
)
def test_a_mistyped_command_gets_a_suggestion(typed: str, meant: str) -> None:
    result = run(typed)
    assert (result.exit_code, f"Did you mean '{meant}'" in result.output) == (2, True), result.output


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["dead"], {"dead-letters"}),
        (["pause", "--st"], {"--stack"}),
        (["local", ""], {"up", "demo"}),
        (["bucket", "e"], {"enable"}),
    ],
)
def test_the_shell_is_offered_commands_and_options(typed: list[str], offered: set[str]) -> None:
    completion = ShellComplete(main, {}, "invalidations", "_INVALIDATIONS_COMPLETE")
    assert {each.value for each in completion.get_completions(typed[:-1], typed[-1])} >= offered


def test_completion_imports_no_command_and_does_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    completion = ShellComplete(main, {}, "invalidations", "_INVALIDATIONS_COMPLETE")
    monkeypatch.setattr(importlib, "import_module", missing_extra)
    assert {each.value: each.help for each in completion.get_completions([], "")}["local"] == COMMANDS["local"][1]
    completion.get_completions(["local"], "")


def missing_extra(name: str) -> None:
    raise ModuleNotFoundError(name, name="ministack")


def test_ctrl_c_ends_with_130_wherever_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_where: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("invalidations_cli.aws.clients_for", interrupt)
    assert run("status").exit_code == ExitCode.INTERRUPTED


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("http://127.0.0.1:4566", True),
        ("https://vpce-1.s3.eu-west-1.vpce.amazonaws.com", True),
        ("http://[::1]:4566/", True),
        ("https://localhost/path", True),
        ("localhost:4566", False),
        ("http://localhost:0", False),
        ("http://-x", False),
    ],
)
def test_an_address_has_a_scheme_and_a_host(url: str, accepted: bool) -> None:
    assert is_url(url) is accepted


def test_a_mistake_of_this_program_stays_a_traceback() -> None:
    with pytest.raises(RuntimeError, match="a mistake"), friendly_error("site"):
        raise RuntimeError("a mistake")


def test_credentials_that_a_process_gave_and_that_have_expired_are_told_like_others() -> None:
    with pytest.raises(NotAsked, match="session has expired"), friendly_error("site"):
        raise RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired.")


@pytest.mark.parametrize("ends", ["interrupted", "too late"])
def test_who_stops_waiting_for_a_request_is_told_what_goes_on(ends: str) -> None:
    timeout = ["--timeout", "0"] if ends == "too late" else []
    made = world()
    result = run("request", "--bucket", "site", "a.html", "--wait", *timeout, obj=made.stack())
    (name,) = [each for each in made.states.started() if each.startswith("request-")]
    assert result.exit_code == (124 if timeout else 130)
    assert f"{name} goes on. To see what happens:\n  invalidations show {name}\n" in result.stderr


def test_who_stops_waiting_for_a_retry_is_told_what_goes_on() -> None:
    made = world()
    made.states.add("lost", event("a.html")).end("FAILED", START, error="ChangesNotAccepted")
    result = run("retry", "lost", "--wait", obj=made.stack())
    (name,) = [each for each in made.states.started() if each.startswith("replay-")]
    assert (result.exit_code, f"  invalidations show {name}\n" in result.stderr) == (130, True)
