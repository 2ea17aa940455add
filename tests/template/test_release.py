"""What a release holds: a template that points to its own files, and commands that are the README's."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from invalidations_cli.local.package import BuildProblem
from tests.definition import ROOT, template
from tools.release import DEFINITION, FUNCTIONS, PAGE, SAMCONFIG, packaged


def test_each_function_of_a_release_runs_its_package_and_nothing_else_of_the_template_changes() -> None:
    made, source = yaml_parse(packaged(ROOT / "template.yaml")), template()
    for resource in made["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            assert resource["Properties"].pop("CodeUri") == FUNCTIONS
    assert source["Globals"]["Function"].pop("CodeUri") == "functions/"
    machine = made["Resources"]["InvalidationStateMachine"]["Properties"]
    assert machine["DefinitionUri"] == DEFINITION
    machine["DefinitionUri"] = "statemachine/invalidation.asl.json"
    assert json.dumps(made, default=str) == json.dumps(source, default=str)


def test_a_template_that_has_changed_its_form_makes_no_release(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    with pytest.raises(BuildProblem, match="CodeUri"):
        packaged(tmp_path / "template.yaml")


def test_the_page_has_three_lines_and_names_what_a_release_has() -> None:
    assert PAGE.count("\n") == 3
    assert all(each in PAGE for each in ("sam deploy", "aws cloudformation deploy", "SHA256SUMS", "{wheel}"))


def test_a_release_is_deployed_as_a_build_is() -> None:
    ours = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]
    theirs = tomllib.loads(SAMCONFIG)["default"]["deploy"]["parameters"]
    assert theirs == {**ours["deploy"]["parameters"], **ours["global"]["parameters"], "template_file": "template.yaml"}


def test_a_deploy_asks_nothing_and_takes_only_what_was_built() -> None:
    deploy = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]
    assert (deploy["confirm_changeset"], deploy["template_file"]) == (False, ".aws-sam/build/template.yaml")
