"""What people read holds: links lead somewhere, commands exist with their options, and the README stays short."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from invalidations_cli.main import COMMANDS, main
from tests.definition import ROOT, resources

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def broken_links(page: Path, text: str) -> list[str]:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and found.suffix == ".md" and anchor not in anchors(found)):
            broken.append(target)
    return broken


def unknown_commands(text: str) -> list[str]:
    """Commands of this program, with options that they do not have, and targets that make does not have."""
    unknown = [f"make {each}" for each in re.findall(r"\bmake ([a-z]+)`", text) if each not in TARGETS]
    for line in re.findall(r"(?:^|`|/)invalidations ((?:[^`\n|#]|\|(?=\S))+)", text, re.MULTILINE):
        name, *words = line.split()
        if name.startswith("-"):
            continue
        command: click.Command | None = main.get_command(click.Context(main), name) if name in COMMANDS else None
        if isinstance(command, click.Group) and words:
            command = command.get_command(click.Context(command), re.split(r"\\?\|", words[0])[0])
        if command is None:
            unknown.append(line)
            continue
        options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
        given = [
            re.split(r"[=\]\[,.;:)]", word.strip("[]()"))[0] for word in words if word.strip("[(").startswith("--")
        ]
        unknown += [f"{name} {each}" for each in given if each not in options]
    return unknown


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 180


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text("utf-8")) == []


@each_page
def test_every_command_exists_with_its_options(page: Path) -> None:
    assert unknown_commands(page.read_text("utf-8")) == []


def test_a_broken_link_and_an_unknown_command_are_found() -> None:
    assert broken_links(README, "[a](docs/nowhere.md) [b](#nowhere) [c](docs/runbook.md#nowhere)") == [
        *("docs/nowhere.md", "#nowhere", "docs/runbook.md#nowhere")
    ]
    assert unknown_commands("`invalidations doktor` `make nothing` `invalidations wait --bukket x`") == [
        *("make nothing", "doktor", "wait --bukket")
    ]


def test_the_issue_form_asks_for_what_the_commands_say() -> None:
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text("utf-8")
    asked = re.findall(r"label: (invalidations \w+.*--json)$", form, re.MULTILINE)
    assert [each.split()[1] for each in asked] == ["doctor", "selftest", "explain"]
    assert unknown_commands("\n".join(asked)) == []


def test_the_readme_counts_what_is_deployed() -> None:
    text = README.read_text("utf-8")
    assert f"{len(resources('AWS::Serverless::Function'))} functions with a role each" in text
    assert f"{len(resources('AWS::CloudWatch::Alarm'))} alarms" in text
    assert len(resources("AWS::SQS::Queue")) == 2
    assert len(resources("AWS::SNS::Topic")) == 3
