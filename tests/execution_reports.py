"""A test that failed leaves the HTML reports of the executions that it ran, and its failure names their files.

A plugin of pytest's. It knows the executions of the state machine on moto, which notes each that it starts, and those
of every local AWS among a test's fixtures. Where nothing can be read or written, the failure says so in a line;
it stays the failure that it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from invalidations_cli.history import read_history
from invalidations_cli.local.aws import CONFIG, LocalAws
from invalidations_cli.recording import Recording, collect
from invalidations_cli.report.page import render

FOLDER = Path(".build", "reports")
"""In the folder of pytest's configuration; within it a folder for each test."""
SECTION = "Execution reports"
MOST = 5
"""Reports of one test: the newest, those first that did not end well."""
LOOKED_AT = 200
LONGEST = 120
"""Characters of a file's name, besides a hash and its ending."""
IMPATIENT = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})
"""The emulator may be what has failed."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One that can be reported on, for as long as its Step Functions is there."""

    test: str
    client: Any
    arn: str


@dataclass(slots=True)
class Watch:
    """What the tests of this process have run. `kept` was read when the place where it ran was about to go."""

    test: str = ""
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    noted: list[Execution] = field(default_factory=list)
    kept: list[Recording] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def of_this_test(self) -> list[Execution]:
        """Its own; or its module's, where it looks at what a shared fixture has run."""
        own = [each for each in self.noted if each.test == self.test]
        return own or [each for each in self.noted if _module(each.test) == _module(self.test)]

    def trying(self, what: Callable[[], Iterable[Recording]]) -> list[Recording]:
        """Whatever goes wrong is told beside the test's own failure, and never instead of it."""
        try:
            return list(what())
        except Exception as error:  # noqa: BLE001 -- anything: an emulator that has died, a history that cannot be read
            self.problems.append(f"an execution could not be read: {type(error).__name__}: {error}")
            return []


WATCH = Watch()


def note(client: Any, arn: str) -> None:
    """The test that runs has started an execution, or looks at one."""
    WATCH.noted.append(Execution(WATCH.test, client, arn))


@contextmanager
def reported(client: Any) -> Iterator[None]:
    """As long as a Step Functions is there; what fails inside is read before it goes."""
    try:
        yield
    except BaseException:
        WATCH.kept += WATCH.trying(lambda: worst(each for each in WATCH.of_this_test() if each.client is client))
        raise
    finally:
        WATCH.noted = [each for each in WATCH.noted if each.client is not client]


@contextmanager
def reported_of(aws: LocalAws) -> Iterator[None]:
    """The same for a local AWS that a test starts itself."""
    try:
        yield
    except BaseException:
        WATCH.kept += WATCH.trying(partial(of_emulator, aws))
        raise


def worst(executions: Iterable[Execution]) -> Iterator[Recording]:
    """The newest, those first that did not end well."""
    newest = list({each.arn: each for each in executions}.values())[-LOOKED_AT:]
    described = [(each, each.client.describe_execution(executionArn=each.arn)) for each in newest]
    described.sort(key=lambda each: each[1]["startDate"], reverse=True)
    described.sort(key=lambda each: each[1]["status"] in ("RUNNING", "SUCCEEDED"))
    return (collect(execution.client, execution.arn) for execution, _ in described[:MOST])


def of_emulator(aws: LocalAws) -> list[Recording]:
    """Of all state machines in an emulator, what was started since the test began."""
    fresh = aws.session.client("stepfunctions", endpoint_url=aws.endpoint, config=CONFIG.merge(IMPATIENT))
    with closing(fresh) as client:
        machines = client.list_state_machines()["stateMachines"]
        listed = (client.list_executions(stateMachineArn=each["stateMachineArn"])["executions"] for each in machines)
        begun = [each for some in listed for each in some if each["startDate"] >= WATCH.began]
        begun.sort(key=lambda each: each["startDate"])
        return list(worst(Execution(WATCH.test, client, each["executionArn"]) for each in begun))


def write(folder: Path, recordings: Iterable[Recording]) -> Iterator[str]:
    """A page for each; what an earlier failure of the test left is replaced."""
    for old in folder.glob("*.html"):
        old.unlink()
    for recording in recordings:
        run = read_history(recording.definition, recording.execution, recording.events)
        page = folder / f"{_file_name(run.name)}.html"
        folder.mkdir(parents=True, exist_ok=True)
        page.write_text(render(run), encoding="utf-8")
        yield f"{page}  {run.status}" + (f"  {run.error}" if run.error else "")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    WATCH.test, WATCH.began = item.nodeid, datetime.now(UTC)
    WATCH.kept, WATCH.problems = [], []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: Any = yield
    if report.failed and report.when != "teardown" and (told := "\n".join(lines(item))):
        report.sections.append((SECTION, told))
    return report  # type: ignore[no-any-return] # what pluggy gives the hook, it takes back


def lines(item: pytest.Item) -> Iterator[str]:
    """`Execution reports: …` for each page, and what went wrong with any: that as well is only told."""
    try:
        folder = item.config.rootpath / FOLDER / _file_name(item.nodeid)
        for page in write(folder, recordings_of(item)[:MOST]):
            yield f"{SECTION}: {page}"
    except Exception as error:  # noqa: BLE001 -- whatever it is, the test's own failure stays
        WATCH.problems.append(f"a report could not be written: {type(error).__name__}: {error}")
    yield from WATCH.problems


def recordings_of(item: pytest.Item) -> list[Recording]:
    recordings = WATCH.kept + WATCH.trying(lambda: worst(WATCH.of_this_test()))
    for aws in _emulators(getattr(item, "funcargs", {}).values()):
        recordings += WATCH.trying(partial(of_emulator, aws))
    return recordings


def _emulators(values: Iterable[Any]) -> Iterator[LocalAws]:
    found = [each if isinstance(each, LocalAws) else getattr(each, "aws", None) for each in values]
    return iter({each.endpoint: each for each in found if isinstance(each, LocalAws)}.values())


def _module(test: str) -> str:
    return test.partition("::")[0]


def _file_name(name: str) -> str:
    """Readable, and different for different names: what is cut is told apart by a hash."""
    readable = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "execution"
    return readable if len(readable) <= LONGEST else f"{readable[:LONGEST]}-{sha256(name.encode()).hexdigest()[:8]}"
