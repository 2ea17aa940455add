"""What a pipeline shows of a command: Markdown for people, outputs for the steps that follow."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from invalidations_cli.job_summary import HEADLINES, MAX_ROWS, JobSummary, main, plain, table

ARN = "arn:aws:states:eu-west-1:123456789012:execution:site-invalidation:run-1"
TARGET = {
    "distributionId": "E1",
    "paths": 2,
    "wildcards": 0,
    "pathSample": ["/index.html", "/"],
    "invalidationIds": ["I1", "I2"],
    "price": 0.01,
    "seconds": 7,
}
REPORT = {"outcome": "Completed", "changes": 3, "price": 0.01, "targets": [TARGET], "execution": ARN}
WAITED = {"result": "fresh", "bucket": "site", "seconds": 12.3, "failed": [], "cut": [], "reports": [REPORT]}
CHECK = {"check": "Rule", "group": "rule", "verdict": "cut", "evidence": "it is disabled", "remedy": "enable it"}


def shown(command: str, exit_code: int, document: dict[str, Any]) -> str:
    return "\n".join(JobSummary(command, exit_code, document).markdown())


def unescaped(markdown: str) -> str:
    """As a reader sees it."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)


def test_a_wait_tells_what_was_invalidated_how_long_it_took_what_it_cost_and_where_to_see_it() -> None:
    told = unescaped(shown("wait", 0, WAITED))
    assert told.startswith(
        "### The edge is fresh\n\n`invalidations wait` ended with 0 after 12.3 s: 3 changes, 1 batch;"
    )
    assert "at most $0.01, as if the month's 1,000 free paths were used up" in told
    console = f"https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/{ARN}"
    assert f"| E1 | /index.html, / | 2 | I1, I2 | 7 s | $0.01 | [run-1]({console}) |" in told


def test_the_outputs_name_the_invalidations_and_executions() -> None:
    outputs = JobSummary("wait", 0, WAITED).outputs()
    assert json.loads(outputs.pop("json")) == WAITED
    assert outputs == {
        "result": "fresh",
        "exit-code": "0",
        "invalidations": "I1,I2",
        "executions": ARN,
        "max-dollars": "0.01",
    }


def test_a_request_is_told_of_by_its_executions() -> None:
    failed = {"execution": ARN, "status": "FAILED", "error": "AccessDenied", "cause": "grant it", "outcome": {}}
    summary = JobSummary("request", 1, {"executions": [{"execution": ARN, "status": "SUCCEEDED", "outcome": REPORT}]})
    assert (summary.outputs()["executions"], summary.outputs()["invalidations"]) == (ARN, "I1,I2")
    assert "ended with 1: 3 changes, 1 batch; at most $0.01," in "\n".join(summary.markdown())
    told = unescaped(shown("request", 1, {"executions": [failed]}))
    assert told.startswith("### Failed")
    assert "- AccessDenied: grant it" in told
    assert (
        f"[run-1](https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/{ARN})"
        in told
    )


def test_a_dry_run_costs_nothing() -> None:
    assert JobSummary("wait", 0, {**WAITED, "reports": [{**REPORT, "dryRun": True}]}).outputs()["max-dollars"] == "0"


def test_a_cut_chain_is_shown_check_by_check_with_what_mends_it() -> None:
    diagnosed = {"stack": "s", "whole": False, "buckets": [{"bucket": "site", "whole": False, "checks": [CHECK]}]}
    for command, exit_code, document in (
        ("doctor", 1, diagnosed),
        ("wait", 3, {**WAITED, "result": "cut", "cut": [CHECK]}),
    ):
        told = unescaped(shown(command, exit_code, document))
        assert told.startswith("### Cut: changes are not invalidated")
        assert "| ❌ | Rule | it is disabled | enable it |" in told
    assert JobSummary("doctor", 0, {**diagnosed, "whole": True}).result == "whole"


@pytest.mark.parametrize(
    ("exit_code", "result"),
    [(2, "usage"), (3, "cut"), (4, "not-asked"), (124, "timeout"), (130, "interrupted"), (137, "failed")],
)
def test_a_command_that_printed_nothing_is_told_of_by_its_exit_code(exit_code: int, result: str) -> None:
    summary = JobSummary("wait", exit_code, {})
    assert summary.outputs() | {"result": result, "exit-code": str(exit_code), "json": ""} == summary.outputs()
    assert HEADLINES[result] in unescaped(shown("wait", exit_code, {}))
    assert "in the log of the step" in shown("wait", exit_code, {})


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_what_others_wrote_is_shown_as_it_is_and_makes_no_markup(text: str) -> None:
    line = plain(text)
    assert len(line.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(?:\\\\)*[|<>\[\]`*_@:&]", line)
    if text.isprintable():
        assert html.unescape(unescaped(line)) == html.unescape(text)


def test_a_key_cannot_add_an_output_or_a_row() -> None:
    evil = "x\nresult=fresh\n| a | b |\n[click](https://example.com)<img src=x>"
    target = {**TARGET, "pathSample": [evil], "error": evil}
    summary = JobSummary("wait", 1, {**WAITED, "result": "failed", "reports": [{**REPORT, "targets": [target]}]})
    assert all("\n" not in value for value in summary.outputs().values())
    (row,) = [line for line in summary.markdown() if "img src" in line]
    assert r"\|" in row
    assert "<img" not in row.replace(r"\<", "")


def test_a_long_table_ends_with_how_much_is_left_out() -> None:
    lines = list(table(("a",), [("x",)] * (MAX_ROWS + 5)))
    assert (len(lines), lines[-1]) == (MAX_ROWS + 4, "and 5 more rows")


def test_it_appends_to_what_the_runner_names(tmp_path: Path) -> None:
    result, summary, outputs = (tmp_path / name for name in ("result", "summary", "outputs"))
    result.write_text(f"progress\n{json.dumps(WAITED)}\n")
    summary.write_text("before\n")
    ran = CliRunner().invoke(
        main,
        ["wait", str(result), "--exit-code", "0"],
        env={"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(outputs)},
    )
    assert (ran.exit_code, ran.output) == (0, "")
    assert summary.read_text().startswith("before\n### The edge is fresh\n")
    assert "result=fresh\n" in outputs.read_text()


@pytest.mark.parametrize("printed", ["", "no JSON\n", "[1]\n"])
def test_elsewhere_the_markdown_is_printed_whatever_the_file_holds(tmp_path: Path, printed: str) -> None:
    (tmp_path / "result").write_text(printed)
    ran = CliRunner().invoke(
        main, ["doctor", str(tmp_path / "result"), "--exit-code", "4"], env={"GITHUB_STEP_SUMMARY": None}
    )
    assert ran.output.startswith("### AWS could not be asked\n")
