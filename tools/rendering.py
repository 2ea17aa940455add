"""The template as CloudFormation would deploy it, without CloudFormation: for scanners, which cannot follow parameters.

SAM's own translator makes the resources; conditions and intrinsic functions are resolved here, with ARNs as AWS writes
them. Only what this project's templates use is understood; anything else is an error rather than a guess.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ACCOUNT, REGION = "123456789012", "us-east-1"
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "site",
    "AWS::URLSuffix": "amazonaws.com",
}
_HERE = f"{REGION}:{ACCOUNT}"
_ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{_HERE}:table/",
    "AWS::Events::Rule": f"arn:aws:events:{_HERE}:rule/",
    "AWS::IAM::ManagedPolicy": f"arn:aws:iam::{ACCOUNT}:policy/",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/",
    "AWS::KMS::Key": f"arn:aws:kms:{_HERE}:key/",
    "AWS::Lambda::Function": f"arn:aws:lambda:{_HERE}:function:",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{_HERE}:log-group:",
    "AWS::SNS::Topic": f"arn:aws:sns:{_HERE}:",
    "AWS::Pipes::Pipe": "arn:aws:pipes:us-east-1:123456789012:pipe/",
    "AWS::SQS::Queue": f"arn:aws:sqs:{_HERE}:",
    "AWS::StepFunctions::StateMachine": f"arn:aws:states:{_HERE}:stateMachine:",
}
_REF_IS_ARN = {"AWS::IAM::ManagedPolicy", "AWS::SNS::Topic", "AWS::StepFunctions::StateMachine"}
_NAMES = ("LogGroupName", "StateMachineName", "QueueName")
_NOTHING: Any = object()
"""What AWS::NoValue comes to: whatever holds it is left out."""

Document = dict[str, Any]


class NotUnderstood(Exception):
    """The template uses more of CloudFormation's language than before. A guess would be looked at in its place."""


def translated(path: Path) -> Document:
    """A template with SAM's resources translated. The files that it refers to are taken as uploaded.

    Raises:
        samtranslator.model.exceptions.InvalidDocumentException: SAM would refuse it.
    """
    template: Document = json.loads(json.dumps(yaml_parse(path.read_text(encoding="utf-8")), default=str))
    template.get("Globals", {}).get("Function", {})["CodeUri"] = "s3://artifacts/package.zip"
    for resource in template["Resources"].values():
        if "DefinitionUri" in resource.get("Properties", {}):
            resource["Properties"]["DefinitionUri"] = "s3://artifacts/definition.json"
    logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)  # says that it has not told its makers of us
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    done: Document = translator.translate(template, parameter_values={})
    return done


def rendered(template: Mapping[str, Any], parameters: Mapping[str, str]) -> Document:
    """A translated template with every condition decided and every function resolved. Defaults stand for the rest.

    A pseudo parameter such as ``AWS::Region`` may be among the parameters.
    """
    return _Rendering(template, parameters).template()


class _Rendering:
    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self._template = template
        self._values: dict[str, Any] = {name: parameters.get(name, value) for name, value in PSEUDO.items()}
        for name, declared in template.get("Parameters", {}).items():
            self._values[name] = str(parameters[name] if name in parameters else declared["Default"])

    def template(self) -> Document:
        kept = {name: each for name, each in self._template["Resources"].items() if self._exists(each)}
        return {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Resources": {name: self._resolved(each) for name, each in kept.items()},
        }

    def _exists(self, resource: Mapping[str, Any]) -> bool:
        return "Condition" not in resource or self._holds({"Condition": resource["Condition"]})

    def _holds(self, condition: Any) -> bool:
        match condition:
            case {"Condition": name}:
                return self._holds(self._template["Conditions"][name])
            case {"Fn::Equals": [one, other]}:
                return bool(self._resolved(one) == self._resolved(other))
            case {"Fn::Not": [negated]}:
                return not self._holds(negated)
            case {"Fn::Or": some}:
                return any(map(self._holds, some))
        raise NotUnderstood(f"condition {condition}")

    def _resolved(self, value: Any) -> Any:
        match value:
            case {"Ref": "AWS::NoValue"}:
                return _NOTHING
            case {"Ref": name}:
                return self._values[name] if name in self._values else self._attribute(name, "")
            case dict() if len(value) == 1 and (function := next(iter(value))).startswith("Fn::"):
                return self._function(function, value[function])
            case dict():
                found = {name: self._resolved(each) for name, each in value.items()}
                return {name: each for name, each in found.items() if each is not _NOTHING}
            case list():
                return [each for each in map(self._resolved, value) if each is not _NOTHING]
        return value

    def _function(self, function: str, argument: Any) -> Any:
        found: Any
        match function, argument:
            case "Fn::If", [condition, yes, no]:
                found = self._resolved(yes if self._holds({"Condition": condition}) else no)
            case "Fn::GetAtt", [name, attribute]:
                found = self._attribute(name, attribute)
            case "Fn::Join", [separator, parts]:
                found = separator.join(self._resolved(parts))
            case "Fn::Split", [separator, text]:
                found = self._resolved(text).split(separator)
            case "Fn::FindInMap", [name, top, second]:
                found = self._template["Mappings"][name][self._resolved(top)][self._resolved(second)]
            case "Fn::Select", [index, parts]:
                found = self._resolved(parts)[int(index)]
            case "Fn::Sub", [text, names]:
                found = self._substituted(text, {name: self._resolved(each) for name, each in names.items()})
            case "Fn::Sub", str(text):
                found = self._substituted(text, {})
            case _:
                raise NotUnderstood(f"{function} of {argument}")
        return found

    def _substituted(self, text: str, names: Mapping[str, str]) -> str:
        def value_of(match: re.Match[str]) -> str:
            name, _, attribute = match[1].partition(".")
            if match[1] in names:
                return names[match[1]]
            return str(self._attribute(name, attribute) if attribute else self._resolved({"Ref": name}))

        return re.sub(r"\$\{([^!}]+)\}", value_of, text)

    def _attribute(self, name: str, attribute: str) -> str:
        """What Ref ("") or GetAtt gives for a resource of the template. KeyError: there is none of that name."""
        resource = self._template["Resources"][name]
        kind, properties = resource["Type"], resource.get("Properties", {})
        own_name = next((properties[key] for key in _NAMES if key in properties), name)
        physical = str(self._resolved(own_name))
        if attribute not in {"Arn", ""} or (not attribute and kind not in _REF_IS_ARN):
            return physical
        return _ARNS[kind] + physical + (":*" if kind == "AWS::Logs::LogGroup" else "")
