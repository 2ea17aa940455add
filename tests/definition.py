"""The template and the state machine's definition, as files and as they are deployed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parent.parent
ASL_FILE = ROOT / "statemachine" / "invalidation.asl.json"
TEMPLATE_FILE = ROOT / "template.yaml"
ACCOUNT = "123456789012"
REGION = "us-east-1"

State = dict[str, Any]


def template() -> dict[str, Any]:
    """The SAM template with intrinsic functions in their long form."""
    return dict(yaml_parse(TEMPLATE_FILE.read_text()))


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Logical id -> properties of the template's resources of one type."""
    found = template()["Resources"]
    return {name: each.get("Properties", {}) for name, each in found.items() if each["Type"] == kind}


def function_arn(logical_id: str) -> str:
    """The ARN that a function gets in tests; its name is the logical id."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{logical_id}"


def substitutions() -> dict[str, str]:
    """What the template's DefinitionSubstitutions come to in tests."""
    machine = resources("AWS::Serverless::StateMachine")["InvalidationStateMachine"]
    values = {}
    for name, value in machine["DefinitionSubstitutions"].items():
        values[name] = "aws" if value == {"Ref": "AWS::Partition"} else function_arn(value["Fn::GetAtt"][0])
    return values


def rendered() -> dict[str, Any]:
    """The state machine's definition as it is deployed."""
    values = substitutions()
    text = re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], ASL_FILE.read_text())
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def states(machine: dict[str, Any]) -> Iterator[tuple[str, State]]:
    """Every state of a definition, those inside Map states too."""
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def transitions(machine: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every (state, next state) that a definition allows; a Map's first state follows the Map."""
    for name, state in machine["States"].items():
        choices = state.get("Choices", []) + state.get("Catch", [])
        targets = [state.get("Next"), state.get("Default"), *(each["Next"] for each in choices)]
        yield from ((name, target) for target in dict.fromkeys(targets) if target)
        if "ItemProcessor" in state:
            yield name, state["ItemProcessor"]["StartAt"]
            yield from transitions(state["ItemProcessor"])
