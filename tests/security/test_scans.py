"""What `make lint` scans, and that nothing is let off without a reason. The scanners themselves run in `make lint`."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from click.testing import CliRunner

from tests.definition import ROOT, template
from tools import scan
from tools.rendering import NotUnderstood, rendered, translated
from tools.scan import TEMPLATES, Exemption, documents, exemptions, last_line, policies, summary, verdict
from tools.scanners import Finding, Scanned, ScannerProblem, checkov, parliament, pip_audit, program

FOUND = Finding("checkov", "CKV_1", "BatchTable", "it is not painted")
ALLOWED = Exemption("checkov", "CKV_1", "BatchTable", "paint does not last on tables")


@pytest.fixture(scope="module")
def templates() -> dict[str, Any]:
    return documents()


def test_every_exemption_has_a_reason_that_is_a_sentence() -> None:
    found = exemptions()
    assert found
    assert all(len(each.reason.split()) > 8 and each.reason.strip().endswith((".", '")', ").")) for each in found)


def test_a_finding_that_nobody_has_given_a_reason_for_fails_the_scan() -> None:
    other = Finding("checkov", "CKV_1", "IntakeQueue", "it is not painted")
    assert list(verdict([Scanned("checkov", "", (FOUND, other))], [ALLOWED])) == [
        "checkov: CKV_1 at IntakeQueue: it is not painted"
    ]


def test_an_exemption_is_for_the_whole_name_and_what_is_said() -> None:
    assert ALLOWED.covers(FOUND)
    assert not Exemption("checkov", "CKV_1", "Batch", "x").covers(FOUND)
    assert not Exemption("parliament", "CKV_1", "BatchTable", "x").covers(FOUND)
    assert not Exemption("checkov", "CKV_1", "BatchTable", "x", detail="it is painted").covers(FOUND)


def test_an_exemption_without_a_finding_fails_unless_the_scanner_could_not_look() -> None:
    (told,) = verdict([Scanned("checkov", "")], [ALLOWED])
    assert "take it out" in told
    assert list(verdict([Scanned("checkov", "", skipped="no network")], [ALLOWED])) == []


def test_a_scan_that_was_skipped_says_so_and_why() -> None:
    assert summary(Scanned("pip-audit", "", skipped="no network")) == "pip-audit  SKIPPED: no network"


def test_the_last_line_says_what_was_not_scanned_and_nothing_where_all_was() -> None:
    told = last_line([Scanned("checkov", "9 checks"), Scanned("pip-audit", "", skipped="no network")])
    assert told == "NOT SCANNED: pip-audit: no network. REQUIRE_AUDIT=1 makes this an error."
    assert last_line([Scanned("checkov", "9 checks")]) == ""


@pytest.mark.parametrize(("required", "code"), [("", 0), ("1", 1)])
def test_a_scan_that_did_not_happen_fails_where_it_is_required(
    monkeypatch: pytest.MonkeyPatch, required: str, code: int
) -> None:
    monkeypatch.setenv("REQUIRE_AUDIT", required)
    monkeypatch.setattr(scan, "scan_all", lambda _run: [Scanned("pip-audit", "", skipped="no network")])
    ran = CliRunner().invoke(scan.scan, [])
    assert (ran.exit_code, ran.output.splitlines()[-1][:23]) == (code, "NOT SCANNED: pip-audit:")


def test_lint_ends_with_the_scans() -> None:
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    assert lint.splitlines()[-1].strip().endswith("-m tools.scan")


def test_no_function_is_left_in_a_rendered_template(templates: dict[str, Any]) -> None:
    for name, each in templates.items():
        text = re.sub(r'"(DashboardBody|QueryString|InputTemplate)": "(\\.|[^"\\])*"', "", json.dumps(each))
        assert not re.search(r'"Fn::|"Ref":|\$\{|AWS::NoValue', text), name


def test_every_condition_is_rendered_both_ways() -> None:
    """So that no resource and no statement escapes the scanners."""
    ours = [parameters for path, parameters in TEMPLATES.values() if path == "template.yaml"]
    source = translated(ROOT / "template.yaml")
    decided = {name: {_holds(source, name, parameters) for parameters in ours} for name in template()["Conditions"]}
    assert {name for name, ways in decided.items() if len(ways) < 2} == set()


def _holds(source: dict[str, Any], condition: str, parameters: Any) -> bool:
    probe = {"Type": "AWS::SNS::Topic", "Condition": condition}
    made = rendered({**source, "Resources": {"Probe": probe}}, parameters)
    return "Probe" in made["Resources"]


def test_every_statement_of_the_template_is_scanned(templates: dict[str, Any]) -> None:
    found = {name for each in templates.values() for name, _ in policies(each)}
    assert {"SweepFunctionRole/Sweep", "DeadLetterQueuePolicy/PolicyDocument", "NotificationKey/KeyPolicy"} <= found
    roles = [name for name, each in template()["Resources"].items() if each["Type"] == "AWS::IAM::Role"]
    assert all(any(name.startswith(f"{role}/") for name in found) for role in roles)


def test_the_actions_that_the_scanner_is_too_old_for_are_cloudfronts_operations() -> None:
    (unknown,) = [each for each in exemptions() if each.rule == "UNKNOWN_ACTION"]
    actions = re.findall(r"\w{10,}", unknown.detail.partition(":")[2])
    assert actions
    assert set(actions) <= set(botocore.session.get_session().get_service_model("cloudfront").operation_names)


Answers = Callable[[list[str]], str]


def answering(*answers: str) -> Answers:
    """A scanner that answers this, whatever it is asked."""
    left: Iterator[str] = iter(answers)
    return lambda _command: next(left)


def test_pip_audit_tells_of_each_vulnerability_with_its_remedy(tmp_path: Path) -> None:
    vulnerable = {"id": "CVE-2026-1", "fix_versions": ["1.2"], "description": "Evil\nthings"}
    told = {"dependencies": [{"name": "a", "version": "1.1", "vulns": [vulnerable]}, {"name": "b", "skip_reason": "?"}]}
    scanned = pip_audit(answering(json.dumps(told)), [tmp_path])
    assert scanned.findings == (Finding("pip-audit", "CVE-2026-1", "a", "1.1; fixed in 1.2: Evil things"),)
    assert summary(scanned) == "pip-audit  1 packages, 1 findings; nothing is known here of 1 packages"
    assert "NOT SCANNED: pip-audit: nothing is known here of 1 packages" in last_line([scanned])


@pytest.mark.parametrize("answer", ["", '{"dependencies": [{"name": "a", "skip_reason": "not found"}]}'])
def test_pip_audit_without_its_data_is_skipped_and_never_clean(answer: str, tmp_path: Path) -> None:
    scanned = pip_audit(answering(answer, answer), [tmp_path, tmp_path])
    assert scanned.skipped.startswith("its data cannot be reached from here")


def test_parliaments_findings_name_the_resource_and_the_policy(tmp_path: Path) -> None:
    location = {"filepath": str(tmp_path / "plain" / "SweepFunctionRole" / "Sweep.json")}
    told = {"issue": "RESOURCE_STAR", "title": "Star", "detail": ["a:B"], "location": location}
    scanned = parliament(answering(f"{json.dumps(told)}\n{json.dumps(told)}\n"), tmp_path, 1)
    assert scanned.findings == (Finding("parliament", "RESOURCE_STAR", "SweepFunctionRole/Sweep", "Star: a:B"),)


@pytest.mark.parametrize("answer", ["", "[]", '{"passed": 0}'])
def test_a_checkov_that_looked_at_nothing_is_a_problem_and_not_clean(answer: str, tmp_path: Path) -> None:
    with pytest.raises(ScannerProblem, match="found no template"):
        checkov(answering(answer), tmp_path, 1)


def test_a_checkov_that_looked_at_too_few_templates_is_a_problem(tmp_path: Path) -> None:
    check = {"check_id": "C", "check_name": "c", "resource": "T.Name", "file_path": "/one.json"}
    results = {"passed_checks": [check], "failed_checks": [], "parsing_errors": []}
    told = json.dumps({"results": results, "summary": {"passed": 1, "failed": 0, "parsing_errors": 0}})
    assert checkov(answering(told), tmp_path, 1).looked_at == "1 checks"
    with pytest.raises(ScannerProblem, match="understood 1 of 2 templates"):
        checkov(answering(told), tmp_path, 2)


def test_a_scanner_that_breaks_is_a_problem(tmp_path: Path) -> None:
    broken = tmp_path / "scanner"
    broken.write_text("#!/bin/sh\necho 'it broke' >&2\nexit 3\n", encoding="utf-8")
    broken.chmod(0o755)
    with pytest.raises(ScannerProblem, match="scanner ended with 3: it broke"):
        program(tmp_path)(["scanner"])


def test_ruffs_security_rules_are_on_but_where_a_reason_stands_beside_them() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert lint["select"] == ["ALL"]
    assert not [rule for rule in lint["ignore"] if re.fullmatch(r"S\d*", rule)]
    deployed = [place for place in lint["per-file-ignores"] if place.startswith(("functions", "**"))]
    assert deployed == []


def test_each_scanned_file_is_there() -> None:
    assert all((ROOT / path).is_file() for path in (*scan.REQUIREMENTS, *(path for path, _ in TEMPLATES.values())))


@pytest.mark.parametrize(
    "template",
    [
        {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Base64": "x"}}}}},
        {
            "Conditions": {"Either": {"Fn::And": [True, False]}},
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Condition": "Either"}},
        },
    ],
    ids=["function", "condition"],
)
def test_what_is_not_understood_is_never_guessed(template: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood, match=r"Fn::(Base64|And)"):
        rendered(template, {})
