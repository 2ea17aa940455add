"""`make lint`'s security scans. The template as it is deployed, its policies, and the pinned packages.

Nothing is let off silently: a finding is fixed, or is an exception in `scan.toml` with its reason. An exception for
which there is no finding any more is wrong as well. A scan that did not happen is said on the last line, and fails
where `REQUIRE_AUDIT=1` is in the environment.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from invalidations_cli.local.server import ROOT
from tools.rendering import Document, rendered, translated
from tools.scanners import Finding, Run, Scanned, checkov, parliament, pip_audit, program

EXCEPTIONS = ROOT / "tools" / "scan.toml"
ENVIRONMENT = ROOT / ".build" / "scan" / "bin"
REQUIREMENTS = ("functions/requirements.txt", "requirements/runtime.txt", "requirements/dev.txt")
"""What is deployed first; what only scans or packages is not part of the application."""

PLAIN = {"BucketNames": "my-site", "EnableBucketEvents": "false", "KeepRecords": "false"}
ALL_ON = {
    "BucketNames": "my-site,www.example.com",
    "EnableBucketEvents": "UntilDeleted",
    "DistributionIds": "E2QWRUHAPOMQZL",
    "ExcludeKeys": "logs/*",
    "Intake": "Buffered",
    "InvalidateBy": "Both",
    "NotificationEmail": "somebody@example.com",
    "Observability": "Full",
    "VerifyAtEdge": "true",
}
ELSEWHERE = {
    "DistributionRoleArn": "arn:aws:iam::210987654321:role/invalidation",
    "DistributionRoleExternalId": "of-the-role",
}
TEMPLATES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "plain": ("template.yaml", PLAIN),
    "all-on": ("template.yaml", ALL_ON),
    "without-pipes": ("template.yaml", {**PLAIN, "AWS::Region": "il-central-1"}),
    "another-account": ("template.yaml", {**ALL_ON, **ELSEWHERE}),
    "example-role": (
        "examples/distribution-account-role.yaml",
        {"InvalidationAccountId": "123456789012", "ExternalId": "of-the-role"},
    ),
    "example-rule": ("examples/outcome-rule.yaml", {"BucketName": "my-site"}),
    "example-parent": ("examples/parent.yaml", {}),
}
"""Name -> template and parameters: together they have every resource and every statement that there can be."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """A finding that is right as it is. `where` and `detail` are regular expressions for the whole of these."""

    scanner: str
    rule: str
    where: str
    reason: str
    detail: str = ".*"

    def covers(self, finding: Finding) -> bool:
        same = (self.scanner, self.rule) == (finding.scanner, finding.rule)
        return same and bool(re.fullmatch(self.where, finding.where) and re.fullmatch(self.detail, finding.detail))


def exemptions(path: Path = EXCEPTIONS) -> list[Exemption]:
    """Those that are written down. KeyError or TypeError where one has no reason, or more than an exemption has."""
    return [Exemption(**each) for each in tomllib.loads(path.read_text(encoding="utf-8"))["exception"]]


def documents() -> dict[str, Document]:
    """Every rendered template, by name."""
    sources = {path: translated(ROOT / path) for path, _ in TEMPLATES.values()}
    return {name: rendered(sources[path], parameters) for name, (path, parameters) in TEMPLATES.items()}


def policies(template: Document) -> Iterator[tuple[str, Document]]:
    """`<resource>/<policy>` -> document, but for roles' trust policies: they have no resource to look at."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        for policy in properties.get("Policies", []):
            yield f"{name}/{policy['PolicyName']}", policy["PolicyDocument"]
        for attribute in ("PolicyDocument", "KeyPolicy"):
            if attribute in properties:
                yield f"{name}/{attribute}", properties[attribute]


def scan_all(run: Run) -> list[Scanned]:
    """Run every scanner."""
    found = documents()
    with tempfile.TemporaryDirectory() as folder:
        templates, statements = Path(folder) / "templates", Path(folder) / "policies"
        for name, template in found.items():
            _write(templates / f"{name}.json", template)
        written = {f"{name}/{policy}": document for name, each in found.items() for policy, document in policies(each)}
        for path, document in written.items():
            _write(statements / f"{path}.json", document)
        return [
            checkov(run, templates, len(found)),
            parliament(run, statements, len(written)),
            pip_audit(run, [ROOT / each for each in REQUIREMENTS]),
        ]


def verdict(scanned: Sequence[Scanned], allowed: Sequence[Exemption]) -> Iterator[str]:
    """A line for each thing that is wrong; none at all is what lint wants."""
    findings = [finding for each in scanned for finding in each.findings]
    for finding in findings:
        if not any(each.covers(finding) for each in allowed):
            yield f"{finding.scanner}: {finding.rule} at {finding.where}: {finding.detail}"
    looked = {each.scanner for each in scanned if not each.skipped}
    for each in allowed:
        if each.scanner in looked and not any(each.covers(finding) for finding in findings):
            yield f"scan.toml: nothing is found any more for {each.scanner} {each.rule} at {each.where}: take it out"


def summary(scanned: Scanned) -> str:
    if scanned.skipped:
        return f"{scanned.scanner:10} SKIPPED: {scanned.skipped}"
    more = f"; {scanned.unknown}" if scanned.unknown else ""
    return f"{scanned.scanner:10} {scanned.looked_at}, {len(scanned.findings)} findings{more}"


def last_line(scanned: Sequence[Scanned]) -> str:
    """What was not scanned, and why; "" where everything was."""
    missed = [f"{each.scanner}: {each.skipped or each.unknown}" for each in scanned if each.skipped or each.unknown]
    return f"NOT SCANNED: {'; '.join(missed)}. REQUIRE_AUDIT=1 makes this an error." if missed else ""


def _write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")


@click.command()
def scan() -> None:
    """Scan the templates, their policies and the pinned packages. Fails on a finding that is no exception."""
    allowed = exemptions()
    scanned = scan_all(program(ENVIRONMENT))
    for each in scanned:
        click.echo(summary(each))
    wrong = list(verdict(scanned, allowed))
    for line in wrong:
        click.secho(line, fg="red", err=True)
    click.echo(f"{len(allowed)} exceptions, with their reasons, in {EXCEPTIONS.relative_to(ROOT)}")
    missed = last_line(scanned)
    if missed:
        click.secho(missed, fg="yellow", err=True)
    sys.exit(bool(wrong) or (bool(missed) and os.environ.get("REQUIRE_AUDIT") == "1"))


if __name__ == "__main__":
    scan()
