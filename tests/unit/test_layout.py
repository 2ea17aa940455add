"""The numbers that the layout lives by (docs/adr/0006-one-house.md): sizes, names, and who may import whom."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHORTEST, LONGEST, LONGEST_FUNCTION, LONGEST_HANDLER = 60, 500, 40, 60
LONGEST_FIRST_SENTENCE = 15
"""Words."""

RANKS = {"errors": 0, "cloudfront": 1, "events": 2, "config": 2, "batches": 3, "outcome": 4}
"""A room of the domain imports rooms of its own rank's number or less; what is not named here imports any of them."""
ADAPTERS = {"dynamodb", "client", "executions", "bucket", "listing"}
"""Modules of the domain that may know boto3."""
COMMANDS = Path("invalidations_cli/commands")
"""What commands share is beside them, and imports none of them."""


@dataclass(frozen=True)
class Module:
    """A module of the product, as its path says and its text holds."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        return self.path.as_posix()

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @property
    def may_be_short(self) -> bool:
        """A handler, or a part of the local AWS.

        Of these the launcher is a process of its own, ``viewing`` is put in front of what Lambda workers run, and
        ``commands`` says what there is without the emulator's imports.
        """
        return self.path.name in {"app.py", "__init__.py"} or self.path.is_relative_to("invalidations_cli/local")

    @property
    def in_the_domain(self) -> bool:
        return self.path.is_relative_to("functions/invalidation")

    @property
    def room(self) -> str:
        """The folder or module directly below ``functions/invalidation``."""
        return self.path.relative_to("functions/invalidation").parts[0].removesuffix(".py")

    def imports(self) -> Iterator[tuple[str, str]]:
        """Module and name; an empty name for a plain ``import``."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((each.name, "") for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.module or "", each.name) for each in node.names)


Rule = Callable[[list[Module]], list[str]]


def product(*folders: str) -> list[Module]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [Module(path.relative_to(ROOT), path.read_text("utf-8")) for path in paths]


def too_short_or_too_long(modules: list[Module]) -> list[str]:
    return [
        f"{each.name}: {each.lines} lines"
        for each in modules
        if each.lines > LONGEST or (each.lines < SHORTEST and not each.may_be_short)
    ]


def too_long_handlers(modules: list[Module]) -> list[str]:
    return [
        f"{each.name}: {each.lines} lines"
        for each in modules
        if each.path.name == "app.py" and each.lines > LONGEST_HANDLER
    ]


def too_long_functions(modules: list[Module]) -> list[str]:
    return [
        f"{each.name}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for each in modules
        for node in ast.walk(each.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]


def repeated_class_names(modules: list[Module]) -> list[str]:
    names = Counter(node.name for each in modules for node in ast.walk(each.tree) if isinstance(node, ast.ClassDef))
    return sorted(name for name, count in names.items() if count > 1)


def arrows_that_point_back(modules: list[Module]) -> list[str]:
    found = []
    for each in modules:
        rank = RANKS.get(each.room) if each.in_the_domain else None
        for module, name in each.imports():
            parts = module.split(".")
            if rank is None or parts[0] != "invalidation":
                continue
            room = parts[1] if len(parts) > 1 else name
            if RANKS.get(room, 5) > rank:
                found.append(f"{each.name} imports {module}")
    return found


def forbidden_imports(modules: list[Module]) -> list[str]:
    found = []
    for each in modules:
        for module, name in each.imports():
            top = module.split(".")[0]
            boto = top == "boto3" and each.in_the_domain and each.path.stem not in ADAPTERS
            logs = "observability" in (*module.split("."), name) and each.path.name != "app.py"
            private = name.startswith("_") and top in {"invalidation", "invalidations_cli"} and name != "__version__"
            shared = each.path.is_relative_to("invalidations_cli") and not each.path.is_relative_to(COMMANDS)
            command = shared and module.startswith("invalidations_cli.commands")
            if boto or (logs and top == "invalidation") or private or command or top == "tools":
                found.append(f"{each.name} imports {name or module}")
    return found


def long_first_sentences(modules: list[Module]) -> list[str]:
    """Of docstrings; help that is printed is one as well."""
    found = []
    for each in modules:
        for node in ast.walk(each.tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                line = (ast.get_docstring(node) or "").partition("\n")[0]
                first = re.split(r"(?<=[.?!])\s(?=[A-Z`\"'])", line, maxsplit=1)[0]
                if len(first.split()) > LONGEST_FIRST_SENTENCE:
                    found.append(f"{each.name}: {first}")
    return found


def full_init_files(modules: list[Module]) -> list[str]:
    return [each.name for each in modules if each.path.name == "__init__.py" and each.text.strip()]


FUNCTIONS_AND_CLI = product("functions", "invalidations_cli")
ALL = product("functions", "invalidations_cli", "tools")


@pytest.mark.parametrize(
    ("rule", "modules"),
    [
        (too_short_or_too_long, ALL),
        (too_long_handlers, FUNCTIONS_AND_CLI),
        (too_long_functions, ALL),
        (repeated_class_names, ALL),
        (arrows_that_point_back, FUNCTIONS_AND_CLI),
        (forbidden_imports, FUNCTIONS_AND_CLI),
        (long_first_sentences, ALL),
        (full_init_files, [each for each in FUNCTIONS_AND_CLI if "patches" not in each.path.parts]),
    ],
    ids=lambda value: getattr(value, "__name__", "").replace("_", " "),
)
def test_the_layout_keeps_its_numbers(rule: Rule, modules: list[Module]) -> None:
    assert rule(modules) == []


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (too_short_or_too_long, "functions/invalidation/tiny.py", "x = 1\n"),
        (too_short_or_too_long, "invalidations_cli/commands/long.py", "x = 1\n" * 501),
        (too_long_handlers, "functions/notify/app.py", "x = 1\n" * 61),
        (too_long_functions, "invalidations_cli/output.py", "def f():\n" + "    x = 1\n" * 40),
        (repeated_class_names, "functions/invalidation/a.py", "class A: ...\nclass A: ...\n"),
        (arrows_that_point_back, "functions/invalidation/batches/a.py", "from invalidation.outcome import x\n"),
        (arrows_that_point_back, "functions/invalidation/cloudfront/a.py", "from invalidation import config\n"),
        (arrows_that_point_back, "functions/invalidation/errors.py", "from invalidation.events import x\n"),
        (forbidden_imports, "functions/invalidation/batches/close.py", "import boto3\n"),
        (forbidden_imports, "functions/invalidation/outcome.py", "from invalidation.observability import x\n"),
        (forbidden_imports, "invalidations_cli/aws.py", "from invalidation.batches.close import _x\n"),
        (forbidden_imports, "invalidations_cli/aws.py", "from tools import scan\n"),
        (forbidden_imports, "invalidations_cli/backlog.py", "from invalidations_cli.commands.audit import x\n"),
        (long_first_sentences, "tools/a.py", f'"""{"word " * 15}word."""\n'),
        (full_init_files, "functions/invalidation/__init__.py", "x = 1\n"),
    ],
)
def test_what_breaks_the_layout_is_found(rule: Rule, path: str, text: str) -> None:
    assert len(rule([Module(Path(path), text)])) == 1
