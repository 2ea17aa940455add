"""Settings are the template's parameters: the same names, the same defaults, and none that a function lacks."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from invalidation.config import CONSTANTS, Settings, host_to_verify, verifies_at_edge
from tests.definition import ROOT, resources, template

FUNCTIONS = resources("AWS::Serverless::Function")
TEMPLATE = template()
COMMON: dict[str, Any] = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
POWERTOOLS = {name for name in COMMON if name.startswith("POWERTOOLS_")}
IN_MINUTES, IN_DAYS = {"completion_timeout", "room_timeout"}, {"audit_retention"}


def _own_variables(function: str) -> dict[str, Any]:
    found: dict[str, Any] = FUNCTIONS[function].get("Environment", {}).get("Variables", {})
    return found


class _Recording(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def _known() -> set[str]:
    environment = _Recording({})
    Settings.from_environment(environment)
    return environment.asked


def _field_of(variable: str) -> str:
    """Which field a variable decides: the one that another value changes."""
    for value in ("7", "true", "false", "x"):
        try:
            changed = Settings.from_environment({variable: value})
        except ValueError:
            continue
        names = [
            each.name for each in fields(Settings) if getattr(changed, each.name) != getattr(Settings(), each.name)
        ]
        if names:
            (name,) = names
            return name
    raise AssertionError(f"{variable} changes nothing")


def _parameter(value: Any) -> str | None:
    """The parameter that an environment variable's value comes from; None: a resource, or a condition."""
    match value:
        case {"Ref": name} | {"Fn::Join": [",", {"Ref": name}]} if name in TEMPLATE["Parameters"]:
            return str(name)
    return None


TAKING_SETTINGS = ("config", "messages", "health_changes")
"""Modules of the domain with functions that take all settings."""
VARIABLES = {
    (function, name): value for function in FUNCTIONS for name, value in {**COMMON, **_own_variables(function)}.items()
}
FROM_PARAMETERS = sorted(
    {(name, parameter) for (_, name), value in VARIABLES.items() if (parameter := _parameter(value)) is not None}
    - {("BUCKET_NAMES", "BucketNames")}  # the one parameter without a default
)


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings()


def test_no_variable_decides_two_settings_and_no_setting_is_out_of_reach() -> None:
    assert sorted(_field_of(variable) for variable in _known()) == sorted(each.name for each in fields(Settings))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_given_only_variables_that_settings_know(function: str) -> None:
    assert set(_own_variables(function)) | set(COMMON) <= _known() | POWERTOOLS


@pytest.mark.parametrize(("variable", "parameter"), FROM_PARAMETERS)
def test_a_variable_is_named_like_its_parameter(variable: str, parameter: str) -> None:
    assert variable.replace("_", "") == parameter.upper()


@pytest.mark.parametrize(("variable", "parameter"), FROM_PARAMETERS)
def test_a_settings_default_is_the_parameters(variable: str, parameter: str) -> None:
    default = str(TEMPLATE["Parameters"][parameter]["Default"])
    assert Settings.from_environment({variable: default}) == Settings()


def _read_by(app: Path) -> set[str]:
    """The settings that an app reads: attributes of its ``SETTINGS``, itself or through a function that takes them."""
    tree = ast.parse(app.read_text())
    called = {each.func.id for each in ast.walk(tree) if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)}
    domain = [ast.parse((ROOT / "functions" / "invalidation" / f"{name}.py").read_text()) for name in TAKING_SETTINGS]
    functions = [each for module in domain for each in module.body if isinstance(each, ast.FunctionDef)]
    helpers: list[ast.FunctionDef] = []
    while len(helpers) < len(helpers := [each for each in functions if each.name in called]):
        called |= {
            each.func.id
            for helper in helpers
            for each in ast.walk(helper)
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
        }
    return _attributes(tree, "SETTINGS").union(*(_attributes(each, "settings") for each in helpers))


def _attributes(tree: ast.AST, name: str) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_given_just_what_its_app_reads(function: str) -> None:
    folder = FUNCTIONS[function]["Handler"].partition(".")[0]
    read = _read_by(ROOT / "functions" / folder / "app.py")
    own = {_field_of(variable) for variable in _own_variables(function)}
    common = {_field_of(variable) for variable in set(COMMON) - POWERTOOLS}
    assert own <= read
    assert read <= own | common | set(CONSTANTS)


def test_a_constant_has_a_reason_and_no_parameter() -> None:
    assert all(CONSTANTS.values())
    assert {_field_of(variable) for _, variable in VARIABLES if variable not in POWERTOOLS}.isdisjoint(CONSTANTS)


@pytest.mark.parametrize(
    ("setting", "verifies", "host"),
    [("false", False, "d1.cloudfront.net"), ("true", True, "d1.cloudfront.net"), ("www.x.org", True, "www.x.org")],
)
def test_verify_at_edge_says_whether_and_where(setting: str, verifies: bool, host: str) -> None:  # a case
    assert (verifies_at_edge(setting), host_to_verify(setting, "d1.cloudfront.net")) == (verifies, host)


def test_values_have_their_types() -> None:
    settings = Settings.from_environment(
        {
            "DISTRIBUTION_IDS": " E1, E2 ,,",
            "COMPLETION_TIMEOUT_MINUTES": "7",
            "AUDIT_RETENTION_DAYS": "3",
            "DRY_RUN": "true",
            "MONTHLY_PATH_BUDGET": "40",
        }
    )
    assert settings.distribution_ids == ("E1", "E2")
    assert (settings.completion_timeout, settings.audit_retention) == (timedelta(minutes=7), timedelta(days=3))
    assert (settings.dry_run, settings.monthly_path_budget) == (True, 40)


def test_a_number_with_a_fraction_is_cut_to_the_whole_one() -> None:
    """CloudFormation takes a fraction for a Number, and no function starts with settings that it cannot read."""
    cut = Settings.from_environment({"MONTHLY_PATH_BUDGET": "10.5", "AUDIT_RETENTION_DAYS": "2.9"})
    assert (cut.monthly_path_budget, cut.audit_retention) == (10, timedelta(days=2))


def test_a_number_that_is_none_is_an_error_and_not_a_default() -> None:
    with pytest.raises(ValueError, match="ten"):
        Settings.from_environment({"BATCH_WINDOW_SECONDS": "ten"})
