"""The security scanners: each is run as a program of its own environment. What it finds becomes `Finding` values."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT = 15
"""Seconds that pip-audit waits for one answer."""

Run = Callable[[list[str]], str]
"""Runs a program and returns what it printed; the exit code says no more than that does."""


class ScannerProblem(Exception):
    """A scanner did not do its work, which is not the same as finding nothing."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """What a scanner holds against something.

    Attributes:
        scanner: its name.
        rule: the scanner's name for the rule: `CKV_AWS_27`, `RESOURCE_STAR`, `CVE-2026-1`.
        where: a resource's logical id; of a policy `<resource>/<policy>`; of a package its name.
        detail: what it says.
    """

    scanner: str
    rule: str
    where: str
    detail: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scanner came to. `skipped` says why it could not look; `unknown` what it looked for in vain."""

    scanner: str
    looked_at: str
    findings: tuple[Finding, ...] = ()
    skipped: str = ""
    unknown: str = ""


def program(folder: Path) -> Run:
    """Runs programs of a virtual environment's `bin` folder."""

    def run(command: list[str]) -> str:
        path = folder / command[0]
        done = subprocess.run([str(path), *command[1:]], capture_output=True, text=True, check=False)  # noqa: S603 - pinned
        if done.returncode not in {0, 1} or "Traceback" in done.stderr:
            raise ScannerProblem(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-2_000:]}")
        return done.stdout

    return run


def checkov(run: Run, templates: Path, number: int) -> Scanned:
    """Checkov's rules for CloudFormation on each of so many templates of a folder."""
    options = ["--framework", "cloudformation", "--skip-download", "--compact", "--output", "json"]
    told = json.loads(run(["checkov", "--directory", str(templates), *options]) or "{}")
    if not isinstance(told, dict) or "summary" not in told:
        raise ScannerProblem(f"checkov found no template in {templates}")
    summary, results = told["summary"], told["results"]
    files = {each["file_path"] for each in (*results["passed_checks"], *results["failed_checks"])}
    if summary["parsing_errors"] or len(files) != number:
        raise ScannerProblem(f"checkov understood {len(files)} of {number} templates: {results['parsing_errors']}")
    found = (
        Finding("checkov", each["check_id"], each["resource"].rpartition(".")[2], each["check_name"])
        for each in results["failed_checks"]
    )
    return Scanned("checkov", f"{summary['passed'] + summary['failed']} checks", _distinct(found))


def parliament(run: Run, policies: Path, number: int) -> Scanned:
    """Parliament's rules, and those of its community, on each policy of a folder: `<resource>/<policy>.json`."""
    told = run(["parliament", "--directory", str(policies), "--include-community-auditors", "--json"])
    found = []
    for document in map(json.loads, told.splitlines()):
        file = Path(document["location"]["filepath"]).relative_to(policies)
        where = "/".join(file.with_suffix("").parts[1:])
        detail = f"{document['title']}: {_actions(document['detail'])}" if document["detail"] else document["title"]
        found.append(Finding("parliament", document["issue"], where, detail))
    return Scanned("parliament", f"{number} policies", _distinct(found))


def pip_audit(run: Run, requirements: Iterable[Path]) -> Scanned:
    """Known vulnerabilities of pinned requirements. Stops at the first file about which nobody can be asked."""
    audited, unknown = 0, 0
    found: list[Finding] = []
    for path in requirements:
        options = ["--requirement", str(path), "--require-hashes", "--disable-pip", "--timeout", str(TIMEOUT)]
        try:
            told = run(["pip-audit", *options, "--format", "json", "--progress-spinner", "off"])
            dependencies = json.loads(told)["dependencies"]
        except (ScannerProblem, ValueError) as problem:
            return _unreachable(str(problem).rpartition("\n")[2])
        asked = [each for each in dependencies if "vulns" in each]
        audited, unknown = audited + len(asked), unknown + len(dependencies) - len(asked)
        if dependencies and not asked:
            return _unreachable("it knows none of the packages")
        found += [finding for each in asked for finding in _vulnerabilities(each)]
    missed = f"nothing is known here of {unknown} packages" if unknown else ""
    return Scanned("pip-audit", f"{audited} packages", _distinct(found), unknown=missed)


def _unreachable(why: str) -> Scanned:
    return Scanned("pip-audit", "", skipped=f"its data cannot be reached from here ({why[:200]})")


def _vulnerabilities(dependency: Mapping[str, Any]) -> Iterator[Finding]:
    for each in dependency["vulns"]:
        fixed = ", ".join(each["fix_versions"]) or "no version"
        detail = f"{dependency['version']}; fixed in {fixed}: {' '.join(each['description'].split())[:200]}"
        yield Finding("pip-audit", each["id"], dependency["name"], detail)


def _actions(detail: Any) -> str:
    """Parliament's detail in one line: a list of actions, or what it says."""
    if isinstance(detail, list):
        return ", ".join(str(each["action"]) if isinstance(each, dict) else str(each) for each in detail)
    return str(detail)


def _distinct(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The same resource is in the template under several parameters."""
    return tuple(sorted(set(findings)))
