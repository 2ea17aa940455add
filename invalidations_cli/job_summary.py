"""A job's summary in Markdown and its outputs, from a command's `--json`.

python -m invalidations_cli.job_summary wait result.json --exit-code 0

It appends to the files that GITHUB_STEP_SUMMARY and GITHUB_OUTPUT name (GitHub Docs, "Workflow commands for GitHub
Actions"); where the first is not set, the Markdown is printed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from invalidation.health import CheckVerdict
from invalidation.outcome import console_page
from invalidations_cli.aws import ExitCode
from invalidations_cli.output import count, escape

Document = Mapping[str, Any]

COMMANDS = ("wait", "request", "doctor")
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
"""All that Markdown may take for its own; a backslash before it makes it plain (CommonMark, "Backslash escapes")."""
MAX_ROWS = 200
"""Distributions and checks that are listed: a step's summary goes to 1 MiB."""
LONGEST = 300
HEADLINES = {
    "fresh": "The edge is fresh",
    "nothing-arrived": "No change arrived, and none was left",
    "paused": "Paused: changes wait until somebody resumes the bucket",
    "cut": "Cut: changes are not invalidated",
    "whole": "Whole: changes are invalidated",
    "timeout": "Not within the time; it goes on",
    "failed": "Failed: not everything was invalidated",
    "usage": "Wrong usage: nothing was done",
    "not-asked": "AWS could not be asked",
    "interrupted": "Interrupted",
}
RESULTS = {
    ExitCode.OK: "fresh",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "usage",
    ExitCode.CUT: "cut",
    ExitCode.NOT_ASKED: "not-asked",
    ExitCode.TIMED_OUT: "timeout",
    ExitCode.INTERRUPTED: "interrupted",
}
SIGNS = {
    CheckVerdict.OK: "✅",
    CheckVerdict.CUT: "❌",
    CheckVerdict.OWED: "⚠️",
    CheckVerdict.UNKNOWN: "❔",
}


@dataclass(frozen=True, slots=True)
class JobSummary:
    """What a command came to.

    Attributes:
        command: `wait`, `request` or `doctor`.
        exit_code: Its exit code.
        document: The line of JSON that it printed; empty where it printed none.
    """

    command: str
    exit_code: int
    document: Document

    @property
    def result(self) -> str:
        """One word: a key of HEADLINES."""
        if "result" in self.document:
            return str(self.document["result"])
        if "whole" in self.document:
            return "whole" if self.document["whole"] else "cut"
        return RESULTS.get(ExitCode(self.exit_code), "failed") if self.exit_code in set(ExitCode) else "failed"

    @property
    def reports(self) -> Sequence[Document]:
        """The report on each batch, as `events/schemas/outcome.json` has it, with `execution` and its `status`."""
        executions = [
            {**each.get("outcome", {}), "execution": each["execution"], "status": each["status"]}
            for each in self.document.get("executions", ())
        ]
        return [*self.document.get("reports", ()), *executions]

    @property
    def targets(self) -> Sequence[tuple[Document, Document]]:
        """Each distribution of each report, with that report."""
        return [(each, target) for each in self.reports for target in each.get("targets", ())]

    @property
    def dollars(self) -> Decimal:
        """The most that it cost; a dry run costs nothing."""
        paid = (each for each in self.reports if not each.get("dryRun"))
        return sum((Decimal(str(each.get("price", 0))) for each in paid), Decimal(0))

    def outputs(self) -> dict[str, str]:
        """Names and values of the step's outputs, each in one line."""
        ids = [each for _report, target in self.targets for each in target.get("invalidationIds", ())]
        return {
            "result": self.result,
            "exit-code": str(int(self.exit_code)),
            "invalidations": ",".join(ids),
            "executions": ",".join(each["execution"] for each in self.reports if "execution" in each),
            "max-dollars": f"{self.dollars:f}",
            "json": json.dumps(self.document) if self.document else "",
        }

    def markdown(self) -> Iterator[str]:
        """The lines of the summary."""
        headline = HEADLINES.get(self.result, self.result)
        yield f"### {plain(headline)}"
        yield ""
        yield f"`invalidations {self.command}` ended with {int(self.exit_code)}{self._in_numbers()}."
        if not self.document:
            yield "What it said is in the log of the step."
        if self.reports:
            yield from self._what_was_invalidated()
        yield from self._failures()
        for each in self.document.get("buckets", ()):
            yield from ("", f"**{plain(each['bucket'])}**", "", *checks(each["checks"]))
        if self.document.get("cut"):
            yield from ("", *checks(self.document["cut"]))

    def _in_numbers(self) -> str:
        took = f" after {self.document['seconds']:g} s" if "seconds" in self.document else ""
        if not self.reports:
            return took
        changes = count(sum(each.get("changes", 0) for each in self.reports), "change")
        batches = count(len(self.reports), "batch", "batches")
        free = "as if the month's 1,000 free paths were used up"
        return f"{took}: {changes}, {batches}; at most ${self.dollars:f}, {free}"

    def _what_was_invalidated(self) -> Iterator[str]:
        rows = [
            (
                plain(target["distributionId"]),
                plain(", ".join(target.get("pathSample", ()))) or "-",
                f"{target['paths']:,}",
                plain(", ".join(target.get("invalidationIds", ()))) or "-",
                f"{target['seconds']:g} s" if "seconds" in target else "-",
                f"${target.get('price', 0):g}",
                link(report),
            )
            for report, target in self.targets
        ]
        rows += [
            ("-", "-", "0", "-", "-", "$0", f"{link(report)} {plain(report.get('outcome', ''))}")
            for report in self.reports
            if not report.get("targets")
        ]
        heads = ("distribution", "paths, for example", "paths", "invalidations", "took", "at most", "execution")
        yield from ("", *table(heads, rows))

    def _failures(self) -> Iterator[str]:
        wrong = [
            *self.document.get("failed", ()),
            *(each for each in self.document.get("executions", ()) if each.get("error")),
        ]
        if wrong:
            yield ""
        for each in wrong[:MAX_ROWS]:
            yield f"- {plain(each['error'])}: {plain(each.get('message') or each.get('cause') or '')}"


def checks(found: Sequence[Document]) -> Iterator[str]:
    """A table of the checks of `invalidations doctor`, with what fixes each."""
    rows = [
        (
            SIGNS[CheckVerdict(each["verdict"])],
            plain(each["check"]),
            plain(each["evidence"]),
            plain(each.get("remedy", "")),
        )
        for each in found
    ]
    return table(("", "check", "found", "what fixes it"), rows)


def table(heads: Sequence[str], rows: Sequence[Iterable[str]]) -> Iterator[str]:
    """A table of GitHub's Markdown; its cells are Markdown already."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    yield from (f"| {' | '.join(row)} |" for row in rows[:MAX_ROWS])
    if len(rows) > MAX_ROWS:
        yield ""
        yield f"and {count(len(rows) - MAX_ROWS, 'more row')}"


def link(report: Document) -> str:
    """To the execution's page in the Step Functions console."""
    execution = report.get("execution", "")
    if not execution:
        return "-"
    return f"[{plain(execution.rpartition(':')[2])}]({console_page(execution)})"


def plain(text: object) -> str:
    """The text as Markdown that shows it as it is, in one line. Keys and errors are other people's."""
    return PUNCTUATION.sub(r"\\\1", escape(text, LONGEST))


def last_line(path: Path) -> Document:
    """The last line of JSON in a file; empty where there is none."""
    lines = path.read_text("utf-8").splitlines()
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@click.command()
@click.argument("command", type=click.Choice(COMMANDS))
@click.argument("result", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--exit-code", type=click.IntRange(0, 255), required=True, help="The command's.")
@click.option("--markdown", type=click.Path(path_type=Path), envvar="GITHUB_STEP_SUMMARY", show_envvar=True)
@click.option("--outputs", type=click.Path(path_type=Path), envvar="GITHUB_OUTPUT", show_envvar=True)
def main(command: str, result: Path, exit_code: int, markdown: Path | None, outputs: Path | None) -> None:
    """Append what COMMAND printed to the file RESULT to a job's summary and outputs."""
    summary = JobSummary(command, exit_code, last_line(result))
    text = "".join(f"{line}\n" for line in summary.markdown())
    if markdown is None:
        click.echo(text, nl=False)
    else:
        append(markdown, text)
    if outputs is not None:
        append(outputs, "".join(f"{name}={value}\n" for name, value in summary.outputs().items()))


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
